// The waiting page, kept up to date. The server writes every scene and every word; this puts the numbers in and changes
// the scene.

import { tellWhenClosed } from "../live/away.js";
import { SILENCE_MS } from "../live/source.js";
import { clock } from "../tray.js";
import { fill } from "../words.js";
import { Alarm } from "./alarm.js";
import { Live } from "./live.js";
import { SaleWatch } from "./sale.js";
import { hourWords, isSingular, momentWords, outlookWords, seatsWords, waitWords, warningWords } from "./words.js";

/** @typedef {import("./live.js").Place} Place */
/** @typedef {import("./live.js").Contact} Contact */
/** @typedef {import("./sale.js").Sale} Sale */
/** @typedef {import("./words.js").SaleWords} SaleWords */

/**
 * What the server says of the page.
 * @typedef {object} Said
 * @property {string} position
 * @property {string} events
 * @property {string} page
 * @property {string} zone
 * @property {string | null} [concert] absent if the page is of a version before, as the next two
 * @property {Sale | null} [sale]
 * @property {SaleWords[]} [sales]
 * @property {Place} place
 * @property {Record<string, string>} words
 */

/** The place is read out this often at most, in milliseconds. */
const READ_OUT_MS = 30_000;
/** After this long without news the page says how long ago it checked, in milliseconds. */
const RECENT_MS = 10_000;
/** After a longer silence the device has slept, or the events stopped without a word, in milliseconds. */
const ASLEEP_MS = SILENCE_MS + 15_000;
/** Contact that is lost for longer is read out, in milliseconds. */
const LOST_MS = 5_000;
/**
 * The place of a renewed line is opened again after so long, and for each who waits a moment longer at most: all of its
 * pages do so.
 */
const REOPEN_MS = 3_000, REOPEN_EACH_MS = 5, REOPEN_MAX_MS = 60_000;
/** A text that was emptied is set so much later: only then a reader takes it for a new one, in milliseconds. */
const ALERT_MS = 150;
const BAR_MAX = 1_000;

/**
 * How much of the line has passed by, as the server reckons it.
 * @param {Place} place
 */
export function barOf(place) {
  const start = Math.max(0, place.ahead_at_start ?? place.position - 1, place.ahead);
  return start === 0 ? BAR_MAX : Math.floor(((start - place.ahead) * BAR_MAX) / start);
}

/**
 * The name of the scene of a place.
 * @param {Place} place
 */
export function sceneOf(place) {
  const { known, reason } = place.estimated_wait;
  if (place.status === "waiting" && !known && (reason === "in_lobby" || reason === "drawing")) return "lobby";
  if (place.status === "offered" && place.last_turn) return "offered-last";
  if (place.status !== "ended") return place.status;
  return place.end_reason ? `ended-${place.end_reason}` : "ended";
}

/**
 * The moment to which the clock of a place counts.
 * @param {Place} place
 */
export function untilOf(place) {
  return (place.status === "active" && place.hold_until) || place.deadline;
}

/**
 * Whether a token in this place has something to give back if its page is closed: a turn, or one to come.
 * @param {Place} place
 */
export function hasMore(place) {
  return place.status === "waiting" || place.status === "offered" || place.status === "active";
}

