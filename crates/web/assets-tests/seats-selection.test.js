// An operator's selection of seats: the parts that need no browser.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Selection, inWords, rangesOf, wholeOf } from "../assets/cockpit/seats/selection.js";
import { BLOCKED, FREE, HELD, Hall, SOLD } from "../assets/hall/layout.js";
import { Names } from "../assets/hall/names.js";
import { CHOSEN, MINE, lookOf, operatorLookOf } from "../assets/hall/stamps.js";
import { followPointers, View } from "../assets/hall/view.js";

const block = (section, row, first, states, more = {}) =>
  ({ section, row, grade: "R", price: 120_000, first_seat_id: first, first_number: 1, states, ...more });
/** Section A with two rows of ten, section B with one of four. */
const hallOf = () => new Hall({
  concert_id: 1,
  version: 1,
  blocks: [block("A", "1", 101, "A".repeat(10)), block("A", "2", 201, "A".repeat(10)), block("B", "1", 301, "AHSB")],
});
const seat = (hall, id) => hall.places.get(id);
const names = new Names({
  row: "row {name}", number: "seat {name}", between: ", ", whole: "{place} (all {count})", "more-places": "{count} more", list: "; ", hall: "The hall",
}, "en");

test("a press chooses a seat and lets it go, and a run ends in the same row", () => {
  const hall = hallOf();
  const told = [];
  const selection = new Selection((ids) => told.push(ids));
  selection.press(hall, seat(hall, 103), false);
  selection.press(hall, seat(hall, 107), true);
  assert.deepEqual(selection.ids, [103, 104, 105, 106, 107]);
  // To the other side, from the same seat on.
  selection.press(hall, seat(hall, 101), true);
  assert.deepEqual(selection.ids, [101, 102, 103, 104, 105, 106, 107]);
  // In another row there is no run: it is a press like any other.
  selection.press(hall, seat(hall, 205), true);
  assert.deepEqual(selection.ids, [101, 102, 103, 104, 105, 106, 107, 205]);
  // What was let go last lets a run go.
  selection.press(hall, seat(hall, 105), false);
  selection.press(hall, seat(hall, 106), true);
  assert.deepEqual(selection.ids, [101, 102, 103, 104, 107, 205]);
  assert.deepEqual(told.map((ids) => ids.length), [1, 4, 2, 1, 1, 1]);
  selection.clear();
  assert.equal(selection.size, 0);
});

test("a run without a beginning is a press", () => {
  const hall = hallOf();
  const selection = new Selection(() => {});
  selection.press(hall, seat(hall, 103), true);
  assert.deepEqual(selection.ids, [103]);
});

test("an area is chosen, and let go once all of it is chosen", () => {
  const hall = hallOf();
  const selection = new Selection(() => {});
  const area = [seat(hall, 103), seat(hall, 203)];
  selection.set([103], true);
  selection.toggleAll(hall, area);
  assert.deepEqual(selection.ids, [103, 203]);
  selection.toggleAll(hall, area);
  assert.deepEqual(selection.ids, []);
});

test("an area has the seats whose middles lie in it", () => {
  const hall = hallOf();
  const [x, y] = [hall.x[seat(hall, 102)], hall.y[seat(hall, 102)]];
  const ids = (box) => hall.seatsIn(box).map((one) => hall.ids[one]);
  assert.deepEqual(ids({ x: x - 0.1, y: y - 0.1, width: 1.2, height: 0.2 }), [102, 103]);
  assert.deepEqual(ids({ x: x + 0.1, y, width: 0.5, height: 0.2 }), []);
  assert.equal(ids({ x: -5, y: -5, width: 1000, height: 1000 }).length, hall.count);
});

test("a whole row and a whole section belong to a seat", () => {
  const hall = hallOf();
  assert.equal(wholeOf(hall, seat(hall, 205), true).length, 10);
  assert.equal(wholeOf(hall, seat(hall, 205), false).length, 20);
  assert.deepEqual(wholeOf(hall, seat(hall, 302), false).map((one) => hall.ids[one]), [301, 302, 303, 304]);
});

