// Places in a line, and fake time, for tests.

import { mock } from "node:test";

/** A place as the API answers it. */
export const place = (more = {}) => ({
  status: "waiting",
  end_reason: null,
  position: 1_284,
  ahead: 312,
  total_waiting: 2_000,
  estimated_wait: { known: false, reason: "measuring" }, outlook: null,
  deadline: null,
  poll_after_ms: 1_500,
  message: null,
  as_of: "2027-01-15T08:00:00.000000Z",
  stale: false,
  ...more,
});
/** A moment within a minute. */
export const second = (number) => `2027-01-15T08:00:${String(number).padStart(2, "0")}.000000Z`;

const begin = () => mock.timers.enable({ apis: ["setTimeout", "Date"], now: Date.parse(second(0)) });

/** Begins the time again: what was to happen does not. */
export function startOver() {
  mock.timers.reset();
  begin();
}

/** Fake time, and a browser that has nothing but it. */
export function inFakeTime(run) {
  return async (context) => {
    begin();
    globalThis.window = {
      setTimeout: (...call) => setTimeout(...call),
      clearTimeout: (timer) => clearTimeout(timer),
      addEventListener: () => {},
    };
    globalThis.document = { visibilityState: "visible", addEventListener: () => {} };
    Object.defineProperty(globalThis, "navigator", { value: { onLine: true }, configurable: true });
    try {
      await run(context);
    } finally {
      mock.timers.reset();
      delete globalThis.document;
    }
  };
}

/** Lets so many seconds pass, and answers arrive. */
export async function pass(seconds) {
  for (let done = 0; done < seconds; done += 1) {
    mock.timers.tick(1_000);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
