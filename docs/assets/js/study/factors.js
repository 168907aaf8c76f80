/* The factors that numbers are often off by: bytes for bits, one of a pair forgotten, 1,024 for 1,000, a slipped prefix, a
   share for a percentage, minutes for seconds. A sentence for each direction says which mistake that usually is. */

import { dataName, shown } from "./quantity.js";

/** The general factors of a dimension: how many times too large a number is, and which mistake that usually is.
    @param {number} answer the right number @param {import("./quantity.js").Unit} asked
    @param {import("./quantity.js").Unit} unit the reader's
    @returns {{times: number, name: string, text: string}[]} `name` is such as "×2" */
export function factors(answer, asked, unit) {
  const found = [];
  const add = (times, symbol, text) => found.push({ times, name: symbol, text });
  const both = (factor, symbol, above, below) => {
    add(factor, `×${symbol}`, above);
    add(1 / factor, `÷${symbol}`, below);
  };
  const { dimension } = asked;
  if (dimension === "ratio" || dimension === "plain") ratios(asked, answer * asked.size, add, both); // of equally near ones, the first
  for (const [factor, above, below] of dimension === "data" ? OF_DATA : OF_OTHERS)
    both(factor, `${factor}`, above, below);
  if (dimension === "data") {
    bits(asked, unit, both);
    prefixes(unit, both);
  } else {
    for (const power of [1, 2, 3, 4]) both(1000 ** power, `1000^${power}`, ...thousands(power, dimension));
  }
  if (dimension === "count" || dimension === "plain") {
    for (const power of [1, 2, 3]) both(1.024 ** power, quotient(power), ...binaryCounts(power));
  }
  if (dimension === "time") for (const [factor, above, below] of OF_TIME) both(factor, `${factor}`, above, below);
  add(-1, "−", "The size is right, the sign is not: which of the two is larger?");
  return found;
}

const OF_DATA = [
  [
    2,
    "Twice the answer. That is usually float32 where numbers have 16 bits, or something counted twice.",
    "Half the answer. That is usually 2 bytes for each number where there are 4, or one of a pair forgotten: keys and values, or Adam's two moments.",
  ],
  [
    4,
    "Four times the answer. That is usually 4 bytes for each number (float32) where there is 1, or what training keeps (weights, gradients, two moments) where only the weights are meant.",
    "A quarter of the answer. That is usually 1 byte for each number where there are 4, or the weights alone where gradients and two moments count too.",
  ],
  [
    16,
    "Sixteen times the answer. That is usually 16 bytes for each parameter, which is all that mixed-precision training keeps, where 1 byte is meant.",
    "A sixteenth of the answer. That is usually 1 byte for each parameter where training keeps 16: weights, gradients, a master copy and two moments.",
  ],
];

const OF_OTHERS = [
  [
    2,
    "Twice the answer. Something is usually counted twice, in both directions or with its mirror image.",
    "Half the answer. One of a pair is usually forgotten: keys and values, a multiplication and an addition, both directions.",
  ],
  [
    4,
    "Four times the answer. That is usually a factor of 2 taken twice, or a length squared that should have been doubled.",
    "A quarter of the answer. That is usually a factor of 2 forgotten twice, or a square forgotten.",
  ],
  [
    8,
    "Eight times the answer. That is usually bits where bytes are meant, on one side of a division.",
    "An eighth of the answer. That is usually bytes where bits are meant, on one side of a division.",
  ],
  [
    16,
    "Sixteen times the answer. That is usually a factor of 4 taken twice, or the 16 bits of a number counted in.",
    "A sixteenth of the answer. That is usually a factor of 4 forgotten twice, or the 16 bits of a number left out.",
  ],
];

const OF_TIME = [
  [
    60,
    "Sixty times the answer. Seconds were usually written as minutes, or minutes as hours.",
    "A sixtieth of the answer. Minutes were usually written as seconds, or hours as minutes.",
  ],
  [
    3600,
    "3,600 times the answer. Seconds were usually written as hours.",
    "A 3,600th of the answer. Hours were usually written as seconds.",
  ],
];

function bits(asked, unit, both) {
  if (asked.bits) {
    both(
      8,
      "8",
      "Eight times the answer: multiplied by 8 what was in bits already.",
      "An eighth of the answer: that is the number of bytes, of 8 bits each.",
    );
  } else if (unit.bits) {
    both(
      8,
      "8",
      `Eight times the answer: multiplied by 8 twice on the way to ${unit.label}.`,
      `The number would be right in bytes, but ${unit.label} is bits, and a byte has 8 of them.`,
    );
  } else {
    both(
      8,
      "8",
      "Eight times the answer: that is the number of bits. A byte has 8 of them.",
      "An eighth of the answer: divided by 8 what was in bytes already.",
    );
  }
}

