// What part of the drawing a person sees, and how pointers, wheel and keys move it.

/** @typedef {import("./layout.js").Box} Box */

/** The most pixels that a seat may be wide. */
const SEAT_MAX = 56;
/** Pixels that a pointer may move between down and up of a tap. */
const TAP = 6;

/** A window on a drawing: its middle, and how many pixels a seat's width takes. */
export class View {
  /**
   * @param {number} width of the drawing
   * @param {number} height of the drawing
   */
  constructor(width, height) {
    this.drawing = { width, height };
    /** The window, in pixels. */
    this.width = 1;
    this.height = 1;
    this.scale = 1;
    this.x = width / 2;
    this.y = height / 2;
  }

  /** The scale at which the whole drawing is seen. */
  get least() {
    return Math.min(this.width / this.drawing.width, this.height / this.drawing.height, SEAT_MAX / 2);
  }

  /** Whether the whole drawing is seen: then there is nothing to move. */
  get isWhole() {
    return this.scale <= this.least * 1.001;
  }

  /** The part of the drawing that is seen. */
  get box() {
    const [width, height] = [this.width / this.scale, this.height / this.scale];
    return { x: this.x - width / 2, y: this.y - height / 2, width, height };
  }

  /**
   * Takes a new size, and stays whole if it was.
   * @param {number} width
   * @param {number} height
   */
  resize(width, height) {
    const wasWhole = this.isWhole || this.width <= 1;
    this.width = Math.max(1, width);
    this.height = Math.max(1, height);
    if (wasWhole) this.fit();
    else this.#clamp();
  }

  /** Shows everything. */
  fit() {
    this.scale = this.least;
    this.x = this.drawing.width / 2;
    this.y = this.drawing.height / 2;
  }

  /**
   * Shows a part as large as it fits.
   * @param {Box} box
   */
  show(box) {
    this.scale = Math.min(this.width / box.width, this.height / box.height);
    this.x = box.x + box.width / 2;
    this.y = box.y + box.height / 2;
    this.#clamp();
  }

  /**
   * The point of the drawing under a pixel of the window.
   * @param {number} left
   * @param {number} top
   */
  at(left, top) {
    return { x: this.x + (left - this.width / 2) / this.scale, y: this.y + (top - this.height / 2) / this.scale };
  }

  /**
   * Enlarges by a factor; the point under the pixel stays where it is.
   * @param {number} factor
   * @param {number} [left]
   * @param {number} [top]
   */
  zoom(factor, left = this.width / 2, top = this.height / 2) {
    const point = this.at(left, top);
    this.scale = Math.min(SEAT_MAX, Math.max(this.least, this.scale * factor));
    this.x = point.x - (left - this.width / 2) / this.scale;
    this.y = point.y - (top - this.height / 2) / this.scale;
    this.#clamp();
  }

  /**
   * Moves by pixels.
   * @param {number} left
   * @param {number} top
   */
  pan(left, top) {
    this.x -= left / this.scale;
    this.y -= top / this.scale;
    this.#clamp();
  }

  #clamp() {
    this.scale = Math.min(SEAT_MAX, Math.max(this.least, this.scale));
    this.x = within(this.x, this.width / this.scale, this.drawing.width);
    this.y = within(this.y, this.height / this.scale, this.drawing.height);
  }
}

/**
 * The middle of a window that shows only the drawing, or all of it in the middle.
 * @param {number} middle
 * @param {number} seen
 * @param {number} whole
 */
function within(middle, seen, whole) {
  return seen >= whole ? whole / 2 : Math.min(whole - seen / 2, Math.max(seen / 2, middle));
}

/** @typedef {{ left: number, top: number }} Place */

/**
 * What moves call.
 * @typedef {object} Moves
 * @property {() => void} moved the view changed
 * @property {(left: number, top: number, event: PointerEvent) => void} tapped a pointer tapped here
 * @property {(left: number, top: number) => void} hovered a mouse is here
 * @property {() => void} left the mouse is gone
 * @property {(event: PointerEvent) => boolean} [draws] whether a pointer that goes down here draws an area
 * @property {(from: Place, to: Place, isDone: boolean) => void} [area] the area that it draws, until it is up
 * @property {() => void} [noArea] it came to nothing
 */

/**
 * Has pointers and the wheel move the view. While everything is seen there is nothing to move: then one finger and the
 * wheel scroll the page, as everywhere else on it.
 * @param {HTMLElement} element
 * @param {View} view
 * @param {Moves} moves
 */
