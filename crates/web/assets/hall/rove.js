// Moves the focus among the seats of a section by the arrows: the seats are one stop of the tabulator, however many.

/** The keys that move the focus. */
export const KEYS = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"];

/**
 * The seat that a key leads to; none beyond the ends. Rows lie above each other from their first seats on.
 * @param {{ from: number, to: number }[]} rows each from its first seat up to, but without, `to`
 * @param {number} seat
 * @param {string} key
 * @returns {number | undefined}
 */
export function seatBeside(rows, seat, key) {
  const at = rows.findIndex((row) => seat >= row.from && seat < row.to);
  const row = rows[at];
  if (!row) return undefined;
  const place = seat - row.from;
  const within = (/** @type {{ from: number, to: number } | undefined} */ other) =>
    (other ? Math.min(other.to - 1, other.from + place) : undefined);
  switch (key) {
    case "ArrowLeft": return place > 0 ? seat - 1 : undefined;
    case "ArrowRight": return seat + 1 < row.to ? seat + 1 : undefined;
    case "ArrowUp": return within(rows[at - 1]);
    case "ArrowDown": return within(rows[at + 1]);
    case "Home": return row.from;
    case "End": return row.to - 1;
    default: return undefined;
  }
}

/**
 * Where a list of so many seats ends that begins with this one: at the end of a row, or within a row that is longer than
 * a whole list.
 * @param {{ from: number, to: number }[]} rows
 * @param {number} from
 * @param {number} most
 */
export function listEnd(rows, from, most) {
  let end = from;
  for (const row of rows) {
    if (row.to <= from) continue;
    if (row.to - from > most) {
      const rest = row.to - Math.max(row.from, from);
      return rest > most ? from + most : end;
    }
    end = row.to;
  }
  return end;
}