const quotient = (power) => (1.024 ** power).toPrecision(power === 1 ? 4 : 5);
const high = (power) => [...String(power)].map((digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit]).join("");

/** Prefixes that are taken for one another: 1,024 for 1,000, and MB for GB. The reader's unit tells how. */
function prefixes(unit, both) {
  const { power: own, binary, bits: inBits } = unit;
  for (const power of [1, 2, 3, 4]) {
    const [decimal, two] = [dataName(power, false, inBits), dataName(power, true, inBits)];
    const large = `${quotient(power)} times the answer: a prefix of 1,024 was taken (2${high(10 * power)}) where one of 1,000 (10${high(3 * power)}) belongs`;
    const little = `The answer divided by ${quotient(power)}: a prefix of 1,000 was taken (10${high(3 * power)}) where one of 1,024 (2${high(10 * power)}) belongs`;
    const is = (name) => `That is the number of ${name}, but it says ${unit.label}`;
    const above =
      own === power && binary
        ? `${is(decimal)}: it was divided by 10${high(3 * power)}, not by 2${high(10 * power)}.`
        : own === power
          ? `${large}, as if something in ${decimal} were in ${two}.`
          : `${large}: ${two} for ${decimal}.`;
    const below =
      own === power && !binary
        ? `${is(two)}: it was divided by 2${high(10 * power)}, not by 10${high(3 * power)}.`
        : own === power
          ? `${little}, as if something in ${two} were in ${decimal}.`
          : `${little}: ${decimal} for ${two}.`;
    both(1.024 ** power, quotient(power), above, below);
    for (const base of [1000, 1024]) {
      const step = (sign, words) => {
        const neighbour = own - sign * power;
        const named = base === (binary ? 1024 : 1000) && neighbour >= 0 && neighbour <= 5;
        const often = `${shown(base ** power)} ${words}`;
        return named ? `${is(dataName(neighbour, binary, inBits))}: ${often}.` : `The prefix slipped: ${often}.`;
      };
      both(base ** power, `${base}^${power}`, step(1, "times too large"), step(-1, "times too small"));
    }
  }
}

function thousands(power, dimension) {
  const many = shown(1000 ** power);
  const slip = {
    time: "ms for s, or µs for ms",
    work: "G for T",
    count: "thousands for millions, or millions for billions",
  };
  const why = `A prefix slipped, such as ${slip[dimension] ?? "thousands for millions"}, or on one side of a division only.`;
  return [`${many} times the answer. ${why}`, `The answer divided by ${many}. ${why}`];
}

function binaryCounts(power) {
  const what = power === 1 ? "a thousand" : power === 2 ? "a million" : "a billion";
  const [two, ten] = [`2${high(10 * power)}`, `10${high(3 * power)}`];
  return [
    `${quotient(power)} times the answer: ${two} was taken for ${what}, which is ${ten} here.`,
    `The answer divided by ${quotient(power)}: ${ten} was taken where K is 1,024, as in the lengths of contexts.`,
  ];
}

/** What goes wrong with shares and ratios. @param {number} answer the right one, as a share of 1 */
function ratios(asked, answer, add, both) {
  const percent = asked.label === "%" || asked.size === 0.01;
  both(
    100,
    "100",
    percent
      ? "A hundred times the answer: it was in % already, and was multiplied by 100 once more."
      : "A hundred times the answer: that is in %. Asked for is the number itself.",
    percent
      ? "A hundredth of the answer: that is the share of 1. Asked for is the same in %, which is a hundred times that."
      : "A hundredth of the answer: divided by 100 what was no percentage.",
  );
  if (answer > 0 && answer < 1) {
    add(
      (1 - answer) / answer,
      "complement",
      "That is the other part: what is left to 100 %. Read again which of the two is asked for.",
    );
  }
  if (answer > 0 && asked.dimension === "ratio") {
    add(1 / answer ** 2, "inverse", "That is the ratio turned round. What is divided by what?");
  }
  if (answer > 1 && asked.dimension === "ratio") {
    add(
      (answer - 1) / answer,
      "more",
      "That is by how much it is more. Asked for is how much it is of the other, which is 1, or 100 %, more than that.",
    );
  }
  if (answer > 0 && percent) {
    add(
      (answer + 1) / answer,
      "whole",
      "That is how much it is of the other. Asked for is by how much it is more, which is 100 % less than that.",
    );
  }
}
