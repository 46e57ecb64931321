// What charts are made of, without a browser: the numbers, round steps, paths, fewer points than pixels, and labels that
// do not stand on each other.

/**
 * Numbers by time: a column for each curve, and the moments of their rows in milliseconds, in order. A number that is
 * not known is null.
 * @typedef {{ at: number[], [key: string]: (number | string | null)[] }} Columns
 */
/** @typedef {{ at: number, [key: string]: number | string | null }} Row */
/** @typedef {[x: number, y: number | null]} Point */
/** A step of time: the moment at which it begins, and its rows `from` up to, but without, `to`. */
/** @typedef {{ at: number, from: number, to: number }} Step */

/** Steps of time that people read, in seconds. */
const SECONDS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400];

/**
 * The same numbers by rows.
 * @param {Columns} columns
 * @returns {Row[]}
 */
export const rowsOf = ({ at, ...columns }) =>
  at.map((moment, index) => {
    const row = Object.entries(columns).map(([key, column]) => [key, column[index] ?? null]);
    return { ...Object.fromEntries(row), at: moment };
  });

/** The rows of the last while. */
export class Series {
  /**
   * @param {string[]} keys of the columns
   * @param {number} span how much time is kept, in milliseconds
   */
  constructor(keys, span = Infinity) {
    this.keys = keys;
    this.span = span;
    /** @type {number[]} */
    this.at = [];
    /** @type {Record<string, (number | string | null)[]>} */
    this.columns = {};
    for (const key of keys) this.columns[key] = [];
  }

  get length() {
    return this.at.length;
  }

  /** The newest moment; 0 before the first. */
  get last() {
    return this.at.at(-1) ?? 0;
  }

  /**
   * Replaces all rows.
   * @param {Columns} columns
   */
  set(columns) {
    this.at = [...columns.at];
    for (const key of this.keys) {
      const column = columns[key] ?? [];
      this.columns[key] = this.at.map((_, index) => column[index] ?? null);
    }
    this.#forget();
  }

  /**
   * Adds rows, or puts them in the place of those of the same moments.
   * @param {Row[]} rows
   * @returns {boolean} whether something has changed
   */
  put(rows) {
    const changed = rows.filter((row) => this.#put(row));
    this.#forget();
    return changed.length > 0;
  }

  /** @param {Row} row */
  #put(row) {
    if (row.at < this.last - this.span) return false;
    let index = this.length;
    while (index > 0 && (this.at[index - 1] ?? 0) >= row.at) index -= 1;
    const isNew = this.at[index] !== row.at;
    if (isNew) this.at.splice(index, 0, row.at);
    let hasChanged = isNew;
    for (const key of this.keys) {
      const [column, value] = [this.columns[key] ?? [], row[key] ?? null];
      hasChanged ||= column[index] !== value;
      column.splice(index, isNew ? 0 : 1, value);
    }
    return hasChanged;
  }

