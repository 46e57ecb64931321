// What the server is told when a page with a token is closed.

import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { isClosed, tellWhenClosed } from "../assets/live/away.js";

/** A page in a browser that sends beacons, with the events that happen to it. */
function page({ isDue = true, navigation = false } = {}) {
  const [beacons, words, listeners] = [[], [], {}];
  const listens = { addEventListener: (name, listener) => (listeners[name] = listener) };
  globalThis.Element = class {
    closest() {
      return this;
    }
  };
  globalThis.window = { ...listens, ...(navigation ? { navigation: listens } : {}) };
  globalThis.document = listens;
  globalThis.BroadcastChannel = class {
    constructor(name) {
      this.name = name;
    }
    postMessage(word) {
      words.push([this.name, word]);
    }
  };
  const sendBeacon = (address) => (beacons.push(address), true);
  Object.defineProperty(globalThis, "navigator", { value: { sendBeacon }, configurable: true });
  mock.timers.reset();
  mock.timers.enable({ apis: ["Date"], now: 1_000_000 });
  tellWhenClosed("/api/v1/queue/tokens/abc/position", () => isDue);
  return { beacons, words, happens: (name, event = {}) => listeners[name]?.(event) };
}

test("a page that is closed tells the server and the other tabs", () => {
  const { beacons, words, happens } = page();
  happens("pagehide", { persisted: false });
  assert.deepEqual(beacons, ["/api/v1/queue/tokens/abc/away"]);
  const [[channel, word]] = words;
  assert.deepEqual([channel, isClosed(word)], ["/api/v1/queue/tokens/abc/position", true]);
});

test("a page that the browser keeps, and one whose token has nothing to give back, tell nothing", () => {
  const kept = page();
  kept.happens("pagehide", { persisted: true });
  const over = page({ isDue: false });
  over.happens("pagehide", { persisted: false });
  assert.deepEqual([kept.beacons, over.beacons], [[], []]);
});

test("what the page itself leads to is no leaving", () => {
  for (const name of ["click", "submit", "navigate"]) {
    const { beacons, happens } = page({ navigation: true });
    happens(name, { target: new globalThis.Element(), defaultPrevented: false });
    happens("pagehide", { persisted: false });
    assert.deepEqual(beacons, [], name);
  }
});

test("a click that led nowhere keeps nothing back for long", () => {
  const { beacons, happens } = page();
  happens("click", { target: new globalThis.Element(), defaultPrevented: false });
  mock.timers.tick(10_000);
  happens("pagehide", { persisted: false });
  assert.equal(beacons.length, 1);
  const { beacons: others, happens: prevented } = page();
  prevented("submit", { target: new globalThis.Element(), defaultPrevented: true });
  prevented("pagehide", { persisted: false });
  assert.equal(others.length, 1, "a form that was not sent leads nowhere");
});
