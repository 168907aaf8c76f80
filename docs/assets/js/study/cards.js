/* The study cards of a page. The page holds them as folded questions, which are all that readers without JavaScript need;
   a review shows copies, so that the page stays as it is. */

/**
 * @typedef {object} Card
 * @property {string} id `card-` and six hexadecimal digits, which it keeps when it is reworded.
 * @property {string} kind What it asks for: predict, compare, diagnose, estimate or explain.
 * @property {string} topic The part of the site that its page is in; empty outside the deck page.
 * @property {string} page The address of its page below that of the site; empty on that page itself.
 * @property {string} href Where it stands, from the page that is open.
 * @property {string} title The title of its page.
 * @property {{href: string, title: string}} evidence What its answer links last; else where it stands.
 * @property {HTMLDetailsElement} element The folded question.
 * @property {DocumentFragment} question A new copy with each reading.
 * @property {DocumentFragment} answer A new copy with each reading, without the line that says where it is from.
 */

/** The cards in `root`, in order. @returns {Card[]} */
export function cards(root = document) {
  return [...root.querySelectorAll("details.card[id]")].map(read);
}

function read(element) {
  const source = element.querySelector(":scope > .card-source a");
  const href = source?.getAttribute("href") ?? `#${element.id}`;
  const title = source?.textContent ?? titleOf(document.querySelector("h1"));
  const evidence = [...element.querySelectorAll(":scope > :not(summary, .card-source) a[href]")].at(-1);
  return {
    id: element.id,
    kind: element.dataset.kind ?? "",
    topic: element.dataset.topic ?? "",
    page: element.dataset.page ?? "",
    href,
    title,
    evidence: evidence ? { href: evidence.getAttribute("href"), title: evidence.textContent } : { href, title },
    element,
    get question() {
      return copy(element.querySelector(":scope > summary > h3, :scope > summary:not(:has(> h3))").childNodes);
    },
    get answer() {
      return copy([...element.childNodes].filter((node) => !node.matches?.("summary, .card-source")));
    },
  };
}

/* The title of the page that is open: its heading, without the heading's own link. */
function titleOf(heading) {
  const parts = [...(heading?.childNodes ?? [])].filter((part) => !part.matches?.(".headerlink"));
  return parts.map((part) => part.textContent).join("").trim() || document.title;
}

let copies = 0;

/* Ids are made new, and so is what names them: a figure draws its marks by `#id`, a label has its field by `for`. The
   names of fields too: radio buttons that share one, as tabs do, would be switched off by their copies. */
function copy(nodes) {
  const fragment = document.createDocumentFragment();
  fragment.append(...[...nodes].map((node) => node.cloneNode(true)));
  const names = new Map();
  const mark = `copy-${++copies}-`;
  for (const { id } of fragment.querySelectorAll("[id]")) names.set(id, mark + id);
  for (const element of fragment.querySelectorAll("*")) {
    for (const attribute of element.attributes) {
      const { name, value } = attribute;
      if (name === "name") attribute.value = mark + value;
      else if (/^(id|for|headers|aria-(labelledby|describedby|controls|owns))$/.test(name)) {
        attribute.value = value.replace(/\S+/g, (word) => names.get(word) ?? word);
      } else if (value.includes("#")) {
        attribute.value = value.replace(/#([^\s"')>]+)/g, (all, id) => (names.has(id) ? `#${names.get(id)}` : all));
      }
    }
  }
  return fragment;
}