test("seats that a hall no longer has are let go", () => {
  const hall = hallOf();
  const selection = new Selection(() => {});
  selection.set([101, 999], true);
  assert.equal(selection.keepKnown(hall), true);
  assert.deepEqual(selection.ids, [101]);
  assert.equal(selection.keepKnown(hall), false);
});

test("ids are sent as ranges", () => {
  for (const [ids, text] of [[[], ""], [[7], "7"], [[1, 2, 3, 9, 11, 12], "1-3,9,11-12"]]) assert.equal(rangesOf(ids), text);
});

test("a selection is told in words", () => {
  const hall = hallOf();
  const said = (...ids) => {
    const chosen = new Set(ids);
    return inWords(hall, (id) => chosen.has(id), names);
  };
  const row = (first) => Array.from({ length: 10 }, (_, at) => first + at);
  assert.equal(said(), "");
  assert.equal(said(104, 105, 106, 110), "A, row 1, seat 4–6; A, row 1, seat 10");
  assert.equal(said(...row(101), 203), "A, row 1 (all 10); A, row 2, seat 3");
  assert.equal(said(...row(101), ...row(201), 301), "A (all 20); B, row 1, seat 1");
  assert.match(said(101, 103, 105, 107, 109, 201, 203, 205, 207, 209), /seat 5; 2 more$/);
  const bare = new Hall({ concert_id: 1, version: 1, blocks: [block("", "", 1, "AA")] });
  assert.equal(inWords(bare, () => true, names), "The hall (all 2)");
});

test("operators tell four states apart, and buyers three", () => {
  const all = (look) => [FREE, HELD, SOLD, BLOCKED].map(look);
  assert.equal(new Set([...all(operatorLookOf), MINE, CHOSEN]).size, 6);
  assert.equal(lookOf(SOLD), lookOf(BLOCKED));
  assert.equal(lookOf(SOLD), operatorLookOf(SOLD));
});

/** An element that events are given to. */
function canvasOf() {
  const listeners = new Map();
  return {
    addEventListener: (name, listener) => listeners.set(name, listener),
    getBoundingClientRect: () => ({ left: 0, top: 0 }),
    setPointerCapture: () => {},
    classList: { toggle: () => {} },
    send: (name, clientX, clientY, more = {}) =>
      listeners.get(name)({ type: name, clientX, clientY, pointerId: 1, button: 0, pointerType: "mouse", ...more }),
  };
}

test("a drag that draws chooses an area and moves nothing, and a second finger takes it back", () => {
  const canvas = canvasOf();
  const view = new View(100, 100);
  view.resize(100, 100);
  view.zoom(4);
  const told = [];
  let draws = true;
  followPointers(canvas, view, {
    moved: () => {},
    tapped: (left, top) => told.push(["tap", left, top]),
    hovered: () => {},
    left: () => {},
    draws: () => draws,
    area: (from, to, isDone) => told.push(["area", from.left, from.top, to.left, to.top, isDone]),
    noArea: () => told.push(["none"]),
  });
  const middle = view.x;
  canvas.send("pointerdown", 10, 10);
  canvas.send("pointermove", 40, 30);
  canvas.send("pointerup", 50, 40);
  assert.deepEqual(told, [["area", 10, 10, 40, 30, false], ["none"], ["area", 10, 10, 50, 40, true]]);
  assert.equal(view.x, middle);
  told.length = 0;
  canvas.send("pointerdown", 10, 10);
  canvas.send("pointerup", 11, 10);
  assert.deepEqual(told, [["none"], ["tap", 11, 10]]);
  told.length = 0;
  canvas.send("pointerdown", 10, 10);
  canvas.send("pointerdown", 60, 10, { pointerId: 2 });
  canvas.send("pointermove", 70, 10, { pointerId: 2 });
  canvas.send("pointerup", 70, 10, { pointerId: 2 });
  canvas.send("pointerup", 10, 10);
  assert.deepEqual(told, [["none"]]);
  draws = false;
  told.length = 0;
  canvas.send("pointerdown", 10, 10);
  canvas.send("pointermove", 40, 30);
  canvas.send("pointerup", 40, 30);
  assert.deepEqual(told, []);
  assert.notEqual(view.x, middle);
});
