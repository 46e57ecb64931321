// The stream of a place: which tab of a browser has it, and when it is given up.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Live } from "../assets/line/live.js";
import { inFakeTime, pass, place, second } from "./waiting.js";

/** Tabs of one browser: channels, one lock, and streams that a test opens and speaks through. */
function tabs() {
  const browser = { channels: [], streams: [], waiting: [], polls: 0, answer: place() };
  const isHeld = () => browser.holder !== undefined;
  globalThis.BroadcastChannel = class {
    constructor() {
      browser.channels.push(this);
    }
    addEventListener(_, listener) {
      this.listener = listener;
    }
    postMessage(data) {
      for (const other of browser.channels) if (other !== this) other.listener({ data: structuredClone(data) });
    }
  };
  globalThis.EventSource = class {
    constructor() {
      this.listeners = {};
      this.readyState = 0;
      browser.streams.push(this);
    }
    addEventListener(name, listener) {
      this.listeners[name] = listener;
    }
    open() {
      this.readyState = 1;
      this.listeners.open();
    }
    close() {
      this.readyState = 2;
    }
    say(name, data) {
      this.listeners[name]({ data: JSON.stringify(data) });
    }
  };
  const locks = {
    request: async (_, run) => {
      if (isHeld()) await new Promise((resolve) => browser.waiting.push(resolve));
      browser.holder = run;
      await run();
    },
  };
  Object.defineProperty(globalThis, "navigator", { value: { onLine: true, locks }, configurable: true });
  globalThis.fetch = async () => ((browser.polls += 1), new Response(JSON.stringify(browser.answer)));
  browser.tab = (first) => {
    const shown = [];
    const live = new Live({ position: "/position", events: "/events" }, first, {
      onPlace: (now) => shown.push(now),
      onContact: () => {},
    });
    live.start();
    return { live, shown };
  };
  browser.closeFirst = () => {
    browser.channels.shift();
    browser.streams[0].close();
    browser.holder = undefined;
    browser.waiting.shift()();
  };
  browser.forget = () => {
    delete globalThis.BroadcastChannel;
    delete globalThis.EventSource;
  };
  return browser;
}

test(
  "of several tabs one has the stream, and the others neither open one nor ask while it is quiet",
  inFakeTime(async () => {
    const browser = tabs();
    try {
      // Given two tabs, of which the first has the stream.
      const first = browser.tab(place());
      browser.streams[0].open();
      browser.streams[0].say("line", place());
      const beside = browser.tab(place());
      await pass(2);
      assert.deepEqual([browser.streams.length, browser.polls], [1, 0]);
      // When nothing comes for five minutes, then the first tab alone asks, once in 40 seconds.
      browser.answer = place({ ahead: 312, as_of: second(1) });
      await pass(300);
      assert.equal(browser.polls, 7);
      // When there is news, then both show it.
      browser.streams[0].say("line", place({ ahead: 300, as_of: second(2) }));
      assert.deepEqual([first, beside].map(({ live }) => live.place.ahead), [300, 300]);
      // When the first tab is closed, then the second opens a stream.
      first.live.stop();
      browser.closeFirst();
      await pass(1);
      assert.equal(browser.streams.length, 2);
      browser.streams[1].open();
      browser.streams[1].say("turn", place({ status: "offered", ahead: 0, as_of: second(3) }));
      assert.equal(beside.live.place.status, "offered");
    } finally {
      browser.forget();
    }
  }),
);

test(
  "a tab that was opened before news came and missed them asks once",
  inFakeTime(async () => {
    const browser = tabs();
    try {
      const first = browser.tab(place());
      browser.streams[0].open();
      const turn = place({ status: "offered", ahead: 0, as_of: second(5) });
      browser.streams[0].say("turn", turn);
      browser.answer = turn;
      const late = browser.tab(place({ as_of: second(4) }));
      await pass(1);
      assert.deepEqual([browser.polls, late.live.place.status], [1, "offered"]);
      assert.equal(first.live.place.status, "offered");
    } finally {
      browser.forget();
    }
  }),
);

test(
  "a turn that one instance says with an older time than another is shown before its time is over",
  inFakeTime(async () => {
    const browser = tabs();
    try {
      // Given a page of one instance, and the stream of another that is a moment behind.
      const { live } = browser.tab(place({ as_of: second(9), poll_after_ms: 20_000 }));
      browser.streams[0].open();
      // When the turn comes with an older time.
      const turn = { status: "offered", ahead: 0, deadline: second(59), poll_after_ms: 2_000 };
      browser.streams[0].say("turn", place({ ...turn, as_of: second(8) }));
      browser.answer = place({ ...turn, as_of: second(11) });
      await pass(3);
      // Then the page has asked, and shows it.
      assert.deepEqual([live.place.status, browser.polls], ["offered", 1]);
    } finally {
      browser.forget();
    }
  }),
);

test(
  "a stream is given up when it missed a turn, or was silent for long while the line moved, and not before",
  inFakeTime(async () => {
    const browser = tabs();
    try {
      const { live } = browser.tab(place());
      browser.streams[0].open();
      // The line has moved a little: the stream says so later.
      browser.answer = place({ ahead: 310, as_of: second(1) });
      await live.ask();
      assert.equal(browser.streams.length, 1);
      // News came by the stream while the poll was under way.
      browser.answer = place({ status: "offered", ahead: 0, as_of: second(2) });
      const asking = live.ask();
      browser.streams[0].say("turn", browser.answer);
      await asking;
      assert.equal(browser.streams.length, 1);
      // The claim is known to the poll alone.
      browser.answer = place({ status: "active", ahead: 0, as_of: second(3) });
      await live.ask();
      assert.equal(browser.streams.length, 2);
    } finally {
      browser.forget();
    }
    const other = tabs();
    try {
      const { live } = other.tab(place());
      other.streams[0].open();
      other.answer = place({ ahead: 200, as_of: second(50) });
      await pass(39);
      assert.equal(other.streams.length, 1);
      await pass(3);
      assert.deepEqual([live.place.ahead, other.streams.length], [200, 2]);
    } finally {
      other.forget();
    }
  }),
);
