// The waiting page, kept up to date. The server writes every scene and every word; this puts the numbers in and changes
// the scene.

import { clock } from "../tray.js";
import { Alarm } from "./alarm.js";
import { Live } from "./live.js";

/** @typedef {import("./live.js").Place} Place */
/** @typedef {import("./live.js").Contact} Contact */

/**
 * What the server says of the page.
 * @typedef {object} Said
 * @property {string} position
 * @property {string} events
 * @property {string} page
 * @property {string} zone
 * @property {number | null} from
 * @property {Place} place
 * @property {Record<string, string>} words
 */

/** The place is read out this often at most, in milliseconds. */
const READ_OUT_MS = 30_000;
/** After this long without news the page says how long ago it checked, in milliseconds. */
const RECENT_MS = 10_000;
/** The rest of the page, such as the seats that are left, is fetched again after so long and up to twice that. */
const REST_MS = 90_000;
const BAR_MAX = 1_000;

/**
 * The wait in words.
 * @param {Place["estimated_wait"]} wait
 * @param {Record<string, string>} words
 * @returns {string}
 */
export function waitWords(wait, words) {
  if (!wait.known) return words[wait.reason ?? "measuring"] ?? "";
  const p50 = wait.p50_seconds ?? 0;
  const p90 = wait.p90_seconds ?? 0;
  if (p90 <= 60) return words["soon"] ?? "";
  const [unit, name] = p90 <= 5_400 ? [60, "minutes"] : [3_600, "hours"];
  const from = Math.max(1, Math.floor(p50 / unit));
  const to = Math.max(from, Math.ceil(p90 / unit));
  if (from === to) return fill(words[name], { n: from });
  return fill(words[`${name}_range`], { from, to });
}

/**
 * How much of the line has passed by, as the server reckons it.
 * @param {Place} place
 * @param {number | null} from
 */
export function barOf(place, from) {
  const before = Math.max(0, place.position - 1);
  const start = Math.max(Math.min(from ?? before, before), place.ahead);
  return start === 0 ? BAR_MAX : Math.floor(((start - place.ahead) * BAR_MAX) / start);
}

/**
 * The name of the scene of a place.
 * @param {Place} place
 */
export function sceneOf(place) {
  if (place.status !== "ended") return place.status;
  return place.end_reason ? `ended-${place.end_reason}` : "ended";
}

/**
 * @param {string | undefined} text
 * @param {Record<string, string | number>} values
 */
