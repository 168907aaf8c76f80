/* The deck without a network: asks the browser to keep what sw.js, at the root of the site, says.

   The build says in the page where the worker is. Under `mkdocs serve`, and in a release without one, it does not, and a
   worker of before is let go. */

/** Registers the worker, or lets go of it. @param {string | undefined} worker Its address from this page. */
export async function offline(worker) {
  if (!navigator.serviceWorker) return; // not a secure address, or a browser without
  const root = new URL("../../../", import.meta.url).href;
  try {
    if (worker) await navigator.serviceWorker.register(worker, { updateViaCache: "none" });
    else await (await navigator.serviceWorker.getRegistration(root))?.unregister();
  } catch (error) {
    console.warn("The deck is not kept for offline use:", error.message);
  }
}
