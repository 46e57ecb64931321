// The screen of a sale: keeps its figures, charts, notes and form up to date. The server wrote all of them once; without
// this script they are those of the moment at which the page was made.

import { charts } from "../../chart/chart.js";
import { rowsOf } from "../../chart/model.js";
import { fill } from "../../words.js";
import { Feed } from "./feed.js";
import { FIELDS, TYPED_MS, previewQuery, settingsOf, takeRoom } from "./form.js";
import { fills, forSale, hour, lookWords, stateWords } from "./view.js";

/** @typedef {import("./view.js").Screen} Screen */
/** @typedef {import("./feed.js").Entry} Entry */
/** @typedef {import("./form.js").Settings} Settings */
/**
 * What the server hands over: addresses, words, the charts, and the moment that the page was made with.
 * @typedef {object} Said
 * @property {{ events: string, history: string, preview: string }} addresses
 * @property {string} zone
 * @property {Record<string, string>} words
 * @property {Record<string, string>} links what to open about something that needs attention, by its code
 * @property {import("../../chart/chart.js").PanelPlan[]} panels
 * @property {import("../../chart/chart.js").ChartWords} chart_words
 * @property {Screen} screen
 */

/** How much time the charts show, in milliseconds. */
const SPAN_MS = 15 * 60 * 1_000;
/** After so long without a moment the page says that it is old, in milliseconds. */
const OLD_MS = 5_000;
/** A form that was sent and led nowhere in this time, in milliseconds, is not believed to lead anywhere any more. */
const SENT_MS = 30_000;
/** How many entries of the audit log are shown. */
const ENTRIES = 50;
/** By how much the estimate of the server's clock gives way with each moment, in milliseconds: clocks drift. */
const DRIFT_MS = 20;

/**
 * @param {Element | null | undefined} element
 * @param {string} text
 */
function write(element, text) {
  if (element && element.textContent !== text) element.textContent = text;
}

/**
 * @param {string} name
 * @param {{ className?: string, text?: string }} [more]
 * @param {(Node | string)[]} children
 */
function make(name, { className = "", text = "" } = {}, ...children) {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (text) element.textContent = text;
  element.append(...children);
  return element;
}

