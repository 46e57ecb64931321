// A hall as the browser holds it: its seats in the order in which people read them, and the place of each on the drawing.

import { placeSeats } from "./place.js";

/**
 * A block of the compact seat map.
 * @typedef {object} MapBlock
 * @property {string} section
 * @property {string} row
 * @property {string} grade
 * @property {number} price
 * @property {number} first_seat_id
 * @property {number} [first_number]
 * @property {string[]} [numbers]
 * @property {string} states
 */

/**
 * The compact seat map.
 * @typedef {object} CompactMap
 * @property {number} concert_id
 * @property {number} version
 * @property {string} [mark]
 * @property {MapBlock[]} blocks
 */

/**
 * A row: its seats are `from` up to, but without, `to`.
 * @typedef {{ name: string, section: number, from: number, to: number, x: number, y: number }} Row
 */

/**
 * A section: its rows are `from` up to, but without, `to`. Its box holds the seats, and the name stands above it.
 * @typedef {{ name: string, from: number, to: number, x: number, y: number, width: number, height: number }} Section
 */

/** @typedef {{ x: number, y: number, width: number, height: number }} Box */

/** The states of a seat, in the order of the letters of the map. */
export const FREE = 0, HELD = 1, SOLD = 2, BLOCKED = 3;
const LETTERS = "AHSB";

/**
 * The state that a letter of the map stands for; what is not known is not for sale.
 * @param {string} letter
 */
export function stateOf(letter) {
  const state = LETTERS.indexOf(letter);
  return state < 0 ? BLOCKED : state;
}

/**
 * The runs of digits, and of other characters, that a label is made of.
 * @param {string} label
 * @returns {string[]}
 */
const runs = (label) => label.match(/[0-9]+|[^0-9]+/gu) ?? [];

/**
 * By code points, as the server compares.
 * @param {string} one
 * @param {string} other
 */
function byCharacters(one, other) {
  if (one === other) return 0;
  const [ones, others] = [[...one], [...other]];
  for (let at = 0; at < ones.length && at < others.length; at += 1) {
    const step = Number(ones[at]?.codePointAt(0)) - Number(others[at]?.codePointAt(0));
    if (step !== 0) return step;
  }
  return ones.length - others.length;
}

/**
 * Compares two labels as people order them: numbers by their value, and one or two capital letters by their count first,
 * so that row Z comes before row AA. The server orders its lists by the same rule.
 * @param {string} one
 * @param {string} other
 * @returns {number}
 */
export function natural(one, other) {
  const [ones, others] = [runs(one), runs(other)];
  for (let at = 0; at < ones.length && at < others.length; at += 1) {
    const order = byRun(ones[at] ?? "", others[at] ?? "");
    if (order !== 0) return order;
  }
  return ones.length - others.length || byCharacters(one, other);
}

/**
 * @param {string} one
 * @param {string} other
 */
function byRun(one, other) {
  const isNumber = /^[0-9]/;
  if (isNumber.test(one) && isNumber.test(other)) {
    const [a, b] = [one.replace(/^0+/, ""), other.replace(/^0+/, "")];
    return a.length - b.length || byCharacters(a, b);
  }
  const isLetters = /^[A-Z]{1,2}$/;
  const byLength = isLetters.test(one) && isLetters.test(other) ? one.length - other.length : 0;
  return byLength || byCharacters(one, other);
}

/**
 * Two maps with the same text here differ in the states of their seats alone.
 * @param {CompactMap} map
 */
export const layoutOf = (map) => JSON.stringify(map.blocks.map((block) => ({ ...block, states: block.states.length })));

