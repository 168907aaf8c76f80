/* What stands above the deck: the elements, named, without what they do. */
import { button, el } from "./elements.js";

const KINDS = ["predict", "compare", "diagnose", "estimate", "explain"];
const LEECHES =
  "Forgotten eight times or more, which another repetition seldom mends: read the section again, and think of a case of your own.";

/** The places, buttons, fields and counts. `tools` holds them as they stand, and `host` is for a review. */
export function desk() {
  const parts = {
    host: el("div", {}),
    counts: el("dl", { class: "deck-counts" }),
    note: el("p", {}),
    trouble: el("div", { role: "alert", hidden: true }),
    review: button(),
    learn: button(),
    quiz: button(),
    topic: el("select", {}),
    page: el("select", {}),
    words: el("input", { type: "search", autocomplete: "off", spellcheck: "false" }),
    kinds: KINDS.map(tickOf),
    shuffle: el("input", { type: "checkbox" }),
    shown: el("p", { role: "status" }),
    clear: button("Clear the filters"),
    progress: el("table", { class: "deck-progress" }),
    leeches: el("ul", {}),
    state: el("div", {}),
  };
  const { counts, note, trouble, review, learn, quiz, topic, page, words, kinds, shuffle, shown, clear, leeches, progress, state } = parts;
  const row = (...children) => el("div", { class: "deck-row" }, ...children);
  parts.stuck = el("section", { "aria-label": "Leeches" }, el("p", {}, el("b", {}, "Leeches. "), LEECHES), leeches);
  parts.tools = el(
    "div",
    { class: "deck-tools" },
    counts,
    note,
    trouble,
    row(review, learn, quiz),
    group(
      "Which cards",
      row(field("Topic", topic), field("Page", page), field("Words", words)),
      group("What they ask for", row(...kinds.map(({ label }) => label))),
      tick(shuffle, "Ask in random order"),
      row(shown, clear),
    ),
    parts.stuck,
    folded("Progress by topic", progress),
    folded("Your reviews", state),
  );
  return parts;
}

/** Fills a select, and leaves what was chosen if it is still there. @param {{value: string, name: string, count: number}[]} found */
export function choose(select, all, found) {
  const before = select.value;
  const options = found.map(({ value, name, count }) => new Option(`${name} (${count})`, value, false, value === before));
  select.replaceChildren(new Option(all, ""), ...options);
}

/** Fills the counts. @param {Record<string, number>} numbers */
export function count(list, numbers) {
  const pairs = Object.entries(numbers);
  list.replaceChildren(...pairs.map(([name, number]) => el("div", {}, el("dt", {}, name), el("dd", {}, String(number)))));
}

/** Fills the progress: a row for each topic. */
export function measure(table, topics) {
  const head = ["Topic", "Learned", "Due"].map((name) => el("th", { scope: "col" }, name));
  const rows = topics.map(({ topic, anchor, learned, seen, due, all }) =>
    el(
      "tr",
      {},
      el("th", { scope: "row" }, el("a", { href: anchor }, topic)),
      el("td", {}, bar(learned / all, (seen - learned) / all), `${learned} of ${all}`),
      el("td", {}, String(due)),
    ),
  );
  table.replaceChildren(el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...rows));
}

/* The number stands beside it: this is for eyes alone. Its lighter part has been seen, and is not learned yet. */
function bar(...shares) {
  const box = el("span", { class: "deck-bar", "aria-hidden": "true" });
  for (const share of shares) {
    const part = el("span", {});
    part.style.width = `${100 * share}%`;
    box.append(part);
  }
  return box;
}

function tickOf(kind) {
  const box = el("input", { type: "checkbox", value: kind });
  const number = el("span", {});
  return { box, number, label: tick(box, `${kind[0].toUpperCase()}${kind.slice(1)} (`, number, ")") };
}

const tick = (box, ...words) => el("label", { class: "deck-tick" }, box, el("span", {}, ...words));
const field = (name, input) => el("label", { class: "deck-field" }, el("span", {}, name), input);
const group = (name, ...inside) => el("fieldset", {}, el("legend", {}, name), ...inside);
const folded = (title, ...inside) => el("details", {}, el("summary", {}, title), ...inside);
