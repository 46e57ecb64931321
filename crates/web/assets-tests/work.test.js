// The solver of challenges.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { payload, search, searchInSlices, sha256 } from "../assets/work/solve.js";

const SALT = "9f86d081884c7d659a2feaa0c55ad015?expires=1796000000&room=1&user=0195e7a0-52c1-7b7a-8e44-1f0c6b9d2a35&";

function challengeOf(number, maxnumber, salt = SALT) {
  const challenge = createHash("sha256").update(`${salt}${number}`).digest("hex");
  return { algorithm: "SHA-256", challenge, maxnumber, salt, signature: "5e" };
}

function found(challenge) {
  const steps = search(challenge);
  for (let step = steps.next(); ; step = steps.next()) if (step.done) return step.value;
}

test("the hash is SHA-256", () => {
  // The examples of FIPS 180-4.
  assert.equal(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  assert.equal(sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  assert.equal(
    sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
    "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
  );
  for (let length = 0; length <= 200; length++) {
    const text = "한글 and more. ".repeat(20).slice(0, length);
    assert.equal(sha256(text), createHash("sha256").update(text).digest("hex"), `${length}`);
  }
});

test("the number is found wherever it is, behind salts of any length", () => {
  for (const number of [0, 1, 9, 10, 4999, 5000, 29_999, 30_000]) assert.equal(found(challengeOf(number, 30_000)), number);
  for (let length = 40; length <= 140; length++) {
    const salt = SALT.padEnd(length, "x").slice(0, length);
    assert.equal(found(challengeOf(123, 200, salt)), 123, `${length}`);
  }
});

test("a challenge without a number ends at its highest", () => {
  assert.equal(found(challengeOf(30_001, 30_000)), null);
});

test("slices say how far they are and find the same", async () => {
  const told = [];
  const number = await searchInSlices(challengeOf(12_345, 30_000), (tried) => told.push(tried));
  assert.equal(number, 12_345);
  assert.deepEqual(told, [5000, 10_000]);
});

test("what is sent is the challenge with its number, in base64", () => {
  const challenge = challengeOf(7, 10);
  const { maxnumber, ...sent } = { ...challenge, number: 7 };
  assert.equal(maxnumber, 10);
  assert.deepEqual(JSON.parse(atob(payload(challenge, 7))), sent);
});
