/* Says what a reader's number is: right, a mistake that the page lists, off by a factor that people are often off by, near,
   or neither. It is pure: problems.js and interview.js show what it says. What can be read, and how, is in quantity.js.

   The order matters. What is right is never a mistake. A mistake that the page lists is more particular than a general
   factor. A general factor counts within half the problem's tolerance, or 0.5 % if that is more, but not halfway to what is
   right. Of several the nearest is meant. */

import { factors } from "./factors.js";
import { askedUnit, examples, read, shown } from "./quantity.js";

/** @typedef {{answer: number, unit: string, within: number, mistakes: {value: number, text: string}[]}} Problem
    In the unit asked for; `within` is in percent. */
/** @typedef {"right" | "mistake" | "factor" | "near" | "wrong" | "unreadable"} Verdict
    A wrong one calls for the next hint, which is not the judge's. */

const LEAST = 0.005; // a factor is recognised this near
const NEAR = 0.1;
const ROUNDED = 6e-6; // answers that are no integers are written with six digits
const EXACT = 1e-9;

/** @param {Problem} problem @param {string} text what a reader typed
    @returns {{verdict: Verdict, name: string, text: string}} `name` is that of a factor */
export function judge(problem, text) {
  const asked = askedUnit(problem.unit);
  const given = read(text, asked);
  const say = (verdict, sentence, name = "") => ({ verdict, name, text: sentence });
  if ("why" in given) {
    const reason = given.why[0].toUpperCase() + given.why.slice(1);
    return say("unreadable", `${reason}. One number is asked for${inUnit(problem.unit)}: such as ${examples(asked)}.`);
  }
  const right = problem.answer * asked.size;
  const within = problem.within / 100;
  const ratio = given.value / right;
  if (Math.abs(ratio - 1) <= within + (Number.isInteger(problem.answer) ? EXACT : ROUNDED)) {
    return say("right", praise(problem, Math.abs(ratio - 1) <= EXACT));
  }
  const mistake = nearest(
    problem.mistakes.map((one) => ({ ...one, off: Math.abs(given.value / (one.value * asked.size) - 1) })),
    (one) => Math.max(within, Number.isInteger(one.value) && within === 0 ? EXACT : LEAST),
  );
  if (mistake) return say("mistake", mistake.text);
  const factor = nearest(
    factors(problem.answer, asked, given.unit).map((one) => ({ ...one, off: Math.abs(ratio / one.times - 1) })),
    ({ times }) =>
      Math.min(Math.max(within / 2, LEAST), (Math.abs(times - 1) - within) / (2 * Math.max(Math.abs(times), 1))),
  );
  if (factor) return say("factor", factor.text, factor.name);
  if (Math.abs(ratio - 1) <= Math.max(NEAR, 3 * within)) {
    const target = within ? `outside ${shown(problem.within)}\u00a0%` : "not the number itself";
    return say(
      "near",
      `It is ${target}: it should be ${ratio < 1 ? "more" : "less"}. Look for what is small, or was rounded on the way.`,
    );
  }
  return say(
    "wrong",
    ratio < 0 ? "The sign is another one, and so is the size." : `It should be ${ratio < 1 ? "more" : "less"}.`,
  );
}

function nearest(candidates, allowed) {
  return candidates.filter((one) => one.off <= allowed(one)).sort((a, b) => a.off - b.off)[0];
}

const inUnit = (unit) => (unit ? ` in ${unit}` : "");

function praise({ answer, unit, within }, exact) {
  const joined = /^[%×]/.test(unit) ? unit.replace("%", "\u00a0%") : unit && `\u00a0${unit}`;
  if (exact) return `It is exactly ${shown(answer)}${joined}.`;
  return `It is ${shown(answer)}${joined}${within ? `, and yours is within ${shown(within)}\u00a0% of that` : ""}.`;
}
