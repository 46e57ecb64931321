// What a seat looks like: the states of seats are told apart by their shapes as well as by their colours, and grades by a
// letter too.

import { BLOCKED as SEAT_BLOCKED, FREE as SEAT_FREE, HELD as SEAT_HELD } from "./layout.js";

/** @typedef {import("./layout.js").Hall} Hall */

/** From this size on, in pixels of the device, a seat shows its shape. */
const SHAPE_MIN = 7;
/** From this size on, in pixels of the page, it shows the letter of its grade: a smaller one cannot be read. */
const LETTER_MIN = 19;

/** Device pixels in a pixel of the page: more than two cost much and show little. */
export const density = () => Math.min(2, window.devicePixelRatio || 1);

/** The looks of a seat. */
const FREE = 0, HELD = 1, GONE = 2, BLOCKED = 3;
export const MINE = 4, CHOSEN = 5;

/**
 * The look of a seat in this state that is neither chosen nor held by this person.
 * @param {number} state
 */
export const lookOf = (state) => (state === SEAT_FREE ? FREE : state === SEAT_HELD ? HELD : GONE);

/**
 * The same for operators, who tell blocked seats from sold ones.
 * @param {number} state
 */
export const operatorLookOf = (state) => (state === SEAT_BLOCKED ? BLOCKED : lookOf(state));

/** The colours of the drawing, as the style sheet has them. */
class Colours {
  /** @param {Element} element */
  constructor(element) {
    const style = getComputedStyle(element);
    const forced = window.matchMedia("(forced-colors: active)").matches;
    /** @type {(name: string, system: string) => string} */
    const of = (name, system) => (forced ? system : style.getPropertyValue(name).trim() || system);
    this.card = of("--card", "Canvas");
    this.stage = of("--line", "CanvasText");
    this.stageInk = of("--ink", "Canvas");
    this.gone = of("--gone", "GrayText");
    this.ink = of("--ink", "CanvasText");
    this.soft = of("--soft", "CanvasText");
    this.light = of("--light", "Highlight");
    this.lightInk = of("--light-ink", "HighlightText");
    this.gradeInk = of("--grade-ink", "Canvas");
    /** By the class of a grade. */
    this.grades = new Map(["vip", "r", "s", "a", "b"].map((style) => [style, of(`--${style}`, "CanvasText")]));
    this.text = style.fontFamily || "sans-serif";
  }

  /** @param {string | undefined} style */
  grade(style) {
    return this.grades.get(style ?? "") ?? this.ink;
  }
}

/** Prints seats into pictures. */
export class Stamps {
  /** @type {Map<string, HTMLCanvasElement>} */
  #sprites = new Map();

  /**
   * @param {Element} element whose style has the colours
   * @param {Hall} hall
   * @param {{ mark: string, style: string }[]} grades of the hall, each with its letter and the class of its colour
   */
  constructor(element, hall, grades) {
    this.hall = hall;
    this.grades = grades;
    this.colours = new Colours(element);
  }

  /**
   * A seat with this look and its middle here.
   * @param {CanvasRenderingContext2D} paint
   * @param {number} seat
   * @param {number} look
   * @param {number} x
   * @param {number} y
   * @param {number} scale
   */
  print(paint, seat, look, x, y, scale) {
    if (scale >= SHAPE_MIN) this.#stamp(paint, seat, look, x, y, scale);
    else this.#dot(paint, seat, look, x, y, scale);
  }

