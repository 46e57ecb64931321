// The screen of a sale in words and figures. The server writes the words; the same figures are put into them here.

import { fill } from "../../words.js";

/**
 * How many seats are in which state.
 * @typedef {{ available: number, held: number, sold: number, blocked: number }} Seats
 */
/** @typedef {Seats & { name: string, mark: string, look: string }} Grade `look` is the class of its colour */
/**
 * What needs attention: its code, how urgent it is, since when, and its numbers and names.
 * @typedef {{ code: string, level: "look" | "bad", since: string, values: Record<string, number | string> }} Look
 */
/**
 * @typedef {object} Room
 * @property {number} room_id
 * @property {string} version
 * @property {"open" | "paused"} gate
 * @property {number} max_active the cap
 * @property {number} places how many may be inside just now: by the cap, and by the room's share
 * @property {number | null} admit_per_minute
 * @property {string | null} message
 * @property {number} waiting
 * @property {number} offered
 * @property {number} active
 * @property {number} dormant
 * @property {number} missed
 * @property {{ error_percent: number | null, within_p90_percent: number | null }} told how near the told waits were
 */
/**
 * One moment of a sale.
 * @typedef {object} Screen
 * @property {string} at
 * @property {string} state
 * @property {string} opens_at
 * @property {string} closes_at
 * @property {Room} room
 * @property {{ joins_per_minute: number, admitted_per_minute: number, sold_per_minute: number }} rates
 * @property {Seats} seats
 * @property {string | null} old_seats the moment of seats and money, if they are old
 * @property {string | null} old_line the moment of the line's numbers, if they are old
 * @property {Grade[]} grades
 * @property {{ sold: number, held: number }} money
 * @property {{ known: boolean, reason?: string, sold_out_at?: string | null, line_empty_at?: string | null, reach_percent?: number | null }} forecast
 * @property {Look[]} attention
 * @property {boolean} own_only whether the paces, the seconds and the attention are of one instance alone
 * @property {{ name: string, version: string, state: "ok" | "silent" | "not_ready", code: string }[]} instances
 * @property {import("../../chart/chart.js").Row[]} seconds the last ones, oldest first: a later moment may correct them
 */
/**
 * How things are written.
 * @typedef {{ lang: string, zone: string, words: Record<string, string> }} Manner
 */

/** Two digits. @param {number} part */
const two = (part) => String(part).padStart(2, "0");

/**
 * A length of time as a clock shows it: `4:12`, `1:04:12`, `2d 01:04:12`.
 * @param {number} seconds
 * @param {string} day
 */
