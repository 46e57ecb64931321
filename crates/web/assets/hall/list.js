// The list of a hall: section, row, seat. It does all that the drawing does, for those who do not see or point at it, and
// shows the same states and the same choice.

import { FREE, HELD, SOLD } from "./layout.js";
import { KEYS, listEnd, seatBeside } from "./rove.js";

/** @typedef {import("./layout.js").Hall} Hall */
/** @typedef {import("./names.js").Names} Names */

/** How many seats of a section are listed before a button shows more. */
const SEATS_AT_ONCE = 1000;

/** A grade on the page: its mark, its place among the grades, and the class of its colour. */
/** @typedef {{ mark: string, place: number, style: string }} GradeLook */

/**
 * @typedef {object} ListParts
 * @property {Hall} hall
 * @property {{ has: (id: number) => boolean }} picks
 * @property {Names} names
 * @property {(grade: string) => GradeLook} grade
 * @property {(id: number) => boolean} isMine
 * @property {boolean} mayChoose
 * @property {boolean} [anyState] whether seats may be chosen whatever their state is
 * @property {(from: number, to: number, isRow: boolean) => HTMLElement} [wholeOf] a button that chooses a whole row or
 *   section: the seats `from` up to, but without, `to`
 */

/** The list on the page. */
export class SeatList {
  /** By seat. @type {Map<number, HTMLInputElement>} */
  #boxes = new Map();
  /** @type {HTMLElement[]} */
  #counts = [];
  /** The seat of each section that the tabulator comes to. @type {(number | undefined)[]} */
  #stops = [];
  /** The rows of each section that are listed. @type {{ from: number, to: number }[][]} */
  #listed = [];

  /**
   * Stands in the place of the list that the server wrote, with the same sections open.
   * @param {HTMLElement} element
   * @param {ListParts} parts
   */
  constructor(element, parts) {
    this.element = element;
    this.parts = parts;
    const open = new Set([...element.querySelectorAll("details[open]")].map((one) => one.getAttribute("data-section")));
    const focused = element.contains(document.activeElement) ? document.activeElement : null;
    const [value, within] = [focused?.getAttribute("value"), focused?.closest("[data-section]")?.getAttribute("data-section")];
    const sections = parts.hall.sections.map((section, place) => this.#section(place, open.has(section.name)));
    element.replaceChildren(...sections);
    if (!focused) return;
    const same = value ? this.#boxes.get(parts.hall.places.get(Number(value)) ?? -1) : null;
    const summary = sections.find((section) => section.dataset["section"] === within)?.querySelector("summary");
    (same ?? summary)?.focus({ preventScroll: true });
  }

  /**
   * Opens a section.
   * @param {string} name
   */
  open(name) {
    for (const section of this.element.querySelectorAll("details")) {
      if (section.dataset["section"] === name) section.open = true;
    }
  }

  /**
   * Shows seats as they are now.
   * @param {number[]} seats
   */
  update(seats) {
    const sections = new Set();
    for (const seat of seats) {
      sections.add(this.parts.hall.sectionOf(seat));
      this.#show(seat);
    }
    for (const section of sections) this.#tell(section);
  }

  /**
   * @param {number} place
   * @param {boolean} isOpen
   */
  #section(place, isOpen) {
    const { hall, names } = this.parts;
    const section = hall.sections[place];
    const details = document.createElement("details");
    details.className = "section";
    details.dataset["section"] = section?.name ?? "";
    const summary = document.createElement("summary");
    const name = document.createElement("b");
    name.textContent = section?.name || names.of("hall");
    const count = document.createElement("span");
    count.className = "soft small";
    this.#counts[place] = count;
    summary.append(name, " ", count);
    details.append(summary);
    this.#tell(place);
    const show = () => {
      if (details.open && details.childElementCount === 1) this.#more(details, place, hall.rows[section?.from ?? 0]?.from ?? 0);
    };
    details.addEventListener("toggle", show);
    details.addEventListener("keydown", (event) => this.#move(event, place));
    details.addEventListener("focusin", ({ target }) => {
      if (target instanceof HTMLInputElement) this.#stop(place, hall.places.get(Number(target.value)));
    });
    details.open = isOpen;
    show();
    return details;
  }

  /**
   * The free seats of a section, by grade.
   * @param {number} place
   */
  #tell(place) {
    const { hall, names, grade } = this.parts;
    const section = hall.sections[place];
    const count = this.#counts[place];
    if (!section || !count) return;
    /** @type {number[]} */
    const free = [];
    for (let at = section.from; at < section.to; at += 1) {
      const row = hall.rows[at];
      for (let seat = row?.from ?? 0; row && seat < row.to; seat += 1) {
        if (hall.states[seat] !== FREE) continue;
        const of = Number(hall.grades[seat]);
        free[of] = (free[of] ?? 0) + 1;
      }
    }
    const known = hall.gradeNames.map((name, at) => ({ name, look: grade(name), free: free[at] ?? 0 }));
    known.sort((one, other) => one.look.place - other.look.place);
    const parts = known.filter((one) => one.free > 0)
      .map((one) => names.of("count", { grade: one.name || names.of("nograde"), count: names.numbers.format(one.free) }));
    count.textContent = parts.join(" · ") || names.of("none");
  }