function fill(text, values) {
  return (text ?? "").replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

class Page {
  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = root;
    this.said = /** @type {Said} */ (JSON.parse(root.dataset["line"] ?? "{}"));
    this.words = this.said.words;
    this.place = this.said.place;
    this.lang = document.documentElement.lang;
    this.alarm = new Alarm();
    this.suffix = document.title.split(" · ").slice(1).join(" · ");
    this.readOutAt = Date.now();
    this.heardAt = Date.now();
    /** @type {Contact} */
    this.contact = "live";
    this.loaded = { clock: Date.now(), since: performance.now() };
    this.asked = false;
    this.live = new Live(this.said, this.place, {
      onPlace: (place) => this.show(place),
      onContact: (contact) => this.touch(contact),
    });
  }

  /** @param {string} name */
  part(name) {
    return /** @type {HTMLElement | null} */ (this.root.querySelector(`[data-part="${name}"]`));
  }

  start() {
    this.bar = this.keptBar();
    this.showBar();
    this.live.start();
    this.tick();
    window.setInterval(() => this.tick(), 250);
    document.addEventListener("visibilitychange", () => this.attend());
    this.attend();
    this.renewRest();
    this.again();
    const button = this.part("alarm");
    if (!(button instanceof HTMLButtonElement)) return;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const isWhole = await this.alarm.turnOn();
      const said = this.part("alarm-said");
      if (said) said.textContent = this.words[isWhole ? "alarm_on" : "alarm_silent"] ?? "";
      button.hidden = true;
    });
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
    if (place.deadline !== before.deadline) this.asked = false;
    if (sceneOf(place) !== sceneOf(before)) this.change(place);
    this.put();
    this.readOut();
    const isOther = place.estimated_wait.reason !== before.estimated_wait.reason && !place.estimated_wait.known;
    if (isOther) void this.fetchRest();
  }

  /**
   * Puts another scene on the page.
   * @param {Place} place
   */
  change(place) {
    const name = sceneOf(place);
    const next = this.root.querySelector(`template[data-scene="${name}"]`);
    const scene = this.part("scene");
    if (!(next instanceof HTMLTemplateElement) || !scene) {
      window.location.replace(this.said.page);
      return;
    }
    scene.replaceChildren(next.content.cloneNode(true));
    scene.dataset["scene"] = name;
    this.attend();
    const title = scene.querySelector(".headline")?.textContent?.trim() ?? "";
    if (name === "offered") {
      const alert = this.part("alert");
      if (alert) alert.textContent = this.words["said_turn"] ?? "";
      this.alarm.call(this.words["tab_turn"] ?? "", this.suffix);
      void this.fetchRest();
    } else if (name !== "waiting") {
      this.readOutNow(title);
    }
    if (place.status === "ended") {
      for (const rest of ["seen", "facts", "message"]) this.part(rest)?.remove();
      // The page of a place that has ended has other buttons, and says what the sale does.
      void this.fetchRest();
    }
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
    write("unit", words[new Intl.PluralRules(this.lang).select(place.ahead) === "one" ? "unit_one" : "unit_other"] ?? "");
    write("wait", waitWords(place.estimated_wait, words));
    write("total", this.number(place.total_waiting));
    if (place.deadline) write("until", this.hour(place.deadline));
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
    this.bar = Math.max(this.bar ?? 0, this.place.status === "waiting" ? barOf(this.place, this.said.from) : 0);
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
    this.contact = contact;
    if (contact === "live") this.heardAt = Date.now();
    this.tick();
  }

  /** What changes with the time alone. */
  tick() {
    const { place, words } = this;
    const seen = this.part("seen");
    if (seen) {
      const seconds = Math.floor((Date.now() - this.heardAt) / 1_000);
      let state = /** @type {string} */ (this.contact);
      if (state === "live" && place.stale) state = "stale";
      let text = words[state === "live" ? "now" : state] ?? "";
      if (state === "live" && !this.live.follows && seconds * 1_000 > RECENT_MS) text = fill(words["ago"], { n: seconds });
      if (seen.textContent !== text) seen.textContent = text;
      if (seen.dataset["contact"] !== state) seen.dataset["contact"] = state;
    }
    const face = this.root.querySelector('[data-fill="clock"]');
    if (face && place.deadline) {
      // One of the two stands still while the device sleeps, or jumps with its clock: the later is right or too careful.
      const elapsed = Math.max(Date.now() - this.loaded.clock, performance.now() - this.loaded.since);
      const left = (Date.parse(place.deadline) - Date.parse(place.as_of) - elapsed) / 1_000;
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
      const scene = this.part("scene");
      const shown = scene?.querySelector(place.status === "waiting" ? ".next" : ".headline");
      first = shown?.textContent?.trim() ?? first;
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

  /** After a claim that found the room full, the same button once more: the person has pressed it already. */
  again() {
    const after = Number(this.root.querySelector("[data-again]")?.getAttribute("data-again"));
    if (!after) return;
    window.setTimeout(() => {
      if (this.place.status === "offered") this.part("scene")?.querySelector("form")?.requestSubmit();
    }, after * (1 + Math.random()));
  }

  renewRest() {
    const soon = REST_MS * (1 + Math.random());
    window.setTimeout(() => {
      if (document.visibilityState === "visible") void this.fetchRest();
      if (this.place.status !== "ended") this.renewRest();
    }, soon);
  }

  /** Fetches the parts of the page that no event brings: what the sale does, and what is left of it. */
  async fetchRest() {
    try {
      const answer = await fetch(this.said.page, { cache: "no-store", headers: { accept: "text/html" } });
      if (!answer.ok) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const name of ["warning", "facts"]) {
        const part = fresh.querySelector(`[data-part="${name}"]`);
        if (part) this.part(name)?.replaceChildren(...part.childNodes);
      }
    } catch {
      // The next time.
    }
  }

  /** @param {number} value */
  number(value) {
    return value.toLocaleString(this.lang);
  }

  /** @param {string} moment */
  hour(moment) {
    const parts = { hour: "numeric", minute: "2-digit", second: "2-digit", hour12: true, timeZone: this.said.zone };
    const text = new Intl.DateTimeFormat(this.lang, /** @type {Intl.DateTimeFormatOptions} */ (parts));
    return text.format(new Date(moment)).toLowerCase();
  }
}

if (typeof document !== "undefined") {
  const root = document.querySelector("#line");
  if (root instanceof HTMLElement) new Page(root).start();
}
