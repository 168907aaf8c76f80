/* The review: a question, its answer once the reader asks for it, and four grades. It stands where it is put, on the deck
   page or at the end of any other, and is led by keys, by touch or with a screen reader. Grades are kept by store.js;
   schedule.js says when a card comes again. */
import { button, el, many } from "./elements.js";
import { tellTrouble } from "./panel.js";
import { AGAIN, GRADES, fold, inWords, isNewLeech, opens, preview } from "./schedule.js";
import { store } from "./store.js";

const AHEAD = 20 * 60_000; // as in Anki: what waits for minutes is asked before its time if nothing else is left
const REMIND = 200; // reviews that no file holds, after which one is proposed
const MAIN = "md-button md-button--primary";
const MEANINGS = ["I did not know it", "I knew it, with effort", "I knew it", "I knew it at once"];
const KEYS = [["Space", " shows the answer, "], ["1", " to "], ["4", " grade it, "], ["U", " undoes, "], ["Esc", " ends."]];

let current; // one review at a time, so that keys are for one

/**
 * Reviews cards: each is asked once, and again until it waits for days. All grades count, also of cards that are not due.
 *
 * @param {HTMLElement} host An empty element, which is emptied at the end.
 * @param {import("./cards.js").Card[]} cards In the order in which they are asked.
 * @param {object} options
 * @param {string} options.title What is reviewed: `3 cards from this page`.
 * @param {(done: {answers: number, cards: number}) => void} options.onEnd Called once the review is closed.
 * @returns {Promise<void>} once the first question is shown
 */
export async function review(host, cards, { title, onEnd }) {
  current?.close();
  current = new Session(host, cards, title, onEnd);
  await current.start();
}

class Session {
  #came = document.activeElement;
  #listening = new AbortController();
  #answers = []; // {card, review}, of which undo takes back the last
  #schedules = new Map();
  #before; // the schedules with which this review began
  #asked = null; // the card whose question is shown
  #shown = false; // its answer too
  #busy = null; // a promise, while a grade is being written: a second key is no second grade

