/* The mock interview: ten cards and five problems, one after another, and then what to read. It times nothing and stores
   nothing: a reload forgets it. The questions come from the deck's file, which is loaded when the interview begins; without
   this script, or without the file, the page keeps the draw that was made with the site.

   Its questions and its end lead to other pages, and whoever comes back finds it as it was left: instant navigation swaps
   the page and keeps the module. */

import { address, ask, DECK, evidence, field, fragment, home, KINDS, next, unnumbered } from "./asked.js";
import { draw } from "./draw.js";
import { button, el } from "./elements.js";
import { mountProblems } from "./problems.js";

const MOST = 9999;

/** How a question went: points by which its page is to be read, a sign and words. */
const WENT = { knew: [0, "✓", "Knew it"], partly: [1, "≈", "Partly"], not: [2, "✗", "Did not"] };
const GRADES = Object.keys(WENT);

let held; // the last interview of this tab

/** Turns the place for the interview into its start, or into the interview that was left. @param {ParentNode} root */
export function mountInterview(root) {
  const host = root.querySelector("#interview");
  if (!host || host.querySelector(".interview")) return;
  const interview = new Interview(host);
  if (held && wanted() === held.number) interview.begin(held.questions, held.number, held.went);
  else interview.start();
}

class Interview {
  /** @param {HTMLElement} host */
  constructor(host) {
    this.host = host;
    this.byHand = [...host.childNodes];
    this.view = el("div", { class: "interview", tabindex: "-1" });
    this.host.prepend(this.view);
    this.view.addEventListener("keydown", (event) => this.key(event));
  }

