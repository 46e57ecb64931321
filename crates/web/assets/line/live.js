// Where a place in line stands, from the server: by events, by polling where they fail, and shared by all tabs.
//
// One tab at a time follows the events and tells the others, since a browser has few connections for one server. A tab
// that hears nothing asks for itself.

import { afterClosed, isClosed } from "../live/away.js";
import { OPENING_MS, REFUSED_MS, SILENCE_MS, Stream, ask, retryAfter } from "../live/source.js";

/**
 * A place in line, as the API answers it.
 * @typedef {object} Place
 * @property {string} status
 * @property {string | null} end_reason
 * @property {number} ahead
 * @property {number} [ahead_at_start] how many places were in front of it when it got its own
 * @property {number} position
 * @property {number} total_waiting
 * @property {{ known: boolean, reason?: string | null, p50_seconds?: number, p90_seconds?: number }} estimated_wait
 * @property {"likely" | "possible" | "unlikely" | "sold_out" | null} [outlook] absent if the server is of a version before
 * @property {string | null} deadline
 * @property {string | null} [hold_until] until when an active token may hold seats
 * @property {boolean} [last_turn] whether the turn that is offered is the last one
 * @property {number} poll_after_ms
 * @property {string | null} message
 * @property {string} as_of
 * @property {boolean} stale
 */

/**
 * How the page stands with the server: in touch, trying again, without a network, or with a token that is not known.
 * @typedef {"live" | "again" | "offline" | "gone"} Contact
 */

/** The events of a stream that bring a place. */
const EVENTS = ["line", "turn", "claimed", "ended"];
/** The silence in a tab that hears from the one with the stream, in milliseconds: that one asks first, and for all. */
const SILENCE_BESIDE_MS = SILENCE_MS + OPENING_MS;
/** An answer that is older than the last by more is not behind: a clock was set, in milliseconds. */
const BEHIND_MAX_MS = 10_000;

/**
 * What tabs tell each other: a tab has opened, or was closed; a tab has the stream, and shows the place of this moment;
 * news.
 * @typedef {{ hello: true } | import("../live/away.js").Closed | { follows: string }
 *   | { place: Place, from: "stream" | "poll" }} Word
 */

/** Follows one place. */
export class Live {
  /**
   * @param {{ position: string, events: string }} addresses
   * @param {Place} place the place as the page was made with it
   * @param {{ onPlace: (place: Place) => void, onContact: (contact: Contact) => void }} listener
   */
  constructor(addresses, place, listener) {
    this.addresses = addresses;
    this.place = place;
    this.listener = listener;
    this.failures = 0;
    /** Whether the stream was lost since it was opened. */
    this.isLost = false;
    this.heardAt = Date.now();
    /** When the stream brought something last. */
    this.streamedAt = 0;
    this.isOver = place.status === "ended";
    this.isAsking = false;
    /** @type {Stream | undefined} */
    this.stream = undefined;
    /** @type {number | undefined} */
    this.timer = undefined;
    /** @type {number | undefined} */
    this.streamTimer = undefined;
    /** @type {BroadcastChannel | undefined} */
    this.channel = undefined;
  }

  /** Whether this tab follows the events. */
  get follows() {
    return this.stream?.isOpen ?? false;
  }

