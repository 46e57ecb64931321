// The hall page: one state of seats and choice, shown by the drawing, the list and the line at the bottom.

import { FREE } from "./layout.js";
import { SeatList } from "./list.js";
import { Names } from "./names.js";
import { FULL, Picks, TAKEN } from "./pick.js";
import { Plan, part } from "./plan.js";
import { followHall, gradeLooks, placeIn } from "./shown.js";
import { followTabs, keepChoice, keptChoice } from "./tabs.js";
import { keepTurn } from "./turn.js";

/** @typedef {import("./layout.js").Hall} Hall */
/** @typedef {import("./list.js").GradeLook} GradeLook */

/** A form that was sent and led nowhere in this time, in milliseconds, is not believed to lead anywhere any more. */
const SENT_MS = 30_000;

/**
 * What the server says of the page.
 * @typedef {object} Said
 * @property {string} map the address of the seat map
 * @property {number} concert
 * @property {number} limit how many seats may be chosen
 * @property {boolean} may_choose
 * @property {string | null} turn the queue token of the person who is choosing
 * @property {string | null} line the page of that token, which says what became of it
 * @property {string} page the address of this page
 * @property {number[]} mine the seats that this person has
 * @property {number[]} chosen the seats of a choice that came back
 * @property {(GradeLook & { name: string })[]} grades
 * @property {import("./names.js").Words} words
 */

