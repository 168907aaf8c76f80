/* Under `mkdocs serve`: says in the page how far it is, and all pages, until everything has run. */
{
  const progress = new URL("progress.json", document.currentScript.src);
  const box = Object.assign(document.createElement("aside"), { className: "progress", role: "status" });

  const show = ({ pages, blocks, page }) => {
    for (const place of page ? document.querySelectorAll(".pending[data-block]") : []) {
      const number = Number(place.dataset.block);
      const ahead = number - page.blocks[0];
      const state = ahead < 0 ? "done" : ahead > 0 || !page.started ? "waiting" : "running";
      const words = `${state}, ${number + 1} of ${page.blocks[1]}`;
      place.textContent = state === "running" ? `${words}, ${page.seconds} s` : words;
    }
    const words = `${pages[0]} of ${pages[1]} pages have run, ${blocks[0]} of ${blocks[1]} blocks`;
    if (box.textContent !== words) box.textContent = words;
    if (pages[0] === pages[1]) box.remove();
    else if (!box.isConnected) document.body.append(box);
  };

  const look = async () => {
    if (document.visibilityState === "visible") {
      progress.search = new URLSearchParams({ page: location.pathname });
      try {
        show(await (await fetch(progress)).json());
      } catch {
        box.remove(); /* the server starts again, or has ended */
      }
    }
    setTimeout(look, 1000);
  };

  look();
}
