// The alarm of the waiting page in browsers that can do more and less.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Alarm } from "../assets/line/alarm.js";

/** A browser with what an alarm needs, and its clicks. */
function soundBrowser({ permission, Notification = class {}, isSecureContext = true, kept = {} }) {
  const clicks = [];
  const tone = { frequency: {}, connect: (to) => to, start: () => {}, stop: () => {} };
  const gain = { setValueAtTime: () => {}, linearRampToValueAtTime: () => {}, exponentialRampToValueAtTime: () => {} };
  globalThis.AudioContext = class {
    currentTime = 0;
    resume = async () => {};
    createOscillator = () => ({ ...tone });
    createGain = () => ({ gain, connect: (to) => to });
  };
  globalThis.window = {
    isSecureContext,
    localStorage: { getItem: (name) => kept[name] ?? null, setItem: (name, value) => (kept[name] = value) },
    addEventListener: (name, listener) => name === "click" && clicks.push(listener),
  };
  delete globalThis.Notification;
  if (permission) {
    globalThis.Notification = Notification;
    Notification.permission = permission;
    Notification.requestPermission = async () => permission;
  }
  return { clicks, kept };
}

test("the alarm says what works: alerts that are blocked are not those that a browser lacks", async () => {
  const shows = class {
    close() {}
  };
  // Some browsers show the alerts of installed apps alone.
  const throws = class {
    constructor() {
      throw new TypeError("Illegal constructor");
    }
  };
  for (const [browser, reach] of [
    [{ permission: "granted", Notification: shows }, "on"],
    [{ permission: "granted", Notification: throws }, "sound"],
    [{ permission: "denied", Notification: shows }, "denied"],
    [{ permission: "default", Notification: shows }, "sound"],
    [{ permission: undefined }, "sound"],
    [{ permission: "denied", Notification: shows, isSecureContext: false }, "sound"],
  ]) {
    const { kept, clicks } = soundBrowser(browser);
    assert.equal(await new Alarm(() => {}).turnOn("It is your turn"), reach);
    assert.equal(clicks.length, 0);
    // After a reload the first touch turns it on again, in the same words.
    const again = soundBrowser({ ...browser, kept });
    const ready = [];
    new Alarm((now) => ready.push(now));
    assert.deepEqual(ready, []);
    again.clicks[0]();
    assert.deepEqual(ready, [reach]);
  }
  soundBrowser({ permission: "granted", Notification: shows });
  delete globalThis.AudioContext;
  assert.equal(await new Alarm(() => {}).turnOn("It is your turn"), "none");
  delete globalThis.Notification;
});
