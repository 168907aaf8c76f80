/* The reader's reviews, which are all the state there is: they are kept in the browser (IndexedDB) and sent nowhere.

   A review is a row of its own, so two tabs never overwrite each other, and merging is a union. Whatever goes wrong with
   the storage is told (`trouble`), and takes nothing: a review that could not be written waits in memory, is written with
   the next one, and can be saved as a file meanwhile. */

import { isReview, parse, write } from "./file.js";

export { ImportError } from "./file.js";

const NAME = "weights-and-measures";
const VERSION = 1; // of the database
const REVIEWS = "reviews";
const PATIENCE = 4000; // milliseconds: some browsers never answer to `open`
const MONTH = 30 * 86_400_000;
const EXPORTED = "wm-exported-at";
const ASKED = "wm-asked-to-persist";

/** @typedef {import("./schedule.js").Review} Review */

const TROUBLES = {
  blocked: "This browser does not let the site keep anything, as in a private window or with cookies blocked.",
  old: "Another tab holds an older version of this site. Close it, so that your reviews can be kept.",
  newer: "Another tab has opened a newer version of this site. Reload this page, so that your reviews can be kept.",
  full: "The browser's storage is full. Make room, so that your reviews can be kept.",
  slow: "The browser's storage does not answer.",
  failed: "The browser's storage has failed, as it does when the disk is full.",
};

/* What the errors of browsers mean. Chromium says UnknownError both where its reader lets no site keep anything and where
   the disk is full, and tells them apart in its message alone. */
const MEANINGS = [
  [/^VersionError/, "newer"],
  [/^QuotaExceededError|NO_SPACE/, "full"],
  [/^SecurityError|^InvalidStateError|denied permission/, "blocked"], // the second of Firefox, where it keeps no history
];
const meaning = (error) => MEANINGS.find(([sign]) => sign.test(`${error?.name} ${error?.message}`))?.[1] ?? "failed";

const keyOf = ({ card, at }) => `${card} ${at}`;

/**
 * Says `change` when reviews have come or gone, here or in another tab, and `trouble` when `trouble` has changed.
 */
export class Store extends EventTarget {
  /** What is wrong with the storage, and `kind`, a key of `TROUBLES`. @type {{kind: string, message: string} | null} */
  trouble = null;
  #database = null; // a promise of it, once asked for
  #known = []; // what was last read or written: on a full disk, Chromium can no longer read either
  #read = false; // whether that is all
  #waiting = new Set(); // reviews that are not written yet
  #own = new WeakSet(); // those of them that were made here, and not imported
  #writing = Promise.resolve(); // one after the other: what waits is in one batch alone
  #channel = null;

