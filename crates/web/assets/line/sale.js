// What the sale of a concert does while its line waits: the answer that is the same for all clients, asked seldom.

import { ANSWER_MS, endAfter } from "../live/source.js";

/**
 * A concert, as far as the page shows its sale.
 * @typedef {object} Sale
 * @property {string} sale_state
 * @property {number} seats_left
 * @property {string} opens_at
 * @property {string | null} status_reason
 */

/** Between two questions, in milliseconds: at random, so that those of thousands of pages are spread. */
const ASK_MIN_MS = 30_000, ASK_MAX_MS = 60_000;
/** A hidden page asks this many times more seldom. */
const HIDDEN_FACTOR = 2;
/** News of the line reach thousands of pages at once: each asks within so long, and not twice within it. */
const NEWS_MS = 10_000;

/** Follows the sale of one concert. */
export class SaleWatch {
  #etag = "";
  #askedAt = 0;
  #dueAt = Infinity;
  #isLast = false;
  /** @type {number | undefined} */
  #timer = undefined;

  /**
   * @param {string} address of the concert
   * @param {(sale: Sale) => void} onSale
   */
  constructor(address, onSale) {
    this.address = address;
    this.onSale = onSale;
  }

  /** Begins. The page was made with the state of now. */
  start() {
    this.#askedAt = Date.now();
    document.addEventListener("visibilitychange", () => {
      const isOld = Date.now() - this.#askedAt > ASK_MAX_MS;
      if (document.visibilityState === "visible" && isOld && !this.#isLast) this.askSoon();
    });
    this.#later();
  }

  /** Asks soon: something has changed in the line, and the sale may be why. */
  askSoon() {
    const now = Date.now();
    this.#askAt(Math.min(this.#dueAt, Math.max(now + NEWS_MS * Math.random(), this.#askedAt + NEWS_MS)));
  }

  /** Asks once more, and then no more: the place has ended. */
  askLast() {
    this.#isLast = true;
    this.askSoon();
  }

  #later() {
    const wait = ASK_MIN_MS + (ASK_MAX_MS - ASK_MIN_MS) * Math.random();
    this.#askAt(Date.now() + wait * (document.visibilityState === "visible" ? 1 : HIDDEN_FACTOR));
  }

  /** @param {number} moment */
  #askAt(moment) {
    window.clearTimeout(this.#timer);
    this.#dueAt = moment;
    this.#timer = window.setTimeout(() => void this.#ask(), moment - Date.now());
  }

  async #ask() {
    this.#askedAt = Date.now();
    this.#dueAt = Infinity;
    const sale = await this.#fetch();
    if (!this.#isLast && this.#dueAt === Infinity) this.#later();
    if (sale?.sale_state) this.onSale(sale);
  }

  /** The sale, if it has changed and can be read. */
  async #fetch() {
    try {
      /** @type {Record<string, string>} */
      const headers = this.#etag ? { "If-None-Match": this.#etag } : {};
      const signal = endAfter(ANSWER_MS);
      const answer = await fetch(this.address, { headers, cache: "no-store", credentials: "omit", signal });
      if (answer.status !== 200) return undefined;
      const sale = /** @type {Sale} */ (await answer.json());
      this.#etag = answer.headers.get("etag") ?? "";
      return sale;
    } catch {
      return undefined;
    }
  }
}
