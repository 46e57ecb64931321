// @ts-check
/**
 * Finds the number of a challenge: the one whose SHA-256 behind the salt is the challenge, as ALTCHA has it. A page
 * imports it, or starts it as a worker. As a worker it imports nothing: the policy of a file allows it no other.
 */

/**
 * What a server asks for.
 * @typedef {{algorithm: string, challenge: string, maxnumber: number, salt: string, signature: string}} Challenge
 */

const ROUND = new Int32Array([
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98,
  0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
  0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8,
  0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
  0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819,
  0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
  0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
  0xc67178f2,
]);
const START = new Int32Array([
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
]);
const BLOCK = 64;
/** How many numbers are tried between two looks at the clock or the messages. */
const SLICE = 5000;
const words = new Int32Array(64);

/**
 * The word of a list that is long enough for it.
 * @param {Int32Array} list
 * @param {number} at
 */
const word = (list, at) => /** @type {number} */ (list[at]);

/**
 * Mixes a block of 64 bytes into a state of SHA-256.
 * @param {Int32Array} state
 * @param {Uint8Array} bytes
 * @param {number} from
 */
function mix(state, bytes, from) {
  const byte = (/** @type {number} */ at) => /** @type {number} */ (bytes[from + at]);
  for (let i = 0; i < 16; i++) {
    words[i] = (byte(4 * i) << 24) | (byte(4 * i + 1) << 16) | (byte(4 * i + 2) << 8) | byte(4 * i + 3);
  }
  for (let i = 16; i < 64; i++) {
    const x = word(words, i - 15);
    const y = word(words, i - 2);
    const low = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const high = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    words[i] = (word(words, i - 16) + low + word(words, i - 7) + high) | 0;
  }
  let a = word(state, 0);
  let b = word(state, 1);
  let c = word(state, 2);
  let d = word(state, 3);
  let e = word(state, 4);
  let f = word(state, 5);
  let g = word(state, 6);
  let h = word(state, 7);
  for (let i = 0; i < 64; i++) {
    const sum1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const t1 = (h + sum1 + ((e & f) ^ (~e & g)) + word(ROUND, i) + word(words, i)) | 0;
    const sum0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const t2 = (sum0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + t1) | 0;
    d = c;
    c = b;
    b = a;
    a = (t1 + t2) | 0;
  }
  state[0] = word(state, 0) + a;
  state[1] = word(state, 1) + b;
  state[2] = word(state, 2) + c;
  state[3] = word(state, 3) + d;
  state[4] = word(state, 4) + e;
  state[5] = word(state, 5) + f;
  state[6] = word(state, 6) + g;
  state[7] = word(state, 7) + h;
}

/** Hashes texts that begin alike: the whole blocks of the beginning are mixed once. */
class Hasher {
  /** @param {string} start */
  constructor(start) {
    const bytes = new TextEncoder().encode(start);
    this.whole = bytes.length - (bytes.length % BLOCK);
    this.begun = START.slice();
    for (let at = 0; at < this.whole; at += BLOCK) mix(this.begun, bytes, at);
    this.rest = bytes.slice(this.whole);
    this.tail = new Uint8Array(2 * BLOCK);
    this.state = new Int32Array(8);
  }

  /**
   * The state after the beginning and this text of ASCII, at most 32 characters. It is good until the next call.
   * @param {string} end
   */
  hash(end) {
    const { tail, rest, state } = this;
    const length = rest.length + end.length;
    const padded = length + 9 <= BLOCK ? BLOCK : 2 * BLOCK;
    tail.fill(0);
    tail.set(rest);
    for (let i = 0; i < end.length; i++) tail[rest.length + i] = end.charCodeAt(i);
    tail[length] = 0x80;
    new DataView(tail.buffer).setUint32(padded - 4, (this.whole + length) * 8);
    state.set(this.begun);
    for (let at = 0; at < padded; at += BLOCK) mix(state, tail, at);
    return state;
  }
}

/**
 * The SHA-256 of a text, in hexadecimal.
 * @param {string} text
 */
export function sha256(text) {
  const state = new Hasher(text).hash("");
  return Array.from(state, (part) => (part >>> 0).toString(16).padStart(8, "0")).join("");
}

/**
 * Tries the numbers from 0 on, a slice at each step: the number once it is found, none at the end.
 * @param {Challenge} challenge
 * @returns {Generator<number, number | null>} how many were tried; at the end the number
 */
export function* search(challenge) {
  const wanted = Int32Array.from({ length: 8 }, (_, i) => parseInt(challenge.challenge.slice(8 * i, 8 * i + 8), 16));
  const hasher = new Hasher(challenge.salt);
  for (let number = 0; number <= challenge.maxnumber; number++) {
    const state = hasher.hash(String(number));
    if (state[0] === wanted[0] && state.every((part, i) => part === wanted[i])) return number;
    if (number % SLICE === SLICE - 1) yield number + 1;
  }
  return null;
}

/**
 * What a form sends: the challenge with its number, as ALTCHA has it.
 * @param {Challenge} challenge
 * @param {number} number
 */
export function payload(challenge, number) {
  const { algorithm, challenge: hash, salt, signature } = challenge;
  return btoa(JSON.stringify({ algorithm, challenge: hash, number, salt, signature }));
}

/**
 * Searches beside what the page does.
 * @param {Challenge} challenge
 * @param {(tried: number) => void} progress
 * @returns {Promise<number | null>}
 */
export async function searchInSlices(challenge, progress) {
  const steps = search(challenge);
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
    progress(step.value);
    await new Promise((resolve) => setTimeout(resolve));
  }
}

// As a worker: one challenge comes, then the progress and the number go back.
if (typeof document === "undefined" && typeof self !== "undefined" && "postMessage" in self) {
  self.addEventListener("message", (event) => {
    const steps = search(event.data);
    for (let step = steps.next(); ; step = steps.next()) {
      self.postMessage(step.done ? { number: step.value } : { tried: step.value });
      if (step.done) return;
    }
  });
}
