// Keeps the states of a hall's seats up to date: by server-sent events, and by asking where a stream does not work.

import { OPENING_MS, REFUSED_MS, SILENCE_MS, Stream, ask, retryAfter } from "../live/source.js";

/** @typedef {import("./layout.js").CompactMap} CompactMap */

/** Between two questions without a stream, in milliseconds: each page asks at a time of its own. */
const POLL_MIN = 2000, POLL_MAX = 4000;
/** The events of a stream. */
const EVENTS = ["seats", "reload"];

/**
 * What the page does with news.
 * @typedef {object} News
 * @property {(map: CompactMap) => void} map the whole hall, at first and after its seats themselves changed
 * @property {(changes: [number, string][]) => boolean} seats states of some seats; false if one of them is not known
 * @property {(isFresh: boolean) => void} fresh whether the states are up to date
 */

/** Where the page gets its news. */
export class Live {
  /** @type {Stream | null} */
  #stream = null;
  /** The tag of the last map, as long as nothing came after it. */
  #etag = "";
  #mark = "";
  #timer = 0;
  #failures = 0;
  #streamAfter = 0;
  /** Whether the stream was lost since it last brought something. */
  #isLost = false;
  /** Takes the question back that is not answered yet. @type {AbortController | null} */
  #asking = null;

  /**
   * @param {string} address of the seat map
   * @param {News} news
   */
  constructor(address, news) {
    this.address = address;
    this.news = news;
  }

  /** Begins, and rests while the page is hidden. */
  start() {
    document.addEventListener("visibilitychange", () => (document.hidden ? this.rest() : this.resume()));
    window.addEventListener("online", () => this.resume());
    window.addEventListener("pagehide", () => this.rest());
    return this.#ask();
  }

  /** Stops until it is told to go on. */
  rest() {
    this.#close();
    window.clearTimeout(this.#timer);
    this.#asking?.abort();
    this.#asking = null;
  }

  /** Goes on, from what is true now. */
  resume() {
    if (document.hidden) return;
    this.rest();
    void this.#ask();
  }

  #close() {
    this.#stream?.close();
    this.#stream = null;
  }

  /** @param {number} wait */
  #askIn(wait) {
    window.clearTimeout(this.#timer);
    if (!document.hidden) this.#timer = window.setTimeout(() => void this.#ask(), wait);
  }

  /** A stream that is silent may be dead: after a while it is opened anew, from what the page knows. */
  #renewIn() {
    window.clearTimeout(this.#timer);
    // All pages of a hall hear of a seat in the same moment: each comes back at a time of its own.
    this.#timer = window.setTimeout(() => this.#open(), spread(SILENCE_MS, 2 * SILENCE_MS));
  }

  async #ask() {
    if (this.#asking) return;
    const asking = new AbortController();
    this.#asking = asking;
    /** @type {CompactMap | undefined} */
    let map;
    let wait = 0;
    try {
      /** @type {Record<string, string>} */
      const headers = this.#etag ? { "If-None-Match": this.#etag } : {};
      const answer = await ask(`${this.address}?form=compact`, { headers, credentials: "omit" }, asking);
      if (answer.status === 200) {
        map = /** @type {CompactMap} */ (await answer.json());
        if (this.#asking === asking) this.#etag = answer.headers.get("etag") ?? "";
      } else if (answer.status !== 304) {
        wait = 1000 * (Number(answer.headers.get("retry-after")) || 0);
        throw new Error(String(answer.status));
      }
      if (this.#asking === asking) this.#failures = 0;
    } catch {
      if (this.#asking === asking) this.#failures += 1;
    }
    // It was told to rest meanwhile.
    if (this.#asking !== asking) return;
    this.#asking = null;
    this.news.fresh(this.#failures === 0);
    if (this.#failures > 0) {
      this.#askIn(Math.max(wait, retryAfter(this.#failures)));
      return;
    }
    if (map) {
      this.#mark = map.mark ?? "";
      this.news.map(map);
    }
    if (this.#stream?.isOpen) this.#renewIn();
    else if (this.#stream || this.#mark === "" || Date.now() < this.#streamAfter) this.#askIn(spread(POLL_MIN, POLL_MAX));
    else this.#open();
  }

  #open() {
    if (document.hidden) return;
    this.#close();
    this.#isLost = false;
    this.#stream = new Stream(`${this.address}/events?since=${encodeURIComponent(this.#mark)}`, EVENTS, {
      event: (event, name) => {
        this.news.fresh(true);
        if (name === "reload") {
          this.#reload(Number(JSON.parse(event.data).within_ms) || 0);
          return;
        }
        this.#isLost = false;
        this.#mark = event.lastEventId || this.#mark;
        const changes = JSON.parse(event.data);
        if (changes.length > 0) this.#etag = "";
        if (this.news.seats(changes)) this.#renewIn();
        else this.#reload(0);
      },
      open: () => {
        this.#isLost = false;
        this.news.fresh(true);
        this.#renewIn();
      },
      lost: () => {
        this.news.fresh(false);
        // The browser says so at each try: only the first sets the time of the question.
        if (!this.#isLost) this.#askIn(OPENING_MS);
        this.#isLost = true;
      },
      refused: () => {
        this.#close();
        this.news.fresh(false);
        this.#streamAfter = Date.now() + spread(REFUSED_MS / 2, REFUSED_MS);
        this.#askIn(spread(0, POLL_MIN));
      },
    });
    this.#askIn(OPENING_MS);
  }

  /** @param {number} within */
  #reload(within) {
    this.#close();
    this.#etag = "";
    this.#askIn(spread(0, within));
  }
}

/**
 * A random time between two.
 * @param {number} least
 * @param {number} most
 */
const spread = (least, most) => least + Math.random() * (most - least);