  constructor() {
    super();
    const changed = () => this.dispatchEvent(new Event("change"));
    try {
      this.#channel = new BroadcastChannel(NAME);
      this.#channel.onmessage = changed;
    } catch {
      addEventListener("focus", changed); // an older browser learns of other tabs when this one is looked at
    }
    addEventListener("beforeunload", (event) => {
      if (this.#waiting.size) event.preventDefault(); // the browser asks whether to leave
    });
  }

  /** How many reviews wait in memory, since they could not be written. */
  get waiting() {
    return this.#waiting.size;
  }

  /** All reviews, also of cards that the site no longer has. @returns {Promise<Review[]>} */
  async reviews() {
    try {
      this.#known = (await this.#run("readonly", (rows) => rows.getAll())).filter(isReview);
      this.#read = true;
      if (!this.#waiting.size) this.#tell(null);
    } catch (error) {
      this.#tell(error);
    }
    const all = new Map(this.#known.map((review) => [keyOf(review), review]));
    for (const review of this.#waiting) {
      while (this.#own.has(review) && all.has(keyOf(review))) review.at += 1;
      all.set(keyOf(review), review);
    }
    return [...all.values()];
  }

  /** Keeps a review, at least in memory. @param {string} card @param {number} grade @returns {Promise<Review>} */
  async add(card, grade, at = Date.now()) {
    const review = { card, at, grade };
    this.#waiting.add(review);
    this.#own.add(review);
    persist();
    await this.#write();
    return review;
  }

  /** Takes a review back. @param {Review} review @returns {Promise<boolean>} whether it is gone */
  async remove(review) {
    const same = [...this.#waiting].find((each) => keyOf(each) === keyOf(review));
    const waited = this.#waiting.delete(same);
    try {
      await this.#run("readwrite", (rows) => rows.delete([review.card, review.at]));
    } catch (error) {
      this.#tell(error);
      if (!waited) return false;
    }
    this.#known = this.#known.filter((each) => keyOf(each) !== keyOf(review));
    this.#changed();
    return true;
  }

  /**
   * Adds the reviews of a file to those kept: all of them or, if anything is wrong with it, none.
   *
   * @param {string} text @returns {Promise<{added: number, known: number}>} @throws {import("./file.js").ImportError}
   */
  async import(text) {
    const reviews = parse(text);
    const kept = new Set((await this.reviews()).map(keyOf));
    const fresh = reviews.filter((review) => !kept.has(keyOf(review)) && kept.add(keyOf(review)));
    for (const review of fresh) this.#waiting.add(review);
    await this.#write();
    return { added: fresh.length, known: reviews.length - fresh.length };
  }

  /** The text of a file with all reviews. */
  async export() {
    return write(await this.reviews());
  }

  /** Offers that file to the reader. */
  async save() {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([await this.export()], { type: "application/json" }));
    link.download = `weights-and-measures-reviews-${new Date().toISOString().slice(0, 10)}.json`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    if (this.#read) remember(EXPORTED, Date.now());
    this.dispatchEvent(new Event("change"));
  }

  /** How many reviews no file has. */
  async unsaved() {
    const since = Number(recall(EXPORTED)) || 0;
    return (await this.reviews()).filter(({ at }) => at > since).length;
  }

  /** Deletes all reviews. @returns {Promise<boolean>} whether they are gone */
  async forget() {
    this.#waiting.clear();
    try {
      await this.#run("readwrite", (rows) => rows.clear());
    } catch (error) {
      this.#tell(error);
      return false;
    }
    this.#known = [];
    remember(EXPORTED, 0);
    this.#changed();
    return true;
  }

  #write() {
    return (this.#writing = this.#writing.then(() => this.#flush()));
  }

  /* Writes what waits, all in one transaction: these come one after the other, those of other tabs too. A grade whose
     millisecond is taken gets the next one; what was imported and is there by now stays as it is. */
  async #flush() {
    const batch = [...this.#waiting];
    const put = (rows, review) => {
      const request = rows.add(review);
      request.onerror = (event) => {
        if (request.error.name !== "ConstraintError") return;
        event.preventDefault(); // else the whole transaction ends
        event.stopPropagation();
        if (!this.#own.has(review)) return;
        review.at += 1;
        put(rows, review);
      };
    };
    try {
      await this.#run("readwrite", (rows) => batch.forEach((review) => put(rows, review)));
      for (const review of batch) this.#waiting.delete(review);
      this.#known.push(...batch);
      this.#tell(null);
    } catch (error) {
      this.#tell(error);
    }
    this.#changed();
  }

  #changed() {
    this.#channel?.postMessage("change");
    this.dispatchEvent(new Event("change"));
  }

  #tell(error) {
    const kind = error && (error.kind ?? meaning(error));
    if (kind === (this.trouble?.kind ?? null) && !this.#waiting.size) return;
    this.trouble = kind && { kind, message: TROUBLES[kind] };
    this.dispatchEvent(new Event("trouble"));
  }

  /* Runs `ask` on the rows in a transaction, and gives what it asked for once that is on disk. */
  async #run(mode, ask, again = true) {
    this.#database ??= this.#open();
    try {
      const database = await this.#database;
      return await new Promise((resolve, reject) => {
        const transaction = database.transaction(REVIEWS, mode, { durability: "strict" });
        const request = ask(transaction.objectStore(REVIEWS));
        transaction.oncomplete = () => resolve(request?.result);
        transaction.onabort = () => reject(transaction.error ?? new Error("the storage gave up"));
      });
    } catch (error) {
      // The browser closed it, as when it empties its storage: before the transaction, or during it.
      const closed = error.name === "InvalidStateError" || error.name === "AbortError";
      if (closed || error.kind) this.#database = null;
      if (closed && again) return this.#run(mode, ask, false);
      throw closed ? Object.assign(error, { kind: "failed" }) : error;
    }
  }

  #open() {
    return new Promise((resolve, reject) => {
      const refuse = (kind) => reject(Object.assign(new Error(kind), { kind }));
      const patience = setTimeout(refuse, PATIENCE, "slow");
      let request;
      try {
        request = indexedDB.open(NAME, VERSION);
      } catch {
        clearTimeout(patience);
        return refuse("blocked");
      }
      request.onupgradeneeded = () => request.result.createObjectStore(REVIEWS, { keyPath: ["card", "at"] });
      request.onblocked = () => refuse("old");
      request.onerror = () => {
        clearTimeout(patience);
        refuse(meaning(request.error));
      };
      request.onsuccess = () => {
        clearTimeout(patience);
        const database = request.result;
        database.onversionchange = ({ newVersion }) => {
          database.close(); // else a newer version of the site could not open it, nor the reader delete it
          if (newVersion === null) return void (this.#database = null);
          this.#database = Promise.reject(Object.assign(new Error("newer"), { kind: "newer" }));
          this.#database.catch(() => this.#tell({ kind: "newer" }));
        };
        database.onclose = () => (this.#database = null);
        resolve(database);
      };
    });
  }
}

let shared;

/** The store of this page, which its parts share. */
export const store = () => (shared ??= new Store());

/* Asks the browser to keep the reviews when it makes room. Some ask their reader, so it is asked with the first grade, and
   not again for a month. */
function persist() {
  if (Number(recall(ASKED)) > Date.now() - MONTH) return;
  remember(ASKED, Date.now());
  navigator.storage?.persist?.().catch(() => {});
}

function recall(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

function remember(name, value) {
  try {
    localStorage.setItem(name, String(value));
  } catch {
    /* A browser that keeps nothing is asked again. */
  }
}
