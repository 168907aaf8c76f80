/* What is kept, where, and what readers can do with it: save it, add another browser's, and delete it. */
import { button, el, many } from "./elements.js";
import { newPerDay, setNewPerDay } from "./schedule.js";
import { ImportError, store as shared } from "./store.js";

/** @param {HTMLElement} host An empty element. */
export async function statePanel(host) {
  const store = shared();
  const kept = el("p", {});
  const status = el("p", { role: "status" });
  const trouble = el("div", {});
  const sure = el("div", { class: "wm-state__sure", hidden: true });
  const file = el("input", { type: "file", accept: ".json,application/json", hidden: true, onchange: bring });
  const limit = el("input", { type: "number", min: 0, max: 999, value: newPerDay(), onchange: limited });

  async function count() {
    const reviews = await store.reviews();
    const cards = new Set(reviews.map(({ card }) => card)).size;
    kept.textContent = `${many(reviews.length, "review")} of ${many(cards, "card")}.`;
  }

  async function bring() {
    const [chosen] = file.files;
    if (!chosen) return;
    try {
      const { added, known } = await store.import(await chosen.text());
      status.textContent = `${many(added, "review")} added; ${known.toLocaleString("en")} were here already.`;
    } catch (error) {
      if (!(error instanceof ImportError)) throw error;
      status.textContent = error.message;
    }
    file.value = ""; // so that the same file can be chosen again
  }

  function limited() {
    if (!limit.checkValidity() || limit.value === "") return;
    setNewPerDay(limit.valueAsNumber);
    store.dispatchEvent(new Event("change"));
  }

  function ask() {
    sure.hidden = false;
    sure.querySelector("button:last-child").focus();
  }

  function close() {
    sure.hidden = true;
    forget.focus();
  }

  async function forgetAll() {
    close();
    status.textContent = (await store.forget()) ? "All reviews are deleted." : "The reviews could not be deleted.";
  }

  const forget = button("Forget everything", ask);
  sure.append(
    el("p", {}, "This deletes all reviews in this browser, for good."),
    button("Delete them", forgetAll),
    button("Keep them", close),
  );
  const panel = el(
    "div",
    { class: "wm-state" },
    el("p", {}, "Your reviews are kept in this browser alone, and nothing of them is sent anywhere."),
    kept,
    el("label", {}, "New cards a day ", limit),
    el(
      "div",
      { class: "wm-state__buttons" },
      button("Save as a file", () => store.save()),
      button("Add from a file", () => file.click()),
      forget,
      file,
    ),
    sure,
    status,
    trouble,
  );
  store.addEventListener("change", () => panel.isConnected && count());
  store.addEventListener("trouble", () => tellTrouble(trouble, store));
  host.replaceChildren(panel);
  await count();
  tellTrouble(trouble, store);
}

/** Says what is wrong with the storage, and offers what it does not hold as a file. @param {HTMLElement} host */
export function tellTrouble(host, store) {
  host.className = "wm-trouble";
  host.hidden = !store.trouble;
  if (!store.trouble) return host.replaceChildren();
  const waiting = store.waiting;
  host.replaceChildren(
    el("p", {}, el("b", {}, "Not kept: "), store.trouble.message),
    ...(waiting
      ? [
          el(
            "p",
            {},
            `${many(waiting, "review")} ${waiting === 1 ? "is" : "are"} in the memory of this tab alone, `,
            "until it is closed. The next grade tries again.",
          ),
          button("Save as a file", () => store.save()),
        ]
      : []),
  );
}
