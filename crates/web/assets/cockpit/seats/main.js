// The seats of a concert for operators: one state of seats and selection, shown by the drawing, the list and the line at
// the bottom. The drawing and the list are those of the buyers' hall.

import { BLOCKED, FREE, HELD, SOLD } from "../../hall/layout.js";
import { SeatList } from "../../hall/list.js";
import { Names } from "../../hall/names.js";
import { Plan, part } from "../../hall/plan.js";
import { followHall, gradeLooks, placeIn } from "../../hall/shown.js";
import { operatorLookOf } from "../../hall/stamps.js";
import { ask } from "../../live/source.js";
import { Selection, between, inWords, rangesOf, wholeOf } from "./selection.js";

/** @typedef {import("../../hall/layout.js").Hall} Hall */
/** @typedef {import("../../hall/list.js").GradeLook} GradeLook */

/** The states by their words, in the order in which they are counted. */
const STATES = /** @type {const} */ ([[FREE, "free"], [HELD, "held"], [SOLD, "sold"], [BLOCKED, "blocked"]]);
/** The page asks about so many chosen seats, and this long after the last change, in milliseconds. */
const ABOUT_MAX = 40, ABOUT_AFTER_MS = 350;
/** How many seats that changed meanwhile are named. */
const NAMED_MAX = 4;

/**
 * What the server says of the page.
 * @typedef {object} Said
 * @property {string} map the address of the seat map
 * @property {string} about the address of what there is to know of seats
 * @property {number} concert
 * @property {number[]} chosen
 * @property {(GradeLook & { name: string })[]} grades
 * @property {import("../../hall/names.js").Words} words
 */

