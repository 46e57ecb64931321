// Where the seats of a hall without coordinates stand on the drawing. A plan with coordinates will stand in the place of
// `placeSeats`, and nothing else knows how a hall is laid out.

/** @typedef {import("./layout.js").Hall} Hall */
/** @typedef {import("./layout.js").Row} Row */
/** @typedef {import("./layout.js").Section} Section */
/** @typedef {import("./layout.js").Box} Box */

/** A row of more seats is folded into several lines. */
const LINE_MAX = 64;
/** From a row to the next. */
const ROW = 1.2;
/** What the name of a section takes above it: at least so much, and this part of a large hall. */
const LABEL = 2.2, LABEL_PART = 1 / 45;
/** Between sections side by side, between lines of sections, between floors, and around everything. */
const AISLE = 2.5, PASSAGE = 1.5, FLOOR = 3, MARGIN = 2;
/** How wide a line of sections may be in any hall. */
const WIDTH_MIN = 30;
/** The stage: its height, and the space below it. */
const STAGE = 3, PIT = 1.5;

/**
 * Places the seats of a hall without coordinates: the stage above, floors below each other, the sections of a floor side
 * by side, rows straight and in the middle.
 * @param {Hall} hall
 * @returns {{ width: number, height: number, stage: Box, label: number }}
 */
export function placeSeats(hall) {
  for (const section of hall.sections) fill(hall, section);
  const shelves = shelve(hall.sections);
  const width = Math.max(12, ...shelves.map((shelf) => shelf.width)) + 2 * MARGIN;
  // In a large hall names must be read from further away.
  const label = Math.max(LABEL, width * LABEL_PART);
  const stageWidth = (width - 2 * MARGIN) * 0.45;
  const stage = { x: (width - stageWidth) / 2, y: MARGIN, width: stageWidth, height: Math.max(STAGE, label) };
  let top = MARGIN + stage.height + PIT;
  for (const shelf of shelves) {
    top += shelf.gap + label;
    let left = (width - shelf.width) / 2;
    for (const section of shelf.sections) {
      move(hall, section, left, top);
      left += section.width + AISLE;
    }
    top += Math.max(...shelf.sections.map((section) => section.height));
  }
  return { width, height: top + MARGIN, stage, label };
}

/**
 * Places the seats of a section, from its upper left corner.
 * @param {Hall} hall
 * @param {Section} section
 */
function fill(hall, section) {
  /** @type {{ row: Row, slots: number[], line: number }[]} */
  const lines = [];
  for (let at = section.from; at < section.to; at += 1) {
    const row = /** @type {Row} */ (hall.rows[at]);
    const slots = slotsOf(hall.wholes.subarray(row.from, row.to));
    const width = Number(slots.at(-1)) + 1;
    const line = Math.ceil(width / Math.ceil(width / LINE_MAX));
    lines.push({ row, slots, line });
    section.width = Math.max(section.width, line);
  }
  let top = 0;
  for (const { row, slots, line } of lines) {
    const left = (section.width - line) / 2;
    row.x = left;
    row.y = top + ROW / 2;
    let folds = 1;
    slots.forEach((slot, at) => {
      const fold = Math.floor(slot / line);
      folds = Math.max(folds, fold + 1);
      hall.x[row.from + at] = left + (slot % line) + 0.5;
      hall.y[row.from + at] = top + fold * ROW + ROW / 2;
    });
    top += folds * ROW;
  }
  section.height = top;
}

/**
 * The place of each seat in its row, from 0: by its number if all are whole, so that a number which is left out is a
 * gap; else one after the other.
 * @param {Float64Array} wholes the numbers, in order
 * @returns {number[]}
 */
function slotsOf(wholes) {
  const inOrder = Array.from(wholes, (_, at) => at);
  const first = Number(wholes[0]);
  let step = Infinity;
  for (let at = 1; at < wholes.length; at += 1) step = Math.min(step, Number(wholes[at]) - Number(wholes[at - 1]));
  if (!(step > 0) || !Number.isFinite(step)) return inOrder;
  const slots = Array.from(wholes, (whole) => (whole - first) / step);
  return slots.every(Number.isInteger) && Number(slots.at(-1)) < wholes.length * 1.5 ? slots : inOrder;
}

/**
 * The floor that a section's name says it is on: `1층` of `1층 가구역`.
 * @param {Section} section
 */
const floorOf = (section) => section.name.slice(0, Math.max(0, section.name.lastIndexOf(" ")));

/**
 * Lines of sections side by side, about as wide in all as the drawing is high.
 * @param {Section[]} sections
 * @returns {{ sections: Section[], width: number, gap: number }[]}
 */
function shelve(sections) {
  const area = sections.reduce((sum, section) => sum + (section.width + AISLE) * (section.height + LABEL), 0);
  const widest = Math.max(0, ...sections.map((section) => section.width));
  const wanted = Math.max(widest, WIDTH_MIN, Math.sqrt(area * 1.7));
  /** @type {{ sections: Section[], width: number, gap: number }[]} */
  const shelves = [];
  for (let from = 0; from < sections.length;) {
    const floor = floorOf(/** @type {Section} */ (sections[from]));
    let to = from;
    while (to < sections.length && floorOf(/** @type {Section} */ (sections[to])) === floor) to += 1;
    const onFloor = sections.slice(from, to);
    const total = onFloor.reduce((sum, section) => sum + section.width + AISLE, 0);
    const limit = total / Math.max(1, Math.round(total / wanted)) + widest / 2;
    onFloor.forEach((section, at) => {
      const last = shelves.at(-1);
      if (last && at > 0 && last.width + AISLE + section.width <= limit) {
        last.sections.push(section);
        last.width += AISLE + section.width;
      } else {
        const gap = !last ? 0 : at === 0 ? FLOOR : PASSAGE;
        shelves.push({ sections: [section], width: section.width, gap });
      }
    });
    from = to;
  }
  return shelves;
}

/**
 * Moves a section's seats to where it stands.
 * @param {Hall} hall
 * @param {Section} section
 * @param {number} x
 * @param {number} y
 */
function move(hall, section, x, y) {
  section.x = x;
  section.y = y;
  for (let at = section.from; at < section.to; at += 1) {
    const row = /** @type {Row} */ (hall.rows[at]);
    row.x += x;
    row.y += y;
    for (let seat = row.from; seat < row.to; seat += 1) {
      hall.x[seat] = Number(hall.x[seat]) + x;
      hall.y[seat] = Number(hall.y[seat]) + y;
    }
  }
}
