// The modules of the waiting page that need no browser.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Live, retryAfter } from "../assets/line/live.js";
import { barOf, sceneOf, waitWords } from "../assets/line/main.js";

const place = (more = {}) => ({
  status: "waiting",
  end_reason: null,
  position: 1_284,
  ahead: 312,
  total_waiting: 2_000,
  estimated_wait: { known: false, reason: "measuring" },
  deadline: null,
  poll_after_ms: 1_500,
  message: null,
  as_of: "2027-01-15T08:00:00.000000Z",
  stale: false,
  ...more,
});
const second = (number) => `2027-01-15T08:00:${String(number).padStart(2, "0")}.000000Z`;

test("a wait is said as the server says it", () => {
  const words = {
    soon: "soon",
    minutes: "{n} min",
    minutes_range: "{from}-{to} min",
    hours: "{n} h",
    hours_range: "{from}-{to} h",
    paused: "paused",
    measuring: "measuring",
  };
  for (const [p50, p90, said] of [
    [0, 0, "soon"],
    [10, 60, "soon"],
    [10, 61, "1-2 min"],
    [120, 120, "2 min"],
    [371, 533, "6-9 min"],
    [4_000, 5_400, "66-90 min"],
    [5_000, 5_401, "1-2 h"],
    [7_200, 7_200, "2 h"],
  ]) {
    assert.equal(waitWords({ known: true, p50_seconds: p50, p90_seconds: p90 }, words), said);
  }
  assert.equal(waitWords({ known: false, reason: "paused" }, words), "paused");
  assert.equal(waitWords({ known: false, reason: "later_than_this_page" }, words), "");
});

test("the bar is the server's", () => {
  for (const [position, ahead, from, bar] of [
    [1_284, 312, null, 756],
    [1_284, 312, 312, 0],
    [1_284, 100, 312, 679],
    [1_284, 0, 312, 1_000],
    [1_284, 312, 5, 0],
    [1, 0, null, 1_000],
  ]) {
    assert.equal(barOf(place({ position, ahead }), from), bar);
  }
});

test("a scene is the status, and an end is its reason", () => {
  assert.equal(sceneOf(place({ status: "offered" })), "offered");
  assert.equal(sceneOf(place({ status: "ended", end_reason: "left" })), "ended-left");
  assert.equal(sceneOf(place({ status: "ended" })), "ended");
});

test("waits after failures double up to the longest, and are spread", () => {
  assert.deepEqual([1, 2, 3, 4, 5, 50].map((failures) => retryAfter(failures, 1)), [2e3, 4e3, 8e3, 16e3, 3e4, 3e4]);
  assert.equal(retryAfter(1, 0), 1_000);
});

/** A page without a browser: timers that are looked at and not run, and answers that a test gives. */
function follow(first) {
  const heard = { places: [], contacts: [], waits: [] };
  globalThis.window = {
    setTimeout: (_, millis) => (heard.waits.push(millis), heard.waits.length),
    clearTimeout: () => {},
    addEventListener: () => {},
  };
  const live = new Live({ position: "/position", events: "/events" }, first, {
    onPlace: (now) => heard.places.push(now),
    onContact: (now) => heard.contacts.push(now),
  });
  return { live, heard };
}

const answers = (status, body, headers = {}) => async () =>
  new Response(body === undefined ? null : JSON.stringify(body), { status, headers });

test("the number ahead never rises, and what is older is no news", () => {
  const { live, heard } = follow(place());
  live.take(place({ ahead: 300, as_of: second(2) }), "poll");
  live.take(place({ ahead: 310, as_of: second(3) }), "stream");
  assert.deepEqual(heard.places.map(({ ahead }) => ahead), [300, 300]);
  live.take(place({ status: "offered", ahead: 0, as_of: second(5), deadline: second(59) }), "stream");
  live.take(place({ ahead: 200, as_of: second(4) }), "poll");
  assert.equal(live.place.status, "offered");
  assert.equal(heard.waits.at(-1), 1_500, "it asks again all the same");
});

test("a poll is asked again when the server says so, and after failures later", async () => {
  const { live, heard } = follow(place());
  globalThis.fetch = answers(200, place({ ahead: 7, as_of: second(1), poll_after_ms: 2_345 }));
  await live.ask();
  assert.deepEqual([heard.places.at(-1).ahead, heard.waits.at(-1), heard.contacts.at(-1)], [7, 2_345, "live"]);
  globalThis.fetch = answers(429, {}, { "retry-after": "3" });
  await live.ask();
  assert.equal(heard.waits.at(-1), 3_000);
  Object.defineProperty(globalThis, "navigator", { value: { onLine: true }, configurable: true });
  globalThis.fetch = answers(503, {});
  await live.ask();
  await live.ask();
  assert.equal(heard.contacts.at(-1), "again");
  assert.ok(heard.waits.at(-1) >= 2_000 && heard.waits.at(-1) <= 4_000);
  globalThis.fetch = async () => Promise.reject(new TypeError("no network"));
  globalThis.navigator.onLine = false;
  await live.ask();
  assert.equal(heard.contacts.at(-1), "offline");
});

test("a token that is not known any more, and one that has ended, are asked for no more", async () => {
  for (const [answer, contact] of [
    [answers(404, {}), "gone"],
    [answers(200, place({ status: "ended", end_reason: "paid", as_of: second(1) })), "live"],
  ]) {
    const { live, heard } = follow(place());
    globalThis.fetch = answer;
    await live.ask();
    assert.equal(heard.contacts.at(-1), contact);
    let asked = 0;
    globalThis.fetch = async () => ((asked += 1), new Response(null, { status: 500 }));
    await live.ask();
    assert.equal(asked, 0);
  }
});
