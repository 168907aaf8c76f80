/* Problems that answer back: a field for each hidden `div.problem` of a page, which takes the reader's number before the
   worked answer is opened. What a number is said to be is judge.js's; without this script the folded answer stands alone.

   A hint is given where a number is plainly wrong, or when the reader asks for one. After the last one the same button opens
   the worked answer, which can be unfolded by hand at any time. Each verdict is told to the page by an event
   `problem:verdict`, each opening of the answer by `problem:opened`, for the mock interview. */

import { el } from "./elements.js";
import { judge } from "./judge.js";

/** A word and a sign for each verdict, so that nothing rests on colour. */
const WORDS = {
  right: ["✓", "Right."],
  mistake: ["✗", "Not quite."],
  factor: ["✗", "Off by a factor."],
  near: ["≈", "Near."],
  wrong: ["✗", "Not yet."],
  unreadable: ["?", "Not read."],
};
const OTHER_WORDS = {
  complement: "The other part.",
  inverse: "Turned round.",
  more: "More by, not times.",
  whole: "Times, not more by.",
  "−": "Another sign.",
};

let fields = 0;

/** Shows the field of each problem below `root` that has none yet.
    @param {ParentNode} root */
export function mountProblems(root) {
  for (const [index, host] of [...root.querySelectorAll("div.problem")].entries()) {
    if (!host.querySelector("form")) mount(host, index + 1);
  }
}

/** The problem that is written in the page. @param {HTMLElement} host @returns {import("./judge.js").Problem} */
function problemOf(host) {
  const { answer, unit, within } = host.dataset;
  const mistakes = [...host.querySelectorAll(".mistake")].map((one) => ({
    value: Number(one.dataset.value),
    text: one.textContent,
  }));
  return { answer: Number(answer), unit, within: Number(within), mistakes };
}

function mount(host, place) {
  const problem = problemOf(host);
  const hints = [...host.querySelectorAll(".hint")];
  const details = host.nextElementSibling?.matches("details.success") ? host.nextElementSibling : null;
  const id = `problem-${++fields}`;
  const input = el("input", {
    id,
    type: "text", // with all keys: a phone's number pad has no letters for units, no stroke and no minus
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: "false",
    maxlength: "80",
    "aria-describedby": `${id}-verdict`,
  });
  const label = el("label", { for: id }, name(host, place), ...asked(problem));
  const verdict = el("p", { class: "problem__verdict", id: `${id}-verdict`, role: "status" });
  const given = el("ol", { class: "problem__hints", "aria-label": "Hints" });
  const told = el("div", { "aria-live": "polite" }, given); // which says what is added, not all of it
  const more = el("button", { class: "problem__more md-button", type: "button" });
  const check = el("button", { class: "md-button md-button--primary", type: "submit" }, "Check");
  const form = el(
    "form",
    { class: "problem__form" },
    label,
    el("div", { class: "problem__row" }, input, check, more),
  );
  let shown = 0;
  let tries = 0;
  let done = false;

  const tell = (kind, detail) =>
    host.dispatchEvent(
      new CustomEvent(`problem:${kind}`, { bubbles: true, detail: { ...detail, tries, hints: shown } }),
    );
  const nameMore = () => {
    more.textContent = shown < hints.length ? `Hint ${shown + 1} of ${hints.length}` : "Show the worked answer";
    if (shown >= hints.length && !details) more.remove();
  };
  const hint = () => {
    given.append(el("li", {}, hints[shown++].textContent));
    nameMore();
  };
  const say = (kind, factor, ...sentences) => {
    const [sign, word] = WORDS[kind];
    host.dataset.verdict = kind;
    verdict.replaceChildren(
      el("span", { class: "problem__sign", "aria-hidden": "true" }, sign),
      " ",
      el("strong", {}, OTHER_WORDS[factor] ?? word),
      ` ${sentences.filter(Boolean).join(" ")}`,
    );
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const found = judge(problem, input.value);
    input.setAttribute("aria-invalid", String(found.verdict === "unreadable"));
    if (found.verdict !== "unreadable") tries += 1;
    const sentences = [found.text];
    if (found.verdict === "wrong") {
      const helps = !done && shown < hints.length;
      if (helps) hint();
      if (helps) sentences.push("The hint below helps.");
      else if (!details) sentences.push("No hint is left.");
      else if (!details.open) sentences.push("No hint is left: open the worked answer.");
    }
    if (found.verdict === "right") {
      done = true;
      if (details) {
        details.open = true;
        sentences.push("The worked answer is open below.");
      }
    }
    say(found.verdict, found.name, ...sentences);
    tell("verdict", { verdict: found.verdict, name: found.name });
  });
  more.addEventListener("click", () => {
    if (shown < hints.length) {
      hint();
    } else {
      details.open = true;
      details.querySelector("summary").focus();
    }
  });
  details?.addEventListener("toggle", () => details.open && tell("opened", { done }));

  nameMore();
  host.append(form, verdict, told);
  for (const one of host.querySelectorAll(".mistake, .hint")) one.hidden = true;
  host.hidden = false;
}

/** What a problem is called: by the number that its text begins with, or by its place on the page. */
function name(host, place) {
  let before = host.previousElementSibling;
  while (before && !before.matches("h1, h2, h3, details")) {
    const number = /^(\d+)\.$/.exec(
      before.matches("p") ? (before.querySelector(":scope > strong:first-child")?.textContent ?? "") : "",
    );
    if (number) return `Your answer to problem ${number[1]}`;
    before = before.previousElementSibling;
  }
  return host.dataset.called ?? `Your answer to problem ${place}`;
}

/** The unit asked for, and how near is near enough. */
function asked({ unit, within }) {
  const parts = unit ? [", in ", el("b", {}, unit)] : [];
  return [...parts, el("span", { class: "problem__within" }, within ? ` (within ${within}\u00a0%)` : " (exactly)")];
}
