/* The file that a reader saves, and adds elsewhere: a format, its version, and reviews. */

const FORMAT = "weights-and-measures reviews";
const VERSION = 1;
const LATEST = 8e15; // a Date reaches a few thousand years further, and a schedule a hundred

/** An error whose message is for the reader. */
export class ImportError extends Error {}

/** @param {import("./schedule.js").Review[]} reviews */
export function write(reviews) {
  const sorted = [...reviews].sort((a, b) => a.at - b.at);
  return JSON.stringify({ format: FORMAT, version: VERSION, reviews: sorted }) + "\n";
}

/** @param {string} text @returns {import("./schedule.js").Review[]} @throws {ImportError} Anything is wrong with it. */
export function parse(text) {
  let file;
  try {
    file = JSON.parse(text);
  } catch {
    throw new ImportError("This file is no JSON, or only a part of it. Nothing was added.");
  }
  if (file?.format !== FORMAT) throw new ImportError("This file holds no reviews of this site. Nothing was added.");
  if (file.version !== VERSION) {
    throw new ImportError("This file was saved by a newer version of this site. Reload the page and try again.");
  }
  const wrong = Array.isArray(file.reviews) ? file.reviews.findIndex((review) => !isReview(review)) : 0;
  if (wrong >= 0) throw new ImportError(`Review ${wrong + 1} in this file is damaged. Nothing was added.`);
  return file.reviews.map(({ card, at, grade }) => ({ card, at, grade }));
}

/** Whether it has the form of a review. @param {any} review */
export function isReview(review) {
  const { card, at, grade } = review ?? {};
  return (
    typeof card === "string" && /^card-[0-9a-f]{6}$/.test(card) &&
    Number.isInteger(at) && at >= 0 && at < LATEST &&
    Number.isInteger(grade) && grade >= 1 && grade <= 4
  );
}
