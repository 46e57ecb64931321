// What the pages with a hall share, a buyer's and an operator's: the hall that is shown, kept up to date.

import { Hall, layoutOf, stateOf } from "./layout.js";
import { Live } from "./live.js";

/** @typedef {import("./list.js").GradeLook} GradeLook */
/** @typedef {import("./names.js").Names} Names */

/**
 * How each grade looks; one that came after the page was written has no look of its own.
 * @param {(GradeLook & { name: string })[]} grades
 * @returns {(name: string) => GradeLook}
 */
export function gradeLooks(grades) {
  const looks = new Map(grades.map((grade) => [grade.name, grade]));
  const other = { mark: "", place: grades.length, style: "" };
  return (name) => looks.get(name) ?? other;
}

/**
 * Where a seat is, in words.
 * @param {Hall} hall
 * @param {number} seat
 * @param {Names} names
 */
export function placeIn(hall, seat, names) {
  const row = hall.rows[Number(hall.rowOf[seat])];
  const section = hall.sections[row?.section ?? 0];
  return names.place(section?.name ?? "", row?.name ?? "", hall.numbers[seat] ?? "");
}

/**
 * Follows the seats at an address: `made` is told of a hall with other seats than before, `changed` of the seats whose
 * states changed.
 * @param {string} address
 * @param {{ stale: Element, names: Names, made: (hall: Hall) => void, changed: (seats: number[]) => void }} page
 */
export function followHall(address, { stale, names, made, changed }) {
  /** @type {{ hall: Hall, layout: string } | null} */
  let shown = null;
  return new Live(address, {
    map: (map) => {
      const layout = layoutOf(map);
      if (shown?.layout === layout) {
        changed(shown.hall.setAll(map));
        return;
      }
      shown = { hall: new Hall(map), layout };
      made(shown.hall);
    },
    seats: (changes) => {
      if (!shown) return false;
      const { hall } = shown;
      /** @type {number[]} */
      const seats = [];
      for (const [id, letter] of changes) {
        const seat = hall.places.get(id);
        if (seat === undefined) return false;
        if (hall.set(seat, stateOf(letter))) seats.push(seat);
      }
      changed(seats);
      return true;
    },
    fresh: (isFresh) => {
      const text = isFresh ? "" : names.of("old");
      if (stale.textContent !== text) stale.textContent = text;
    },
  });
}
