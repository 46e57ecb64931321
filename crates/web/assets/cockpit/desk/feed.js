// The moments of a sale: by a stream of events, and by asking where it does not work or falls silent. Each moment says
// everything, so one that is lost costs nothing; the seconds of the charts that were missed are asked for.

import { REFUSED_MS, Stream, ask, retryAfter } from "../../live/source.js";

/** @typedef {import("./view.js").Screen} Screen */
/**
 * An entry of the audit log, in words.
 * @typedef {{ id: number, at: number, when: string, who: string, what: string, reason: string, mark: string }} Entry
 */
/** @typedef {{ screen: Screen, columns: import("../../chart/chart.js").Columns, audit: Entry[] }} History */
/**
 * How the page stands with the server: in touch, trying again, or not allowed any more.
 * @typedef {"live" | "lost" | "out"} Contact
 */
/**
 * What the page does with news.
 * @typedef {object} News
 * @property {(screen: Screen) => void} screen
 * @property {(entries: Entry[]) => void} audit oldest first
 * @property {(columns: History["columns"]) => void} columns the seconds after the newest that the page has
 * @property {(contact: Contact) => void} contact
 */

const EVENTS = ["screen", "audit", "bye"];
/** After so much silence of a stream that brings a moment each second the page asks, in milliseconds. */
export const SILENT_MS = 4_000;
/** Between two questions without a stream, in milliseconds. */
export const POLL_MS = 2_000;

/** Follows a sale. */
export class Feed {
  /** @type {Stream | undefined} */
  #stream = undefined;
  /** @type {number | undefined} */
  #timer = undefined;
  #failures = 0;
  #streamAfter = 0;
  #isOut = false;
  /** Takes the question back that is not answered yet. @type {AbortController | undefined} */
  #asking = undefined;
  /** The newest second that the page has, in milliseconds. */
  #newest = 0;

  /**
   * @param {{ events: string, history: string }} addresses
   * @param {News} news
   */
  constructor(addresses, news) {
    this.addresses = addresses;
    this.news = news;
  }

  /** Begins, and rests while the page is hidden. */
  start() {
    document.addEventListener("visibilitychange", () => (document.hidden ? this.rest() : this.resume()));
    window.addEventListener("online", () => this.resume());
    window.addEventListener("pagehide", () => this.rest());
    window.addEventListener("pageshow", (event) => {
      if (event.persisted) this.resume();
    });
    return this.#ask();
  }

  /** Stops until it is told to go on. */
  rest() {
    this.#stream?.close();
    this.#stream = undefined;
    window.clearTimeout(this.#timer);
    this.#asking?.abort();
    this.#asking = undefined;
  }

  /** Goes on, from what is true now. */
  resume() {
    if (document.hidden || this.#isOut) return;
    this.rest();
    void this.#ask();
  }

  /** @param {number} wait */
  #askIn(wait) {
    window.clearTimeout(this.#timer);
    if (!document.hidden && !this.#isOut) this.#timer = window.setTimeout(() => void this.#ask(), wait);
  }

  /** Asks for the present moment, and for the seconds that the page does not have. */
  async #ask() {
    if (this.#asking || this.#isOut) return;
    const asking = new AbortController();
    this.#asking = asking;
    let wait = POLL_MS;
    try {
      const answer = await ask(`${this.addresses.history}?since=${this.#newest}`, {}, asking);
      if (answer.status === 401 || answer.status === 403) {
        this.#isOut = true;
        this.rest();
        this.news.contact("out");
        return;
      }
      if (!answer.ok) {
        wait = 1_000 * (Number(answer.headers.get("retry-after")) || 0);
        throw new Error(String(answer.status));
      }
      const history = /** @type {History} */ (await answer.json());
      if (this.#asking !== asking) return;
      this.#failures = 0;
      this.#newest = history.columns.at.at(-1) ?? this.#newest;
      this.news.contact("live");
      this.news.columns(history.columns);
      this.news.screen(history.screen);
      this.news.audit(history.audit);
    } catch {
      if (this.#asking !== asking) return;
      this.#failures += 1;
      this.news.contact("lost");
      wait = Math.max(wait, retryAfter(this.#failures));
    }
    this.#asking = undefined;
    if (this.#stream?.isOpen && this.#failures === 0) this.#askIn(SILENT_MS);
    else {
      this.#askIn(wait);
      if (!this.#stream && Date.now() >= this.#streamAfter) this.#open();
    }
  }

  #open() {
    if (document.hidden || typeof EventSource !== "function") return;
    this.#stream = new Stream(this.addresses.events, EVENTS, {
      event: (event, name) => this.#take(name, event.data),
      open: () => this.#askIn(SILENT_MS),
      // The browser tries again by itself: the page asks meanwhile.
      lost: () => this.#askIn(POLL_MS),
      refused: () => {
        this.#stream?.close();
        this.#stream = undefined;
        this.#streamAfter = Date.now() + REFUSED_MS * Math.random();
        this.#askIn(0);
      },
    });
  }

  /**
   * @param {string} name
   * @param {string} data
   */
  #take(name, data) {
    if (name === "bye") return;
    const news = JSON.parse(data);
    this.#failures = 0;
    this.news.contact("live");
    this.#askIn(SILENT_MS);
    if (name === "audit") {
      this.news.audit(/** @type {Entry[]} */ (news));
      return;
    }
    const screen = /** @type {Screen} */ (news);
    this.news.screen(screen);
    const at = screen.seconds.at(-1)?.at ?? 0;
    // Seconds between were lost with the connection.
    if (this.#newest > 0 && (screen.seconds[0]?.at ?? 0) > this.#newest + 1_000) this.#askIn(0);
    else this.#newest = Math.max(this.#newest, at);
  }
}
