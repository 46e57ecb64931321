// The words of the waiting page, as the server writes them: it hands over templates, these fill them in.

import { fill } from "../words.js";

/** @typedef {import("./live.js").Place} Place */
/** @typedef {import("./sale.js").Sale} Sale */

/**
 * What a state of the sale is called: what is left of the seats, and what it means for the line if it is not simply on.
 * @typedef {object} SaleWords
 * @property {string} state
 * @property {string} seats
 * @property {{ title: string, text: string } | null} warning
 */

/**
 * The wait in words. Of a sale that is sold out it is not said: a turn would find no seat.
 * @param {Place["estimated_wait"]} wait
 * @param {Record<string, string>} words
 * @param {{ isSoldOut?: boolean, opens?: string }} [sale] whether the sale is sold out, and the moment of its opening
 * @returns {string}
 */
export function waitWords(wait, words, { isSoldOut = false, opens = "" } = {}) {
  const reason = wait.known ? null : (wait.reason ?? "measuring");
  if (isSoldOut && (reason === null || reason === "measuring")) return words["sold_out"] ?? "";
  if (reason !== null) return fill(words[reason], { when: opens });
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
 * Whether seats are likely to be left; nothing if it is not known.
 * @param {Place["outlook"]} outlook
 * @param {Record<string, string>} words
 * @returns {string}
 */
export function outlookWords(outlook, words) {
  return outlook ? (words[`outlook_${outlook}`] ?? "") : "";
}

/**
 * How many seats are left, or what is said instead.
 * @param {Sale} sale
 * @param {SaleWords[]} sales
 * @param {{ one: string | undefined, lang: string }} more the words of one seat, and the language
 */
export function seatsWords(sale, sales, { one, lang }) {
  const words = sales.find(({ state }) => state === sale.sale_state)?.seats ?? "";
  const isOne = words.includes("{n}") && isSingular(sale.seats_left, lang);
  return isOne ? (one ?? "") : fill(words, { n: sale.seats_left.toLocaleString(lang) });
}

/**
 * Whether a number takes the singular.
 * @param {number} value
 * @param {string} lang
 */
export function isSingular(value, lang) {
  return new Intl.PluralRules(lang).select(value) === "one";
}

/**
 * What the sale means for the line, if it is not simply on.
 * @param {Sale | null} sale
 * @param {SaleWords[]} sales
 * @returns {{ title: string, text: string } | undefined}
 */
export function warningWords(sale, sales) {
  const warning = sales.find(({ state }) => state === sale?.sale_state)?.warning;
  if (!warning) return undefined;
  return { title: warning.title, text: sale?.status_reason ? `${sale.status_reason} ${warning.text}` : warning.text };
}

/**
 * The parts of a moment at the venue.
 * @param {string} moment
 * @param {string} lang
 * @param {Intl.DateTimeFormatOptions} options
 */
function partsOf(moment, lang, options) {
  const parts = new Intl.DateTimeFormat(lang, options).formatToParts(new Date(moment));
  return (/** @type {string} */ name) => parts.find(({ type }) => type === name)?.value ?? "";
}

/**
 * The hour at the venue: `오후 8:00:05`, `8:00:05 pm`. Browsers differ in the words for the halves of a day.
 * @param {string} moment
 * @param {string} lang
 * @param {string} timeZone
 * @param {"second" | "minute"} to
 */
export function hourWords(moment, lang, timeZone, to = "second") {
  const digits = /** @type {const} */ ("2-digit");
  const options = { hour: digits, minute: digits, second: digits, hourCycle: /** @type {const} */ ("h23"), timeZone };
  const part = partsOf(moment, "en", options);
  const hour = Number(part("hour"));
  const clock = [hour % 12 || 12, part("minute"), ...(to === "second" ? [part("second")] : [])].join(":");
  if (lang === "ko") return `${hour < 12 ? "오전" : "오후"} ${clock}`;
  return `${clock} ${hour < 12 ? "am" : "pm"}`;
}

/**
 * Date and hour at the venue: `2027년 3월 1일 (월) 오후 8:00`, `Mon 1 March 2027, 8:00 pm`.
 * @param {string} moment
 * @param {string} lang
 * @param {string} timeZone
 */
export function momentWords(moment, lang, timeZone) {
  const month = lang === "ko" ? "numeric" : "long";
  const part = partsOf(moment, lang, { year: "numeric", month, day: "numeric", weekday: "short", timeZone });
  const hour = hourWords(moment, lang, timeZone, "minute");
  if (lang === "ko") return `${part("year")}년 ${part("month")}월 ${part("day")}일 (${part("weekday")}) ${hour}`;
  return `${part("weekday")} ${part("day")} ${part("month")} ${part("year")}, ${hour}`;
}