/** The seats of a hall: parallel arrays, in the order of sections, rows and numbers. */
export class Hall {
  /** @param {CompactMap} map */
  constructor(map) {
    let count = 0;
    for (const block of map.blocks) count += block.states.length;
    this.count = count;
    this.ids = new Float64Array(count);
    this.prices = new Float64Array(count);
    this.states = new Uint8Array(count);
    /** By place in `gradeNames`. */
    this.grades = new Uint16Array(count);
    this.rowOf = new Uint32Array(count);
    /** The middle of each seat on the drawing, in widths of a seat. */
    this.x = new Float32Array(count);
    this.y = new Float32Array(count);
    /** @type {string[]} */
    this.numbers = [];
    /** The numbers that are whole; not a number where one is not. */
    this.wholes = new Float64Array(count);
    /** @type {string[]} */
    this.gradeNames = [];
    /** @type {Row[]} */
    this.rows = [];
    /** @type {Section[]} */
    this.sections = [];
    /** @type {Map<number, number>} */
    this.places = new Map();
    this.#read(map);
    /** Free seats of each section. */
    this.free = new Int32Array(this.sections.length);
    for (let seat = 0; seat < count; seat += 1) {
      this.places.set(Number(this.ids[seat]), seat);
      if (this.states[seat] === FREE) this.#count(seat, 1);
    }
    const drawing = placeSeats(this);
    this.width = drawing.width;
    this.height = drawing.height;
    this.stage = drawing.stage;
    /** What the name of a section takes above it. */
    this.label = drawing.label;
    this.grid = new Grid(this);
  }

  /** @param {CompactMap} map */
  #read(map) {
    /** @typedef {{ id: number, number: string, whole: number, price: number, grade: number, state: number }} Seat */
    /** @type {Map<string, Map<string, Seat[]>>} */
    const sections = new Map();
    /** @type {Map<string, number>} */
    const grades = new Map();
    for (const block of map.blocks) {
      const rows = ensure(sections, block.section, () => new Map());
      const seats = ensure(rows, block.row, () => /** @type {Seat[]} */ ([]));
      const grade = ensure(grades, block.grade, () => this.gradeNames.push(block.grade) - 1);
      for (let at = 0; at < block.states.length; at += 1) {
        const number = block.numbers?.[at] ?? String(Number(block.first_number) + at);
        const whole = block.numbers && !/^[0-9]{1,9}$/.test(number) ? NaN : Number(number);
        const state = stateOf(block.states.charAt(at));
        seats.push({ id: block.first_seat_id + at, number, whole, price: block.price, grade, state });
      }
    }
    let next = 0;
    for (const [name, rows] of sorted(sections)) {
      const section = { name, from: this.rows.length, to: 0, x: 0, y: 0, width: 0, height: 0 };
      for (const [row, seats] of sorted(rows)) {
        if (!isCounted(seats)) seats.sort((one, other) => natural(one.number, other.number));
        this.rows.push({ name: row, section: this.sections.length, from: next, to: next + seats.length, x: 0, y: 0 });
        for (const seat of seats) {
          this.ids[next] = seat.id;
          this.prices[next] = seat.price;
          this.grades[next] = seat.grade;
          this.states[next] = seat.state;
          this.rowOf[next] = this.rows.length - 1;
          this.numbers.push(seat.number);
          this.wholes[next] = seat.whole;
          next += 1;
        }
      }
      section.to = this.rows.length;
      this.sections.push(section);
    }
  }

  /**
   * @param {number} seat
   * @param {number} by
   */
  #count(seat, by) {
    const section = this.sectionOf(seat);
    this.free[section] = Number(this.free[section]) + by;
  }

  /**
   * The section of a seat.
   * @param {number} seat
   */
  sectionOf(seat) {
    return this.rows[Number(this.rowOf[seat])]?.section ?? 0;
  }

  /**
   * Sets a seat's state. Returns whether it changed.
   * @param {number} seat
   * @param {number} state
   */
  set(seat, state) {
    const before = this.states[seat];
    if (before === state) return false;
    this.states[seat] = state;
    if (before === FREE) this.#count(seat, -1);
    if (state === FREE) this.#count(seat, 1);
    return true;
  }

  /**
   * Sets the states of all seats from a map with the same layout. Returns the seats that changed.
   * @param {CompactMap} map
   */
  setAll(map) {
    /** @type {number[]} */
    const changed = [];
    for (const { first_seat_id: first, states } of map.blocks) {
      for (let at = 0; at < states.length; at += 1) {
        const seat = this.places.get(first + at);
        if (seat !== undefined && this.set(seat, stateOf(states.charAt(at)))) changed.push(seat);
      }
    }
    return changed;
  }

  /**
   * The seat at a point of the drawing; none between seats.
   * @param {number} x
   * @param {number} y
   * @returns {number | undefined}
   */
  seatAt(x, y) {
    const found = this.grid.within({ x: x - 0.5, y: y - 0.5, width: 1, height: 1 });
    return found.find((seat) => Math.abs(Number(this.x[seat]) - x) <= 0.5 && Math.abs(Number(this.y[seat]) - y) <= 0.5);
  }

  /**
   * The seats whose middles lie in a box of the drawing, in their order.
   * @param {Box} box
   * @returns {number[]}
   */
  seatsIn(box) {
    const isIn = (/** @type {number} */ at, /** @type {number} */ from, /** @type {number} */ length) =>
      at >= from && at <= from + length;
    return this.grid.within(box)
      .filter((seat) => isIn(Number(this.x[seat]), box.x, box.width) && isIn(Number(this.y[seat]), box.y, box.height))
      .sort((one, other) => one - other);
  }

  /**
   * The section at a point of the drawing.
   * @param {number} x
   * @param {number} y
   * @returns {Section | undefined}
   */
  sectionAt(x, y) {
    return this.sections.find((section) => x >= section.x - 1 && x <= section.x + section.width + 1
      && y >= section.y - this.label && y <= section.y + section.height + 1);
  }
}

