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

/* On a phone the search holds the page where it is, also for a moment after a result was chosen. A page that has come by
   then cannot scroll to the place that the result names, so it does once it is let go. */
let left; // the address at which it was held
new MutationObserver(() => {
  if (document.body.hasAttribute("data-md-scrolllock")) return void (left ??= location.href);
  if (location.href !== left) document.getElementById(location.hash.slice(1))?.scrollIntoView();
  left = undefined;
}).observe(document.body, { attributeFilter: ["data-md-scrolllock"] });