  constructor(host, cards, title, onEnd) {
    Object.assign(this, { host, cards, onEnd, store: store() });
    this.count = el("p", { class: "wm-review__count" });
    this.bar = el("progress", { "aria-label": "Cards done", max: cards.length, value: 0 });
    this.card = el("div", { class: "wm-review__card", onclick: (event) => this.#clicked(event) });
    this.controls = el("div", { class: "wm-review__controls" });
    this.status = el("p", { class: "wm-review__status", role: "status" });
    this.trouble = el("div", { role: "alert" });
    this.undoButton = button("Undo", () => this.undo(), { "aria-keyshortcuts": "u Control+z" });
    this.root = el(
      "section",
      { class: "wm-review", "aria-label": title },
      el(
        "div",
        { class: "wm-review__head" },
        el("p", { class: "wm-review__title" }, title),
        this.undoButton,
        button("End", () => this.end(), { "aria-keyshortcuts": "Escape" }),
        this.bar,
        this.count,
      ),
      this.card,
      this.controls,
      this.status,
      this.trouble,
      el("p", { class: "wm-review__keys" }, ...KEYS.flatMap(([key, does]) => [el("kbd", {}, key), does])),
    );
  }

  async start() {
    const { signal } = this.#listening;
    this.host.replaceChildren(this.root);
    document.addEventListener("keydown", (event) => this.#key(event), { signal });
    this.store.addEventListener("change", () => this.#refresh(), { signal });
    this.store.addEventListener("trouble", () => tellTrouble(this.trouble, this.store), { signal });
    await this.#refresh();
    this.#before = this.#schedules;
    tellTrouble(this.trouble, this.store);
    this.#ask(this.#next());
  }

  async #refresh() {
    this.#schedules = fold(await this.store.reviews());
  }

  /* Cards not asked yet, without those that another tab has graded meanwhile; and those that wait for minutes. */
  #left() {
    const asked = new Set(this.#answers.map(({ card }) => card));
    const of = ({ id }) => this.#schedules.get(id);
    const reps = (schedules, { id }) => schedules.get(id)?.reps ?? 0;
    const elsewhere = (card) => reps(this.#schedules, card) > reps(this.#before, card);
    const open = this.cards.filter((card) => !asked.has(card) && !elsewhere(card));
    const again = this.cards.filter((card) => asked.has(card) && of(card) && of(card).state !== "review");
    return { open, again: again.sort((a, b) => of(a).due - of(b).due) };
  }

  /* What waits for minutes comes when its time has come; else before it, but never the same card twice in a row. */
  #next(now = Date.now()) {
    const { open, again } = this.#left();
    const last = this.#answers.at(-1)?.card;
    const within = (time) => (card) => this.#schedules.get(card.id).due <= now + time;
    return again.find(within(0)) ?? open[0] ?? again.filter((card) => card !== last).find(within(AHEAD));
  }

  #progress() {
    const { open, again } = this.#left();
    const all = this.cards.length;
    this.bar.value = all - open.length - again.length;
    this.count.textContent = `${this.bar.value} of ${all} done${again.length ? `, ${again.length} to repeat` : ""}`;
    this.undoButton.disabled = !this.#answers.length;
  }

  #ask(card) {
    this.#progress();
    if (!card) return this.#finish();
    this.#asked = card;
    this.#shown = false;
    this.card.dataset.card = card.id;
    const schedule = this.#schedules.get(card.id);
    this.question = region("Question", "wm-review__question", card.question);
    this.card.replaceChildren(
      el("p", { class: "wm-review__kind" }, [card.kind, card.topic].filter(Boolean).join(" · ")),
      this.question,
      ...(schedule?.leech ? [leech(card, schedule)] : []),
    );
    this.controls.replaceChildren(
      button("Show answer", () => this.#show(), { class: MAIN, "aria-keyshortcuts": "Space" }),
    );
    this.question.focus({ preventScroll: true });
    this.root.scrollIntoView({ block: "nearest" });
  }

  #show() {
    if (this.#shown || !this.#asked) return;
    this.#shown = true;
    const card = this.#asked;
    const answer = region("Answer", "wm-review__answer", card.answer);
    const source = el("p", { class: "wm-review__source" }, "From ", el("a", { href: card.href }, card.title));
    this.question.after(answer, source);
    const waits = preview(this.#schedules.get(card.id), Date.now());
    const grades = GRADES.map((name, index) =>
      button(
        el("b", {}, name),
        () => this.#grade(index + 1),
        { class: "md-button wm-review__grade", "aria-keyshortcuts": index + 1 },
        el("kbd", { "aria-hidden": "true" }, String(index + 1)),
        el("span", {}, MEANINGS[index]),
        el("span", { class: "wm-review__wait" }, `in ${inWords(waits[index])}`),
      ),
    );
    const group = { class: "wm-review__grades", role: "group", "aria-label": "How was it?" };
    this.controls.replaceChildren(el("div", group, ...grades));
    answer.focus({ preventScroll: true });
  }

  async #alone(act) {
    if (this.#busy) return;
    try {
      await (this.#busy = act());
    } finally {
      this.#busy = null;
    }
  }

  #grade(grade) {
    if (!this.#shown) return;
    return this.#alone(async () => {
      const card = this.#asked;
      this.#answers.push({ card, review: await this.store.add(card.id, grade) });
      await this.#refresh();
      const schedule = this.#schedules.get(card.id);
      const lost = grade === AGAIN && isNewLeech(schedule) ? " It is forgotten again and again: read its evidence." : "";
      const wait = inWords(schedule.due - schedule.last);
      this.status.textContent = `${GRADES[grade - 1]}: it comes again in ${wait}.${lost}`;
      this.#ask(this.#next());
    });
  }

  /** Takes the last grade of this review back, and asks its card again. */
  undo() {
    if (!this.#answers.length) return;
    return this.#alone(async () => {
      const { card, review } = this.#answers.at(-1);
      if (!(await this.store.remove(review))) {
        this.status.textContent = "The last grade could not be taken back.";
        return;
      }
      this.#answers.pop();
      await this.#refresh();
      this.status.textContent = "The last grade is taken back.";
      this.#ask(card);
    });
  }

  /** Says what was done, if anything was; the second time it closes. */
  async end() {
    await this.#busy;
    if (this.#answers.length && this.#asked) this.#finish();
    else this.close();
  }

  async #finish() {
    this.#asked = null;
    this.#shown = false;
    const graded = new Set(this.#answers.map(({ card }) => card));
    const of = (grade) => this.#answers.filter(({ review }) => review.grade === grade).length;
    const counts = GRADES.map((name, index) => of(index + 1) && `${of(index + 1)} ${name.toLowerCase()}`);
    const done = `${many(graded.size, "card")}: ${counts.filter(Boolean).join(", ")}.`;
    const times = this.cards.map(({ id }) => this.#schedules.get(id)).filter(Boolean).map(opens);
    const wait = Math.min(...times) - Date.now();
    const { open, again } = this.#left();
    const heading = el("p", { class: "wm-review__done", tabindex: -1 }, "Done for now");
    this.card.replaceChildren(
      heading,
      el("p", {}, graded.size ? done : "Nothing was graded."),
      ...(times.length ? [el("p", {}, `The next of these cards comes ${wait > 0 ? `in ${inWords(wait)}` : "now"}.`)] : []),
    );
    this.controls.replaceChildren(
      ...(open.length + again.length ? [button("Go on", () => this.#ask(this.#next() ?? again[0]))] : []),
      button("Close", () => this.close(), { class: MAIN }),
    );
    heading.focus({ preventScroll: true });
    const unsaved = await this.store.unsaved();
    if (unsaved < REMIND || this.#asked) return;
    const save = button("Save them", () => this.store.save());
    this.card.append(el("p", {}, `${many(unsaved, "review")} are in this browser and in no file. `, save));
  }

  /** Leaves the page as it was before. */
  close() {
    if (this.#listening.signal.aborted) return;
    this.#listening.abort();
    if (current === this) current = undefined;
    const here = this.root.isConnected;
    this.root.remove();
    if (here && this.#came?.isConnected) this.#came.focus({ preventScroll: true });
    const graded = new Set(this.#answers.map(({ card }) => card));
    if (here) this.onEnd({ answers: this.#answers.length, cards: graded.size });
  }

  #clicked({ target }) {
    if (!target.closest("a, button, summary, input, label") && getSelection().isCollapsed) this.#show();
  }

  /* Keys are the review's while it is seen and nothing is being typed. What a focused link or button does with a space
     stays its own. Digits may need the shift key, as on French keyboards. */
  #key(event) {
    if (!this.root.isConnected) return this.close(); // the page was left, without being reloaded
    const { key, target } = event;
    const { top, bottom } = this.root.getBoundingClientRect();
    const inside = this.root.contains(target);
    if (event.repeat || event.altKey || target.isContentEditable) return;
    if (target.matches("input, textarea, select") || bottom < 0 || top > innerHeight) return;
    if (event.ctrlKey || event.metaKey) {
      if (key.toLowerCase() !== "z" || event.shiftKey) return;
      this.undo();
    } else if (key === " " || key === "Spacebar") {
      if (event.shiftKey || this.#shown || !this.#asked || !(inside || target === document.body)) return;
      if (target.matches("a, button, summary")) return;
      this.#show();
    } else if (/^[1-4]$/.test(key)) {
      if (!this.#shown) return;
      this.#grade(Number(key));
    } else if (key.toLowerCase() === "u") this.undo(); // with the capitals locked too
    else if (key === "Escape") this.end();
    else return;
    event.preventDefault();
  }
}

const region = (name, style, content) =>
  el("div", { class: style, role: "group", "aria-label": name, tabindex: -1 }, content);

function leech(card, { lapses }) {
  const { href, title } = card.evidence;
  const words = `forgotten ${lapses} times. Read the evidence again: `;
  return el("p", { class: "wm-review__leech" }, el("b", {}, "Leech: "), words, el("a", { href }, title), ".");
}
