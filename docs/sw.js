/* The service worker: what keeps the deck, and each page that was read since, for when there is no network.

   It stands at the root, so that it serves the whole site, and cards.md alone registers it. What it gives is never old
   while there is a network: every request goes there first and is asked anew (`no-cache`), and what was kept answers only
   when that fails. The build writes here what belongs to the deck, and a digest of it, which makes a release another
   worker. Without one, as under `mkdocs serve`, this worker deletes itself: that is how a release takes it back. So does
   one whose own file is gone, since browsers would keep it. */
const RELEASE = ""; // "1a2b3c4d", written by the build
const FILES = []; // the addresses of the deck and all it needs, from here, written by the build

const NAME = `weights-and-measures ${registration.scope} `; // several sites may share a host
const CACHE = NAME + RELEASE;
const KEPT = /^(?:text\/(?:html|css|javascript|xml)|application\/(?:javascript|json|xml)|image\/|font\/)/;
const OFFLINE = `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>No network</title><h1>No network</h1><p>This page was not kept when you were online. <a href="${new URL("cards/", location)}">The study
cards</a> were.</p></html>`;
const LIVE = /\/(?:livereload\/|handbook\/(?:progress\.json|live\.js)$)/;

let left = false;

addEventListener("install", (event) => {
  event.waitUntil(RELEASE ? keep() : undefined);
  skipWaiting();
});

addEventListener("activate", (event) => {
  event.waitUntil(RELEASE ? take() : leave());
});

/* All of the deck, or nothing: with one file missing the worker of before stays. */
async function keep() {
  const cache = await caches.open(CACHE);
  await cache.addAll(FILES.map((file) => new Request(file, { cache: "no-cache" })));
}

/* Open pages are taken over at once. They lose nothing: what they still load comes from the network, as without a worker,
   and the modules of each release have addresses of their own. */
async function take() {
  for (const name of await caches.keys()) if (name.startsWith(NAME) && name !== CACHE) await caches.delete(name);
  await clients.claim();
}

/* Open pages keep this worker until they are left: it then lets all requests pass. */
async function leave() {
  left = true;
  for (const name of await caches.keys()) if (name.startsWith(NAME)) await caches.delete(name);
  registration.unregister(); // not awaited: it waits for the event in which it is called
}

addEventListener("message", (event) => {
  if (event.data === "leave") event.waitUntil(leave());
});

addEventListener("fetch", (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (left || !RELEASE || request.method !== "GET" || origin !== location.origin || LIVE.test(pathname)) return;
  if (request.headers.has("range") || request.headers.get("accept") === "text/event-stream") return;
  if (request.cache === "only-if-cached" || request.cache === "no-store") return;
  event.respondWith(answer(event));
});

async function answer(event) {
  const { request } = event;
  let response;
  try {
    response = await asked(request);
  } catch {
    return remembered(request);
  }
  // Not what was redirected: browsers refuse it as the answer to a navigation, and its new address is kept by itself.
  if (response.status === 200 && !response.redirected && KEPT.test(response.headers.get("content-type"))) {
    const copy = response.clone(); // before the page reads it
    event.waitUntil(remember(request, copy).catch(() => {})); // a full storage keeps what it has
  }
  if (request.mode === "navigate") event.waitUntil(leaveIfGone().catch(() => {}));
  return response;
}

/* A navigation is asked for by its address: some browsers do not let its request be changed. Where it is redirected to is
   for them to follow, which makes the new address that of the page. */
function asked(request) {
  const cache = request.cache === "reload" ? "reload" : "no-cache";
  const own = { cache, credentials: "same-origin", redirect: "manual" };
  return request.mode === "navigate" ? fetch(request.url, own) : fetch(request, { cache });
}

async function remember(request, response) {
  if (left) return;
  const cache = await caches.open(CACHE);
  await cache.put(request.mode === "navigate" ? request.url.split(/[?#]/)[0] : request, response);
}

/* A page is the same whatever its query asks of scripts, and so is a module of a host that has one version of it. */
async function remembered(request) {
  const cache = await caches.open(CACHE);
  const found =
    (await cache.match(request, { ignoreVary: true })) ?? (await cache.match(request, { ignoreVary: true, ignoreSearch: true }));
  if (found || request.mode !== "navigate") return found ?? Response.error();
  const { origin, pathname, search } = new URL(request.url);
  if (await cache.match(`${origin}${pathname}/`)) return Response.redirect(`${origin}${pathname}/${search}`);
  return new Response(OFFLINE, { status: 503, headers: { "Content-Type": "text/html; charset=utf-8" } });
}

async function leaveIfGone() {
  const { status } = await fetch(location, { method: "HEAD", cache: "no-store" });
  if (status === 404 || status === 410) await leave();
}
