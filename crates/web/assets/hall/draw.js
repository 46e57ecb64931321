// Draws a hall on a 2-D canvas: one small picture of the whole hall, and one of what is seen enlarged. Both are drawn
// once, seats that change are drawn anew in them, and a frame only copies them.

import { CHOSEN, MINE, Stamps, density, lookOf } from "./stamps.js";

/** @typedef {import("./layout.js").Hall} Hall */
/** @typedef {import("./layout.js").Box} Box */
/** @typedef {import("./view.js").View} View */

/** The most pixels of the picture of the whole hall, and the longest side of any picture. */
const OVERVIEW_PIXELS = 4_000_000, SIDE_MAX = 4096;
/** The most pixels that a seat's width takes in the picture of the whole hall. */
const OVERVIEW_SEAT_MAX = 10;
/** How much more than the window the enlarged picture holds, on each side, in parts of the window. */
const APRON = 0.25;
/** How long one frame may draw at the enlarged picture, in milliseconds. */
const SLICE = 3;
/** How many seats are drawn between two looks at the clock. */
const SEATS_PER_LOOK = 64;
/** From this size on, in pixels of the page, rows show their names. */
const ROW_NAMES_MIN = 11;

/** A canvas of its own, not on the page. */
class Picture {
  /**
   * @param {number} width
   * @param {number} height
   */
  constructor(width, height) {
    this.canvas = document.createElement("canvas");
    this.canvas.width = Math.max(1, Math.ceil(width));
    this.canvas.height = Math.max(1, Math.ceil(height));
    this.paint = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d", { alpha: false }));
  }
}

/**
 * A picture of a part of the hall at a scale, and the seats that are not in it yet.
 * @typedef {object} Enlarged
 * @property {Picture} picture
 * @property {Box} box
 * @property {number} scale
 * @property {number[]} seats
 * @property {number} done
 */