class Desk {
  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = root;
    this.said = /** @type {Said} */ (JSON.parse(root.dataset["desk"] ?? "{}"));
    this.words = this.said.words;
    this.lang = document.documentElement.lang;
    this.manner = { lang: this.lang, zone: this.said.zone, words: this.words };
    this.screen = this.said.screen;
    this.heardAt = Date.now();
    this.offset = Date.parse(this.screen.at) - Date.now();
    /** @type {import("./feed.js").Contact} */
    this.contact = "live";
    this.title = document.title;
    /** What needed attention at the last moment. @type {Set<string> | undefined} */
    this.looks = undefined;
    /** @type {Set<number>} */
    this.entries = new Set();
    for (const item of root.querySelectorAll("[data-entry]")) this.entries.add(Number(item.getAttribute("data-entry")));
    /** @type {number | undefined} */
    this.timer = undefined;
    this.asked = 0;
    const form = root.querySelector("form#room");
    this.form = form instanceof HTMLFormElement ? form : undefined;
    this.isSent = false;
    const { zone } = this.said;
    const place = root.querySelector("#charts");
    this.charts = place instanceof HTMLElement ? charts(place, {
      panels: this.said.panels,
      words: this.said.chart_words,
      lang: this.lang,
      span: SPAN_MS,
      time: (at, step) => hour(at, zone, step !== undefined && step >= 60_000 ? "minute" : "second"),
    }) : undefined;
  }

  start() {
    this.root.classList.add("live");
    this.#listen();
    this.show(this.screen);
    const feed = new Feed(this.said.addresses, {
      screen: (screen) => {
        this.heardAt = Date.now();
        this.show(screen);
      },
      audit: (entries) => this.addEntries(entries),
      columns: (columns) => this.charts?.put(rowsOf(columns)),
      contact: (contact) => this.touch(contact),
    });
    void feed.start();
    // A page that rests does not know how many troubles there are.
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) document.title = this.title;
    });
    window.setInterval(() => {
      if (!document.hidden) this.tick();
    }, 1_000);
  }

  /** The server's time, in milliseconds. */
  get now() {
    return Date.now() + this.offset;
  }

  /** @param {string} name */
  part(name) {
    return this.root.querySelector(`[data-part="${name}"]`);
  }

  /** @param {Screen} screen */
  show(screen) {
    // An answer may be overtaken by an event.
    if (Date.parse(screen.at) < Date.parse(this.screen.at)) return;
    const isOther = screen.room.version !== this.screen.room.version;
    this.screen = screen;
    // The least delayed moment says best what time it is.
    this.offset = Math.max(Date.parse(screen.at) - Date.now(), this.offset - DRIFT_MS);
    for (const [name, text] of Object.entries(fills(screen, this.manner))) {
      for (const place of this.root.querySelectorAll(`[data-fill="${name}"]`)) write(place, text);
    }
    this.showGrades(screen);
    this.showLooks(screen);
    this.showInstances(screen);
    const paused = this.part("paused");
    if (paused instanceof HTMLElement) paused.hidden = screen.room.gate === "open";
    const ownOnly = this.part("own-only");
    if (ownOnly instanceof HTMLElement) ownOnly.hidden = !screen.own_only;
    this.showOld("seats", screen.old_seats);
    this.showOld("line", screen.old_line);
    this.takeRoom(screen.room);
    if (isOther && this.form) this.#askPreview();
    this.charts?.put(screen.seconds);
    this.tick();
  }

  /**
   * Says of a part that its numbers are old.
   * @param {"seats" | "line"} name
   * @param {string | null} since
   */
  showOld(name, since) {
    const place = this.part(`old-${name}`);
    if (!(place instanceof HTMLElement)) return;
    place.hidden = since === null;
    write(place, since === null ? "" : fill(this.words[`old_${name}`], { when: hour(since, this.said.zone) }));
  }

  /** What changes with the time alone. */
  tick() {
    const { screen, words } = this;
    write(this.root.querySelector('[data-fill="state"]'), stateWords(screen, this.manner, this.now));
    for (const item of this.root.querySelectorAll("[data-look]")) {
      const look = screen.attention[Number(item.getAttribute("data-look"))];
      if (look) write(item.querySelector(".since"), lookWords(look, this.manner, this.now).since);
    }
    const contact = this.part("contact");
    if (!(contact instanceof HTMLElement)) return;
    const isOld = this.contact !== "live" || Date.now() - this.heardAt > OLD_MS;
    write(contact, isOld ? fill(words["old"], { when: hour(screen.at, this.said.zone) }) : (words["live"] ?? ""));
    contact.classList.toggle("bad", isOld);
    this.root.classList.toggle("old", isOld);
  }

  /** @param {import("./feed.js").Contact} contact */
  touch(contact) {
    // The session has ended, or may see this no more: the server says which.
    if (contact === "out") window.location.reload();
    if (contact === this.contact) return;
    this.contact = contact;
    this.tick();
  }

  /** @param {Screen} screen */
  showGrades({ grades }) {
    const list = this.part("grades");
    if (!list) return;
    const names = grades.map(({ name, mark, look }) => `${name}\n${mark}\n${look}`).join("\n");
    if (list.getAttribute("data-written") !== names) {
      list.setAttribute("data-written", names);
      list.replaceChildren(...grades.map((grade) => this.#gradeItem(grade)));
    }
    grades.forEach((grade, index) => {
      const item = list.children[index];
      if (!item) return;
      const numbers = { sold: grade.sold.toLocaleString(this.lang), seats: forSale(grade).toLocaleString(this.lang) };
      write(item.querySelector(".count"), fill(this.words["grade"], numbers));
      const held = { held: grade.held.toLocaleString(this.lang), free: grade.available.toLocaleString(this.lang) };
      write(item.querySelector("small"), fill(this.words["held"], held));
      const bar = item.querySelector("progress");
      if (bar) [bar.max, bar.value] = [Math.max(1, forSale(grade)), grade.sold];
    });
  }

  /** @param {import("./view.js").Grade} grade */
  #gradeItem({ name, mark, look }) {
    const shown = name || (this.words["no_grade"] ?? "");
    const sign = make("b", { text: mark });
    sign.setAttribute("aria-hidden", "true");
    const bar = make("progress");
    bar.setAttribute("aria-label", shown);
    const count = make("span", { className: "count" });
    return make("li", {}, make("span", { className: `grade ${look}` }, sign, ` ${shown}`), " ", count, " ", bar, make("small", { className: "soft" }));
  }

  /** @param {Screen} screen */
  showLooks({ attention }) {
    const list = this.part("looks");
    if (!list) return;
    const keyOf = (/** @type {import("./view.js").Look} */ look) => `${look.code} ${look.values["instance"] ?? look.values["consumer"] ?? ""}`;
    const keys = attention.map(keyOf);
    const items = attention.map((look, index) => {
      const { what, todo, since } = lookWords(look, this.manner, this.now);
      const item = make("li", { className: look.level }, make("b", { text: what }));
      item.dataset["look"] = String(index);
      item.append(make("span", { className: "since soft small", text: since }));
      const more = make("span", { className: "small", text: todo });
      const link = this.said.links[look.code];
      if (link) {
        const anchor = make("a", { text: this.words["look_open"] ?? "" });
        anchor.setAttribute("href", link);
        more.append(" ", anchor);
      }
      item.append(more);
      return item;
    });
    const fine = make("li", { className: "fine", text: this.words["look_none"] ?? "" });
    const all = items.length > 0 ? items : [fine];
    // What has the focus or is being read stays if nothing but the time has changed.
    const written = all.map((item) => [...item.querySelectorAll("b, .small:not(.since)")].map((one) => one.textContent).join(" ") + item.className).join("\n");
    if (list.getAttribute("data-written") !== written) {
      list.setAttribute("data-written", written);
      list.replaceChildren(...all);
    }
    const known = this.looks;
    const news = attention.filter((look) => known && !known.has(keyOf(look)));
    if (news.length > 0) this.say(news.map((look) => lookWords(look, this.manner, this.now).what).join(". "));
    this.looks = new Set(keys);
    const title = attention.length > 0 ? `(${attention.length}) ${this.title}` : this.title;
    if (document.title !== title) document.title = title;
  }

  /** @param {Screen} screen */
  showInstances({ instances }) {
    const list = this.part("instances");
    if (!list) return;
    const items = instances.map(({ name, version, state, code }) => {
      const text = fill(this.words[`instance_${state}`], { code });
      const words = make("span", { className: "small soft", text: `${version} · ${text}` });
      return make("li", { className: state === "ok" ? "fine" : "bad" }, make("b", { text: name }), " ", words);
    });
    const written = items.map((item) => `${item.className} ${item.textContent}`).join("\n");
    if (list.getAttribute("data-written") === written) return;
    list.setAttribute("data-written", written);
    list.replaceChildren(...items);
  }

  /** @param {Entry[]} entries oldest first */
  addEntries(entries) {
    const list = this.part("entries");
    for (const entry of entries) {
      if (entry.mark) this.charts?.mark(entry.at, entry.mark);
      if (this.entries.has(entry.id) || !list) continue;
      this.entries.add(entry.id);
      const time = make("time", { text: entry.when });
      time.setAttribute("datetime", new Date(entry.at).toISOString());
      const item = make("li", {}, time, " ", make("b", { text: entry.who }), " ", make("span", { text: entry.what }));
      if (entry.reason) item.append(" ", make("q", { text: entry.reason }));
      item.dataset["entry"] = String(entry.id);
      list.querySelector("li:not([data-entry])")?.remove();
      // An entry of another instance may come after a later one.
      const rest = [...list.children].find((other) => Number(other.getAttribute("data-entry")) < entry.id);
      list.insertBefore(item, rest ?? null);
      if (entry.mark) this.say(`${entry.who} ${entry.what}`);
    }
    while (list && list.children.length > ENTRIES) list.lastElementChild?.remove();
  }

  /** @param {string} text */
  say(text) {
    write(this.part("said"), text);
  }

  // The form.

  /** @param {string} name */
  field(name) {
    const field = this.form?.elements.namedItem(name);
    return field instanceof HTMLInputElement || field instanceof HTMLTextAreaElement ? field : undefined;
  }

  /** What the fields have, or what they had. @param {"" | "was_"} start */
  settings(start = "") {
    const values = FIELDS.map((name) => [name, (this.field(start + name)?.value ?? "").replaceAll("\r\n", "\n")]);
    return /** @type {Settings} */ (Object.fromEntries(values));
  }

  /** @param {import("./view.js").Room} room */
  takeRoom(room) {
    const version = this.field("version");
    // A form that is sent twice in a row is the same both times.
    if (!this.form || !version || this.isSent) return;
    const focused = document.activeElement;
    const busy = FIELDS.find((name) => this.field(name) === focused && document.hasFocus());
    const next = takeRoom({ typed: this.settings(), was: this.settings("was_"), version: version.value, busy }, room);
    version.value = next.version;
    const now = settingsOf(room);
    for (const name of FIELDS) {
      const [field, was] = [this.field(name), this.field(`was_${name}`)];
      if (field && field.value !== next.typed[name] && busy !== name) field.value = next.typed[name];
      if (was) was.value = next.was[name];
      const isClash = next.clashes.includes(name);
      const value = now[name] || (this.words["nothing"] ?? "");
      write(this.root.querySelector(`[data-clash="${name}"]`), isClash ? fill(this.words["clash"], { value }) : "");
    }
    // A button stays where it is and what it is. One that has the focus keeps it: the server says that it is so already.
    const act = room.gate === "open" ? "pause" : "open";
    for (const gate of this.root.querySelectorAll("button.gate")) {
      if (gate instanceof HTMLButtonElement) gate.disabled = gate.value !== act && gate !== focused;
    }
    this.showMessage();
  }

  /** The message as those in line will see it. */
  showMessage() {
    const seen = this.part("message");
    const text = this.field("message")?.value.trim() ?? "";
    if (!(seen instanceof HTMLElement)) return;
    seen.hidden = text === "";
    write(seen.querySelector("span"), text);
  }

  #listen() {
    if (!this.form) return;
    this.form.addEventListener("submit", () => {
      this.isSent = true;
      window.setTimeout(() => {
        this.isSent = false;
      }, SENT_MS);
    });
    window.addEventListener("pageshow", () => {
      this.isSent = false;
    });
    this.form.addEventListener("input", () => {
      this.showMessage();
      this.#askPreview();
    });
  }

  /** Shows the effect of what was typed, once nothing more was typed for a while. */
  #askPreview() {
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(async () => {
      const query = previewQuery(this.settings(), this.settings("was_"));
      const number = (this.asked += 1);
      const text = query === undefined ? "" : await this.preview(query);
      // What was typed since has a preview of its own.
      if (number === this.asked && text !== undefined) write(this.part("preview"), text);
    }, TYPED_MS);
  }

  /**
   * The effect of other settings, in words; none if the server does not say.
   * @param {string} query
   */
  async preview(query) {
    try {
      const answer = await fetch(`${this.said.addresses.preview}?${query}`, { cache: "no-store" });
      if (!answer.ok) return "";
      return /** @type {{ text: string }} */ (await answer.json()).text;
    } catch {
      return undefined;
    }
  }
}

const root = document.querySelector("#desk");
if (root instanceof HTMLElement) new Desk(root).start();
