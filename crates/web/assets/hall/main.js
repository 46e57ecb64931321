// The hall page: one state of seats and choice, shown by the drawing, the list and the line at the bottom.

import { Drawing } from "./draw.js";
import { FREE, Hall, layoutOf, stateOf } from "./layout.js";
import { SeatList } from "./list.js";
import { Live } from "./live.js";
import { Names } from "./names.js";
import { FULL, Picks, TAKEN } from "./pick.js";
import { keepTurn } from "./turn.js";
import { View, followButtons, followPointers } from "./view.js";

/** @typedef {import("./layout.js").CompactMap} CompactMap */
/** @typedef {import("./list.js").GradeLook} GradeLook */

/** How many pixels apart seats must be to be chosen by a mouse, and by a finger. */
const BY_MOUSE = 12, BY_FINGER = 24;
/** How far a tap that chooses nothing enlarges, in pixels for a seat. */
const CLOSE_UP = 32;

/**
 * What the server says of the page.
 * @typedef {object} Said
 * @property {string} map the address of the seat map
 * @property {number} limit how many seats may be chosen
 * @property {boolean} may_choose
 * @property {string | null} turn the queue token of the person who is choosing
 * @property {string} page the address of this page
 * @property {number[]} mine the seats that this person holds
 * @property {(GradeLook & { name: string })[]} grades
 * @property {import("./names.js").Words} words
 */

/**
 * @template {Element} T
 * @param {string} selector
 * @param {new () => T} kind
 * @param {ParentNode} [within]
 * @returns {T}
 */
function part(selector, kind, within = document) {
  const found = within.querySelector(selector);
  if (!(found instanceof kind)) throw new Error(`The page lacks ${selector}.`);
  return found;
}