/** Draws a hall. */
export class Drawing {
  /** @type {Enlarged | null} */
  #shown = null;
  /** @type {Enlarged | null} */
  #coming = null;
  /** The scale of the frame before. */
  #lastScale = 0;
  /** @type {number | undefined} */
  #hovered;
  /** @type {Box | undefined} */
  #area;

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {Hall} hall
   * @param {object} seen
   * @param {(id: number) => boolean} seen.isMine held by this person
   * @param {(id: number) => boolean} seen.isChosen chosen and not held yet
   * @param {(grade: string) => { mark: string, place?: number, style: string }} seen.grade its letter, its place among
   *   the grades, and the class of its colour
   * @param {string} seen.stage what stands on the stage
   * @param {(state: number) => number} [seen.look] the look of a state, if it is not that for buyers
   */
  constructor(canvas, hall, seen) {
    this.canvas = canvas;
    this.hall = hall;
    this.seen = seen;
    this.paint = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { alpha: false }));
    const grades = hall.gradeNames.map(seen.grade);
    this.stamps = new Stamps(canvas, hall, grades);
    this.marks = marksOf(hall, grades);
    const pixels = hall.width * hall.height;
    const side = SIDE_MAX / Math.max(hall.width, hall.height);
    this.overviewScale = Math.min(OVERVIEW_SEAT_MAX, side, Math.sqrt(OVERVIEW_PIXELS / pixels));
    this.overview = new Picture(hall.width * this.overviewScale, hall.height * this.overviewScale);
    this.#drawOverview();
  }

  /** Takes the colours anew, after the style changed. */
  restyle() {
    this.stamps = new Stamps(this.canvas, this.hall, this.hall.gradeNames.map(this.seen.grade));
    this.#shown = null;
    this.#coming = null;
    this.#drawOverview();
  }

  #drawOverview() {
    const { paint, canvas } = this.overview;
    paint.fillStyle = this.stamps.colours.card;
    paint.fillRect(0, 0, canvas.width, canvas.height);
    // Seats of one colour together: a change of colour costs more than a seat.
    /** @type {number[][]} */
    const alike = [];
    for (let seat = 0; seat < this.hall.count; seat += 1) {
      (alike[this.#look(seat) * 64 + Number(this.hall.grades[seat]) % 64] ??= []).push(seat);
    }
    for (const seats of alike) {
      for (const seat of seats ?? []) this.#drawSmall(seat, false);
    }
  }

  /**
   * Draws seats anew that changed.
   * @param {number[]} seats
   */
  update(seats) {
    for (const seat of seats) {
      this.#drawSmall(seat, true);
      for (const enlarged of [this.#shown, this.#coming]) {
        if (enlarged) this.#drawIn(enlarged, seat, true);
      }
    }
  }

  /**
   * The seat under the mouse.
   * @param {number | undefined} seat
   */
  hover(seat) {
    this.#hovered = seat;
  }

  /**
   * The area that a pointer is drawing.
   * @param {Box | undefined} area
   */
  outline(area) {
    this.#area = area;
  }

  /** @param {number} seat */
  #look(seat) {
    const id = Number(this.hall.ids[seat]);
    if (this.seen.isMine(id)) return MINE;
    return this.seen.isChosen(id) ? CHOSEN : (this.seen.look ?? lookOf)(Number(this.hall.states[seat]));
  }

  /**
   * A seat in the picture of the whole hall.
   * @param {number} seat
   * @param {boolean} clear whether another look of it may stand there
   */
  #drawSmall(seat, clear) {
    const scale = this.overviewScale;
    const { paint } = this.overview;
    const [x, y] = [Number(this.hall.x[seat]) * scale, Number(this.hall.y[seat]) * scale];
    if (clear) {
      paint.fillStyle = this.stamps.colours.card;
      paint.fillRect(x - scale / 2, y - scale / 2, scale, scale);
    }
    this.stamps.print(paint, seat, this.#look(seat), x, y, scale);
  }

  /**
   * Draws what the view shows. Returns whether there is more to draw in a next frame.
   * @param {View} view
   */
  frame(view) {
    const { paint, canvas } = this;
    const { colours } = this.stamps;
    const pixels = density();
    const [width, height] = [Math.round(view.width * pixels), Math.round(view.height * pixels)];
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    const scale = view.scale * pixels;
    const box = view.box;
    paint.setTransform(1, 0, 0, 1, 0, 0);
    paint.fillStyle = colours.card;
    paint.fillRect(0, 0, width, height);
    paint.imageSmoothingEnabled = true;
    const whole = this.overview.canvas;
    const grown = scale / this.overviewScale;
    const isEnlarged = grown > 1.05 || grown < 0.95;
    if (!isEnlarged || !this.#shown || !holds(this.#shown.box, box)) {
      paint.drawImage(whole, -box.x * scale, -box.y * scale, whole.width * grown, whole.height * grown);
    }
    let isMore = false;
    if (isEnlarged) {
      isMore = this.#enlarge(box, scale);
      const shown = this.#shown;
      if (shown) {
        const part = scale / shown.scale;
        const { picture } = shown;
        paint.drawImage(
          picture.canvas,
          Math.round((shown.box.x - box.x) * scale),
          Math.round((shown.box.y - box.y) * scale),
          picture.canvas.width * part,
          picture.canvas.height * part,
        );
      }
    }
    this.#drawSigns(view, scale, box);
    return isMore;
  }

  /**
   * Goes on with the picture of what is seen enlarged. Returns whether it is not done yet.
   * @param {Box} box
   * @param {number} scale
   */
  #enlarge(box, scale) {
    const isGood = (/** @type {Enlarged | null} */ one) => one !== null && one.scale === scale && holds(one.box, box);
    const isMoving = scale !== this.#lastScale;
    this.#lastScale = scale;
    if (isGood(this.#shown)) return false;
    if (!isGood(this.#coming)) {
      // While the scale changes, a picture would be of use for one frame; and the frame that begins one has done enough.
      this.#coming = isMoving ? null : this.#begin(box, scale);
      return true;
    }
    const coming = /** @type {Enlarged} */ (this.#coming);
    const end = performance.now() + SLICE;
    while (coming.done < coming.seats.length && performance.now() < end) {
      const until = Math.min(coming.seats.length, coming.done + SEATS_PER_LOOK);
      for (; coming.done < until; coming.done += 1) this.#drawIn(coming, Number(coming.seats[coming.done]), false);
    }
    if (coming.done < coming.seats.length) return true;
    this.#shown = coming;
    this.#coming = null;
    return false;
  }

  /**
   * @param {Box} seen
   * @param {number} scale
   * @returns {Enlarged}
   */
  #begin(seen, scale) {
    const { hall } = this;
    const { colours } = this.stamps;
    // No further than the hall, and no larger than a picture may be.
    const apron = Math.max(0, Math.min(APRON, (SIDE_MAX / scale / Math.max(seen.width, seen.height) - 1) / 2));
    const left = Math.max(Math.min(0, seen.x), seen.x - seen.width * apron);
    const top = Math.max(Math.min(0, seen.y), seen.y - seen.height * apron);
    const right = Math.min(Math.max(hall.width, seen.x + seen.width), seen.x + seen.width * (1 + apron));
    const bottom = Math.min(Math.max(hall.height, seen.y + seen.height), seen.y + seen.height * (1 + apron));
    const box = { x: left, y: top, width: right - left, height: bottom - top };
    const picture = new Picture(box.width * scale, box.height * scale);
    picture.paint.fillStyle = colours.card;
    picture.paint.fillRect(0, 0, picture.canvas.width, picture.canvas.height);
    return { picture, box, scale, seats: hall.grid.within(box), done: 0 };
  }

  /**
   * A seat in an enlarged picture.
   * @param {Enlarged} enlarged
   * @param {number} seat
   * @param {boolean} clear whether another look of it may stand there
   */
  #drawIn(enlarged, seat, clear) {
    const { picture: { paint }, box, scale } = enlarged;
    const x = (Number(this.hall.x[seat]) - box.x) * scale;
    const y = (Number(this.hall.y[seat]) - box.y) * scale;
    if (clear) {
      const size = Math.floor(scale);
      paint.fillStyle = this.stamps.colours.card;
      paint.fillRect(Math.round(x - size / 2), Math.round(y - size / 2), size, size);
    }
    this.stamps.print(paint, seat, this.#look(seat), x, y, scale);
  }

  /**
   * The stage, the names of sections and rows, and the seat under the mouse.
   * @param {View} view
   * @param {number} scale
   * @param {Box} box
   */
  #drawSigns(view, scale, box) {
    const { paint, hall } = this;
    const { colours } = this.stamps;
    const pixels = density();
    const at = (/** @type {number} */ x, /** @type {number} */ y) => [(x - box.x) * scale, (y - box.y) * scale];
    const { stage } = hall;
    const corners = [
      at(stage.x, stage.y), at(stage.x + stage.width, stage.y),
      at(stage.x + stage.width * 0.95, stage.y + stage.height), at(stage.x + stage.width * 0.05, stage.y + stage.height),
    ];
    paint.fillStyle = colours.stage;
    paint.beginPath();
    for (const [x, y] of corners) paint.lineTo(Number(x), Number(y));
    paint.fill();
    paint.textAlign = "center";
    paint.textBaseline = "middle";
    const [middle, height] = at(stage.x + stage.width / 2, stage.y + stage.height / 2);
    paint.fillStyle = colours.stageInk;
    paint.font = `700 ${Math.min(16 * pixels, Math.max(9 * pixels, scale * 1.6))}px ${colours.text}`;
    paint.fillText(this.seen.stage, Number(middle), Number(height));
    hall.sections.forEach((section, place) => {
      if (!meets(section, box, hall.label)) return;
      // Above its seats, or at the upper edge while those are seen.
      const [x, y] = at(section.x + section.width / 2, section.y - hall.label * 0.42);
      const size = Math.min(15 * pixels, Math.max(9 * pixels, scale * 1.3));
      const room = section.width * scale;
      paint.font = `650 ${size}px ${colours.text}`;
      paint.fillStyle = hall.free[place] ? colours.ink : colours.soft;
      const bottom = (section.y + section.height - box.y) * scale - size;
      const text = this.#nameOf(place, room > 90 * pixels, room + size * 2);
      if (text) this.#sign(text, Number(x), Math.max(Math.min(size * 0.9, bottom), Number(y)), size, room);
    });
    if (view.scale >= ROW_NAMES_MIN) this.#drawRowNames(scale, box, pixels);
    if (this.#hovered !== undefined) {
      const [x, y] = at(Number(hall.x[this.#hovered]), Number(hall.y[this.#hovered]));
      paint.strokeStyle = colours.ink;
      paint.lineWidth = 2 * pixels;
      paint.strokeRect(Number(x) - scale / 2, Number(y) - scale / 2, scale, scale);
    }
    if (this.#area) {
      const [x, y] = at(this.#area.x, this.#area.y);
      paint.strokeStyle = colours.ink;
      paint.lineWidth = 2 * pixels;
      paint.setLineDash([6 * pixels, 4 * pixels]);
      paint.strokeRect(Number(x), Number(y), this.#area.width * scale, this.#area.height * scale);
      paint.setLineDash([]);
    }
  }

  /**
   * The name of a section, with its grades and its free seats as far as there is room: seats too small for a letter are
   * told apart by their colour alone.
   * @param {number} place
   * @param {boolean} isWide
   * @param {number} room
   */
  #nameOf(place, isWide, room) {
    const { name } = this.hall.sections[place] ?? { name: "" };
    const marks = this.marks[place] ?? "";
    if (name === "") return "";
    const parts = [name, ...(marks === "" ? [] : [marks])];
    const counted = isWide ? [[...parts, String(this.hall.free[place] ?? 0)]] : [];
    const texts = [...counted, parts].map((text) => text.join(" · "));
    return texts.find((text) => this.paint.measureText(text).width <= room) ?? name;
  }

  /**
   * A name over what is drawn; left out if it is wider than its section and the next one's name might touch it.
   * @param {string} text
   * @param {number} x
   * @param {number} y
   * @param {number} size
   * @param {number} room
   */
  #sign(text, x, y, size, room) {
    const { paint } = this;
    const width = paint.measureText(text).width;
    if (width > room + size * 2) return;
    const colour = paint.fillStyle;
    paint.fillStyle = this.stamps.colours.card;
    paint.globalAlpha = 0.85;
    paint.fillRect(x - width / 2 - size * 0.3, y - size * 0.7, width + size * 0.6, size * 1.4);
    paint.globalAlpha = 1;
    paint.fillStyle = colour;
    paint.fillText(text, x, y);
  }

  /**
   * @param {number} scale
   * @param {Box} box
   * @param {number} pixels
   */
  #drawRowNames(scale, box, pixels) {
    const { paint, hall } = this;
    const { colours } = this.stamps;
    paint.font = `600 ${Math.min(13 * pixels, scale * 0.55)}px ${colours.text}`;
    paint.fillStyle = colours.soft;
    for (const section of hall.sections) {
      if (!meets(section, box, 0)) continue;
      for (let at = section.from; at < section.to; at += 1) {
        const row = hall.rows[at];
        if (!row || row.y < box.y || row.y > box.y + box.height) continue;
        // Beside the row, or at the left edge while its beginning is not seen.
        const x = Math.max(row.x - 0.6, box.x + 0.5);
        if (row.name === "" || x > Number(hall.x[row.to - 1])) continue;
        if (x <= row.x) paint.fillText(row.name, (x - box.x) * scale, (row.y - box.y) * scale);
        else this.#sign(row.name, (x - box.x) * scale, (row.y - box.y) * scale, scale * 0.5, scale * 2);
      }
    }
  }
}

/** How many grades the name of a section shows. */
const MARKS_MAX = 4;

/**
 * The letters of each section's grades, in the order of the grades.
 * @param {Hall} hall
 * @param {{ mark: string, place?: number }[]} grades
 * @returns {string[]}
 */
function marksOf(hall, grades) {
  /** @type {Set<number>[]} */
  const met = hall.sections.map(() => new Set());
  for (let seat = 0; seat < hall.count; seat += 1) met[hall.sectionOf(seat)]?.add(Number(hall.grades[seat]));
  return met.map((places) => {
    const found = [...places].map((place) => grades[place] ?? { mark: "" });
    found.sort((one, other) => (one.place ?? 0) - (other.place ?? 0));
    const marks = found.map(({ mark }) => mark).filter((mark) => mark !== "");
    return marks.length > MARKS_MAX ? `${marks.slice(0, MARKS_MAX).join(" ")} …` : marks.join(" ");
  });
}

/**
 * Whether a box holds another.
 * @param {Box} outer
 * @param {Box} inner
 */
function holds(outer, inner) {
  const slack = 1e-6;
  return outer.x <= inner.x + slack && outer.y <= inner.y + slack
    && outer.x + outer.width >= inner.x + inner.width - slack
    && outer.y + outer.height >= inner.y + inner.height - slack;
}

/**
 * Whether two boxes have a part in common, if the first has so much above it.
 * @param {Box} one
 * @param {Box} other
 * @param {number} above
 */
function meets(one, other, above) {
  return one.x < other.x + other.width && other.x < one.x + one.width
    && one.y - above < other.y + other.height && other.y < one.y + one.height;
}