  #forget() {
    const first = this.at.findIndex((at) => at >= this.last - this.span);
    if (first <= 0) return;
    this.at.splice(0, first);
    for (const key of this.keys) this.columns[key]?.splice(0, first);
  }

  /**
   * A number of a row.
   * @param {string} key
   * @param {number} index
   * @returns {number | null}
   */
  number(key, index) {
    const value = this.columns[key]?.[index];
    return typeof value === "number" && Number.isFinite(value) ? value : null;
  }

  /**
   * A text of a row.
   * @param {string} key
   * @param {number} index
   */
  text(key, index) {
    const value = this.columns[key]?.[index];
    return typeof value === "string" ? value : "";
  }

  /**
   * The largest number of some columns; 0 without any.
   * @param {string[]} keys
   */
  largest(keys) {
    let most = 0;
    for (const key of keys) {
      for (let index = 0; index < this.length; index += 1) most = Math.max(most, this.number(key, index) ?? 0);
    }
    return most;
  }

  /**
   * The row whose moment is nearest; -1 without rows.
   * @param {number} at
   */
  nearest(at) {
    let low = 0, high = this.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.at[middle] ?? 0) < at) low = middle + 1;
      else high = middle;
    }
    const before = this.at[low - 1];
    return before !== undefined && at - before <= (this.at[low] ?? Infinity) - at ? low - 1 : Math.min(low, high);
  }

  /**
   * How much time a row of a table with so many rows at most stands for, in milliseconds.
   * @param {number} most
   */
  step(most) {
    return timeStep(this.last - (this.at[0] ?? 0), most - 1);
  }

  /**
   * The rows of a table with so many rows at most: each stands for a round step of time, from its moment on.
   * @param {number} most
   * @returns {Step[]}
   */
  steps(most) {
    const length = this.step(most);
    /** @type {Step[]} */
    const steps = [];
    this.at.forEach((moment, index) => {
      const at = Math.floor(moment / length) * length;
      const last = steps.at(-1);
      if (last?.at === at) last.to = index + 1;
      else steps.push({ at, from: index, to: index + 1 });
    });
    return steps;
  }

  /**
   * A number of a step: of counts their sum, of levels the largest. Null if none is known.
   * @param {string} key
   * @param {Step} step
   * @param {"count" | "level"} measure
   * @returns {number | null}
   */
  of(key, { from, to }, measure) {
    /** @type {number | null} */
    let found = null;
    for (let index = from; index < to; index += 1) {
      const value = this.number(key, index);
      if (value === null) continue;
      found = measure === "count" ? (found ?? 0) + value : Math.max(found ?? value, value);
    }
    return found;
  }

  /**
   * The texts of a step, each a list of names with counts such as `a 2, b 1`, as one list: the counts of a name are added up,
   * and the largest stand first.
   * @param {string} key
   * @param {Step} step
   */
  counted(key, { from, to }) {
    /** @type {Map<string, number>} */
    const counts = new Map();
    for (let index = from; index < to; index += 1) {
      for (const part of this.text(key, index).split(", ").filter((part) => part !== "")) {
        const [, name = part, count = "1"] = /^(.*) (\d+)$/.exec(part) ?? [];
        counts.set(name, (counts.get(name) ?? 0) + Number(count));
      }
    }
    return [...counts].sort(([, one], [, other]) => other - one).map(([name, count]) => `${name} ${count}`).join(", ");
  }
}

/**
 * A step of 1, 2 or 5 times a power of ten that divides so much into so many parts at most.
 * @param {number} most
 * @param {number} parts
 * @param {number} [least] the smallest step
 */
export function niceStep(most, parts, least = 1) {
  const rough = Math.max(most / parts, least);
  const power = 10 ** Math.floor(Math.log10(rough) + 1e-9);
  return [1, 2, 5].map((factor) => factor * power).find((step) => step >= rough * (1 - 1e-9)) ?? 10 * power;
}

/**
 * A step of time that divides a span into so many parts at most, in milliseconds.
 * @param {number} span in milliseconds
 * @param {number} parts
 */
export function timeStep(span, parts) {
  const rough = span / 1_000 / Math.max(1, parts);
  const step = SECONDS.find((seconds) => seconds >= rough) ?? 86_400 * niceStep(rough / 86_400, 1);
  return step * 1_000;
}

/**
 * Multiples of a step within bounds.
 * @param {number} from
 * @param {number} until
 * @param {number} step
 */
export function ticks(from, until, step) {
  const found = [];
  for (let tick = Math.ceil(from / step) * step; tick <= until && found.length < 100; tick += step) found.push(tick);
  return found;
}

/**
 * The axis of values from 0: its end, and its ticks.
 * @param {number} most
 * @param {number} parts
 */
export function axis(most, parts) {
  const step = niceStep(most, parts);
  const end = Math.max(1, Math.ceil(most / step - 1e-9)) * step;
  return { end, ticks: ticks(0, end, step) };
}

/**
 * Where values stand between two ends.
 * @param {[number, number]} from
 * @param {[number, number]} to
 */
