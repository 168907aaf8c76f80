/* The questions of the deck's file, as the mock interview shows them: their HTML with links that hold on its page, their line
   in a list, and what an interviewer asks next. */

import { el } from "./elements.js";

/** The deck's file. Links in it are relative to its own address. */
export const DECK = new URL("../../../cards/deck.json", import.meta.url);
/** The absolute address of a link in it. */
export const address = (url) => new URL(url, DECK).href;

/** Where a question stands: a card by its own anchor, a problem by that of its section. */
export const home = (one) => address(one.url);

/** What each kind of question wants, and what an interviewer asks next. */
export const KINDS = {
  predict: ["Say what will happen.", "How would you show it? What would have to change for it to come out otherwise?"],
  compare: ["Say what differs, and when that matters.", "When would you take the other one, and what would it cost?"],
  diagnose: ["Find the cause from what is seen.", "What would you look at first, and what would rule your cause out?"],
  estimate: [
    "Work out the size aloud, and say what you assume.",
    "What did you leave out, and by how much does that move the number?",
  ],
  explain: ["Say why.", "What would you see if it were not so?"],
  problem: ["Give one number.", "Which of the premises moves the number most? What is it when that one doubles?"],
};

/** The HTML that the site made of a question or an answer, with links that hold here. */
export function fragment(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  for (const element of template.content.querySelectorAll("[href], [src], [*|href]")) {
    for (const attribute of element.attributes) {
      const leads = attribute.localName === "href" || attribute.localName === "src";
      if (leads && !attribute.value.startsWith("#")) attribute.value = address(attribute.value); // # is a part of itself
    }
  }
  return template.content;
}

/** What a number is compared with, as a page has it. @param {object} answer that of the deck's file */
export function field({ value, unit, within, mistakes, hints }) {
  const wrong = mistakes.map((one) => el("p", { class: "mistake", "data-value": String(one.value) }, one.why));
  const data = {
    class: "problem",
    "data-answer": String(value),
    "data-unit": unit,
    "data-within": String(within),
    "data-called": "Your answer",
  };
  return el("div", data, ...wrong, ...hints.map((hint) => el("p", { class: "hint" }, hint)));
}

/** The text of some HTML. */
const plain = (html) => fragment(html).textContent.replace(/\s+/g, " ").trim();

/** A question in a line of a list. */
export function ask(one) {
  if (one.kind) return plain(one.question);
  const text = el("div", {}, fragment(one.question));
  unnumbered(text);
  const words = text.textContent.replace(/\s+/g, " ").trim();
  return `Problem: ${words.length > 100 ? `${words.slice(0, words.lastIndexOf(" ", 100))} …` : words}`;
}

/** Takes the number away that a problem has on its page. */
export function unnumbered(body) {
  const first = body.querySelector("p > strong:first-child");
  if (/^\d+\.$/.test(first?.textContent ?? "")) first.remove();
}

/** Links to the sections that show what an answer says: those behind the word "Evidence". */
export function evidence(one) {
  if (!one.kind) return [];
  const links = [...fragment(one.answer).querySelectorAll("p")]
    .filter((part) => /Evidence:/.test(part.textContent))
    .flatMap((part) => [...part.querySelectorAll("a[href]")]);
  return links.map((link) => el("a", { href: link.href }, ...link.childNodes));
}

/** What an interviewer asks next, and where the answer to that is. */
export function next(one) {
  const links = evidence(one);
  if (!links.length) links.push(el("a", { href: home(one) }, one.title));
  const list = links.flatMap((link, place) => (place ? [", ", link] : [link]));
  const where = el("p", {}, "Where it is shown: ", ...list, ".");
  return el(
    "aside",
    { class: "interview__next", "aria-label": "What they ask next" },
    el("p", {}, el("strong", {}, "They ask next: "), KINDS[one.kind ?? "problem"][1]),
    where,
  );
}