/** @param {HTMLFormElement} root */
function start(root) {
  const said = /** @type {Said} */ (JSON.parse(root.dataset["hall"] ?? "{}"));
  const names = new Names(said.words, document.documentElement.lang);
  const seats = part("#seats", HTMLElement, root);
  const stale = part(".stale", HTMLElement, root);
  const [news, sum, about] = ["#news", "#sum", "#about"].map((one) => part(one, HTMLElement, root));
  const clear = root.querySelector('[data-pick="none"]');
  const areaButton = part('[data-pick="area"]', HTMLButtonElement, root);
  const canvas = part("canvas", HTMLCanvasElement, root);
  let drawsArea = false;
  let isRun = false;
  let aboutTimer = 0;
  /** What was asked about last, with the states that its seats had. */
  let askedAbout = "";

  /** None until the map has come: then the boxes that the server wrote are the list. */
  /** @type {{ hall: Hall, list: SeatList } | null} */
  let page = null;

  /** @param {number[]} ids */
  const placesOf = (ids) =>
    ids.map((id) => page?.hall.places.get(id)).filter((seat) => seat !== undefined);

  const selection = new Selection((ids) => {
    const places = placesOf(ids);
    plan.update(places);
    page?.list.update(places);
    tellSum();
  });

  const seen = {
    isMine: () => false,
    isChosen: (/** @type {number} */ id) => selection.has(id),
    grade: gradeLooks(said.grades),
    stage: names.of("stage"),
    look: operatorLookOf,
  };

  /** @param {number} seat */
  const placeOf = (seat) => page ? placeIn(page.hall, seat, names) : "";

  /** @param {number} seat */
  const wordOf = (seat) => names.of(STATES.find(([state]) => state === page?.hall.states[seat])?.[1] ?? "blocked");

  const tell = (/** @type {string} */ text) => {
    if (news && news.textContent !== text) news.textContent = text;
  };

  const tellSum = () => {
    if (!page || !sum) return;
    const { hall } = page;
    const chosen = placesOf(selection.ids);
    const counts = STATES.map(([state, word]) => ({ word, count: chosen.filter((seat) => hall.states[seat] === state).length }));
    const states = counts.filter(({ count }) => count > 0)
      .map(({ word, count }) => names.of("state-count", { state: names.of(word), count: names.numbers.format(count) }));
    sum.textContent = chosen.length === 0 ? names.of("unchosen") : names.of("chosen", {
      count: names.numbers.format(chosen.length),
      states: states.join(", "),
      places: inWords(hall, (id) => selection.has(id), names),
    });
    if (clear instanceof HTMLElement) clear.hidden = chosen.length === 0;
    sum.closest(".choose")?.classList.toggle("some", chosen.length > 0);
    askAbout();
  };

  const tellCounts = () => {
    if (!page) return;
    const { states } = page.hall;
    const counts = STATES.map(() => 0);
    for (const state of states) counts[state] = Number(counts[state]) + 1;
    for (const [state, word] of STATES) {
      const count = document.querySelector(`#counts [data-state="${word}"]`);
      const text = names.numbers.format(Number(counts[state]));
      if (count && count.textContent !== text) count.textContent = text;
    }
  };

  /** Why the chosen seats are blocked, by whom and since when, as the server says it. */
  const askAbout = () => {
    window.clearTimeout(aboutTimer);
    aboutTimer = window.setTimeout(async () => {
      const hall = page?.hall;
      if (!hall || !about) return;
      const ids = selection.ids;
      const isAsked = ids.length > 0 && ids.length <= ABOUT_MAX && placesOf(ids).some((seat) => hall.states[seat] === BLOCKED);
      const wanted = isAsked ? `${rangesOf(ids)} ${placesOf(ids).map((seat) => hall.states[seat]).join("")}` : "";
      if (wanted === askedAbout) return;
      askedAbout = wanted;
      if (!isAsked) {
        about.replaceChildren();
        return;
      }
      try {
        const answer = await ask(`${said.about}?seats=${rangesOf(ids)}`, {});
        const told = new DOMParser().parseFromString(answer.ok ? await answer.text() : "", "text/html");
        const facts = told.querySelector("#about-seats");
        if (askedAbout !== wanted) return;
        if (facts) facts.removeAttribute("id");
        about.replaceChildren(...(facts ? [document.adoptNode(facts)] : []));
      } catch {
        // The next change asks again.
        askedAbout = "";
      }
    }, ABOUT_AFTER_MS);
  };

  const plan = new Plan(root, {
    seen,
    mayChoose: true,
    hint: names.of("hint"),
    about: (seat) => {
      const hall = page?.hall;
      const grade = hall?.gradeNames[Number(hall.grades[seat])] ?? "";
      return [placeOf(seat), grade, names.money(Number(hall?.prices[seat])), wordOf(seat)].filter((text) => text !== "").join(" · ");
    },
    chosen: (seat, event) => {
      if (page) selection.press(page.hall, seat, event.shiftKey);
    },
    pressed: ({ name }) => page?.list.open(name),
    draws: (event) => drawsArea || event.shiftKey,
    area: (found) => {
      if (page) selection.toggleAll(page.hall, found);
    },
  });

  /** @param {number[]} places of the seats whose states changed */
  const changed = (places) => {
    plan.update(places);
    page?.list.update(places);
    tellCounts();
    const chosen = places.filter((seat) => selection.has(Number(page?.hall.ids[seat])));
    if (chosen.length === 0) return;
    tell(chosen.slice(0, NAMED_MAX).map((seat) => names.of("changed-meanwhile", { place: placeOf(seat), state: wordOf(seat) })).join(" "));
    tellSum();
  };

  /**
   * A button that chooses a whole row or section.
   * @param {Hall} hall
   * @param {number} from
   * @param {number} to
   * @param {boolean} isRow
   */
  const wholeButton = (hall, from, to, isRow) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "whole-of";
    const name = document.createElement("span");
    name.className = "hidden";
    const row = hall.rows[Number(hall.rowOf[from])];
    name.textContent = ` ${isRow ? names.row(row?.name ?? "") : hall.sections[row?.section ?? 0]?.name ?? ""}`;
    button.append(names.of(isRow ? "whole-row" : "whole-section"), name);
    button.addEventListener("click", () => selection.toggleAll(hall, between(from, to)));
    return button;
  };

  /** @param {Hall} hall */
  const made = (hall) => {
    const list = new SeatList(seats, {
      ...seen,
      hall,
      picks: selection,
      names,
      mayChoose: true,
      anyState: true,
      wholeOf: (from, to, isRow) => wholeButton(hall, from, to, isRow),
    });
    page = { hall, list };
    root.classList.add("live");
    plan.show(hall, said.concert, new URLSearchParams(window.location.search).get("section"));
    if (selection.keepKnown(hall)) tell(names.of("gone-meanwhile"));
    tellCounts();
    tellSum();
    performance.mark("hall-drawn");
  };

  const live = followHall(said.map, { stale, names, made, changed });

  // A box says only that it changed, not with which keys: the click before it does.
  seats.addEventListener("click", (event) => {
    isRun = event.shiftKey;
  }, true);
  seats.addEventListener("change", (event) => {
    const box = event.target;
    if (!(box instanceof HTMLInputElement) || box.name !== "seat") return;
    const seat = page?.hall.places.get(Number(box.value));
    if (!page || seat === undefined) {
      selection.set([Number(box.value)], box.checked);
      return;
    }
    selection.press(page.hall, seat, isRun);
    page.list.update([seat]);
  });
  root.addEventListener("click", (event) => {
    const button = event.target instanceof Element ? event.target.closest("[data-pick]") : null;
    const pick = button?.getAttribute("data-pick");
    if (!pick) return;
    const hall = page?.hall;
    if (pick === "area") {
      drawsArea = !drawsArea;
      areaButton.setAttribute("aria-pressed", String(drawsArea));
      canvas.classList.toggle("draws", drawsArea);
    } else if (pick === "none") {
      selection.clear();
      seats.querySelector("summary")?.focus();
    } else if (hall) {
      const seat = hall.places.get(selection.anchor ?? -1);
      if (seat === undefined) tell(names.of("unchosen"));
      else selection.set(wholeOf(hall, seat, pick === "row").map((one) => Number(hall.ids[one])), true);
    }
  });
  // The selection is what is sent, also of seats whose boxes are not on the page.
  root.addEventListener("formdata", ({ formData }) => {
    if (!page) return;
    for (const name of ["seat", "row", "section"]) formData.delete(name);
    formData.set("seats", rangesOf(selection.ids));
  });
  root.addEventListener("submit", (event) => {
    keep(said.concert, selection.ids);
    if (!page || selection.size > 0) return;
    event.preventDefault();
    tell(names.of("unchosen"));
  });

  const ticked = [...seats.querySelectorAll('input[name="seat"]:checked')].map((box) => Number(box.getAttribute("value")));
  const asked = kept(said.concert);
  // What was done is not selected any more.
  selection.set([...said.chosen, ...ticked, ...(document.querySelector("#did") ? [] : asked)], true);
  void live.start();
}

/** @param {number} concert */
const keyOf = (concert) => `seats-selection-${concert}`;

/**
 * Keeps a selection in this tab while the question about it is open.
 * @param {number} concert
 * @param {number[]} ids
 */
function keep(concert, ids) {
  try {
    window.sessionStorage.setItem(keyOf(concert), rangesOf(ids));
  } catch {
    // Then it is selected anew.
  }
}

/**
 * The selection that was kept, once.
 * @param {number} concert
 * @returns {number[]}
 */
function kept(concert) {
  try {
    const text = window.sessionStorage.getItem(keyOf(concert)) ?? "";
    window.sessionStorage.removeItem(keyOf(concert));
    return text.split(",").filter((range) => range !== "").flatMap((range) => {
      const [first, last] = range.split("-").map(Number);
      return between(Number(first), Number(last ?? first) + 1);
    });
  } catch {
    return [];
  }
}

const root = document.getElementById("hall");
if (root instanceof HTMLFormElement && root.querySelector("#seats")) start(root);
