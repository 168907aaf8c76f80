/* What Material leaves out for keyboards and screen readers. It adds elements after the page has been read, and others at
   each instant navigation, so the document is observed. Both observers are heard before the next frame is painted. */
const BOXES = ".md-typeset__scrollwrap, figure.plot";
const CONTENTS = ".md-typeset__scrollwrap table, figure.plot > svg";

/* A box that scrolls must be reached from the keyboard, and one that does not is no stop on the way. */
const sizes = new ResizeObserver((changes) => {
  for (const box of new Set(changes.map(({ target }) => target.closest(BOXES)))) {
    if (box?.scrollWidth > box?.clientWidth) box.tabIndex = 0;
    else box?.removeAttribute("tabindex");
  }
});
const observed = new WeakSet();

function mend() {
  document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
  document.querySelector(".md-progress")?.setAttribute("aria-hidden", "true");
  for (const nav of document.querySelectorAll(".md-code__nav")) nav.setAttribute("role", "none");
  for (const element of document.querySelectorAll(`${BOXES}, ${CONTENTS}`)) {
    if (observed.has(element)) continue;
    observed.add(element);
    sizes.observe(element);
  }
}

mend();
new MutationObserver(mend).observe(document.body, { childList: true, subtree: true });
