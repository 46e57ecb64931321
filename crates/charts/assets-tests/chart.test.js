// The model of the charts.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Series, areaPath, axis, linePath, niceStep, placeLabels, rowsOf, scale, thin, ticks, timeStep } from "../assets/chart/model.js";

test("steps are round numbers, and an axis ends on one", () => {
  for (const [most, parts, step] of [[90, 4, 50], [7, 4, 2], [0, 4, 1], [4, 4, 1], [100, 5, 20], [1_000_000, 3, 500_000]]) {
    assert.equal(niceStep(most, parts), step, `${most} in ${parts}`);
  }
  assert.ok(Math.abs(niceStep(0.3, 3, 0.001) - 0.1) < 1e-12);
  assert.deepEqual(axis(7, 4), { end: 8, ticks: [0, 2, 4, 6, 8] });
  assert.deepEqual(axis(8, 4), { end: 8, ticks: [0, 2, 4, 6, 8] });
  assert.deepEqual(axis(0, 4), { end: 1, ticks: [0, 1] }, "nothing has an axis, too");
});

test("steps of time are those of clocks", () => {
  for (const [seconds, parts, step] of [[900, 6, 300], [60, 6, 10], [0, 6, 1], [10, 6, 2], [7_200, 6, 1_800], [864_000, 2, 432_000]]) {
    assert.equal(timeStep(seconds * 1_000, parts), step * 1_000, `${seconds} in ${parts}`);
  }
  assert.deepEqual(ticks(95, 130, 10), [100, 110, 120, 130]);
  assert.equal(ticks(0, 1e9, 1).length, 100, "there is an end to ticks");
});

test("a scale that has no width stays at its start", () => {
  assert.equal(scale([0, 10], [100, 0])(2.5), 75);
  assert.equal(scale([5, 5], [1, 99])(5), 1);
});

const series = (at, columns, span) => {
  const made = new Series(Object.keys(columns), span);
  made.set({ at, ...columns });
  return made;
};

test("rows of the last while are kept, and a row of the same moment is corrected", () => {
  const kept = series([0, 1_000, 2_000, 3_000], { a: [1, 2, 3, 4] }, 2_000);
  assert.deepEqual(kept.at, [1_000, 2_000, 3_000]);
  assert.ok(kept.put([{ at: 4_000, a: 5 }]));
  assert.deepEqual([kept.at, kept.columns.a], [[2_000, 3_000, 4_000], [3, 4, 5]]);
  assert.ok(kept.put([{ at: 3_000, a: 7 }, { at: 4_000, a: 6 }]));
  assert.deepEqual(kept.columns.a, [3, 7, 6]);
  assert.equal(kept.put([{ at: 3_000, a: 7 }, { at: 4_000, a: 6 }, { at: 1_500, a: 9 }]), false, "nothing is new");
  assert.ok(kept.put([{ at: 9_000 }]));
  assert.deepEqual([kept.at, kept.number("a", 0)], [[9_000], null], "after a gap all that is older is gone");
});

test("rows that were missed are put among the others", () => {
  const made = series([1_000, 4_000], { a: [1, 4] }, 3_000);
  made.put(rowsOf({ at: [0, 2_000, 3_000], a: [9, 2, 3] }));
  assert.deepEqual([made.at, made.columns.a], [[1_000, 2_000, 3_000, 4_000], [1, 2, 3, 4]]);
  const empty = new Series(["a"]);
  empty.put(rowsOf({ at: [5], a: [1], b: [2] }));
  assert.deepEqual([empty.at, empty.columns], [[5], { a: [1] }]);
});

test("columns that are missing or short are numbers that are not known", () => {
  const made = new Series(["a", "b", "said"]);
  made.set({ at: [0, 1], a: [7], said: ["seat_held 3", null] });
  assert.deepEqual([made.number("a", 0), made.number("a", 1), made.number("b", 0)], [7, null, null]);
  assert.deepEqual([made.text("said", 0), made.text("said", 1), made.number("said", 0)], ["seat_held 3", "", null]);
  assert.equal(made.largest(["a", "b", "said"]), 7);
  assert.equal(new Series(["a"]).largest(["a"]), 0);
  const odd = series([0, 1], { a: [NaN, Infinity] });
  assert.deepEqual([odd.number("a", 0), odd.number("a", 1)], [null, null]);
});