  /**
   * A seat too small for a shape: full if it is free, half as high if it is held, half as wide if it is blocked, a dot
   * if it is gone.
   * @param {CanvasRenderingContext2D} paint
   * @param {number} seat
   * @param {number} look
   * @param {number} x
   * @param {number} y
   * @param {number} scale
   */
  #dot(paint, seat, look, x, y, scale) {
    const size = Math.max(1, scale * (look === GONE ? 0.4 : 0.84));
    const height = look === HELD ? size * 0.4 : size;
    const width = look === BLOCKED ? size * 0.4 : size;
    const colour = look === GONE ? this.colours.gone
      : look === BLOCKED ? this.colours.soft
      : look >= MINE ? this.colours.light : this.colours.grade(this.grades[Number(this.hall.grades[seat])]?.style);
    if (paint.fillStyle !== colour) paint.fillStyle = colour;
    paint.fillRect(x - width / 2, y - height / 2, width, height);
  }

  /**
   * A seat with its shape, from a picture of it that all such seats share.
   * @param {CanvasRenderingContext2D} paint
   * @param {number} seat
   * @param {number} look
   * @param {number} x
   * @param {number} y
   * @param {number} scale
   */
  #stamp(paint, seat, look, x, y, scale) {
    const size = Math.floor(scale);
    const grade = look >= GONE ? 0 : Number(this.hall.grades[seat]);
    const isLettered = size >= LETTER_MIN * density();
    const name = `${size} ${look} ${grade} ${isLettered}`;
    let sprite = this.#sprites.get(name);
    if (!sprite) {
      sprite = this.#sprite(size, look, grade, isLettered ? this.grades[grade]?.mark ?? "" : "");
      this.#sprites.set(name, sprite);
    }
    paint.drawImage(sprite, Math.round(x - size / 2), Math.round(y - size / 2));
  }

  /**
   * @param {number} size
   * @param {number} look
   * @param {number} grade
   * @param {string} mark the letter of the grade; empty if it is not shown
   */
  #sprite(size, look, grade, mark) {
    const canvas = document.createElement("canvas");
    canvas.width = size;
    canvas.height = size;
    const paint = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    const colour = this.colours.grade(this.grades[grade]?.style);
    const middle = size / 2;
    /** @type {(radius: number) => void} */
    const circle = (radius) => {
      paint.beginPath();
      paint.arc(middle, middle, radius, 0, 2 * Math.PI);
    };
    paint.lineWidth = Math.max(1, size * 0.07);
    if (look === GONE) {
      paint.fillStyle = this.colours.gone;
      circle(Math.max(1, size * 0.13));
      paint.fill();
    } else if (look === BLOCKED) {
      paint.strokeStyle = this.colours.soft;
      paint.lineWidth = Math.max(1, size * 0.1);
      paint.beginPath();
      for (const side of [1, -1]) {
        paint.moveTo(middle - size * 0.28, middle - side * size * 0.28);
        paint.lineTo(middle + size * 0.28, middle + side * size * 0.28);
      }
      paint.stroke();
    } else if (look === HELD) {
      paint.strokeStyle = colour;
      paint.setLineDash([size * 0.16, size * 0.13]);
      circle(size * 0.42);
      paint.stroke();
      this.#letter(paint, mark, size, colour);
    } else if (look === FREE) {
      paint.fillStyle = colour;
      circle(size * 0.42);
      paint.fill();
      this.#letter(paint, mark, size, this.colours.gradeInk);
    } else {
      // Chosen is a square with a tick, held by this person the same in a ring.
      const inset = look === MINE ? 0.2 : 0.08;
      paint.fillStyle = this.colours.light;
      paint.beginPath();
      paint.roundRect(size * inset, size * inset, size * (1 - 2 * inset), size * (1 - 2 * inset), size * 0.14);
      paint.fill();
      if (look === MINE) {
        paint.strokeStyle = this.colours.light;
        circle(size * 0.45);
        paint.stroke();
      }
      paint.strokeStyle = this.colours.lightInk;
      paint.lineWidth = Math.max(1.5, size * 0.1);
      paint.beginPath();
      paint.moveTo(size * 0.34, size * 0.52);
      paint.lineTo(size * 0.46, size * 0.63);
      paint.lineTo(size * 0.67, size * 0.38);
      paint.stroke();
    }
    return canvas;
  }

  /**
   * @param {CanvasRenderingContext2D} paint
   * @param {string} mark
   * @param {number} size
   * @param {string} colour
   */
  #letter(paint, mark, size, colour) {
    const length = [...mark].length;
    if (length === 0) return;
    paint.fillStyle = colour;
    paint.font = `700 ${Math.round(size * (length > 2 ? 0.3 : length > 1 ? 0.38 : 0.46))}px ${this.colours.text}`;
    paint.textAlign = "center";
    paint.textBaseline = "middle";
    paint.fillText(mark, size / 2, size * 0.53);
  }
}