export function scale([first, last], [start, end]) {
  const per = last === first ? 0 : (end - start) / (last - first);
  return (/** @type {number} */ value) => start + (value - first) * per;
}

/**
 * Fewer points that look the same: of each pixel the first, the lowest, the highest and the last. A gap stays one.
 * @param {Point[]} points by rising x
 * @param {number} pixels
 * @returns {Point[]}
 */
export function thin(points, pixels) {
  if (points.length <= 4 * pixels) return points;
  /** @type {Point[]} */
  const kept = [];
  /** @type {Point[]} */
  let bucket = [];
  const flush = () => {
    if (bucket.length <= 4) kept.push(...bucket);
    else {
      const ends = [0, bucket.length - 1];
      const height = (/** @type {number} */ index) => bucket[index]?.[1] ?? 0;
      const order = bucket.map((_, index) => index);
      const lowest = order.reduce((best, index) => (height(index) < height(best) ? index : best), 0);
      const highest = order.reduce((best, index) => (height(index) > height(best) ? index : best), 0);
      const chosen = [...new Set([...ends, lowest, highest])].sort((one, other) => one - other);
      for (const index of chosen) kept.push(/** @type {Point} */ (bucket[index]));
    }
    bucket = [];
  };
  for (const point of points) {
    const first = bucket[0];
    if (point[1] === null) {
      flush();
      if (kept.at(-1)?.[1] !== null) kept.push(point);
    } else {
      if (first && Math.floor(first[0]) !== Math.floor(point[0])) flush();
      bucket.push(point);
    }
  }
  flush();
  return kept;
}

const short = (/** @type {number} */ value) => String(Math.round(value * 10) / 10);

/**
 * The runs of points between gaps.
 * @param {Point[]} points
 */
function runs(points) {
  /** @type {[number, number][][]} */
  const found = [];
  /** @type {[number, number][] | undefined} */
  let run;
  for (const [x, y] of points) {
    if (y === null) run = undefined;
    else if (run) run.push([x, y]);
    else found.push((run = [[x, y]]));
  }
  return found;
}

/** @param {[number, number][]} run */
const steps = (run) => run.map(([x, y]) => `${short(x)} ${short(y)}`).join("L");

/**
 * The path of a curve. A point between two gaps is a dot.
 * @param {Point[]} points
 */
export function linePath(points) {
  return runs(points).map((run) => `M${steps(run)}${run.length === 1 ? "h.01" : ""}`).join("");
}

/**
 * The path of what lies under a curve.
 * @param {Point[]} points
 * @param {number} ground
 */
export function areaPath(points, ground) {
  return runs(points)
    .filter((run) => run.length > 1)
    .map((run) => `M${short(run[0]?.[0] ?? 0)} ${short(ground)}L${steps(run)}L${short(run.at(-1)?.[0] ?? 0)} ${short(ground)}Z`)
    .join("");
}

/**
 * About how wide a label is, in its own height: letters of Hangul are as wide as high.
 * @param {string} label
 */
const widthOf = (label) => [...label].reduce((width, letter) => width + (letter > "\u02ff" ? 1 : 0.58), 0);

/**
 * Where the labels of marks stand. The newest are shown; one that would stand on a newer one is left out.
 * @param {{ x: number, label: string }[]} marks by rising x
 * @param {number} width of the chart
 * @param {number} size of the letters
 * @returns {{ x: number, label: string, anchor: "start" | "end" }[]}
 */
export function placeLabels(marks, width, size) {
  /** @type {{ x: number, label: string, anchor: "start" | "end" }[]} */
  const placed = [];
  let free = width;
  for (const { x, label } of [...marks].reverse()) {
    const needed = widthOf(label) * size + 8;
    if (x + needed <= free) {
      placed.push({ x: x + 4, label, anchor: "start" });
      free = x;
    } else if (x <= free && x - needed >= 0) {
      placed.push({ x: x - 4, label, anchor: "end" });
      free = x - needed;
    }
  }
  return placed.reverse();
}