/** @param {HTMLElement} root */
function start(root) {
  const said = /** @type {Said} */ (JSON.parse(root.dataset["hall"] ?? "{}"));
  const names = new Names(said.words, document.documentElement.lang);
  const mine = new Set(said.mine);
  const grades = new Map(said.grades.map((grade) => [grade.name, grade]));
  /** @type {GradeLook} */
  const other = { mark: "", place: said.grades.length, style: "" };
  const picks = new Picks(said.may_choose ? said.limit : 0);
  const shown = {
    isMine: (/** @type {number} */ id) => mine.has(id),
    isChosen: (/** @type {number} */ id) => picks.has(id),
    grade: (/** @type {string} */ name) => grades.get(name) ?? other,
    stage: names.of("stage"),
  };

  const plan = part(".plan", HTMLElement, root);
  const canvas = part("canvas", HTMLCanvasElement, root);
  const tip = part(".tip", HTMLElement, root);
  const seats = part("#seats", HTMLElement, root);
  const news = part("#news", HTMLElement, root);
  const sum = root.querySelector("#sum");

  /** @type {{ hall: Hall, layout: string, drawing: Drawing, view: View, list: SeatList } | null} */
  let page = null;
  let isAsked = false;

  const draw = () => {
    if (isAsked) return;
    isAsked = true;
    requestAnimationFrame(() => {
      isAsked = false;
      if (page?.drawing.frame(page.view)) draw();
    });
  };

  /** @param {number} id */
  const placeOf = (id) => {
    const seat = page?.hall.places.get(id);
    if (!page || seat === undefined) return "";
    const row = page.hall.rows[Number(page.hall.rowOf[seat])];
    const section = page.hall.sections[row?.section ?? 0];
    return names.place(section?.name ?? "", row?.name ?? "", page.hall.numbers[seat] ?? "");
  };

  const tell = (/** @type {string} */ text) => {
    news.textContent = text;
  };

  const tellSum = () => {
    if (!(sum instanceof HTMLElement)) return;
    const prices = picks.ids.map((id) => Number(page?.hall.prices[page.hall.places.get(id) ?? -1] ?? 0));
    const total = names.money(prices.reduce((one, two) => one + two, 0));
    sum.textContent = prices.length === 0 ? names.of("unpicked", { limit: said.limit })
      : names.of("picked", { count: prices.length, places: picks.ids.map(placeOf).join(", "), total });
  };

  /** @param {number} id */
  const toggle = (id) => {
    const seat = page?.hall.places.get(id);
    if (!page || seat === undefined) return;
    const became = picks.toggle(id, page.hall.states[seat] === FREE && !mine.has(id));
    if (became === FULL) tell(names.of("full", { limit: said.limit }));
    else if (became === TAKEN) tell(names.of("taken", { place: placeOf(id) }));
    else tell("");
    page.list.update([seat]);
  };

  picks.onChange((changed) => {
    if (!page) return;
    const { hall } = page;
    const places = changed.map((id) => hall.places.get(id)).filter((seat) => seat !== undefined);
    page.drawing.update(places);
    page.list.update(places);
    tellSum();
    draw();
  });

  const dropTaken = () => {
    const isFree = (/** @type {number} */ id) => {
      const seat = page?.hall.places.get(id);
      return seat !== undefined && page?.hall.states[seat] === FREE;
    };
    const taken = picks.dropTaken(isFree);
    if (taken.length > 0) tell(taken.map((id) => names.of("lost", { place: placeOf(id) })).join(" "));
  };

  /** @param {number[]} seats whose states changed */
  const changed = (seats) => {
    page?.drawing.update(seats);
    page?.list.update(seats);
    dropTaken();
    draw();
  };

  /** @param {CompactMap} map */
  const show = (map) => {
    const layout = layoutOf(map);
    if (page?.layout === layout) {
      changed(page.hall.setAll(map));
      return;
    }
    const hall = new Hall(map);
    const view = page?.view ?? new View(hall.width, hall.height);
    const isNew = page === null;
    tip.textContent ||= names.of("hint");
    view.drawing = { width: hall.width, height: hall.height };
    const parts = { ...shown, hall, picks, names, mayChoose: said.may_choose };
    const list = new SeatList(seats, parts);
    page = { hall, layout, view, list, drawing: new Drawing(canvas, hall, shown) };
    root.classList.add("live");
    // As high as the hall is at this width, within the bounds of the style sheet.
    canvas.style.aspectRatio = `${hall.width} / ${hall.height}`;
    view.resize(plan.clientWidth, canvas.clientHeight);
    if (isNew) {
      remember(view, map.concert_id);
      watch(view);
    }
    dropTaken();
    tellSum();
    draw();
    performance.mark("hall-drawn");
  };

  /** @param {View} view */
  const watch = (view) => {
    new ResizeObserver(() => {
      view.resize(plan.clientWidth, canvas.clientHeight);
      draw();
    }).observe(canvas);
    const restyle = () => {
      page?.drawing.restyle();
      draw();
    };
    for (const query of ["(prefers-color-scheme: dark)", "(forced-colors: active)"]) {
      window.matchMedia(query).addEventListener("change", restyle);
    }
    const moved = () => {
      canvas.classList.toggle("whole", view.isWhole);
      draw();
    };
    followButtons(part(".tools", HTMLElement, root), view, moved);
    followPointers(canvas, view, {
      moved: draw,
      tapped: (left, top, kind) => {
        const { x, y } = view.at(left, top);
        const seat = page?.hall.seatAt(x, y);
        if (view.scale >= (kind === "mouse" ? BY_MOUSE : BY_FINGER)) {
          if (seat !== undefined && said.may_choose) toggle(Number(page?.hall.ids[seat]));
          return;
        }
        closer(view, left, top);
        moved();
      },
      hovered: (left, top) => {
        const { x, y } = view.at(left, top);
        const seat = view.scale >= BY_MOUSE ? page?.hall.seatAt(x, y) : undefined;
        point(seat);
      },
      left: () => point(undefined),
    });
  };

  /**
   * A tap where seats are too small to be chosen: its section, then a close-up of it.
   * @param {View} view
   * @param {number} left
   * @param {number} top
   */
  const closer = (view, left, top) => {
    const { x, y } = view.at(left, top);
    const section = page?.hall.sectionAt(x, y);
    const before = view.scale;
    if (section) {
      view.show({ x: section.x - 1, y: section.y - 2, width: section.width + 2, height: section.height + 3 });
      if (view.scale > before * 1.3) return;
      view.scale = before;
    }
    view.x = x;
    view.y = y;
    view.zoom(CLOSE_UP / view.scale);
  };

  /** @type {number | undefined} */
  let pointed;
  /** @param {number | undefined} seat */
  const point = (seat) => {
    if (seat === pointed || !page) return;
    pointed = seat;
    page.drawing.hover(seat);
    canvas.classList.toggle("seat-here", seat !== undefined && said.may_choose);
    tip.textContent = seat === undefined ? names.of("hint") : [
      placeOf(Number(page.hall.ids[seat])),
      page.hall.gradeNames[Number(page.hall.grades[seat])] ?? "",
      names.money(Number(page.hall.prices[seat])),
    ].filter((text) => text !== "").join(" · ");
    draw();
  };

  seats.addEventListener("change", (event) => {
    if (event.target instanceof HTMLInputElement && event.target.name === "seat") toggle(Number(event.target.value));
  });
  // The choice is what is sent, also of seats whose boxes are not on the page.
  const form = root.querySelector("form");
  form?.addEventListener("formdata", (event) => {
    event.formData.delete("seat");
    for (const id of picks.ids) event.formData.append("seat", String(id));
  });
  form?.addEventListener("submit", (event) => {
    if (picks.ids.length > 0 || !page) return;
    event.preventDefault();
    tell(names.of("unpicked", { limit: said.limit }));
  });
  for (const box of seats.querySelectorAll("input:checked")) {
    if (box instanceof HTMLInputElement) picks.toggle(Number(box.value), true);
  }

  const live = new Live(said.map, {
    map: show,
    seats: (changes) => {
      if (!page) return false;
      const { hall } = page;
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
    fresh: (isFresh) => root.classList.toggle("old", !isFresh),
  });
  void live.start();
  if (said.turn) keepTurn(said.turn, () => window.location.replace(said.page));
}

/**
 * Keeps what is seen over a hold, which loads the page anew.
 * @param {View} view
 * @param {number} concert
 */
function remember(view, concert) {
  const name = `hall-view-${concert}`;
  try {
    const [x, y, scale] = JSON.parse(sessionStorage.getItem(name) ?? "[]").map(Number);
    if (scale > view.least) {
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
}

const root = document.getElementById("hall");
if (root) start(root);