/** @param {HTMLElement} root */
function start(root) {
  const said = /** @type {Said} */ (JSON.parse(root.dataset["hall"] ?? "{}"));
  const names = new Names(said.words, document.documentElement.lang);
  const mine = new Set(said.mine);
  const picks = new Picks(said.may_choose ? said.limit : 0);
  const seats = part("#seats", HTMLElement, root);
  const stale = part(".stale", HTMLElement, root);
  const news = root.querySelector("#news");
  const sum = root.querySelector("#sum");
  const seen = {
    isMine: (/** @type {number} */ id) => mine.has(id),
    isChosen: (/** @type {number} */ id) => picks.has(id),
    grade: gradeLooks(said.grades),
    stage: names.of("stage"),
  };

  /** None until the map has come: then the boxes that the server wrote are the list. */
  /** @type {{ hall: Hall, list: SeatList } | null} */
  let page = null;
  /** Whether a form is on its way: what is held by it is not taken by somebody else. */
  let isSent = false;

  /** @param {number} id */
  const placeOf = (id) => {
    const seat = page?.hall.places.get(id);
    return page && seat !== undefined ? placeIn(page.hall, seat, names) : "";
  };

  const tell = (/** @type {string} */ text) => {
    if (news && news.textContent !== text) news.textContent = text;
  };

  const tellSum = () => {
    if (!sum || !page) return;
    const { hall } = page;
    const prices = picks.ids.map((id) => Number(hall.prices[hall.places.get(id) ?? -1] ?? 0));
    const total = names.money(prices.reduce((one, two) => one + two, 0));
    sum.textContent = prices.length === 0 ? names.of("unpicked")
      : names.of("picked", { count: prices.length, places: picks.ids.map(placeOf).join(", "), total });
  };

  /** @param {number} id */
  const isFree = (id) => {
    const seat = page?.hall.places.get(id);
    return seat !== undefined && page?.hall.states[seat] === FREE && !mine.has(id);
  };

  /** @param {number} id */
  const boxOf = (id) => {
    const box = seats.querySelector(`input[value="${id}"]`);
    return box instanceof HTMLInputElement ? box : null;
  };

  /**
   * Chooses a seat, or lets it go.
   * @param {number} id
   */
  const toggle = (id) => {
    const became = picks.toggle(id, page ? isFree(id) : boxOf(id)?.disabled === false);
    if (said.may_choose) {
      tell(became === FULL ? names.of("full") : became === TAKEN && page ? names.of("taken", { place: placeOf(id) }) : "");
    }
    const seat = page?.hall.places.get(id);
    if (page && seat !== undefined) page.list.update([seat]);
    else if (!page) showBox(id);
  };

  /** @param {number} id */
  const showBox = (id) => {
    const box = boxOf(id);
    if (box) box.checked = picks.has(id);
  };

  picks.onChange((changed) => {
    if (!page) return;
    const { hall, list } = page;
    const places = changed.map((id) => hall.places.get(id)).filter((seat) => seat !== undefined);
    plan.update(places);
    list.update(places);
    tellSum();
  });

  const dropTaken = () => {
    if (isSent) return;
    const dropped = picks.dropTaken(isFree);
    if (dropped.length === 0) return;
    tell(dropped.map((id) => names.of(mine.has(id) ? "yours" : "lost", { place: placeOf(id) })).join(" "));
  };

  /** @param {number[]} places of the seats whose states changed */
  const changed = (places) => {
    plan.update(places);
    page?.list.update(places);
    dropTaken();
  };

  const plan = new Plan(root, {
    seen,
    mayChoose: said.may_choose,
    hint: names.of("hint"),
    about: (seat) => {
      const hall = page?.hall;
      const grade = hall?.gradeNames[Number(hall.grades[seat])] ?? "";
      const price = names.money(Number(hall?.prices[seat]));
      return [placeOf(Number(hall?.ids[seat])), grade, price].filter((text) => text !== "").join(" · ");
    },
    chosen: (seat) => toggle(Number(page?.hall.ids[seat])),
    pressed: ({ name }) => page?.list.open(name),
  });

  /** @param {Hall} hall */
  const made = (hall) => {
    page = { hall, list: new SeatList(seats, { ...seen, hall, picks, names, mayChoose: said.may_choose }) };
    root.classList.add("live");
    plan.show(hall, said.concert, new URLSearchParams(window.location.search).get("section"));
    dropTaken();
    tellSum();
    performance.mark("hall-drawn");
  };

  const live = followHall(said.map, { stale, names, made, changed });

  seats.addEventListener("change", (event) => {
    if (event.target instanceof HTMLInputElement && event.target.name === "seat") toggle(Number(event.target.value));
  });
  const form = seats.closest("form");
  // The choice is what is sent, also of seats whose boxes are not on the page. Until the map has come, boxes are too.
  form?.addEventListener("formdata", ({ formData }) => {
    if (page) formData.delete("seat");
    const boxes = new Set(formData.getAll("seat").map(Number));
    for (const id of picks.ids.filter((id) => !boxes.has(id))) formData.append("seat", String(id));
  });
  form?.addEventListener("submit", (event) => {
    if (picks.ids.length > 0 || !page) return;
    event.preventDefault();
    tell(names.of("empty"));
  });
  document.addEventListener("submit", (event) => {
    if (event.defaultPrevented) return;
    isSent = true;
    // Another form leads to a new page, and the choice goes with it.
    if (event.target !== form) keepChoice(said.concert, picks.ids);
    live.rest();
    window.setTimeout(() => {
      isSent = false;
      live.resume();
    }, SENT_MS);
  });

  const ticked = [...seats.querySelectorAll("input:checked")].map((box) => Number(box.getAttribute("value")));
  for (const id of new Set([...said.chosen, ...ticked, ...keptChoice(said.concert)])) {
    if (!picks.has(id) && !mine.has(id)) picks.toggle(id, true);
    showBox(id);
  }
  document.addEventListener("tray-over", () => keepChoice(said.concert, picks.ids));
  followTabs(said.concert, said.mine, () => {
    // An answer that is on its way, or that is being read, is not taken away.
    if (isSent || document.querySelector("#refused")) return;
    // What is held in another tab is in the tray of a new page. The choice here goes with it.
    keepChoice(said.concert, picks.ids);
    window.location.replace(said.page);
  });
  void live.start();
  if (said.turn) keepTurn(said.turn, () => window.location.replace(said.line ?? said.page));
}

const root = document.getElementById("hall");
if (root?.querySelector("#seats")) start(root);
