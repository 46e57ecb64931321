// Keeps the states of a hall's seats up to date: by server-sent events, and by asking where a stream does not work.

/** @typedef {import("./layout.js").CompactMap} CompactMap */

/** Between two questions without a stream, in milliseconds: each page asks at a time of its own. */
const POLL_MIN = 2000, POLL_MAX = 4000;
/** How long to go without a stream before another try. */
const STREAM_AGAIN = 60_000;
/** The longest wait after failures in a row. */
const BACKOFF_MAX = 30_000;

/**
 * What the page does with news.
 * @typedef {object} News
 * @property {(map: CompactMap) => void} map the whole hall, at first and after its seats themselves changed
 * @property {(changes: [number, string][]) => boolean} seats states of some seats; false if one of them is not known
 * @property {(isFresh: boolean) => void} fresh whether the states are up to date
 */

/** Where the page gets its news. */
export class Live {
  /** @type {EventSource | null} */
  #stream = null;
  #etag = "";
  #mark = "";
  #timer = 0;
  #failures = 0;
  #streamAfter = 0;
  #isAsking = false;

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
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#rest() : this.#resume()));
    window.addEventListener("online", () => this.#resume());
    window.addEventListener("pagehide", () => this.#rest());
    return this.#ask();
  }

  #rest() {
    this.#close();
    window.clearTimeout(this.#timer);
  }

  #resume() {
    if (document.hidden) return;
    this.#rest();
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

  async #ask() {
    if (this.#isAsking) return;
    this.#isAsking = true;
    try {
      /** @type {Record<string, string>} */
      const headers = this.#etag ? { "If-None-Match": this.#etag } : {};
      const answer = await fetch(`${this.address}?form=compact`, { headers, cache: "no-store", credentials: "omit" });
      if (answer.status === 200) {
        const map = /** @type {CompactMap} */ (await answer.json());
        this.#etag = answer.headers.get("etag") ?? "";
        this.#mark = map.mark ?? "";
        this.news.map(map);
      } else if (answer.status !== 304) {
        throw new Error(String(answer.status));
      }
      this.#failures = 0;
      this.news.fresh(true);
    } catch {
      this.#failures += 1;
      this.news.fresh(false);
    } finally {
      this.#isAsking = false;
    }
    const mayStream = this.#failures === 0 && this.#mark !== "" && Date.now() >= this.#streamAfter;
    if (mayStream && !document.hidden) this.#open();
    else this.#askIn(Math.min(BACKOFF_MAX, spread(POLL_MIN, POLL_MAX) * 2 ** Math.min(4, this.#failures)));
  }

  #open() {
    this.#close();
    const stream = new EventSource(`${this.address}/events?since=${encodeURIComponent(this.#mark)}`);
    this.#stream = stream;
    stream.addEventListener("open", () => this.news.fresh(true));
    stream.addEventListener("seats", (event) => {
      this.#mark = event.lastEventId || this.#mark;
      // The tag was that of an older map.
      this.#etag = "";
      if (!this.news.seats(JSON.parse(event.data))) this.#reload(0);
    });
    stream.addEventListener("reload", (event) => this.#reload(Number(JSON.parse(event.data).within_ms) || 0));
    stream.addEventListener("error", () => {
      this.news.fresh(false);
      // A browser gives a stream up that was refused, and tries again by itself when a connection is lost.
      if (stream.readyState !== EventSource.CLOSED || this.#stream !== stream) return;
      this.#close();
      this.#streamAfter = Date.now() + spread(STREAM_AGAIN / 2, STREAM_AGAIN);
      this.#askIn(spread(0, POLL_MIN));
    });
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
