/* The deck page: filters over the folded cards that the page holds, what is due of those shown, and their review.

   Each count is of the cards that the filters leave, and what is asked is taken from those. A grade in a quiz is a review
   like any other: FSRS takes from the days since the last one how much an early answer tells. */
import { cards as read } from "./cards.js";
import { choose, count, desk, measure } from "./desk.js";
import { el } from "./elements.js";
import { offline } from "./offline.js";
import { statePanel, tellTrouble } from "./panel.js";
import { review } from "./review.js";
import { fold, inWords, survey } from "./schedule.js";
import { store } from "./store.js";

const SPENT = "Today brings no more new cards: under “Your reviews”, below, you set how many a day does.";

/** Mounts the deck where the page has a place for it. @param {ParentNode} root */
export function mountDeck(root) {
  const place = root.querySelector(".deck-desk");
  if (!place || place.childElementCount) return;
  new Deck(place);
  offline(place.dataset.worker);
}

class Deck {
  #parts = desk();
  #schedules = new Map();
  #gone = new AbortController(); // the page, which instant navigation swaps for another

  constructor(place) {
    this.place = place;
    this.sections = [...place.parentElement.querySelectorAll(".deck-topic")];
    this.cards = this.sections.flatMap((section) =>
      read(section).map((card) => Object.assign(card, { section, text: plain(card.element.textContent) })),
    );
    this.shown = this.cards;
    const { host, tools, state, topic } = this.#parts;
    choose(topic, "All topics", grouped(this.cards, "topic"));
    place.append(host, tools);
    statePanel(state);
    this.#listen();
    this.#filter();
    this.#load();
    this.#reveal();
  }

