// The proof of an entry of a draw, with the same proofs as the tests of the crate `draw`.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { canCheck, checkProof } from "../assets/draw/check.js";

const NAMES = ["secret_hash", "leaf", "path", "randomness", "seed", "key"];
const ZEROS = "0".repeat(64);

const proofOf = (name) =>
  JSON.parse(readFileSync(new URL(`../../draw/tests/fixtures/${name}.json`, import.meta.url), "utf8"));

/** The names of the checks that do not hold. */
async function failed(proof) {
  const checks = await checkProof(proof);
  assert.deepEqual(checks.map(({ name }) => name), NAMES);
  return checks.filter(({ ok }) => !ok).map(({ name }) => name);
}

test("the proofs of the program hold in the browser: by the beacon, at the end of the tree, and by the secret alone", async () => {
  assert.ok(canCheck());
  for (const name of ["proof", "proof-last", "proof-secret-alone"]) {
    assert.deepEqual(await failed(proofOf(name)), [], name);
  }
});

test("every altered field is found", async () => {
  for (const [alter, ...names] of [
    [({ record }) => (record.secret = ZEROS), "secret_hash", "seed"],
    [({ record }) => (record.secret_hash = ZEROS), "secret_hash"],
    [({ record }) => (record.room = 8), "leaf"],
    [({ record }) => (record.root = ZEROS), "path", "seed"],
    [({ record }) => (record.entry_count = 5), "path"],
    [({ record }) => (record.entry_count = 0), "path"],
    [({ record }) => (record.signature = "0".repeat(96)), "randomness"],
    [({ record }) => (record.signature = null), "randomness"],
    [({ record }) => (record.randomness = ZEROS), "randomness", "seed"],
    [({ record }) => (record.randomness = null), "randomness", "seed"],
    [({ record }) => (record.decided_by = "secret_alone"), "randomness"],
    [({ record }) => (record.decided_by = "the house"), "randomness"],
    [({ record }) => (record.seed = ZEROS), "seed", "key"],
    [({ entry }) => (entry.number += 1), "leaf", "key"],
    [({ entry }) => (entry.text += "0"), "leaf"],
    [({ entry }) => (entry.text = entry.text.replace("entry 8", "entry 80")), "leaf"],
    [({ entry }) => (entry.leaf = ZEROS), "leaf", "path"],
    [({ entry }) => (entry.index += 1), "path"],
    [({ entry }) => (entry.path[1] = ZEROS), "path"],
    [({ entry }) => entry.path.pop(), "path"],
    [({ entry }) => entry.path.push(ZEROS), "path"],
    [({ entry }) => (entry.key = ZEROS), "key"],
  ]) {
    const proof = proofOf("proof");
    alter(proof);
    assert.deepEqual(await failed(proof), names, String(alter));
  }
});

test("a leaf whose text is another entry's does not hold, though its hash is right", async () => {
  const [proof, other] = [proofOf("proof"), proofOf("proof-last")];
  const { text, leaf, index, path } = other.entry;
  Object.assign(proof.entry, { text, leaf, index, path });
  assert.deepEqual(await failed(proof), ["leaf"]);
});

test("what is no proof holds nowhere, and fails no page", async () => {
  for (const proof of [undefined, null, 7, {}, { record: {}, entry: {} }, { record: null, entry: [] }]) {
    assert.deepEqual(await failed(proof), NAMES);
  }
  const proof = proofOf("proof");
  Object.assign(proof.entry, { number: "8", path: "00", index: -1, text: null });
  assert.deepEqual(await failed(proof), ["leaf", "path", "key"]);
  proof.record.secret = proof.record.secret.toUpperCase();
  assert.deepEqual(await failed(proof), ["secret_hash", "leaf", "path", "seed", "key"]);
});
