// The recovery codes of a second factor: copied, printed, and what is said of it.

import assert from "node:assert/strict";
import { test } from "node:test";

class HTMLElement {
  hidden = true;
  textContent = "";
  dataset = {};
  /** What is found below it, by selector. */
  found = {};
  isThere = true;
  addEventListener(name, listener) {
    assert.equal(name, "click");
    this.click = listener;
  }
  querySelector(selector) {
    return this.found[selector] ?? null;
  }
  remove() {
    this.isThere = false;
  }
}

let opened = 0;

/** Opens the page with these codes in a browser with this clipboard, or none. */
async function open(codes, clipboard) {
  const [tools, said, copy, print] = [0, 1, 2, 3].map(() => new HTMLElement());
  tools.dataset["codes"] = "codes";
  Object.assign(said.dataset, { said: "Copied", failed: "Not copied" });
  tools.found = { "[role=status]": said, "[data-act=copy]": copy, "[data-act=print]": print };
  const list = { querySelectorAll: () => codes.map((textContent) => ({ textContent })) };
  const page = { tools, said, copy, print, prints: 0 };
  globalThis.HTMLElement = HTMLElement;
  globalThis.document = {
    getElementById: (id) => (id === "codes" ? list : null),
    querySelectorAll: (selector) => (selector === "[data-codes]" ? [tools] : []),
  };
  globalThis.window = { print: () => (page.prints += 1) };
  Object.defineProperty(globalThis, "navigator", { value: { clipboard }, configurable: true });
  // A page that is opened runs its module anew.
  opened += 1;
  await import(`../assets/cockpit/codes.js?${opened}`);
  return page;
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

test("all codes are copied, one to a line, and the page says so", async () => {
  const copied = [];
  const page = await open(["aaaa-1111", "bbbb-2222"], { writeText: async (text) => copied.push(text) });
  assert.equal(page.tools.hidden, false);
  page.copy.click();
  await settled();
  assert.deepEqual(copied, ["aaaa-1111\nbbbb-2222\n"]);
  assert.equal(page.said.textContent, "Copied");
});

test("a browser that refuses to copy is no reason to believe that the codes are kept", async () => {
  const refuses = { writeText: () => Promise.reject(new Error("NotAllowedError")) };
  const page = await open(["aaaa-1111"], refuses);
  page.copy.click();
  await settled();
  assert.equal(page.said.textContent, "Not copied");
});

test("without a clipboard copying is not offered, and printing is", async () => {
  const page = await open(["aaaa-1111"], undefined);
  assert.equal(page.copy.isThere, false);
  assert.equal(page.tools.hidden, false);
  page.print.click();
  assert.equal(page.prints, 1);
});
