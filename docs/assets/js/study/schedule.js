/* When a card comes again: FSRS, as a fold over its reviews, which are all that is kept.

   The model of memory is ts-fsrs; the course of a card is that of py-fsrs with `enable_fuzzing=False`, its reference in
   Python, and tests/study/test_schedule.py compares the two. They differ in what surrounds the model, and so this module
   asks ts-fsrs for stability, difficulty and the days of an interval alone:

   - Days between two reviews. ts-fsrs counts midnights of UTC between them, so that in California a repetition at 16:01 of
     what was learnt at 15:59 is one of the next day, and lengthens the interval as such. py-fsrs counts whole days of 24
     hours. So does this: a schedule then depends on no time zone, and a file of reviews gives the same one anywhere.
   - Time that goes back, as after a clock was set right. ts-fsrs refuses a review whose day is before the last one's;
     py-fsrs takes it for one of the same day, and so does this. The next fold has the two in order.
   - Hard on a learning step. ts-fsrs always waits the mean of the first two steps, rounded to a minute: 6 minutes. py-fsrs
     waits 5½ on the first step, and repeats the step, 10 minutes, on the second.
   - Hard, Good and Easy on a card in review. ts-fsrs keeps them at least a day apart; py-fsrs lets them be equal.

   What is left is rounding: ts-fsrs keeps eight decimals, and no stability above 36,500 days, a hundred years. */
import { fsrs } from "../vendor/ts-fsrs-5.4.2.mjs";

const MINUTE = 60_000;
const DAY = 86_400_000;
const model = fsrs({ enable_fuzz: false });

/** Minutes between the repetitions of a card that is new, and of one that was forgotten. */
const STEPS = { learning: [1, 10], relearning: [10] };

export const AGAIN = 1, HARD = 2, GOOD = 3, EASY = 4;
export const GRADES = ["Again", "Hard", "Good", "Easy"];

/** A card that was forgotten so often is a leech, and is named as one then and every `LEECH / 2` times more, as in Anki. */
const LEECH = 8;

/**
 * @typedef {{card: string, at: number, grade: number}} Review `at` in milliseconds since 1970; `grade` from 1 to 4.
 *
 * @typedef {object} Schedule
 * @property {string} card
 * @property {"learning" | "review" | "relearning"} state
 * @property {number} step Which of the state's steps it waits for.
 * @property {number} due In milliseconds since 1970, like `first` and `last`.
 * @property {number} first When it was first reviewed.
 * @property {number} last When it was last reviewed.
 * @property {number} stability Days after which nine of ten such cards are still known.
 * @property {number} difficulty From 1 to 10.
 * @property {number} reps How many reviews there were.
 * @property {number} lapses How often it was forgotten after it had been learnt.
 * @property {boolean} leech
 */

/** The schedules of all cards that were reviewed. @param {Review[]} reviews @returns {Map<string, Schedule>} */
export function fold(reviews) {
  const schedules = new Map();
  for (const review of [...reviews].sort((a, b) => a.at - b.at)) {
    schedules.set(review.card, after(schedules.get(review.card), review));
  }
  return schedules;
}

/** The schedule after one more review. @param {Schedule | undefined} before @param {Review} review @returns {Schedule} */
export function after(before, { card, at, grade }) {
  const days = before ? Math.max(0, Math.floor((at - before.last) / DAY)) : 0;
  const { stability, difficulty } = model.next_state(before ?? null, days, grade);
  const lapses = (before?.lapses ?? 0) + (before?.state === "review" && grade === AGAIN);
  return {
    card,
    ...course(before ?? { state: "learning", step: 0 }, grade, at, stability),
    first: before?.first ?? at,
    last: at,
    stability,
    difficulty,
    reps: (before?.reps ?? 0) + 1,
    lapses,
    leech: lapses >= LEECH,
  };
}

function course({ state, step }, grade, at, stability) {
  const steps = STEPS[state];
  const wait = (name, next, minutes = STEPS[name][next]) => ({ state: name, step: next, due: at + minutes * MINUTE });
  if (grade === AGAIN) return wait(steps ? state : "relearning", 0);
  if (grade === HARD && steps) {
    const first = steps.length > 1 ? (steps[0] + steps[1]) / 2 : steps[0] * 1.5;
    return wait(state, step, step ? steps[step] : first);
  }
  if (grade === GOOD && step + 1 < steps?.length) return wait(state, step + 1);
  return { state: "review", step: 0, due: at + model.next_interval(stability, 0) * DAY };
}

