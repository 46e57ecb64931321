// The modules of the hall that need no browser.

import assert from "node:assert/strict";
import { test } from "node:test";
import { BLOCKED, FREE, HELD, Hall, SOLD, layoutOf, natural, stateOf } from "../assets/hall/layout.js";
import { Names, named } from "../assets/hall/names.js";
import { ADDED, FULL, Picks, REMOVED, TAKEN } from "../assets/hall/pick.js";
import { KEYS, listEnd, seatBeside } from "../assets/hall/rove.js";
import { keepChoice, keptChoice } from "../assets/hall/tabs.js";
import { View } from "../assets/hall/view.js";
import { clock, passed } from "../assets/tray.js";
import { fill } from "../assets/words.js";

const block = (section, row, first, states, more = {}) =>
  ({ section, row, grade: "R", price: 120_000, first_seat_id: first, first_number: 1, states, ...more });
const hallOf = (...blocks) => new Hall({ concert_id: 1, version: 1, blocks });

test("labels are ordered as people read them", () => {
  // The server's list is tested with the same labels.
  for (const ordered of [
    ["", "01", "1", "2", "10", "10A", "11", "100000000000000000000", "200000000000000000000"],
    ["", "A", "B", "Z", "AA", "AB"],
    ["A1", "A2", "A10", "B1"],
    ["1층 2구역", "1층 10구역", "1층 가구역", "1층 나구역", "2층 가구역"],
    ["Balcony", "Floor"],
  ]) {
    ordered.forEach((one, at) => {
      for (const other of ordered.slice(at + 1)) {
        assert.ok(natural(one, other) < 0, `${one} ${other}`);
        assert.ok(natural(other, one) > 0, `${one} ${other}`);
      }
      assert.equal(natural(one, one), 0);
    });
  }
});

test("letters of the map are states, and an unknown one is not for sale", () => {
  assert.deepEqual([..."AHSBX"].map(stateOf), [FREE, HELD, SOLD, BLOCKED, BLOCKED]);
});

test("a map becomes sections, rows and seats in their order", () => {
  const hall = hallOf(
    block("나", "1", 1, "AA"),
    block("가", "10", 11, "AHS"),
    block("가", "2", 21, "AAA", { first_number: undefined, numbers: ["3", "1", "2"], grade: "VIP" }),
  );
  assert.equal(hall.count, 8);
  assert.deepEqual(hall.sections.map((section) => section.name), ["가", "나"]);
  assert.deepEqual(hall.rows.map((row) => [row.section, row.name, row.to - row.from]), [[0, "2", 3], [0, "10", 3], [1, "1", 2]]);
  assert.deepEqual([...hall.ids.slice(0, 3)], [22, 23, 21]);
  assert.deepEqual([...hall.free], [4, 2]);
  assert.equal(hall.set(hall.places.get(22), HELD), true);
  assert.equal(hall.set(hall.places.get(22), HELD), false);
  assert.deepEqual([...hall.free], [3, 2]);
});

test("a map of the same layout changes states alone", () => {
  const blocks = (states, more) => [block("가", "1", 1, states, more), block("가", "2", 11, "AA")];
  const [before, after] = [{ blocks: blocks("AAH") }, { blocks: blocks("AHS") }];
  assert.equal(layoutOf(before), layoutOf(after));
  const hall = new Hall(before);
  assert.deepEqual(hall.setAll(after), [1, 2]);
  assert.deepEqual([...hall.states], [FREE, HELD, SOLD, FREE, FREE]);
  for (const more of [{ price: 1 }, { row: "3" }, { first_number: 2 }, { grade: "S" }]) {
    assert.notEqual(layoutOf(before), layoutOf({ blocks: blocks("AAH", more) }));
  }
  assert.notEqual(layoutOf(before), layoutOf({ blocks: blocks("AAHA") }));
});