/**
 * Whether seats come with rising whole numbers, as nearly all do: then they need not be put in order.
 * @param {{ whole: number }[]} seats
 */
const isCounted = (seats) => seats.every(({ whole }, at) => whole > Number(at === 0 ? -1 : seats[at - 1]?.whole));

/**
 * @template K, V
 * @param {Map<K, V>} map
 * @param {K} key
 * @param {() => V} make
 * @returns {V}
 */
function ensure(map, key, make) {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}

/**
 * @template V
 * @param {Map<string, V>} map
 */
const sorted = (map) => [...map].sort(([one], [other]) => natural(one, other));

/** Which seats are where, in squares of the drawing: for hits, and for what a view shows. */
class Grid {
  static SIDE = 6;

  /** @param {Hall} hall */
  constructor(hall) {
    this.columns = Math.max(1, Math.ceil(hall.width / Grid.SIDE));
    this.lines = Math.max(1, Math.ceil(hall.height / Grid.SIDE));
    const starts = new Uint32Array(this.columns * this.lines + 1);
    const cells = new Uint32Array(hall.count);
    for (let seat = 0; seat < hall.count; seat += 1) {
      const cell = this.#cell(Number(hall.x[seat]), Number(hall.y[seat]));
      cells[seat] = cell;
      starts[cell + 1] = Number(starts[cell + 1]) + 1;
    }
    for (let cell = 1; cell < starts.length; cell += 1) starts[cell] = Number(starts[cell]) + Number(starts[cell - 1]);
    this.starts = starts;
    this.seats = new Uint32Array(hall.count);
    const next = starts.slice();
    for (let seat = 0; seat < hall.count; seat += 1) {
      const cell = Number(cells[seat]);
      this.seats[Number(next[cell])] = seat;
      next[cell] = Number(next[cell]) + 1;
    }
  }

  /**
   * @param {number} x
   * @param {number} y
   */
  #cell(x, y) {
    const column = Math.min(this.columns - 1, Math.max(0, Math.floor(x / Grid.SIDE)));
    const line = Math.min(this.lines - 1, Math.max(0, Math.floor(y / Grid.SIDE)));
    return line * this.columns + column;
  }

  /**
   * The seats of every square that a box touches.
   * @param {Box} box
   * @returns {number[]}
   */
  within(box) {
    /** @type {number[]} */
    const found = [];
    const first = this.#cell(box.x, box.y);
    const last = this.#cell(box.x + box.width, box.y + box.height);
    const [left, right] = [first % this.columns, last % this.columns];
    for (let start = first - left; start + right <= last; start += this.columns) {
      const end = Number(this.starts[start + right + 1]);
      for (let at = Number(this.starts[start + left]); at < end; at += 1) found.push(Number(this.seats[at]));
    }
    return found;
  }
}
