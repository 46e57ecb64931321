// Checks the proof of one entry of a draw, in the browser of the one whose entry it is.
//
// Not checked here: that the chain's key signed the round, and that the rank follows from the keys of all entries.
// `frontrow verify-draw` checks both, from the whole record.

/**
 * The record of a draw, as far as the proof of one entry needs it.
 * @typedef {object} DrawFacts
 * @property {number} room
 * @property {string} secret
 * @property {string} secret_hash
 * @property {number} entry_count
 * @property {string} root
 * @property {"beacon" | "secret_alone"} decided_by
 * @property {string | null} signature
 * @property {string | null} randomness
 * @property {string} seed
 */

/**
 * An entry with what proves it.
 * @typedef {object} ProvedEntry
 * @property {number} number
 * @property {string} text
 * @property {string} leaf
 * @property {number} index among all leaves, from 0
 * @property {string[]} path the siblings on the way from the leaf to the root
 * @property {string} key what the entry was ordered by
 */

/**
 * The proof of one entry.
 * @typedef {object} EntryProof
 * @property {DrawFacts} record
 * @property {ProvedEntry} entry
 * @property {number} rank
 * @property {number} position
 */

/**
 * What was checked, and whether it holds.
 * @typedef {object} Check
 * @property {"secret_hash" | "leaf" | "path" | "randomness" | "seed" | "key"} name
 * @property {boolean} ok
 */

/** A path of more siblings is one of more entries than a draw can have. */
const PATH_MAX = 64;

/** Whether this browser can check anything: it hashes only on pages that came over HTTPS or from the machine itself. */
export const canCheck = () => globalThis.crypto?.subtle !== undefined;

/**
 * Checks every step from the text of an entry to what it was ordered by. Never fails: what cannot be read does not hold.
 * @param {EntryProof} proof
 * @returns {Promise<Check[]>}
 */
export async function checkProof(proof) {
  /** @type {[Check["name"], (proof: EntryProof) => Promise<boolean>][]} */
  const checks = [
    ["secret_hash", isSecretOfHash],
    ["leaf", isLeafOfText],
    ["path", leadsToRoot],
    ["randomness", isRandomnessOfSignature],
    ["seed", isSeedOfDraw],
    ["key", isKeyOfEntry],
  ];
  return Promise.all(checks.map(async ([name, holds]) => ({ name, ok: await holds(proof).catch(() => false) })));
}

/** @param {EntryProof} proof */
const isSecretOfHash = async ({ record }) =>
  (await hashOfText(`frontrow draw secret\n${hex(record.secret)}`)) === record.secret_hash;

/** @param {EntryProof} proof */
async function isLeafOfText({ record, entry }) {
  const begin = `frontrow draw entry\nroom ${whole(record.room)}\nentry ${whole(entry.number)}\nuser `;
  const isOfEntry = entry.text.startsWith(begin) && /^[0-9a-f-]{36}\nentered_at [0-9]+$/.test(entry.text.slice(begin.length));
  return isOfEntry && (await hash(Uint8Array.of(0), utf8(entry.text))) === entry.leaf;
}

/**
 * The way up the tree of RFC 9162, 2.1.3.2.
 * @param {EntryProof} proof
 */
async function leadsToRoot({ record, entry }) {
  let at = whole(entry.index), last = whole(record.entry_count) - 1;
  if (at > last || entry.path.length > PATH_MAX) return false;
  const up = () => {
    at = Math.floor(at / 2);
    last = Math.floor(last / 2);
  };
  let node = entry.leaf;
  for (const sibling of entry.path) {
    if (last === 0) return false;
    if (at % 2 === 1 || at === last) {
      node = await hash(Uint8Array.of(1), bytes(sibling), bytes(node));
      // A last node without a sibling goes up unchanged.
      while (at % 2 === 0 && at !== 0) up();
    } else {
      node = await hash(Uint8Array.of(1), bytes(node), bytes(sibling));
    }
    up();
  }
  return last === 0 && node === record.root;
}

/** @param {EntryProof} proof */
async function isRandomnessOfSignature({ record: { decided_by, signature, randomness } }) {
  if (decided_by === "secret_alone") return signature === null && randomness === null;
  return decided_by === "beacon" && signature !== null && (await hash(bytes(signature, 48))) === randomness;
}

/** @param {EntryProof} proof */
async function isSeedOfDraw({ record: { secret, root, randomness, seed } }) {
  const beacon = randomness === null ? "none" : hex(randomness);
  return (await hashOfText(`frontrow draw seed\nsecret ${hex(secret)}\nroot ${hex(root)}\nbeacon ${beacon}`)) === seed;
}

/** @param {EntryProof} proof */
const isKeyOfEntry = async ({ record, entry }) =>
  (await hashOfText(`frontrow draw order\nseed ${hex(record.seed)}\nentry ${whole(entry.number)}`)) === entry.key;

/** @param {string} text */
const utf8 = (text) => new TextEncoder().encode(text);

/** @param {string} text */
const hashOfText = (text) => hash(utf8(text));

/**
 * SHA-256 of these bytes, one after the other, as hexadecimal digits.
 * @param {Uint8Array[]} parts
 */
async function hash(...parts) {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", all));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * The same text, if it is so many bytes as hexadecimal digits in lower case.
 * @param {string} text
 */
function hex(text, length = 32) {
  if (text.length !== 2 * length || !/^[0-9a-f]*$/.test(text)) throw new TypeError("not hexadecimal digits");
  return text;
}

/**
 * @param {string} text
 * @param {number} [length]
 */
const bytes = (text, length) =>
  Uint8Array.from(hex(text, length).match(/../g) ?? [], (digits) => Number.parseInt(digits, 16));

/**
 * The same number, if it is a count or an index.
 * @param {number} number
 */
function whole(number) {
  if (!Number.isSafeInteger(number) || number < 0) throw new TypeError("not a whole number");
  return number;
}