class Page {
  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = root;
    this.said = /** @type {Said} */ (JSON.parse(root.dataset["line"] ?? "{}"));
    this.words = this.said.words;
    this.place = this.said.place;
    this.sale = this.said.sale ?? null;
    this.sales = this.said.sales ?? [];
    this.lang = document.documentElement.lang;
    this.alarm = new Alarm((reach) => this.sayAlarm(reach));
    this.suffix = document.title.split(" · ").slice(1).join(" · ");
    this.readOutAt = Date.now();
    this.heardAt = Date.now();
    /** @type {Contact} */
    this.contact = "live";
    /** When the contact was last as it should be, and whether it was read out since that it is not. */
    this.soundAt = Date.now();
    this.isLostSaid = false;
    /** The last news after whose silence the place was asked for. */
    this.askedFor = 0;
    this.loaded = { clock: Date.now(), since: performance.now() };
    this.asked = false;
    this.live = new Live(this.said, this.place, {
      onPlace: (place) => this.show(place),
      onContact: (contact) => this.touch(contact),
    });
    if (this.said.concert) this.watch = new SaleWatch(this.said.concert, (sale) => this.showSale(sale));
  }

  /** @param {string} name */
  part(name) {
    return /** @type {HTMLElement | null} */ (this.root.querySelector(`[data-part="${name}"]`));
  }

  start() {
    this.bar = this.keptBar();
    this.showBar();
    // A claim that found the room full is not to be repeated by a reload.
    const isClaim = new URLSearchParams(window.location.search).has("claim");
    if (isClaim) window.history.replaceState(null, "", this.said.page);
    this.live.start();
    tellWhenClosed(this.said.position, () => hasMore(this.place));
    if (this.place.status !== "ended") this.watch?.start();
    this.tick();
    window.setInterval(() => this.tick(), 250);
    document.addEventListener("visibilitychange", () => this.attend());
    this.attend();
    this.again();
    const button = this.part("alarm");
    if (!(button instanceof HTMLButtonElement)) return;
    button.hidden = false;
    button.addEventListener("click", async () => {
      this.sayAlarm(await this.alarm.turnOn(this.words["tab_turn"] ?? ""));
    });
  }

  /** @param {import("./alarm.js").Reach} reach */
  sayAlarm(reach) {
    const [button, said] = [this.part("alarm"), this.part("alarm-said")];
    if (said) said.textContent = this.words[`alarm_${reach}`] ?? "";
    if (button) button.hidden = true;
  }

  attend() {
    if (this.place.status === "waiting" || this.place.status === "offered") void this.alarm.stayAwake();
    else this.alarm.rest();
  }

  /** @param {Place} place */
  show(place) {
    const before = this.place;
    this.place = place;
    this.heardAt = Date.now();
    this.loaded = { clock: Date.now(), since: performance.now() };
    if (untilOf(place) !== untilOf(before)) this.asked = false;
    const isOtherScene = sceneOf(place) !== sceneOf(before);
    const isSoldOut = place.outlook === "sold_out" && before.outlook !== "sold_out";
    const isOtherReason = place.estimated_wait.reason !== before.estimated_wait.reason && !place.estimated_wait.known;
    if (isOtherScene) this.change(place, before);
    this.put();
    // At once: a clock that was filled in later would push away the button that is being pressed.
    this.tick();
    const news = [];
    if (isOtherScene && place.status !== "waiting" && place.status !== "offered") news.push(this.title());
    if (isOtherReason && place.status === "waiting") news.push(this.wait());
    if (isSoldOut) news.push(outlookWords(place.outlook, this.words));
    if (place.message && place.message !== before.message) news.push(`${this.words["message"]}: ${place.message}`);
    if (news.length > 0) this.readOutNow(news.join(" "));
    else this.readOut();
    if (place.status === "ended") this.watch?.askLast();
    else if (isOtherScene || isOtherReason || isSoldOut) this.watch?.askSoon();
  }

  /**
   * Shows what the sale does now, and what is left of it.
   * @param {Sale} sale
   */
  showSale(sale) {
    const before = warningWords(this.sale, this.sales)?.title;
    this.sale = sale;
    const warning = warningWords(sale, this.sales);
    const part = this.part("warning");
    if (part && warning) {
      const notice = document.createElement("p");
      notice.className = "notice wrong";
      const title = document.createElement("b");
      title.textContent = warning.title;
      notice.append(title, document.createElement("br"), warning.text);
      part.replaceChildren(notice);
    } else {
      part?.replaceChildren();
    }
    this.put();
    if (warning && warning.title !== before) this.readOutNow(`${warning.title}. ${warning.text}`);
  }

  /**
   * Puts another scene on the page.
   * @param {Place} place
   * @param {Place} before
   */
  change(place, before) {
    const name = sceneOf(place);
    const next = this.template(name) ?? this.template(place.status);
    const scene = this.part("scene");
    if (!(next instanceof HTMLTemplateElement) || !scene) {
      window.location.replace(this.said.page);
      return;
    }
    scene.replaceChildren(next.content.cloneNode(true));
    scene.dataset["scene"] = name;
    this.attend();
    const alert = this.part("alert");
    if (alert) alert.textContent = "";
    if (place.status === "offered" && before.status !== "offered") {
      window.setTimeout(() => {
        if (alert && this.place.status === "offered") alert.textContent = this.words["said_turn"] ?? "";
      }, ALERT_MS);
      this.alarm.call(this.words["tab_turn"] ?? "", this.suffix);
    }
    if (place.status === "ended") {
      for (const rest of ["seen", "facts", "message"]) this.part(rest)?.remove();
    }
  }

  /** @param {string} name */
  template(name) {
    return this.root.querySelector(`template[data-scene="${name}"]`);
  }

  /** What the scene says first. */
  title() {
    const shown = this.part("scene")?.querySelector(this.place.status === "waiting" ? ".next" : ".headline");
    return shown?.textContent?.trim() ?? "";
  }

  /** The likely wait, or why there is none. */
  wait() {
    const { sale } = this;
    const opens = sale ? momentWords(sale.opens_at, this.lang, this.said.zone) : "";
    return waitWords(this.place.estimated_wait, this.words, { isSoldOut: sale?.sale_state === "sold_out", opens });
  }

  /** Puts the numbers of the place into its scene. */
  put() {
    const { place, words } = this;
    const scene = this.part("scene");
    if (!scene) return;
    /** @type {(name: string, text: string) => void} */
    const write = (name, text) => {
      for (const found of this.root.querySelectorAll(`[data-fill="${name}"]`)) {
        if (found.textContent !== text) found.textContent = text;
      }
    };
    write("ahead", this.number(place.ahead));
    write("unit", words[isSingular(place.ahead, this.lang) ? "unit_one" : "unit_other"] ?? "");
    write("wait", this.wait());
    write("outlook", outlookWords(place.outlook, words));
    write("total", this.number(place.total_waiting));
    write("position", this.number(place.position));
    const seats = this.sale ? seatsWords(this.sale, this.sales, { one: words["seats_one"], lang: this.lang }) : "";
    if (seats) write("seats", seats);
    const until = untilOf(place);
    if (until) write("until", hourWords(until, this.lang, this.said.zone));
    const isNext = place.ahead === 0;
    for (const part of scene.querySelectorAll("[data-when]")) {
      if (part instanceof HTMLElement) part.hidden = (part.dataset["when"] === "next") !== isNext;
    }
    this.showBar();
    const message = this.part("message");
    const text = message?.querySelector("span");
    if (message && text) {
      message.hidden = !place.message;
      if (text.textContent !== (place.message ?? "")) text.textContent = place.message ?? "";
    }
  }

  /** The furthest that this bar has been, in this tab. */
  keptBar() {
    try {
      return Number(window.sessionStorage.getItem(this.said.position)) || 0;
    } catch {
      return 0;
    }
  }

  showBar() {
    this.bar = Math.max(this.bar ?? 0, this.place.status === "waiting" ? barOf(this.place) : 0);
    const bar = this.root.querySelector("progress");
    if (bar) bar.value = this.bar;
    try {
      window.sessionStorage.setItem(this.said.position, String(this.bar));
    } catch {
      // Then a reload may show it as the server reckons it.
    }
  }

  /** @param {Contact} contact */
  touch(contact) {
    const isGone = contact === "gone" && this.contact !== "gone";
    this.contact = contact;
    if (contact === "live") this.heardAt = Date.now();
    this.tick();
    // The line was renewed: its places are the same, and each has another address now.
    if (isGone) {
      const spread = Math.min(REOPEN_MAX_MS, REOPEN_MS + REOPEN_EACH_MS * this.place.total_waiting);
      window.setTimeout(() => window.location.replace(this.said.page), REOPEN_MS + spread * Math.random());
    }
  }

  /** What changes with the time alone. */
  tick() {
    const { place, words } = this;
    const seen = this.part("seen");
    if (seen) {
      const silence = Date.now() - this.heardAt;
      const isAsleep = this.contact === "live" && silence > ASLEEP_MS;
      let state = /** @type {string} */ (this.contact);
      if (state === "live" && place.stale) state = "stale";
      let text = words[state === "live" ? "now" : state] ?? "";
      // A stream seems open for long after its connection was lost in sleep.
      if (state === "live" && (isAsleep || (!this.live.follows && silence > RECENT_MS))) {
        text = fill(words["ago"], { n: Math.floor(silence / 1_000) });
      }
      if (seen.textContent !== text) seen.textContent = text;
      if (seen.dataset["contact"] !== state) seen.dataset["contact"] = state;
      this.readContact(state, text);
      if (isAsleep && this.askedFor !== this.heardAt) {
        this.askedFor = this.heardAt;
        void this.live.ask();
      }
    }
    const face = this.root.querySelector('[data-fill="clock"]');
    const until = untilOf(place);
    if (face && until) {
      // One of the two stands still while the device sleeps, or jumps with its clock: the later is right or too careful.
      const elapsed = Math.max(Date.now() - this.loaded.clock, performance.now() - this.loaded.since);
      const left = (Date.parse(until) - Date.parse(place.as_of) - elapsed) / 1_000;
      const text = clock(left);
      if (face.textContent !== text) face.textContent = text;
      if (left <= 0 && !this.asked) {
        this.asked = true;
        void this.live.ask();
      }
    }
    this.name();
  }

  /** The title in the browser's tab. */
  name() {
    const { place, words } = this;
    let first = document.title.split(" · ")[0] ?? "";
    if (place.status === "offered") {
      const isHidden = document.visibilityState !== "visible";
      const blinks = isHidden && !window.matchMedia("(prefers-reduced-motion: reduce)").matches;
      first = `${blinks && Math.floor(Date.now() / 1_000) % 2 === 0 ? "● " : ""}${words["tab_turn"] ?? ""}`;
    } else if (place.status === "waiting" && place.ahead > 0) {
      first = fill(words["tab_ahead"], { n: this.number(place.ahead) });
    } else {
      first = this.title() || first;
    }
    const title = `${first} · ${this.suffix}`;
    if (document.title !== title) document.title = title;
  }

  readOut() {
    if (this.place.status !== "waiting" || Date.now() - this.readOutAt < READ_OUT_MS) return;
    this.readOutNow(fill(this.words["said_ahead"], { n: this.number(this.place.ahead) }));
  }

  /** @param {string} text */
  readOutNow(text) {
    const said = this.part("said");
    if (!said || said.textContent === text) return;
    this.readOutAt = Date.now();
    said.textContent = text;
  }

  /**
   * Reads out that the contact is lost, once it has been for a while, and that it is back.
   * @param {string} state
   * @param {string} text
   */
  readContact(state, text) {
    const isSound = state === "live";
    if (isSound) this.soundAt = Date.now();
    const isLost = Date.now() - this.soundAt > LOST_MS;
    if (isLost === this.isLostSaid) return;
    this.isLostSaid = isLost;
    this.readOutNow(text);
  }

  /** After a claim that found the room full, the same button once more: the person has pressed it already. */
  again() {
    const after = Number(this.root.querySelector("[data-again]")?.getAttribute("data-again"));
    if (!after) return;
    window.setTimeout(() => {
      if (this.place.status === "offered") this.part("scene")?.querySelector("form")?.requestSubmit();
    }, after * (1 + Math.random()));
  }

  /** @param {number} value */
  number(value) {
    return value.toLocaleString(this.lang);
  }
}

if (typeof document !== "undefined") {
  const root = document.querySelector("#line");
  if (root instanceof HTMLElement) new Page(root).start();
}
