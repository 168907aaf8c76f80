/* The deck without a network: asks the browser to keep what sw.js, at the root of the site, says.

   The build says in the page where the worker is. Under `mkdocs serve`, and in a release without one, it does not, and a
   worker of before is let go, with what it kept. */

/** Registers the worker, or lets go of it. @param {string | undefined} worker Its address from this page. */
export async function offline(worker) {
  if (!navigator.serviceWorker) return; // not a secure address, or a browser without
  try {
    if (worker) await navigator.serviceWorker.register(worker, { updateViaCache: "none" });
    else await leave(await navigator.serviceWorker.getRegistration(new URL("../../../", import.meta.url)));
  } catch (error) {
    console.warn("The deck is not kept for offline use:", error.message);
  }
}

/* The worker deletes what it kept, since it could keep more until this page is left. */
async function leave(registration) {
  registration?.active?.postMessage("leave");
  await registration?.unregister();
}
