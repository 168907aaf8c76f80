/* Elements made by scripts, of which nothing is read as HTML. */

/**
 * @param {string} name @param {Record<string, unknown>} attributes `on…` is a listener; false and undefined are left out.
 * @param {...(Node | string | false | null | undefined)} children
 */
export function el(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== false) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child || child === 0));
  return element;
}

/** A button. @param {string} words @param {() => void} act */
export const button = (words, act, attributes = {}, ...children) =>
  el("button", { type: "button", class: "md-button", onclick: act, ...attributes }, words, ...children);

/** `1 card`, `2 cards`. @param {number} number @param {string} noun */
export const many = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
