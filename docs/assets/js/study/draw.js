/* Draws the questions of a mock interview. The same number draws the same questions, here and in
   src/handbook/study/interview.py, and a question that is added or taken away changes little else: each has a rank of its
   own for each number. */

const CARDS = 10;
const PROBLEMS = 5;

/** The rank of a question in a draw, 32 bits: FNV-1a of `number:id`, mixed as MurmurHash3 ends. */
function rank(number, id) {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(`${number}:${id}`)) hash = Math.imul(hash ^ byte, 0x01000193);
  for (const [shift, factor] of [
    [16, 0x85ebca6b],
    [13, 0xc2b2ae35],
    [16, 1],
  ])
    hash = Math.imul(hash ^ (hash >>> shift), factor);
  return hash >>> 0;
}

/** Some of the questions: from as many pages as there are, and of no topic more than its share, rounded up. Where that
    leaves too few, the topics may have more; then the pages.
    @template {{id: string, topic: string, page: string}} Question
    @param {Question[]} questions @param {number} count @param {Set<string>} avoid pages that are better left out */
export function pick(questions, number, count, avoid = new Set()) {
  const order = questions
    .map((one) => [rank(number, one.id), one])
    .sort(([a, x], [b, y]) => a - b || (x.id < y.id ? -1 : 1))
    .map(([, one]) => one);
  const picked = new Set();
  const among = (key, value) => [...picked].filter((one) => one[key] === value).length;
  const room = ({ topic }) =>
    among("topic", topic) <
    Math.ceil((count * questions.filter((one) => one.topic === topic).length) / questions.length);
  const fresh = ({ page }) => !among("page", page);
  for (const fits of [
    (one) => fresh(one) && room(one) && !avoid.has(one.page),
    (one) => fresh(one) && room(one),
    fresh,
    () => true,
  ]) {
    for (const one of order) if (picked.size < count && !picked.has(one) && fits(one)) picked.add(one);
  }
  return order.filter((one) => picked.has(one));
}

/** Ten cards and five problems, two cards before each problem.
    @param {{cards: object[], problems: object[]}} deck @param {number} number */
export function draw({ cards, problems }, number) {
  const chosen = pick(cards, number, CARDS);
  const sums = pick(problems, number, PROBLEMS, new Set(chosen.map(({ page }) => page)));
  const asked = [];
  const each = Math.ceil(chosen.length / Math.max(sums.length, 1));
  for (let turn = 0; asked.length < chosen.length + sums.length; turn += 1) {
    asked.push(...chosen.slice(each * turn, each * (turn + 1)), ...sums.slice(turn, turn + 1));
  }
  return asked;
}