  #listen() {
    const { topic, page, words, kinds, clear, trouble, review, learn, quiz } = this.#parts;
    const on = (target, name, act) => target.addEventListener(name, act, { signal: this.#gone.signal });
    for (const field of [topic, page, ...kinds.map(({ box }) => box)]) on(field, "change", () => this.#filter());
    on(words, "input", () => this.#filter());
    on(clear, "click", () => {
      this.#unfilter();
      words.focus();
    });
    on(review, "click", () => this.#ask("Due cards", this.found.due, review));
    on(learn, "click", () => this.#ask("New cards", this.found.fresh, learn));
    on(quiz, "click", () => this.#ask("Quiz", this.shown, quiz));
    on(store(), "change", () => this.#load());
    on(store(), "trouble", () => tellTrouble(trouble, store())); // before a grade is given that is not kept
    tellTrouble(trouble, store()); // what was told before this page, without a reload
    on(document, "visibilitychange", () => this.#load()); // cards become due while nobody looks
    on(window, "hashchange", () => this.#reveal());
  }

  async #load() {
    if (!this.place.isConnected) return this.#gone.abort();
    this.#schedules = fold(await store().reviews());
    this.#count();
  }

  /* A link to a card shows it, and one to a topic does, whatever the filters leave. */
  #reveal() {
    const section = this.sections.find(({ id }) => `#${id}` === location.hash);
    const card = this.cards.find(({ id }) => `#${id}` === location.hash);
    if (section?.hidden || (card && !this.shown.includes(card))) this.#unfilter();
    if (card) card.element.open = true;
    (card?.element ?? section)?.scrollIntoView();
  }

  #unfilter() {
    const { topic, page, words, kinds } = this.#parts;
    for (const field of [topic, page, words]) field.value = "";
    for (const { box } of kinds) box.checked = false;
    this.#filter();
  }

  #filter() {
    const { topic, page, words, kinds, shown, clear } = this.#parts;
    const ofTopic = this.cards.filter((card) => !topic.value || card.topic === topic.value);
    choose(page, "All pages", grouped(ofTopic, "page"));
    const asked = plain(words.value).split(" ").filter(Boolean);
    const left = ofTopic.filter(
      (card) => (!page.value || card.page === page.value) && asked.every((word) => card.text.includes(word)),
    );
    const ticked = new Set(kinds.filter(({ box }) => box.checked).map(({ box }) => box.value));
    this.shown = left.filter(({ kind }) => !ticked.size || ticked.has(kind));
    for (const { box, number } of kinds) number.textContent = left.filter(({ kind }) => kind === box.value).length;

    const visible = new Set(this.shown);
    for (const card of this.cards) card.element.hidden = !visible.has(card);
    for (const section of this.sections) {
      const all = this.cards.filter((card) => card.section === section);
      const some = all.filter((card) => visible.has(card));
      section.hidden = !some.length;
      section.querySelector("h2 span").textContent = outOf(some, all);
    }
    shown.textContent = `${outOf(this.shown, this.cards)} cards`;
    clear.disabled = !(ticked.size || words.value || topic.value || page.value);
    this.#count();
  }

  #count() {
    const now = Date.now();
    const { counts, note, review, learn, quiz, leeches: list, stuck, progress } = this.#parts;
    const { due, fresh, unseen, learned, leeches, next } = (this.found = survey(this.shown, this.#schedules, now));
    count(counts, {
      "due today": due.length,
      "new today": fresh.length,
      "being learned": this.shown.length - unseen.length - learned.length,
      learned: learned.length,
      "not yet seen": unseen.length,
      leeches: leeches.length,
    });
    const said = [];
    if (!this.shown.length) said.push("No card fits these filters.");
    else if (!due.length && next === undefined) {
      said.push(`Of these cards you have reviewed none yet. Begin with ${fresh.length ? "new ones, or with " : ""}a quiz.`);
    } else if (!due.length) said.push(`None of these cards is due. The next one is in ${inWords(next - now)}.`);
    if (unseen.length && !fresh.length) said.push(SPENT);
    note.textContent = said.join(" ");
    label(review, "Review due cards", due.length);
    label(learn, "Learn new cards", fresh.length);
    review.classList.toggle("md-button--primary", due.length > 0);
    learn.classList.toggle("md-button--primary", !due.length && fresh.length > 0);
    label(quiz, "Quiz these", this.shown.length);
    stuck.hidden = !leeches.length;
    list.replaceChildren(...leeches.map(linked));
    measure(progress, this.#topics(now));
  }

  #topics(now) {
    return this.sections.map((section) => {
      const cards = this.cards.filter((card) => card.section === section);
      const { due, unseen, learned } = survey(cards, this.#schedules, now);
      return {
        topic: cards[0].topic,
        anchor: `#${section.id}`,
        learned: learned.length,
        seen: cards.length - unseen.length,
        due: due.length,
        all: cards.length,
      };
    });
  }

  async #ask(title, cards, asker) {
    const { host, tools, shuffle } = this.#parts;
    const all = [tools, ...this.sections];
    const folded = all.map(({ hidden }) => hidden);
    for (const element of all) element.hidden = true;
    const end = () => {
      all.forEach((element, index) => (element.hidden = folded[index]));
      this.#load();
      (asker.disabled ? tools.querySelector("button:enabled") : asker).focus();
    };
    await review(host, shuffle.checked ? shuffled(cards) : cards, { title, onEnd: end });
  }
}

/* What is typed with straight quotes and a hyphen, or without, is found with curly ones and a space. */
const plain = (text) => text.toLowerCase().replace(/["'“”‘’]/g, "").replace(/[\s‐‑–-]+/g, " ").trim();

const outOf = (some, all) => (some.length < all.length ? `${some.length} of ${all.length}` : `${all.length}`);

function label(button, words, count) {
  button.textContent = `${words} (${count})`;
  button.disabled = !count;
}

/* The values of a field, with a name and a count, in the order of the cards. */
function grouped(cards, field) {
  const found = new Map();
  for (const card of cards) {
    const name = field === "page" ? card.title : card[field];
    const group = found.get(card[field]) ?? found.set(card[field], { value: card[field], name, count: 0 }).get(card[field]);
    group.count += 1;
  }
  return [...found.values()];
}

function linked({ element, href, title }) {
  const question = element.querySelector("summary").textContent.trim();
  return el("li", {}, el("a", { href: `#${element.id}` }, question), " From ", el("a", { href }, title));
}

function shuffled(cards) {
  const order = [...cards];
  for (let last = order.length - 1; last > 0; last--) {
    const other = Math.floor(Math.random() * (last + 1));
    [order[last], order[other]] = [order[other], order[last]];
  }
  return order;
}
