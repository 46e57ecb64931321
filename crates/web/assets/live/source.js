// News from the server: by a stream of events where one works, and by questions where it does not.
//
// The comments that keep a stream open do not reach scripts, so one that is silent may be dead. Whoever follows a stream
// asks after a silence, and beside a stream that does not open.

/** The states of an `EventSource`, which some browsers lack. */
export const OPEN = 1, CLOSED = 2;
/** After this silence the page asks: an event that should have come may be lost, in milliseconds. */
export const SILENCE_MS = 40_000;
/** How long a stream may take to open or to come back before the page asks beside it, in milliseconds. */
export const OPENING_MS = 10_000;
/** A stream that the server refused is tried again after so long, and up to twice that, in milliseconds. */
export const REFUSED_MS = 60_000;
/** A question that is not answered by then has failed, in milliseconds. */
export const ANSWER_MS = 10_000;
/** The first wait after a failed question, in milliseconds. It doubles up to the longest. */
const RETRY_MS = 2_000, RETRY_MAX_MS = 30_000;

/**
 * A wait after failures in a row: doubled each time, and spread, so that all who lost a server do not return at once.
 * @param {number} failures
 * @param {number} [random]
 */
export function retryAfter(failures, random = Math.random()) {
  const longest = Math.min(RETRY_MAX_MS, RETRY_MS * 2 ** Math.max(0, failures - 1));
  return longest / 2 + (longest / 2) * random;
}

/**
 * Ends a request after so long. Browsers that are good enough otherwise lack `AbortSignal.timeout`.
 * @param {number} millis
 * @param {AbortController} [ending]
 */
export function endAfter(millis, ending = new AbortController()) {
  window.setTimeout(() => ending.abort(), millis);
  return ending.signal;
}

/**
 * Asks the server, which has to answer in time, with the whole body.
 * @param {string} address
 * @param {RequestInit} [options]
 * @param {AbortController} [stop] takes the question back
 */
export function ask(address, options = {}, stop = new AbortController()) {
  return fetch(address, { cache: "no-store", ...options, signal: endAfter(ANSWER_MS, stop) });
}

/**
 * What becomes of a stream.
 * @typedef {object} Heard
 * @property {(event: MessageEvent, name: string) => void} event
 * @property {() => void} open
 * @property {() => void} lost the browser tries again by itself, at the moment that the server set
 * @property {() => void} refused the browser has given it up
 */

/** A stream of events. Nothing is heard of it after it was closed. */
export class Stream {
  /**
   * @param {string} address
   * @param {string[]} names of its events
   * @param {Heard} heard
   */
  constructor(address, names, heard) {
    this.isClosed = false;
    this.source = new EventSource(address);
    /** @type {(listener: () => void) => () => void} */
    const whileOpen = (listener) => () => {
      if (!this.isClosed) listener();
    };
    for (const name of names) {
      this.source.addEventListener(name, (event) => {
        if (!this.isClosed) heard.event(event, name);
      });
    }
    this.source.addEventListener("open", whileOpen(heard.open));
    this.source.addEventListener("error", whileOpen(() => {
      if (this.source.readyState === CLOSED) heard.refused();
      else heard.lost();
    }));
  }

  /** Whether the server has answered, as far as the browser knows. */
  get isOpen() {
    return !this.isClosed && this.source.readyState === OPEN;
  }

  close() {
    this.isClosed = true;
    this.source.close();
  }
}
