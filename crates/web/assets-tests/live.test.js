// What follows the server from the hall: its stream, its questions, and the turn.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Live } from "../assets/hall/live.js";
import { keepTurn } from "../assets/hall/turn.js";

/** A page without a browser: timers that a test runs, streams that it speaks for, and answers that it gives. */
function follow() {
  const heard = { maps: [], seats: [], fresh: [], waits: [], streams: [], asked: [], next: () => {} };
  globalThis.document = { hidden: false, addEventListener: () => {} };
  globalThis.window = {
    setTimeout: (run, millis) => (heard.waits.push(millis), (heard.next = run), heard.waits.length),
    clearTimeout: () => {},
    addEventListener: () => {},
  };
  globalThis.EventSource = class extends EventTarget {
    readyState = 0;

    constructor(address) {
      super();
      this.address = address;
      heard.streams.push(this);
    }

    close() {
      this.readyState = 2;
    }

    say(name, readyState, more = {}) {
      this.readyState = readyState;
      this.dispatchEvent(Object.assign(new Event(name), more));
    }
  };
  const answers = [];
  globalThis.fetch = async (address, options) => {
    heard.asked.push(options);
    const answer = answers.shift() ?? { status: 304 };
    return typeof answer === "function" ? answer(options) : new Response(answer.body ?? null, answer);
  };
  const live = new Live("/seats", {
    map: (map) => heard.maps.push(map.mark),
    seats: (changes) => (heard.seats.push(...changes), true),
    fresh: (isFresh) => heard.fresh.push(isFresh),
  });
  return { live, heard, answers };
}

/** The time after which a silent stream is opened anew, spread so that the pages of a hall do not return at once. */
const isSilence = (wait) => assert.ok(wait >= 40_000 && wait <= 80_000, `${wait}`);
const map = (mark, etag) => ({ status: 200, body: JSON.stringify({ mark, blocks: [] }), headers: { etag } });
/** Runs the timer that was set last, and what it waits for. */
const later = async (heard) => {
  heard.next();
  await new Promise(setImmediate);
};

test("beside a stream that does not open, or that was lost, the page asks", async () => {
  const { live, heard, answers } = follow();
  answers.push(map("one", '"1"'));
  await live.start();
  const [stream] = heard.streams;
  assert.equal(stream.address, "/seats/events?since=one");
  assert.equal(heard.waits.at(-1), 10_000, "it is given time to open");
  await later(heard);
  assert.equal(heard.asked.at(-1).headers["If-None-Match"], '"1"');
  assert.ok(heard.waits.at(-1) >= 2_000 && heard.waits.at(-1) <= 4_000, `${heard.waits.at(-1)}`);
  assert.equal(heard.streams.length, 1, "the browser goes on to open it");

  stream.say("open", 1);
  isSilence(heard.waits.at(-1));
  stream.say("error", 0);
  assert.deepEqual([heard.fresh.at(-1), heard.waits.at(-1)], [false, 10_000]);
  const timers = heard.waits.length;
  stream.say("error", 0);
  assert.equal(heard.waits.length, timers, "a browser that tries again and again does not put the question off");
  answers.push(map("two", '"2"'));
  await later(heard);
  assert.deepEqual([heard.maps, heard.fresh.at(-1)], [["one", "two"], true]);
});

test("a stream that is silent is opened anew from what the page knows, without asking for the map", async () => {
  const { live, heard, answers } = follow();
  answers.push(map("one", '"1"'));
  await live.start();
  heard.streams[0].say("open", 1);
  heard.streams[0].say("seats", 1, { data: "[[1,\"H\"]]", lastEventId: "two" });
  isSilence(heard.waits.at(-1));
  await later(heard);
  assert.equal(heard.asked.length, 1, "the map was asked for at the start alone");
  assert.deepEqual(heard.streams.map(({ address, readyState }) => [address, readyState]),
    [["/seats/events?since=one", 2], ["/seats/events?since=two", 0]]);
  assert.equal(heard.waits.at(-1), 10_000);
  heard.streams[0].say("seats", 1, { data: "[[1,\"S\"]]", lastEventId: "x" });
  assert.deepEqual(heard.seats, [[1, "H"]], "nothing is heard of a stream that was given up");
  heard.streams[1].say("seats", 1, { data: "[[2,\"H\"]]", lastEventId: "three" });
  assert.deepEqual(heard.seats, [[1, "H"], [2, "H"]]);
});

test("after failures the page asks later, and no sooner than the server says", async () => {
  const { live, heard, answers } = follow();
  answers.push({ status: 503 }, { status: 429, headers: { "retry-after": "60" } });
  await live.start();
  assert.ok(heard.waits.at(-1) >= 1_000 && heard.waits.at(-1) <= 2_000, `${heard.waits.at(-1)}`);
  await later(heard);
  assert.deepEqual([heard.waits.at(-1), heard.fresh], [60_000, [false, false]]);
  assert.equal(heard.streams.length, 0);
});

test("a question that hangs is taken back when the page is looked at again", async () => {
  const { live, heard, answers } = follow();
  const hang = ({ signal }) => new Promise((_, fail) => signal.addEventListener("abort", () => fail(signal.reason)));
  answers.push(hang, map("one", '"1"'));
  const first = live.start();
  live.resume();
  await first;
  await new Promise(setImmediate);
  assert.deepEqual([heard.asked.length, heard.asked[0].signal.aborted], [2, true]);
  assert.deepEqual([heard.maps, heard.fresh], [["one"], [true]], "it is no failure");
  live.rest();
  assert.equal(heard.streams[0].readyState, 2);
});

test("a turn is kept until it has ended, or its line is not known any more", async () => {
  // A channel that is open keeps the process of the tests alive.
  globalThis.BroadcastChannel = undefined;
  const place = (status, more = {}) => ({ status: 200, body: JSON.stringify({ status, poll_after_ms: 700, stale: false, ...more }) });
  for (const [told, overAfter] of [
    [[place("active"), place("active"), place("ended")], 3],
    [[place("ended")], 1],
    [[{ status: 404 }], 1],
    [[place("offered"), place("active"), place("waiting")], 3],
    [[place("ended", { stale: true }), { status: 503 }, place("active")], undefined],
  ]) {
    const { heard, answers } = follow();
    answers.push(...told);
    let over;
    keepTurn("token", () => (over = heard.asked.length));
    await new Promise(setImmediate);
    for (let asked = 1; asked < told.length; asked += 1) await later(heard);
    assert.equal(over, overAfter, JSON.stringify(told));
    if (over !== undefined) continue;
    await later(heard);
    assert.equal(heard.asked.length, told.length + 1, "it asks on");
  }
});