/** Milliseconds until a card would come again, for each grade. @param {Schedule | undefined} schedule */
export function preview(schedule, now) {
  return GRADES.map((_, index) => after(schedule, { card: "", at: now, grade: index + 1 }).due - now);
}

/** Whether a lapse has just made a card a leech, or has done so again. @param {Schedule} schedule */
export const isNewLeech = ({ lapses, state, step }) =>
  lapses >= LEECH && (lapses - LEECH) % (LEECH / 2) === 0 && state === "relearning" && step === 0;

/** When the reader's day began: at four in the morning, as in Anki, so that a late evening is one day. */
export function startOfDay(now) {
  const start = new Date(now);
  if (start.getHours() < 4) start.setDate(start.getDate() - 1);
  return start.setHours(4, 0, 0, 0);
}

/**
 * From when on a card may be reviewed. What waits for minutes waits for them. What waits for days is due all day, so that a
 * reader who is ten minutes earlier than last time finds it too; but not within 24 hours of its last review, which the
 * model would take for a repetition on the same day, from which little is learnt. @param {Schedule} schedule
 */
export function opens({ state, due, last }) {
  return state === "review" ? Math.min(due, Math.max(startOfDay(due), last + DAY)) : due;
}

/**
 * What there is to review.
 *
 * @template {{id: string}} C
 * @param {C[]} cards In the order in which new ones are to come.
 * @param {Map<string, Schedule>} schedules
 * @param {number} now
 * @param {number} limit How many new cards a day.
 * @returns {{due: C[], fresh: C[], unseen: C[], learned: C[], leeches: C[], next: number | undefined}} Cards that are due,
 *   the first that was due first; new ones that today's limit still allows; all that were never reviewed; all that wait
 *   for days; leeches; and when the next of the others may be reviewed.
 */
export function survey(cards, schedules, now, limit = newPerDay()) {
  const seen = cards.filter(({ id }) => schedules.has(id));
  const of = ({ id }) => schedules.get(id);
  const due = seen.filter((card) => opens(of(card)) <= now).sort((a, b) => of(a).due - of(b).due);
  const later = seen.map((card) => opens(of(card))).filter((time) => time > now);
  const unseen = cards.filter(({ id }) => !schedules.has(id));
  const today = startOfDay(now);
  const begun = [...schedules.values()].filter(({ first }) => first >= today).length;
  return {
    due,
    fresh: unseen.slice(0, Math.max(0, limit - begun)),
    unseen,
    learned: seen.filter((card) => of(card).state === "review"),
    leeches: seen.filter((card) => of(card).leech),
    next: later.length ? Math.min(...later) : undefined,
  };
}

const LIMIT = "wm-new-cards-a-day";

/** How many new cards the reader wants a day. */
export function newPerDay() {
  try {
    const kept = Number.parseInt(localStorage.getItem(LIMIT), 10);
    return kept >= 0 ? kept : 10;
  } catch {
    return 10; // a browser that keeps nothing
  }
}

/** Keeps that number, if the browser keeps anything. @param {number} number */
export function setNewPerDay(number) {
  try {
    localStorage.setItem(LIMIT, String(number));
  } catch {
    /* It then holds for this page only by being 10 again. */
  }
}

/** A time in words: `10 minutes`, `1 day`, `2.5 months`. @param {number} ms */
export function inWords(ms) {
  const days = ms / DAY;
  const [number, unit] =
    days < 1 / 24 ? [Math.max(1, Math.round(ms / MINUTE)), "minute"]
    : days < 1 ? [Math.round(days * 24), "hour"]
    : days < 31 ? [Math.round(days), "day"]
    : days < 365 ? [Number((days / 30.44).toFixed(1)), "month"]
    : [Number((days / 365.25).toFixed(1)), "year"];
  return `${number} ${unit}${number === 1 ? "" : "s"}`;
}
