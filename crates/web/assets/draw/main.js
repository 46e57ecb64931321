// The page of a draw: computes the steps that prove the visitor's entry, and says of each whether it is right. Without
// this script the page says how to check otherwise.

import { fill } from "../words.js";
import { canCheck, checkProof } from "./check.js";

/**
 * What is said of all steps together.
 * @param {import("./check.js").Check[]} checks
 * @param {Record<string, string | undefined>} words
 */
export function verdict(checks, words) {
  const wrong = checks.filter(({ ok }) => !ok).length;
  return wrong === 0 ? (words["all"] ?? "") : fill(words["wrong"], { n: wrong });
}

/** @param {HTMLElement} place */
async function check(place) {
  const said = place.querySelector("[data-part=said]");
  if (said === null) return;
  const words = place.dataset;
  if (!canCheck()) {
    said.textContent = words["unable"] ?? "";
    return;
  }
  said.textContent = words["doing"] ?? "";
  const checks = await checkProof(JSON.parse(words["proof"] ?? ""));
  for (const { name, ok } of checks) {
    const answer = place.querySelector(`[data-check="${name}"] [data-part=answer]`);
    if (!(answer instanceof HTMLElement)) continue;
    answer.textContent = (ok ? words["right"] : words["notRight"]) ?? "";
    answer.dataset["ok"] = String(ok);
  }
  said.textContent = verdict(checks, words);
}

if (typeof document !== "undefined") {
  for (const place of document.querySelectorAll("[data-proof]")) {
    if (place instanceof HTMLElement) void check(place);
  }
}
