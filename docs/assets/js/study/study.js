/* The entry of the study scripts, on every page. It is all of them that a reader loads at once: problems come when one is
   near, the review when it is asked for, and what one page alone has on that page.

   Material swaps pages without a reload, and `document$` tells of each. The first is known before this module runs. */
const PAGES = {
  ".deck-desk": () => import("./deck.js").then(({ mountDeck }) => mountDeck(document)),
  "#interview": () => import("./interview.js").then(({ mountInterview }) => mountInterview(document)),
};

const SHEET = 'link[href*="css/study.css"]';
const version = (url) => new URL(url, location).searchParams.get("v");

let pages = 0;

function mount() {
  const sheet = document.querySelector(SHEET);
  if (pages++ && sheet && version(sheet.href) !== version(import.meta.url)) {
    location.reload(); // the site has been released since this tab was opened: its page, with the scripts of then
    return;
  }
  const named = /^card-[0-9a-f]{6}$/.exec(new URLSearchParams(location.search).get("card"));
  for (const [place, load] of Object.entries(PAGES)) if (document.querySelector(place)) load().catch(console.error);
  mountNear([...document.querySelectorAll("div.problem")]);
  if (!document.querySelector(".deck-desk")) offer([...document.querySelectorAll("article details.card[id]")]);
  if (named) location.hash = named[0]; // which Material unfolds, as it does where a link ends in it
}

/* Loads the problems once a reader is a screen away. What is hidden is never near: the folded answer below it is watched. */
function mountNear(problems) {
  const watcher = new IntersectionObserver(
    (seen) => {
      if (!seen.some(({ isIntersecting }) => isIntersecting)) return;
      watcher.disconnect();
      import("./problems.js").then(({ mountProblems }) => mountProblems(document)).catch(console.error);
    },
    { rootMargin: "100% 0px" },
  );
  for (const problem of problems) watcher.observe(problem.nextElementSibling ?? problem.parentElement);
}

/* Below the last card of a page: a box in which they are reviewed. */
function offer(cards) {
  if (!cards.length || document.querySelector(".card-box")) return;
  const box = Object.assign(document.createElement("section"), { className: "card-box" });
  const words = Object.assign(document.createElement("p"), { role: "status" });
  const start = Object.assign(document.createElement("button"), { type: "button", className: "md-button" });
  const deck = Object.assign(document.createElement("a"), { href: new URL("../../../cards/", import.meta.url) });
  const head = document.createElement("div");
  const place = document.createElement("div");
  words.textContent = cards.length > 1 ? `${cards.length} cards from this page.` : "A card from this page.";
  start.textContent = cards.length > 1 ? "Review them" : "Review it";
  deck.textContent = "The whole deck";
  box.setAttribute("aria-label", "Review this page's cards");
  head.append(words, start, deck);
  box.append(head, place);
  cards.at(-1).after(box);

  start.addEventListener("click", async () => {
    try {
      const [{ review }, read] = await Promise.all([import("./review.js"), import("./cards.js")]);
      const end = () => {
        head.hidden = false;
        start.focus();
      };
      head.hidden = true;
      await review(place, read.cards(document.querySelector("article")), { title: "Cards from this page", onEnd: end });
    } catch (error) {
      head.hidden = false;
      words.textContent = "The review could not be loaded. Reload the page, and try again.";
      console.error(error);
    }
  });
}

globalThis.document$?.subscribe(mount);