test("no two seats stand in one place, and all stand on the drawing", () => {
  for (const hall of [
    hallOf(block("", "", 1, "A")),
    hallOf(block("", "", 1, "A".repeat(1000))),
    hallOf(block("1층 가", "A", 1, "A".repeat(20)), block("1층 나", "A", 101, "A".repeat(30)), block("2층 가", "A", 201, "AAA")),
    hallOf(...Array.from({ length: 100 }, (_, at) => block(`${at}`, "A", 1 + at * 50, "A".repeat(50)))),
    hallOf(block("x", "r", 1, "AAAA", { first_number: undefined, numbers: ["1", "1000000", "7", "7a"] })),
  ]) {
    const seen = new Set();
    for (let seat = 0; seat < hall.count; seat += 1) {
      const [x, y] = [hall.x[seat], hall.y[seat]];
      assert.ok(x > 0 && x < hall.width && y > hall.stage.y + hall.stage.height && y < hall.height, `${x} ${y}`);
      assert.equal(hall.seatAt(x + 0.3, y - 0.3), seat);
      seen.add(`${Math.round(x * 10)} ${Math.round(y * 10)}`);
    }
    assert.equal(seen.size, hall.count);
    assert.equal(hall.seatAt(0, 0), undefined);
    assert.equal(hall.grid.within({ x: 0, y: 0, width: hall.width, height: hall.height }).length, hall.count);
  }
});

test("a number that is left out is a gap, a row of odd numbers is not", () => {
  const gap = hallOf(block("", "A", 1, "AAAA", { first_number: undefined, numbers: ["1", "2", "4", "5"] }));
  assert.deepEqual([...gap.x].map((x) => x - gap.x[0]), [0, 1, 3, 4]);
  const odd = hallOf(block("", "A", 1, "AAA", { first_number: undefined, numbers: ["1", "3", "5"] }));
  assert.deepEqual([...odd.x].map((x) => x - odd.x[0]), [0, 1, 2]);
});

test("floors stand below each other, and sections of a floor side by side", () => {
  const hall = hallOf(block("1층 가", "A", 1, "AAAA"), block("1층 나", "A", 11, "AAAA"), block("2층 가", "A", 21, "AAAA"));
  const [one, two, three] = hall.sections;
  assert.equal(one.y, two.y);
  assert.ok(two.x > one.x + one.width && three.y > one.y + one.height);
});

test("50,000 seats are placed in a drawing that is neither a line nor a tower", () => {
  const blocks = Array.from({ length: 1000 }, (_, at) => block(`S${Math.floor(at / 25)}`, `${at % 25}`, 1 + at * 50, "A".repeat(50)));
  const hall = hallOf(...blocks);
  assert.equal(hall.count, 50_000);
  assert.ok(hall.width / hall.height > 0.8 && hall.width / hall.height < 3, `${hall.width} × ${hall.height}`);
});

test("a view stays on the drawing and keeps the point under the pointer", () => {
  const view = new View(100, 50);
  view.resize(500, 500);
  assert.equal(view.scale, 5);
  assert.ok(view.isWhole);
  view.zoom(4, 100, 250);
  assert.deepEqual([view.scale, view.isWhole], [20, false]);
  assert.ok(Math.abs(view.at(100, 250).x - 20) < 1e-9);
  view.pan(1e6, 1e6);
  assert.deepEqual([view.box.x, view.box.y], [0, 0]);
  view.pan(-1e6, -1e6);
  assert.equal(view.box.x + view.box.width, 100);
  view.zoom(1e9);
  assert.equal(view.scale, 56);
  view.zoom(1e-9);
  assert.ok(view.isWhole);
  view.show({ x: 10, y: 10, width: 20, height: 10 });
  assert.deepEqual([view.scale, view.x, view.y], [25, 20, 15]);
});

test("as many seats are chosen as allowed, and a taken one is let go", () => {
  const picks = new Picks(2);
  const told = [];
  picks.onChange((changed) => told.push(changed));
  assert.equal(picks.toggle(1, false), TAKEN);
  assert.deepEqual([picks.toggle(1, true), picks.toggle(2, true), picks.toggle(3, true)], [ADDED, ADDED, FULL]);
  assert.deepEqual(picks.ids, [1, 2]);
  assert.equal(picks.toggle(1, false), REMOVED);
  assert.equal(picks.toggle(3, true), ADDED);
  assert.deepEqual(picks.dropTaken((id) => id !== 2), [2]);
  assert.deepEqual(picks.dropTaken((id) => id !== 2), []);
  assert.deepEqual([picks.ids, picks.has(3), picks.has(2)], [[3], true, false]);
  assert.deepEqual(told, [[1], [2], [1], [3], [2]]);
});