test("the cursor finds the nearest row", () => {
  const made = series([0, 10, 20, 40], { a: [] });
  for (const [at, index] of [[-5, 0], [0, 0], [4, 0], [5, 0], [6, 1], [29, 2], [31, 3], [40, 3], [99, 3]]) {
    assert.equal(made.nearest(at), index, String(at));
  }
  assert.equal(new Series([]).nearest(5), -1);
  assert.equal(series([7], { a: [1] }).nearest(100), 0);
});

test("a table has a row for each round step of time", () => {
  const at = Array.from({ length: 901 }, (_, second) => 1_000_500 + second * 1_000);
  const steps = series(at, { a: at }).steps(31);
  assert.ok(steps.length <= 31, String(steps.length));
  assert.deepEqual(steps.at(-1), { at: 1_890_000, from: 890, to: 901 });
  assert.ok(steps.every((step) => step.at % 30_000 === 0));
  assert.deepEqual(new Series(["a"]).steps(31), []);
  assert.deepEqual(series([5], { a: [1] }).steps(31), [{ at: 0, from: 0, to: 1 }]);
});

test("a row of a table adds up what is counted, and has the largest of what is not", () => {
  const made = series([0, 1_000, 2_000, 3_000], { a: [1, 2, null, 4], b: [7, 9, 8, null], c: [null, null, null, null] });
  const all = { at: 0, from: 0, to: 4 };
  assert.equal(made.of("a", all, "count"), 7);
  assert.equal(made.of("b", all, "level"), 9);
  assert.equal(made.of("c", all, "count"), null);
  assert.equal(made.of("a", { at: 3_000, from: 3, to: 4 }, "count"), 4);
  const said = series([0, 1_000, 2_000], { codes: ["seat_held 2, late 1", "", "late 4"] });
  assert.equal(said.counted("codes", { at: 0, from: 0, to: 3 }), "late 5, seat_held 2");
  assert.equal(said.counted("codes", { at: 1_000, from: 1, to: 2 }), "");
});

test("curves have gaps where nothing is known, and a lone point is a dot", () => {
  const points = [[0, 10], [10, 20.04], [20, null], [30, 5], [40, null], [50, 1], [60, 2]];
  assert.equal(linePath(points), "M0 10L10 20M30 5h.01M50 1L60 2");
  assert.equal(areaPath(points, 100), "M0 100L0 10L10 20L10 100ZM50 100L50 1L60 2L60 100Z");
  assert.equal(linePath([]), "");
  assert.equal(areaPath([], 100), "");
});

test("many points become few, and no peak and no gap is lost", () => {
  const points = Array.from({ length: 10_000 }, (_, index) => [index / 100, index === 5_555 ? 999 : index % 7]);
  points[7_001] = [70.01, null];
  const kept = thin(points, 100);
  assert.ok(kept.length <= 450, String(kept.length));
  assert.ok(kept.some(([, y]) => y === 999));
  assert.equal(kept.filter(([, y]) => y === null).length, 1);
  assert.deepEqual([kept[0], kept.at(-1)], [points[0], points.at(-1)]);
  assert.ok(kept.every(([x], index) => index === 0 || x >= kept[index - 1][0]), "their order stays");
  assert.equal(thin(points.slice(0, 400), 100).length, 400, "few stay as they are");
});

test("labels of marks do not stand on each other, and the newest are shown", () => {
  const label = "150 → 200";
  assert.deepEqual(placeLabels([{ x: 10, label }, { x: 200, label }], 300, 11), [
    { x: 14, label, anchor: "start" },
    { x: 204, label, anchor: "start" },
  ]);
  assert.deepEqual(placeLabels([{ x: 290, label }], 300, 11), [{ x: 286, label, anchor: "end" }]);
  const near = placeLabels([{ x: 195, label: "old" }, { x: 198, label: "older than it" }, { x: 200, label }], 300, 11);
  assert.deepEqual(near.at(-1), { x: 204, label, anchor: "start" });
  assert.ok(near.length < 3);
  assert.deepEqual(placeLabels([{ x: 5, label: "가".repeat(50) }], 300, 11), [], "one that has no room is left out");
});
