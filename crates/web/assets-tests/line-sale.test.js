// How the waiting page follows the sale: what it asks for, and how often.

import assert from "node:assert/strict";
import { test } from "node:test";
import { SaleWatch } from "../assets/line/sale.js";
import { inFakeTime, pass, startOver } from "./waiting.js";

/** A server's shared answer of a concert, and what it was asked. */
function sharedAnswer(sale) {
  const asked = [];
  const answer = { sale, asked };
  globalThis.fetch = async (address, { headers }) => {
    asked.push({ address, tag: headers["If-None-Match"] ?? null, at: Date.now() });
    const etag = `W/"${answer.sale.sale_state}"`;
    if (headers["If-None-Match"] === etag) return new Response(null, { status: 304, headers: { etag } });
    return new Response(JSON.stringify(answer.sale), { status: 200, headers: { etag } });
  };
  return answer;
}

const CONCERT = "/api/v1/concerts/2";

test(
  "a page asks for the sale once in 30 to 60 seconds, half as often if it is hidden, and is sent only what is new",
  inFakeTime(async () => {
    for (const [visibilityState, least, most] of [["visible", 60, 120], ["hidden", 30, 60]]) {
      document.visibilityState = visibilityState;
      const answer = sharedAnswer({ sale_state: "on_sale", seats_left: 7 });
      const seen = [];
      new SaleWatch(CONCERT, (sale) => seen.push(sale.sale_state)).start();
      await pass(1_800);
      answer.sale = { sale_state: "sold_out", seats_left: 0 };
      await pass(1_800);
      const { asked } = answer;
      assert.ok(asked.length >= least - 1 && asked.length <= most, `${visibilityState}: ${asked.length}`);
      assert.deepEqual(seen, ["on_sale", "sold_out"]);
      assert.equal(asked[0].tag, null);
      assert.ok(asked.slice(1).every(({ tag }) => tag !== null));
      startOver();
    }
  }),
);

test(
  "news of the line are followed by one question within ten seconds, spread over all who wait",
  inFakeTime(async () => {
    // Given a thousand pages.
    const { asked } = sharedAnswer({ sale_state: "opens", seats_left: 7 });
    const watches = Array.from({ length: 1_000 }, () => new SaleWatch(CONCERT, () => {}));
    for (const watch of watches) watch.start();
    await pass(20);
    assert.equal(asked.length, 0, "the pages were made with the sale as it was");
    // When a pause reaches all of them at once, and its end a moment later.
    const from = Date.now();
    for (const watch of watches) watch.askSoon();
    for (const watch of watches) watch.askSoon();
    await pass(10);
    // Then each has asked once, and no second had more than a quarter of them.
    assert.equal(asked.length, 1_000);
    for (let second = 1; second <= 10; second += 1) {
      const within = asked.filter(({ at }) => Math.ceil((at - from) / 1_000) === second).length;
      assert.ok(within < 250, `${within} in second ${second}`);
    }
    // When there are news again and again, then each asks once in ten seconds.
    for (let round = 0; round < 10; round += 1) {
      for (const watch of watches) watch.askSoon();
      await pass(2);
    }
    assert.ok(asked.length <= 4_000, `${asked.length}`);
  }),
);

test(
  "of a place that has ended the sale is asked for once more",
  inFakeTime(async () => {
    const { asked } = sharedAnswer({ sale_state: "cancelled", seats_left: 0 });
    const seen = [];
    const watch = new SaleWatch(CONCERT, (sale) => seen.push(sale.sale_state));
    watch.start();
    await pass(15);
    watch.askLast();
    await pass(600);
    assert.deepEqual([asked.length, seen], [1, ["cancelled"]]);
  }),
);

test(
  "a sale that cannot be read, or that an older server does not name, changes nothing",
  inFakeTime(async () => {
    for (const answer of [
      async () => Promise.reject(new TypeError("no network")),
      async () => new Response("{}", { status: 503 }),
      async () => new Response(JSON.stringify({ seats_left: 3 }), { status: 200 }),
    ]) {
      let asked = 0;
      globalThis.fetch = () => ((asked += 1), answer());
      new SaleWatch(CONCERT, () => assert.fail("it shows nothing")).start();
      await pass(200);
      assert.ok(asked >= 3, "it asks again");
      startOver();
    }
  }),
);