export function clock(seconds, day) {
  const whole = Math.max(0, Math.floor(seconds));
  const [days, hours, minutes] = [Math.floor(whole / 86_400), Math.floor(whole / 3_600) % 24, Math.floor(whole / 60) % 60];
  if (days > 0) return `${days}${day} ${two(hours)}:${two(minutes)}:${two(whole % 60)}`;
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/**
 * A length of time in words, to its two largest parts.
 * @param {number} seconds
 * @param {Record<string, string>} words
 */
export function length(seconds, words) {
  const whole = Math.max(0, Math.floor(seconds));
  /** @type {[number, string | undefined][]} */
  const parts = [
    [Math.floor(whole / 86_400), words["days"]],
    [Math.floor(whole / 3_600) % 24, words["hours"]],
    [Math.floor(whole / 60) % 60, words["minutes"]],
    [whole % 60, words["seconds"]],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  if (first < 0) return fill(words["seconds"], { n: 0 });
  return parts.slice(first, first + 2).filter(([count]) => count > 0).map(([n, word]) => fill(word, { n })).join(" ");
}

/**
 * The hour at the venue: `20:04:02`, or `20:04`.
 * @param {string | number} moment
 * @param {string} timeZone
 * @param {"second" | "minute"} [to]
 */
export function hour(moment, timeZone, to = "second") {
  const digits = /** @type {const} */ ("2-digit");
  const second = to === "second" ? { second: digits } : {};
  const options = { hour: digits, minute: digits, ...second, hourCycle: /** @type {const} */ ("h23"), timeZone };
  return new Intl.DateTimeFormat("en-GB", options).format(new Date(moment));
}

/**
 * A sum of money.
 * @param {number} won
 * @param {string} lang
 */
export const money = (won, lang) =>
  lang === "ko" ? `${won.toLocaleString("ko")}원` : `${won < 0 ? "-" : ""}₩${Math.abs(won).toLocaleString("en")}`;

/**
 * The part of the seats that are for sale.
 * @param {Seats} seats
 */
export const forSale = ({ available, held, sold }) => available + held + sold;

/**
 * What the sale does, in words, with the time to its opening or since.
 * @param {Screen} screen
 * @param {Manner} manner
 * @param {number} now by the server's clock, in milliseconds
 */
export function stateWords(screen, { words }, now) {
  const to = (Date.parse(screen.opens_at) - now) / 1_000;
  const day = words["day"] ?? "";
  if (screen.state === "opens") {
    // The moment comes before the next state of the server.
    return to > 0 ? fill(words["state_opens"], { clock: clock(Math.ceil(to), day) }) : (words["state_opens_now"] ?? "");
  }
  const text = words[`state_${screen.state}`] ?? screen.state;
  return fill(text, { clock: clock(-to, day) });
}

/**
 * The forecast in words: its headline, and what else is known.
 * @param {Screen} screen
 * @param {Manner} manner
 * @returns {[string, string]}
 */
export function forecastWords({ forecast, room, at }, { words, zone }) {
  if (!forecast.known) return [words["unknown"] ?? "", words[`unknown_${forecast.reason}`] ?? ""];
  const day = 86_400_000;
  // A moment of another day would need its date, and is too far to mean anything.
  const near = (/** @type {string | null | undefined} */ moment) =>
    moment && Date.parse(moment) - Date.parse(at) < day ? hour(moment, zone, "minute") : undefined;
  const soldOut = near(forecast.sold_out_at);
  const more = [];
  const reach = forecast.reach_percent;
  if (typeof reach === "number" && room.waiting > 0) more.push(fill(words["reach"], { percent: reach }));
  const empty = near(forecast.line_empty_at);
  if (empty && room.waiting > 0) more.push(fill(words["line_empty"], { when: empty }));
  return [soldOut ?? words["not_sold_out"] ?? "", more.join(" · ")];
}

/**
 * How near the told waits were to those that came; nothing before some have come.
 * @param {Room["told"]} told
 * @param {Record<string, string>} words
 */
function toldWords({ error_percent: error, within_p90_percent: within }, words) {
  return error === null || within === null ? "" : fill(words["told"], { error, within });
}

/**
 * The text of every place of the page that is filled in.
 * @param {Screen} screen
 * @param {Manner} manner
 * @returns {Record<string, string>}
 */
export function fills(screen, manner) {
  const { words, lang } = manner;
  const { room, rates, seats } = screen;
  const number = (/** @type {number} */ value) => value.toLocaleString(lang);
  const [forecast, more] = forecastWords(screen, manner);
  const rate = room.admit_per_minute;
  return {
    waiting: number(room.waiting),
    joins: fill(words["joins"], { n: number(rates.joins_per_minute) }),
    offered: fill(words["offered"], { n: number(room.offered), missed: number(room.missed + room.dormant) }),
    told: toldWords(room.told, words),
    active: number(room.active),
    cap: number(room.places),
    idle: fill(words["idle"], { n: number(Math.max(0, room.places - room.active)) }),
    admitted: number(rates.admitted_per_minute),
    rate: rate === null ? (words["no_rate"] ?? "") : fill(words["rate"], { n: number(rate) }),
    sold: number(seats.sold),
    seats: number(forSale(seats)),
    held: fill(words["held"], { held: number(seats.held), free: number(seats.available) }),
    pace: fill(words["pace"], { n: number(rates.sold_per_minute) }),
    money: money(screen.money.sold, lang),
    money_held: fill(words["money_held"], { sum: money(screen.money.held, lang) }),
    forecast,
    forecast_more: more,
    message: room.message ?? words["nothing"] ?? "",
  };
}

/**
 * What needs attention, in words: what it is, since when, what to do.
 * @param {Look} look
 * @param {Manner} manner
 * @param {number} now by the server's clock, in milliseconds
 */
export function lookWords({ code, since, values }, { words, lang }, now) {
  /** @type {Record<string, string>} */
  const written = {};
  for (const [name, value] of Object.entries(values)) {
    written[name] = typeof value === "number" ? value.toLocaleString(lang) : value;
  }
  const seconds = (now - Date.parse(since)) / 1_000;
  return {
    what: words[`look_${code}`] ? fill(words[`look_${code}`], written) : code,
    todo: fill(words[`do_${code}`], written),
    since: fill(words["since"], { length: length(seconds, words) }),
  };
}
