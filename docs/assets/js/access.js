/* What Material leaves out for keyboards and screen readers. It emits document$ on load and after each instant navigation. */
document$.subscribe(() => {
  document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
  document.querySelector(".md-progress")?.setAttribute("aria-hidden", "true");

  /* Material wraps tables and adds the copy buttons' <nav> in a later frame. */
  setTimeout(() => {
    for (const nav of document.querySelectorAll(".md-code__nav")) nav.setAttribute("role", "none");
    for (const box of document.querySelectorAll(".md-typeset__scrollwrap, figure.plot"))
      if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  }, 200);
});