test("a name has its words once, and a value is not read as words", () => {
  assert.deepEqual([named("{name}열", "A"), named("{name}열", "A열"), named("row {name}", "Row A"), named("{name}번", "")],
    ["A열", "A열", "Row A", ""]);
  assert.equal(fill("{place}, {grade}{odd}", { place: "{grade}", grade: "$&" }), "{grade}, $&{odd}");
  const names = new Names({ row: "{name}열", number: "{name}번", between: " ", money: "{sum}원" }, "ko");
  assert.equal(names.place("1층 가구역", "A", "7"), "1층 가구역 A열 7번");
  assert.equal(names.place("", "", "7"), "7번");
  assert.equal(names.money(180_000), "180,000원");
});

test("the clock shows minutes and seconds, and is read out at three minutes and at one", () => {
  assert.deepEqual([300, 252, 59.2, 9, 0, -3].map(clock), ["5:00", "4:12", "1:00", "0:09", "0:00", "0:00"]);
  assert.equal(passed(181, 180), 180);
  assert.equal(passed(180, 179), undefined);
  assert.equal(passed(200, 30), 60, "after sleep the last of several");
  assert.equal(passed(61, -1), undefined, "what is over is not said to be a minute away");
});

test("arrows, Home and End lead from seat to seat of a section, and not beyond it", () => {
  // Rows of three, one and two seats; of the last row one is not listed.
  const rows = [{ from: 10, to: 13 }, { from: 13, to: 14 }, { from: 14, to: 16 }];
  for (const [seat, key, expected] of [
    [10, "ArrowRight", 11],
    [12, "ArrowRight", undefined],
    [11, "ArrowLeft", 10],
    [10, "ArrowLeft", undefined],
    [12, "ArrowDown", 13],
    [13, "ArrowDown", 14],
    [15, "ArrowDown", undefined],
    [15, "ArrowUp", 13],
    [10, "ArrowUp", undefined],
    [11, "Home", 10],
    [10, "End", 12],
    [14, "End", 15],
    [11, "Tab", undefined],
    [9, "ArrowRight", undefined],
    [16, "Home", undefined],
  ]) {
    assert.equal(seatBeside(rows, seat, key), expected, `${key} from ${seat}`);
  }
  for (const key of KEYS) assert.equal(seatBeside([], 0, key), undefined);
});

test("a list ends with a row, or within one that is longer than a list", () => {
  const rows = (...lens) => {
    let from = 0;
    return lens.map((len) => ({ from, to: (from += len) }));
  };
  for (const [lens, from, expected] of [
    [[400, 500, 300], 0, 900],
    [[400, 500, 300], 900, 1_200],
    [[1_000, 1], 0, 1_000],
    [[50_000], 0, 1_000],
    [[50_000], 49_500, 50_000],
    [[10, 50_000], 0, 1_000],
    [[], 0, 0],
  ]) {
    assert.equal(listEnd(rows(...lens), from, 1_000), expected, `${lens} from ${from}`);
  }
});

test("a choice is kept over one load of the page", () => {
  const kept = new Map();
  globalThis.window = {
    sessionStorage: {
      getItem: (name) => kept.get(name) ?? null,
      setItem: (name, value) => kept.set(name, value),
      removeItem: (name) => kept.delete(name),
    },
  };
  keepChoice(7, [3, 1]);
  assert.deepEqual([keptChoice(8), keptChoice(7), keptChoice(7)], [[], [3, 1], []]);
  globalThis.window = {};
  assert.deepEqual((keepChoice(7, [3]), keptChoice(7)), [], "a browser that keeps nothing");
});
