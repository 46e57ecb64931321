// What the page calls seats and sums: the server hands the words, in the page's language.

import { fill } from "../words.js";

/**
 * Words with names in braces to be filled in.
 * @typedef {Record<string, string>} Words
 */

/**
 * A name in its words, such as `7번` or `row A`; as it is if it has these words already.
 * @param {string} words
 * @param {string} name
 */
export function named(words, name) {
  if (name === "") return "";
  const [before = "", after = ""] = words.split("{name}");
  const [bare, start, end] = [name.toLowerCase(), before.trim().toLowerCase(), after.trim().toLowerCase()];
  const has = (start !== "" && bare.startsWith(start)) || (end !== "" && bare.endsWith(end));
  return has ? name : before + name + after;
}

/** Writes the names of a hall's seats. */
export class Names {
  /**
   * @param {Words} words
   * @param {string} language
   */
  constructor(words, language) {
    this.words = words;
    this.numbers = new Intl.NumberFormat(language);
  }

  /**
   * Words with values filled in.
   * @param {string} id
   * @param {Record<string, string | number>} [values]
   */
  of(id, values = {}) {
    return fill(this.words[id], values);
  }

  /** @param {number} sum */
  money(sum) {
    return this.of("money", { sum: this.numbers.format(sum) });
  }

  /** @param {string} row */
  row(row) {
    return named(this.words["row"] ?? "{name}", row);
  }

  /**
   * Where a seat is: `1층 가구역 A열 7번`.
   * @param {string} section
   * @param {string} row
   * @param {string} number
   */
  place(section, row, number) {
    const parts = [section, this.row(row), named(this.words["number"] ?? "{name}", number)];
    return parts.filter((part) => part !== "").join(this.words["between"] ?? " ");
  }
}
