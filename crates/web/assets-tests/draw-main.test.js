// What the page of a draw says of all steps together.

import assert from "node:assert/strict";
import { test } from "node:test";
import { verdict } from "../assets/draw/main.js";

const WORDS = { all: "Each is right.", wrong: "Not right: {n}." };

test("one wrong step is never said to be right", () => {
  /** @type {import("../assets/draw/check.js").Check[]} */
  const checks = [{ name: "leaf", ok: true }, { name: "path", ok: true }];
  assert.equal(verdict(checks, WORDS), "Each is right.");
  assert.equal(verdict([...checks, { name: "seed", ok: false }], WORDS), "Not right: 1.");
});
