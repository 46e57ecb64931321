// The plan on the page: the drawing of the hall, what of it is seen, and what pointers and buttons do there.

import { Drawing } from "./draw.js";
import { View, followButtons, followPointers } from "./view.js";

/** @typedef {import("./layout.js").Hall} Hall */
/** @typedef {import("./layout.js").Section} Section */

/** How many pixels apart seats must be to be chosen by a mouse, and by a finger. */
const BY_MOUSE = 12, BY_FINGER = 24;
/** How far a tap that chooses nothing enlarges, in pixels for a seat. */
const CLOSE_UP = 32;

/**
 * What the page does for the plan.
 * @typedef {object} PlanParts
 * @property {ConstructorParameters<typeof Drawing>[2]} seen
 * @property {boolean} mayChoose
 * @property {string} hint what the page says while no seat is pointed at
 * @property {(seat: number) => string} about what it says of a seat
 * @property {(seat: number, event: PointerEvent) => void} chosen a seat was pressed
 * @property {(section: Section) => void} pressed a section was pressed
 * @property {(event: PointerEvent) => boolean} [draws] whether a pointer that goes down here draws an area
 * @property {(seats: number[]) => void} [area] the seats in an area that was drawn
 */

/**
 * @template {Element} T
 * @param {string} selector
 * @param {new () => T} kind
 * @param {ParentNode} within
 * @returns {T}
 */
export function part(selector, kind, within) {
  const found = within.querySelector(selector);
  if (!(found instanceof kind)) throw new Error(`The page lacks ${selector}.`);
  return found;
}

/** The plan. */
export class Plan {
  /** @type {{ hall: Hall, drawing: Drawing, view: View } | null} */
  #shown = null;
  #isAsked = false;
  /** @type {number | undefined} */
  #pointed;

  /**
   * @param {HTMLElement} root
   * @param {PlanParts} parts
   */
  constructor(root, parts) {
    this.root = root;
    this.parts = parts;
    this.frame = part(".plan", HTMLElement, root);
    this.canvas = part("canvas", HTMLCanvasElement, root);
    this.tip = part(".tip", HTMLElement, root);
  }

  /**
   * Shows a hall, or the same one with other seats.
   * @param {Hall} hall
   * @param {number} concert
   * @param {string | null} section the section to begin with
   */
  show(hall, concert, section) {
    const view = this.#shown?.view ?? new View(hall.width, hall.height);
    const isNew = this.#shown === null;
    this.tip.textContent ||= this.parts.hint;
    view.drawing = { width: hall.width, height: hall.height };
    this.#shown = { hall, view, drawing: new Drawing(this.canvas, hall, this.parts.seen) };
    // As high as the hall is at this width, within the bounds of the style sheet.
    this.canvas.style.aspectRatio = `${hall.width} / ${hall.height}`;
    view.resize(this.frame.clientWidth, this.canvas.clientHeight);
    if (isNew) {
      const first = hall.sections.find((one) => one.name === section);
      if (!remember(view, concert) && first && hall.sections.length > 1) frameSection(view, first);
      this.#watch(view);
    }
    this.#draw();
  }

  /**
   * Draws seats anew that changed.
   * @param {number[]} seats
   */
  update(seats) {
    this.#shown?.drawing.update(seats);
    this.#draw();
  }