  /**
   * The seats of a section from one on, in their rows, and a button for those behind.
   * @param {HTMLElement} details
   * @param {number} place
   * @param {number} from
   */
  #more(details, place, from) {
    const { hall, names } = this.parts;
    const section = hall.sections[place];
    if (!section) return;
    const rows = hall.rows.slice(section.from, section.to);
    const to = listEnd(rows, from, SEATS_AT_ONCE);
    const listed = (this.#listed[place] ??= []);
    const { wholeOf } = this.parts;
    if (wholeOf && details.childElementCount === 1) {
      details.append(wholeOf(rows[0]?.from ?? 0, rows.at(-1)?.to ?? 0, false));
    }
    for (const row of rows.filter((row) => row.from < to && row.to > from)) {
      const [first, end] = [Math.max(row.from, from), Math.min(row.to, to)];
      const fieldset = document.createElement("fieldset");
      fieldset.className = "seats";
      const legend = document.createElement("legend");
      legend.textContent = names.row(row.name) || names.of("seats");
      fieldset.append(legend);
      if (wholeOf) {
        const whole = wholeOf(row.from, row.to, true);
        // The arrows lead to it from the seats: a stop for each row would stand between the seats and what comes next.
        whole.tabIndex = -1;
        fieldset.append(whole);
      }
      for (let seat = first; seat < end; seat += 1) fieldset.append(this.#seat(seat));
      details.append(fieldset);
      listed.push({ from: first, to: end });
    }
    if (this.#stops[place] === undefined) {
      const free = listed.flatMap(({ from, to }) => Array.from({ length: to - from }, (_, at) => from + at))
        .find((seat) => hall.states[seat] === FREE);
      this.#stop(place, free ?? from);
    }
    if (to >= (rows.at(-1)?.to ?? to)) return;
    const more = document.createElement("button");
    more.type = "button";
    more.className = "button quiet";
    more.textContent = names.of("more");
    more.addEventListener("click", () => {
      more.remove();
      this.#more(details, place, to);
      this.#boxes.get(to)?.focus();
    });
    details.append(more);
  }

  /**
   * Has the tabulator come to this seat of a section.
   * @param {number} place
   * @param {number | undefined} seat
   */
  #stop(place, seat) {
    const box = this.#boxes.get(seat ?? -1);
    if (!box) return;
    const last = this.#boxes.get(this.#stops[place] ?? -1);
    if (last) last.tabIndex = -1;
    box.tabIndex = 0;
    this.#stops[place] = seat;
  }

  /**
   * Moves the focus to another seat of the section, or to the button of a whole row, which stands before the row's seats.
   * @param {KeyboardEvent} event
   * @param {number} place
   */
  #move(event, place) {
    const { target, key } = event;
    if (!(target instanceof HTMLElement) || !KEYS.includes(key)) return;
    const row = target.closest("fieldset");
    if (!row || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    // At an end the page does not move either.
    event.preventDefault();
    const wholeOf = (/** @type {Element | null} */ other) => other?.querySelector("button") ?? null;
    if (target instanceof HTMLInputElement) {
      const seat = this.parts.hall.places.get(Number(target.value)) ?? -1;
      const beside = this.#boxes.get(seatBeside(this.#listed[place] ?? [], seat, key) ?? -1);
      (beside ?? (key === "ArrowLeft" ? wholeOf(row) : null))?.focus();
      return;
    }
    const boxes = row.querySelectorAll("input");
    if (key === "ArrowUp") wholeOf(row.previousElementSibling)?.focus();
    else if (key === "ArrowDown") wholeOf(row.nextElementSibling)?.focus();
    else if (key === "ArrowRight") boxes[0]?.focus();
    else if (key === "End") boxes[boxes.length - 1]?.focus();
  }

  /** @param {number} seat */
  #seat(seat) {
    const { hall, grade } = this.parts;
    const label = document.createElement("label");
    const look = grade(hall.gradeNames[Number(hall.grades[seat])] ?? "");
    label.className = `seat ${look.style}`;
    const box = document.createElement("input");
    box.type = "checkbox";
    box.name = "seat";
    box.value = String(hall.ids[seat]);
    box.tabIndex = -1;
    const mark = document.createElement("i");
    mark.textContent = look.mark;
    const face = document.createElement("span");
    face.append(hall.numbers[seat] ?? "", mark);
    label.append(box, face);
    this.#boxes.set(seat, box);
    this.#show(seat);
    return label;
  }

  /** @param {number} seat */
  #show(seat) {
    const { hall, names, picks, isMine, mayChoose, anyState } = this.parts;
    const box = this.#boxes.get(seat);
    if (!box) return;
    const id = Number(hall.ids[seat]);
    const row = hall.rows[Number(hall.rowOf[seat])];
    const section = hall.sections[row?.section ?? 0];
    const state = hall.states[seat];
    const mine = isMine(id);
    const word = mine ? "mine" : state === FREE ? "free" : state === HELD ? "held" : state === SOLD ? "sold" : "blocked";
    box.checked = picks.has(id);
    // A box that is taken under the focus keeps it, and a chosen seat that somebody took can still be let go: a box is
    // never disabled for the browser, and a click on one that cannot be chosen is answered in words.
    if (mayChoose && (anyState || word === "free" || box.checked)) box.removeAttribute("aria-disabled");
    else box.setAttribute("aria-disabled", "true");
    box.parentElement?.setAttribute("data-state", word);
    box.setAttribute("aria-label", names.of("seat", {
      place: names.place(section?.name ?? "", row?.name ?? "", hall.numbers[seat] ?? ""),
      grade: hall.gradeNames[Number(hall.grades[seat])] ?? "",
      price: names.money(Number(hall.prices[seat])),
      state: names.of(word),
    }).replace(/  +/g, " "));
  }
}