export function followPointers(element, view, moves) {
  /** @type {Map<number, { left: number, top: number }>} */
  const down = new Map();
  let travelled = 0;
  let wasPinch = false;
  /** Where the area begins that a pointer draws. @type {Place | null} */
  let corner = null;

  /** @param {MouseEvent} event */
  const place = (event) => {
    const box = element.getBoundingClientRect();
    return { left: event.clientX - box.left, top: event.clientY - box.top };
  };
  const dropArea = () => {
    corner = null;
    moves.noArea?.();
  };
  const changed = () => {
    element.classList.toggle("whole", view.isWhole);
    moves.moved();
  };

  element.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    if (down.size === 0) {
      travelled = 0;
      wasPinch = false;
    }
    down.set(event.pointerId, place(event));
    wasPinch ||= down.size > 1;
    if (down.size === 1 && moves.draws?.(event)) corner = place(event);
    else if (corner) dropArea();
    element.setPointerCapture(event.pointerId);
  });
  element.addEventListener("pointermove", (event) => {
    const now = place(event);
    const before = down.get(event.pointerId);
    if (!before) {
      if (event.pointerType === "mouse") moves.hovered(now.left, now.top);
      return;
    }
    const [left, top] = [now.left - before.left, now.top - before.top];
    travelled += Math.hypot(left, top);
    const other = [...down].find(([id]) => id !== event.pointerId)?.[1];
    if (other) {
      const far = Math.hypot(now.left - other.left, now.top - other.top);
      const wasFar = Math.hypot(before.left - other.left, before.top - other.top);
      // The other finger may move as well: half of this one's step is the step of the middle.
      view.pan(left / 2, top / 2);
      view.zoom(far / Math.max(1, wasFar), (now.left + other.left) / 2, (now.top + other.top) / 2);
    } else if (travelled > TAP && corner) {
      moves.area?.(corner, now, false);
    } else if (travelled > TAP) {
      view.pan(left, top);
    }
    down.set(event.pointerId, now);
    if (other || (travelled > TAP && !corner)) changed();
  });
  /** @param {PointerEvent} event */
  const up = (event) => {
    if (!down.delete(event.pointerId)) return;
    const [from, to] = [corner, place(event)];
    if (from) dropArea();
    if (event.type === "pointercancel") return;
    if (travelled <= TAP && !wasPinch) moves.tapped(to.left, to.top, event);
    else if (from) moves.area?.(from, to, true);
  };
  element.addEventListener("pointerup", up);
  element.addEventListener("pointercancel", up);
  element.addEventListener("pointerleave", () => moves.left());
  element.addEventListener("wheel", (event) => {
    if (view.isWhole && !event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const step = event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? event.deltaY : event.deltaY * 32;
    const { left, top } = place(event);
    view.zoom(Math.exp(-Math.max(-240, Math.min(240, step)) / 240), left, top);
    changed();
  }, { passive: false });
  changed();
}

/**
 * Has buttons, and keys while one of them has the focus, move the view.
 * @param {HTMLElement} tools with buttons whose `data-move` is `in`, `out` or `fit`
 * @param {View} view
 * @param {() => void} moved
 */
export function followButtons(tools, view, moved) {
  /** @type {Record<string, () => void>} */
  const steps = {
    in: () => view.zoom(1.6),
    out: () => view.zoom(1 / 1.6),
    fit: () => view.fit(),
  };
  /** @type {Record<string, () => void>} */
  const keys = {
    "+": () => view.zoom(1.6),
    "=": () => view.zoom(1.6),
    "-": () => view.zoom(1 / 1.6),
    "0": () => view.fit(),
    ArrowLeft: () => view.pan(view.width / 5, 0),
    ArrowRight: () => view.pan(-view.width / 5, 0),
    ArrowUp: () => view.pan(0, view.height / 5),
    ArrowDown: () => view.pan(0, -view.height / 5),
  };
  tools.addEventListener("click", (event) => {
    const button = event.target instanceof Element ? event.target.closest("button") : null;
    const step = steps[button?.dataset.move ?? ""];
    if (!step) return;
    step();
    moved();
  });
  tools.addEventListener("keydown", (event) => {
    const step = event.ctrlKey || event.metaKey || event.altKey ? undefined : keys[event.key];
    // While everything is seen, the arrows scroll the page.
    if (!step || (event.key.startsWith("Arrow") && view.isWhole)) return;
    event.preventDefault();
    step();
    moved();
  });
}
