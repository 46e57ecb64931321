// The modules of the waiting page that need no browser.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Live } from "../assets/line/live.js";
import { retryAfter } from "../assets/live/source.js";
import { barOf, sceneOf, untilOf } from "../assets/line/main.js";
import { hourWords, momentWords, outlookWords, seatsWords, waitWords, warningWords } from "../assets/line/words.js";
import { inFakeTime, pass, place, second } from "./waiting.js";

test("a wait is said as the server says it", () => {
  const words = {
    soon: "soon",
    minutes: "{n} min",
    minutes_range: "{from}-{to} min",
    hours: "{n} h",
    hours_range: "{from}-{to} h",
    paused: "paused",
    measuring: "measuring",
    sale_not_open: "opens {when}",
    sold_out: "it depends",
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
  assert.equal(waitWords({ known: false, reason: "sale_not_open" }, words, { opens: "at eight" }), "opens at eight");
});

test("of a sale that is sold out no wait is said, and a line that rests says why", () => {
  const words = { soon: "soon", paused: "paused", measuring: "measuring", sold_out: "depends on refunds" };
  for (const [wait, said] of [
    [{ known: true, p50_seconds: 10, p90_seconds: 20 }, "depends on refunds"],
    [{ known: false, reason: "measuring" }, "depends on refunds"],
    [{ known: false, reason: "paused" }, "paused"],
  ]) {
    assert.equal(waitWords(wait, words, { isSoldOut: true }), said);
  }
});

test("the outlook is said if it is known", () => {
  const words = { outlook_likely: "likely", outlook_sold_out: "sold" };
  assert.deepEqual(["likely", "sold_out", "later_than_this_page", null, undefined].map((outlook) => outlookWords(outlook, words)), ["likely", "sold", "", "", ""]);
});

test("the sale is said in the words of its state", () => {
  const sales = [
    { state: "few_left", seats: "{n} are left", warning: null },
    { state: "postponed", seats: "not sold", warning: { title: "Postponed", text: "Wait." } },
  ];
  const sale = (more) => ({ sale_state: "few_left", seats_left: 7, opens_at: second(0), status_reason: null, ...more });
  const english = { one: "1 left", lang: "en" };
  assert.equal(seatsWords(sale({ seats_left: 7_000 }), sales, english), "7,000 are left");
  assert.equal(seatsWords(sale({ seats_left: 1 }), sales, english), "1 left");
  assert.equal(seatsWords(sale({ sale_state: "postponed", seats_left: 1 }), sales, english), "not sold");
  assert.equal(seatsWords(sale({ sale_state: "later_than_this_page" }), sales, english), "");
  assert.equal(warningWords(sale(), sales), undefined);
  assert.equal(warningWords(null, sales), undefined);
  const postponed = (status_reason) => warningWords(sale({ sale_state: "postponed", status_reason }), sales);
  assert.deepEqual(postponed(null), { title: "Postponed", text: "Wait." });
  assert.deepEqual(postponed("The singer is ill."), { title: "Postponed", text: "The singer is ill. Wait." });
});

test("a moment is written as the server writes it", () => {
  const [at, midnight] = ["2027-03-01T11:00:05.000000Z", "2027-02-28T15:00:00Z"];
  assert.equal(momentWords(at, "ko", "Asia/Seoul"), "2027년 3월 1일 (월) 오후 8:00");
  assert.equal(momentWords(at, "en", "Asia/Seoul"), "Mon 1 March 2027, 8:00 pm");
  assert.equal(hourWords(at, "ko", "Asia/Seoul"), "오후 8:00:05");
  assert.equal(hourWords(midnight, "en", "Asia/Seoul"), "12:00:00 am");
});

test("the bar is the server's", () => {
  for (const [position, ahead, bar] of [
    [1_284, 312, 756],
    [1_284, 1_283, 0],
    [1_284, 0, 1_000],
    [1, 0, 1_000],
  ]) {
    assert.equal(barOf(place({ position, ahead })), bar);
  }
});

test("a scene is the status, and an end is its reason", () => {
  assert.equal(sceneOf(place({ status: "offered" })), "offered");
  assert.equal(sceneOf(place({ status: "offered", last_turn: false })), "offered");
  assert.equal(sceneOf(place({ status: "offered", last_turn: true })), "offered-last");
  assert.equal(sceneOf(place({ status: "waiting", last_turn: true })), "waiting");
  assert.equal(sceneOf(place({ status: "ended", end_reason: "concert_over" })), "ended-concert_over");
  assert.equal(sceneOf(place({ status: "ended", end_reason: "left" })), "ended-left");
  assert.equal(sceneOf(place({ status: "ended" })), "ended");
});

test("the clock of a turn counts to the end of holding, if the server says when that is", () => {
  const active = { status: "active", deadline: second(50) };
  assert.equal(untilOf(place({ ...active, hold_until: second(40) })), second(40));
  assert.equal(untilOf(place({ ...active, hold_until: null })), second(50));
  assert.equal(untilOf(place(active)), second(50));
  assert.equal(untilOf(place({ status: "offered", deadline: second(50), hold_until: second(40) })), second(50));
  assert.equal(untilOf(place()), null);
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

test(
  "a poll works in browsers without AbortSignal.timeout, and fails if it is not answered",
  inFakeTime(async () => {
    const { live, heard } = follow(place());
    globalThis.window.setTimeout = (...call) => setTimeout(...call);
    const timeout = AbortSignal.timeout;
    delete AbortSignal.timeout;
    try {
      globalThis.fetch = answers(200, place({ ahead: 7, as_of: second(1) }));
      await live.ask();
      assert.equal(heard.places.at(-1).ahead, 7);
      globalThis.fetch = (_, { signal }) =>
        new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
      void live.ask();
      await pass(11);
      assert.equal(heard.contacts.at(-1), "again");
    } finally {
      AbortSignal.timeout = timeout;
    }
  }),
);