  start() {
    if (this.isOver) return;
    this.later(this.place.poll_after_ms);
    const again = () => this.askIfSilent();
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") again();
    });
    window.addEventListener("pageshow", (event) => {
      if (event.persisted) this.ask();
    });
    window.addEventListener("online", () => this.ask());
    window.addEventListener("offline", () => this.listener.onContact("offline"));
    if (typeof BroadcastChannel === "function") {
      this.channel = new BroadcastChannel(this.addresses.position);
      this.channel.addEventListener("message", ({ data }) => this.hear(data));
      this.channel.postMessage({ hello: true });
    }
    this.follow();
  }

  /**
   * Hears another tab.
   * @param {Word} word
   */
  hear(word) {
    if ("place" in word) {
      this.take(word.place, word.from === "poll" ? "tab" : "follower");
    } else if (isClosed(word)) {
      afterClosed(() => this.ask());
    } else if ("hello" in word) {
      if (this.follows) this.channel?.postMessage({ follows: this.place.as_of });
    } else if (Date.parse(word.follows) > Date.parse(this.place.as_of)) {
      // News came after this page was made, and before it heard the other tabs.
      this.ask();
    } else {
      this.later(SILENCE_BESIDE_MS);
    }
  }

  /** Follows the events once no other tab does. */
  follow() {
    if (typeof EventSource !== "function") return;
    if (!navigator.locks || !this.channel) {
      this.open();
      return;
    }
    // The lock is kept as long as the tab lives: the next tab takes over when it is closed.
    navigator.locks
      .request(this.addresses.events, () => {
        this.open();
        return new Promise((resolve) => (this.letGo = resolve));
      })
      .catch(() => this.open());
  }

  open() {
    if (this.isOver) return;
    window.clearTimeout(this.streamTimer);
    this.stream?.close();
    this.isLost = false;
    this.stream = new Stream(this.addresses.events, EVENTS, {
      event: (event) => this.take(read(event.data), "stream"),
      open: () => {
        this.isLost = false;
        this.failures = 0;
        this.heardAt = Date.now();
        this.streamedAt = Date.now();
        this.listener.onContact("live");
        this.later(SILENCE_MS);
      },
      lost: () => {
        this.listener.onContact(navigator.onLine ? "again" : "offline");
        // The browser says so at each try: only the first sets the time of the question.
        if (!this.isLost) this.later(OPENING_MS);
        this.isLost = true;
      },
      refused: () => {
        this.stream = undefined;
        this.streamTimer = window.setTimeout(() => this.open(), REFUSED_MS * (1 + Math.random()));
        this.later(0);
      },
    });
  }

  /**
   * Takes news of the place: by a poll or an event of its own, or of another tab that polls or follows the events.
   * @param {Place | undefined} place
   * @param {"poll" | "stream" | "tab" | "follower"} from
   * @returns {boolean} whether it is shown
   */
  take(place, from) {
    if (!place || this.isOver) return false;
    this.failures = 0;
    this.heardAt = Date.now();
    if (from === "stream") this.streamedAt = Date.now();
    // Of two instances one may be a moment behind the other: what is older is no news. It may still be the only event
    // that tells of a turn, and the stream does not repeat it: the place is asked for soon.
    const behind = Date.parse(this.place.as_of) - Date.parse(place.as_of);
    if (behind > 0 && behind < BEHIND_MAX_MS) {
      this.later(Math.min(place.poll_after_ms, this.place.poll_after_ms));
      this.listener.onContact("live");
      return false;
    }
    this.later(this.patience(place, from));
    const isLine = place.status === "waiting" && this.place.status === "waiting";
    if (isLine) place = { ...place, ahead: Math.min(place.ahead, this.place.ahead) };
    this.place = place;
    this.isOver = place.status === "ended";
    if (from === "poll" || from === "stream") this.share(place);
    this.listener.onContact("live");
    this.listener.onPlace(place);
    if (this.isOver) this.stop();
    return true;
  }

  /**
   * Tells the other tabs. They need not ask while this one has the stream, also if it has asked beside a silent one.
   * @param {Place} place
   */
  share(place) {
    this.channel?.postMessage({ place, from: this.follows ? "stream" : "poll" });
  }

  /**
   * How long to wait for the next news before asking. Those from a tab that polls are as old as its polls; one that
   * follows the events may be silent for long.
   * @param {Place} place
   * @param {"poll" | "stream" | "tab" | "follower"} from
   */
  patience(place, from) {
    if (this.follows) return SILENCE_MS;
    if (from === "follower") return SILENCE_BESIDE_MS;
    return from === "tab" ? 2 * place.poll_after_ms : place.poll_after_ms;
  }

  stop() {
    window.clearTimeout(this.timer);
    window.clearTimeout(this.streamTimer);
    this.stream?.close();
    this.stream = undefined;
    this.letGo?.(undefined);
  }

  /** @param {number} millis */
  later(millis) {
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => this.ask(), millis);
  }

  /** After sleep, or in a tab that comes to the front. */
  askIfSilent() {
    if (Date.now() - this.heardAt > Math.min(SILENCE_MS, this.place.poll_after_ms)) this.ask();
  }

  /** Asks for the place now. */
  async ask() {
    if (this.isOver || this.isAsking) return;
    this.isAsking = true;
    try {
      const answer = await ask(this.addresses.position);
      if (answer.status === 404) {
        this.listener.onContact("gone");
        this.isOver = true;
        this.stop();
        return;
      }
      if (answer.status === 429) {
        this.later(1_000 * (Number(answer.headers.get("retry-after")) || 2));
        return;
      }
      if (!answer.ok) throw new Error(String(answer.status));
      const place = /** @type {Place} */ (await answer.json());
      const shown = this.place;
      const isSilent = Date.now() - this.streamedAt >= SILENCE_MS;
      const isNews = this.take(place, "poll");
      // A stream that brought nothing though something has changed is dead. How many are ahead it may say later.
      const isLost = place.status !== shown.status || (isSilent && place.ahead !== shown.ahead);
      if (isNews && isLost && this.follows && !this.isOver) this.open();
    } catch {
      this.failures += 1;
      this.listener.onContact(navigator.onLine ? "again" : "offline");
      this.later(retryAfter(this.failures));
    } finally {
      this.isAsking = false;
    }
  }
}

/**
 * @param {unknown} text
 * @returns {Place | undefined}
 */
function read(text) {
  try {
    return /** @type {Place} */ (JSON.parse(String(text)));
  } catch {
    return undefined;
  }
}
