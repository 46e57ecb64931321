// The seats that an operator has chosen: single ones, runs in a row, areas, whole rows and sections.

/** @typedef {import("../../hall/layout.js").Hall} Hall */
/** @typedef {import("../../hall/names.js").Names} Names */

/** How many places a text names before it says how many more there are. */
const PLACES_MAX = 8;

/** The chosen seats, by id. */
export class Selection {
  /** @type {Set<number>} */
  #chosen = new Set();
  /** The seat that was chosen or let go last: a run begins there. @type {number | undefined} */
  #anchor;

  /** @param {(changed: number[]) => void} changed is called after every change, with the seats that it concerns */
  constructor(changed) {
    this.changed = changed;
  }

  get size() {
    return this.#chosen.size;
  }

  /** The ids, ascending. */
  get ids() {
    return [...this.#chosen].sort((one, other) => one - other);
  }

  /** The seat that was chosen or let go last. */
  get anchor() {
    return this.#anchor;
  }

  /** @param {number} id */
  has(id) {
    return this.#chosen.has(id);
  }

  /**
   * Chooses seats, or lets them go.
   * @param {number[]} ids
   * @param {boolean} isChosen
   */
  set(ids, isChosen) {
    const changed = ids.filter((id) => this.#chosen.has(id) !== isChosen);
    for (const id of changed) {
      if (isChosen) this.#chosen.add(id);
      else this.#chosen.delete(id);
    }
    if (changed.length > 0) this.changed(changed);
  }

  /**
   * Chooses a seat, or lets it go; as the end of a run, it makes all seats from the last one on what that one is, if
   * both are in one row.
   * @param {Hall} hall
   * @param {number} seat
   * @param {boolean} isRun
   */
  press(hall, seat, isRun) {
    const id = Number(hall.ids[seat]);
    const start = this.#anchor === undefined ? undefined : hall.places.get(this.#anchor);
    if (isRun && start !== undefined && hall.rowOf[start] === hall.rowOf[seat]) {
      const [first, last] = [Math.min(start, seat), Math.max(start, seat)];
      this.set([...hall.ids.slice(first, last + 1)], this.has(Number(this.#anchor)));
      return;
    }
    this.#anchor = id;
    this.set([id], !this.has(id));
  }

  /**
   * Chooses seats that belong together; if all of them are chosen, lets them go.
   * @param {Hall} hall
   * @param {number[]} seats
   */
  toggleAll(hall, seats) {
    const ids = seats.map((seat) => Number(hall.ids[seat]));
    this.set(ids, !ids.every((id) => this.has(id)));
  }

  /** Lets all go. */
  clear() {
    this.set(this.ids, false);
  }

  /**
   * Lets seats go that a hall no longer has. Returns whether there were any.
   * @param {Hall} hall
   */
  keepKnown(hall) {
    const unknown = this.ids.filter((id) => !hall.places.has(id));
    this.set(unknown, false);
    return unknown.length > 0;
  }
}

/**
 * The seats of the row, or of the section, of a seat.
 * @param {Hall} hall
 * @param {number} seat
 * @param {boolean} isRow
 * @returns {number[]}
 */
export function wholeOf(hall, seat, isRow) {
  const row = hall.rows[Number(hall.rowOf[seat])];
  if (!row) return [];
  if (isRow) return between(row.from, row.to);
  const section = hall.sections[row.section];
  const [first, last] = [hall.rows[section?.from ?? 0], hall.rows[(section?.to ?? 1) - 1]];
  return between(first?.from ?? 0, last?.to ?? 0);
}

/**
 * @param {number} from
 * @param {number} to
 * @returns {number[]}
 */
export const between = (from, to) => Array.from({ length: Math.max(0, to - from) }, (_, at) => from + at);

/**
 * Ids as a form carries them: `1-5,9`.
 * @param {number[]} ids ascending
 */
export function rangesOf(ids) {
  /** @type {[number, number][]} */
  const ranges = [];
  for (const id of ids) {
    const last = ranges.at(-1);
    if (last && last[1] + 1 === id) last[1] = id;
    else ranges.push([id, id]);
  }
  return ranges.map(([first, last]) => (first === last ? String(first) : `${first}-${last}`)).join(",");
}

/**
 * Chosen seats in words: whole sections, whole rows, and runs of neighbours in a row. The server writes the same.
 * @param {Hall} hall
 * @param {(id: number) => boolean} isChosen
 * @param {Names} names
 */
export function inWords(hall, isChosen, names) {
  /** @type {string[]} */
  const places = [];
  const chosen = (/** @type {number} */ seat) => isChosen(Number(hall.ids[seat]));
  const whole = (/** @type {string} */ place, /** @type {number} */ count) =>
    places.push(names.of("whole", { place: place || names.of("hall"), count: names.numbers.format(count) }));
  for (const section of hall.sections) {
    const rows = hall.rows.slice(section.from, section.to);
    const [from, to] = [rows[0]?.from ?? 0, rows.at(-1)?.to ?? 0];
    const count = between(from, to).filter(chosen).length;
    if (count === 0) continue;
    if (count === to - from) {
      whole(section.name, count);
      continue;
    }
    for (const row of rows) placesInRow(row);
    /** @param {import("../../hall/layout.js").Row} row */
    function placesInRow(row) {
      const seats = between(row.from, row.to).filter(chosen);
      if (seats.length === 0) return;
      if (seats.length === row.to - row.from) {
        whole(names.place(section.name, row.name, ""), seats.length);
        return;
      }
      for (const [first, last] of runs(seats)) {
        const number = first === last ? hall.numbers[first] : `${hall.numbers[first]}–${hall.numbers[last]}`;
        places.push(names.place(section.name, row.name, number ?? ""));
      }
    }
  }
  const more = places.length - PLACES_MAX;
  const named = more > 0 ? [...places.slice(0, PLACES_MAX), names.of("more-places", { count: names.numbers.format(more) })] : places;
  return named.join(names.of("list"));
}

/**
 * Runs of neighbours.
 * @param {number[]} seats ascending
 * @returns {[number, number][]}
 */
function runs(seats) {
  /** @type {[number, number][]} */
  const found = [];
  for (const seat of seats) {
    const last = found.at(-1);
    if (last && last[1] + 1 === seat) last[1] = seat;
    else found.push([seat, seat]);
  }
  return found;
}