  #draw() {
    if (this.#isAsked) return;
    this.#isAsked = true;
    requestAnimationFrame(() => {
      this.#isAsked = false;
      if (this.#shown?.drawing.frame(this.#shown.view)) this.#draw();
    });
  }

  /** @param {View} view */
  #watch(view) {
    new ResizeObserver(() => {
      view.resize(this.frame.clientWidth, this.canvas.clientHeight);
      this.#draw();
    }).observe(this.canvas);
    const restyle = () => {
      this.#shown?.drawing.restyle();
      this.#draw();
    };
    for (const query of ["(prefers-color-scheme: dark)", "(forced-colors: active)"]) {
      window.matchMedia(query).addEventListener("change", restyle);
    }
    const moved = () => {
      this.canvas.classList.toggle("whole", view.isWhole);
      this.#draw();
    };
    /** @type {(left: number, top: number) => number | undefined} */
    const seatAt = (left, top) => {
      const { x, y } = view.at(left, top);
      return this.#shown?.hall.seatAt(x, y);
    };
    followButtons(part(".tools", HTMLElement, this.root), view, moved);
    followPointers(this.canvas, view, {
      moved: () => this.#draw(),
      tapped: (left, top, event) => {
        if (view.scale >= (event.pointerType === "mouse" ? BY_MOUSE : BY_FINGER)) {
          const seat = seatAt(left, top);
          if (seat !== undefined && this.parts.mayChoose) this.parts.chosen(seat, event);
          return;
        }
        this.#closer(view, left, top);
        moved();
      },
      hovered: (left, top) => this.#point(view.scale >= BY_MOUSE ? seatAt(left, top) : undefined),
      left: () => this.#point(undefined),
      draws: (event) => this.parts.mayChoose && this.parts.draws?.(event) === true,
      area: (from, to, isDone) => {
        const shown = this.#shown;
        if (!shown) return;
        const box = boxOf(view.at(from.left, from.top), view.at(to.left, to.top));
        if (isDone) this.parts.area?.(shown.hall.seatsIn(box));
        else shown.drawing.outline(box);
        this.#draw();
      },
      noArea: () => {
        this.#shown?.drawing.outline(undefined);
        this.#draw();
      },
    });
  }

  /**
   * A tap where seats are too small to be chosen: its section, then a close-up of it.
   * @param {View} view
   * @param {number} left
   * @param {number} top
   */
  #closer(view, left, top) {
    const { x, y } = view.at(left, top);
    const section = this.#shown?.hall.sectionAt(x, y);
    const before = view.scale;
    if (section) {
      this.parts.pressed(section);
      frameSection(view, section);
      if (view.scale > before * 1.3) return;
      view.scale = before;
    }
    view.x = x;
    view.y = y;
    view.zoom(CLOSE_UP / view.scale);
  }

  /** @param {number | undefined} seat */
  #point(seat) {
    if (seat === this.#pointed || !this.#shown) return;
    this.#pointed = seat;
    this.#shown.drawing.hover(seat);
    this.canvas.classList.toggle("seat-here", seat !== undefined && this.parts.mayChoose);
    this.tip.textContent = seat === undefined ? this.parts.hint : this.parts.about(seat);
    this.#draw();
  }
}

/**
 * The box between two corners.
 * @param {{ x: number, y: number }} one
 * @param {{ x: number, y: number }} other
 */
const boxOf = (one, other) => ({
  x: Math.min(one.x, other.x),
  y: Math.min(one.y, other.y),
  width: Math.abs(one.x - other.x),
  height: Math.abs(one.y - other.y),
});

/**
 * Shows a section with its name.
 * @param {View} view
 * @param {Section} section
 */
const frameSection = (view, section) =>
  view.show({ x: section.x - 1, y: section.y - 2, width: section.width + 2, height: section.height + 3 });

/**
 * Keeps what is seen over a hold, which loads the page anew. Returns whether something was kept.
 * @param {View} view
 * @param {number} concert
 */
function remember(view, concert) {
  const name = `hall-view-${concert}`;
  let isKept = false;
  try {
    const [x, y, scale] = JSON.parse(sessionStorage.getItem(name) ?? "[]").map(Number);
    isKept = scale > view.least;
    if (isKept) {
      view.scale = scale;
      view.x = x;
      view.y = y;
      view.pan(0, 0);
    }
    window.addEventListener("pagehide", () => {
      if (view.isWhole) sessionStorage.removeItem(name);
      else sessionStorage.setItem(name, JSON.stringify([view.x, view.y, view.scale]));
    });
  } catch {
    // A browser that keeps nothing shows the whole hall.
  }
  return isKept;
}