  /** The start: a number, which draws the same questions for everybody. */
  start() {
    const random = () => 1 + Math.floor(Math.random() * MOST);
    const input = el("input", {
      id: "interview-draw",
      type: "text",
      inputmode: "numeric",
      autocomplete: "off",
      maxlength: "4",
      pattern: "[1-9][0-9]*",
    });
    input.value = String(valid(wanted()) ? wanted() : random());
    const status = el("p", { class: "interview__status", role: "status" });
    const other = button("Another number", () => (input.value = String(random())));
    const form = el(
      "form",
      { class: "problem__form" },
      el("label", { for: input.id }, "The number of the draw, from 1 to 9,999"),
      el(
        "div",
        { class: "problem__row" },
        input,
        el("button", { class: "md-button md-button--primary", type: "submit" }, "Begin"),
        other,
      ),
      status,
    );
    form.noValidate = true;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const number = Number(input.value);
      input.setAttribute("aria-invalid", String(!valid(number)));
      if (!valid(number)) return void (status.textContent = "The number of a draw is a whole one, from 1 to 9,999.");
      status.textContent = "Loading the questions …";
      try {
        const answer = await fetch(DECK, { cache: "no-cache" }); // that of the newest release
        if (!answer.ok) throw new Error(`${answer.status}`);
        this.begin(draw(await answer.json(), number), number);
      } catch (error) {
        status.textContent =
          "The questions could not be loaded. Try again, or take the draw below, which is part of this page.";
        console.error(error);
      }
    });
    this.view.classList.remove("interview--over");
    this.view.replaceChildren(form);
  }

  /** @param {string[]} went how the questions before the one that is due went */
  begin(questions, number, went = []) {
    for (const node of this.byHand) node.remove?.();
    held = Object.assign(this, { questions, number, went });
    const address = new URL(location.href);
    address.searchParams.set("draw", String(number));
    address.hash = "";
    history.replaceState(history.state, "", address);
    this.ask();
  }

  get at() {
    return this.went.length;
  }

  /** Shows the question that is due, or the end. */
  ask() {
    const question = this.questions[this.at];
    if (!question) return this.end();
    const kind = question.kind ?? "problem";
    const title = el(
      "h3",
      { class: "interview__title", tabindex: "-1" },
      `Question ${this.at + 1} of ${this.questions.length}: ${question.topic}`,
    );
    const progress = el("progress", {
      max: String(this.questions.length),
      value: String(this.at),
      "aria-label": "Questions done",
    });
    this.foot = el("div", { class: "interview__foot" });
    this.view.replaceChildren(progress, title, el("p", { class: "interview__wants" }, KINDS[kind][0]));
    this.flip = this.grade = undefined;
    if (question.kind) this.askCard(question);
    else this.askProblem(question);
    this.view.append(this.foot);
    title.focus();
  }

  askCard(card) {
    this.view.append(el("p", { class: "interview__question" }, fragment(card.question)));
    const flip = button("Show the answer", () => this.flip(), { class: "md-button md-button--primary" });
    this.flip = () => {
      this.flip = undefined;
      const answer = el(
        "div",
        { class: "interview__answer", tabindex: "-1", role: "group", "aria-label": "The answer" },
        fragment(card.answer),
      );
      const buttons = GRADES.map((grade, place) => button(`${place + 1} ${WENT[grade][2]}`, () => this.next(grade)));
      const group = el("div", { class: "problem__row", role: "group", "aria-label": "How did it go?" }, ...buttons);
      this.foot.replaceChildren(answer, next(card), el("p", { class: "interview__wants" }, "How did it go?"), group);
      this.grade = (grade) => this.next(grade);
      answer.focus();
    };
    this.foot.append(el("div", { class: "problem__row" }, flip));
  }

  askProblem(problem) {
    const body = el("div", { class: "interview__problem" });
    body.append(fragment(problem.question), field(problem.answer), fragment(problem.worked));
    unnumbered(body);
    mountProblems(body);
    const go = button("Skip this one", () => this.next(went));
    let went = "not";
    let seen = false;
    const ended = () => {
      if (seen) return;
      seen = true;
      go.textContent = this.at + 1 < this.questions.length ? "Next question" : "See what to read";
      this.foot.prepend(next(problem));
    };
    body.addEventListener("problem:verdict", ({ detail }) => {
      if (detail.verdict !== "right" || seen) return;
      went = detail.tries === 1 && !detail.hints ? "knew" : "partly";
      ended();
    });
    body.addEventListener("problem:opened", ended);
    this.view.append(body);
    this.foot.append(el("div", { class: "problem__row" }, go));
  }

  next(grade) {
    this.went.push(grade);
    this.ask();
  }

  /** Space shows the answer, 1 to 3 say how it went; what has the focus keeps its own keys. */
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
    const grade = GRADES[Number(event.key) - 1];
    if (event.key === " " && this.flip && !event.target.closest("button, a, summary")) this.flip();
    else if (grade && this.grade) this.grade(grade);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** What to read: the pages of what went wrong, the worst first, and how all of it went. */
  end() {
    const asked = this.questions.map((question, place) => ({
      ...question,
      went: this.went[place],
      points: WENT[this.went[place]][0],
    }));
    const pages = new Map();
    for (const one of asked.filter(({ points }) => points)) pages.set(one.page, [...(pages.get(one.page) ?? []), one]);
    const sum = (group) => group.reduce((total, { points }) => total + points, 0);
    const read = [...pages.values()]
      .sort((a, b) => sum(b) - sum(a))
      .map((group) => {
        const parts = group.map((one) =>
          el(
            "li",
            {},
            ...sign(one.went),
            " ",
            el("a", { href: home(one) }, ask(one)),
            ...evidence(one).flatMap((link) => [" · ", link]),
          ),
        );
        return el(
          "li",
          {},
          el(
            "a",
            { class: "interview__page", href: address(group[0].url.replace(/#.*/, "")) },
            group[0].title,
          ),
          el("ul", {}, ...parts),
        );
      });
    const counts = GRADES.map(
      (grade) => `${WENT[grade][2].toLowerCase()} ${this.went.filter((one) => one === grade).length}`,
    ).join(", ");
    const title = el("h3", { class: "interview__title", tabindex: "-1" }, "What to read");
    const again = new URL(location.href);
    this.view.replaceChildren(
      title,
      el("p", {}, `Draw ${this.number}, ${this.questions.length} questions: ${counts}.`),
      read.length
        ? el("ol", { class: "interview__read" }, ...read)
        : el("p", {}, "Nothing went wrong. Draw another number, or have somebody else ask you what they ask next."),
      el("h3", {}, "How it went"),
      el(
        "ol",
        { class: "interview__went" },
        ...asked.map((one) =>
          el("li", {}, ...sign(one.went), ` ${one.topic}: `, el("a", { href: home(one) }, ask(one))),
        ),
      ),
      el(
        "p",
        { class: "interview__link" },
        "The same questions for somebody else: ",
        el("a", { href: again.href }, again.href),
      ),
      el(
        "div",
        { class: "problem__row" },
        button("Print this", () => print(), { class: "md-button md-button--primary" }),
        button("Draw another", () => {
          history.replaceState(history.state, "", location.pathname);
          held = undefined;
          this.start();
          this.view.querySelector("input").focus();
        }),
      ),
    );
    this.flip = this.grade = undefined;
    this.view.classList.add("interview--over");
    title.focus();
  }
}

const wanted = () => Number(new URLSearchParams(location.search).get("draw"));
const valid = (number) => Number.isInteger(number) && number >= 1 && number <= MOST;

/** A sign and a word for how a question went. */
const sign = (went) => [
  el("span", { class: "problem__sign", "aria-hidden": "true" }, WENT[went][1]),
  " ",
  el("strong", {}, `${WENT[went][2]}.`),
];
