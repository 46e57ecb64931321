// @ts-check
/**
 * Solves the challenge of a new place in line and sends the form. Without this script, or if it fails, the form is sent
 * by hand after a wait.
 */
import { payload, searchInSlices } from "./solve.js";

/** @typedef {import("./solve.js").Challenge} Challenge */

/**
 * The number of a challenge, searched in a worker.
 * @param {Challenge} challenge
 * @param {(tried: number) => void} progress
 * @returns {Promise<number | null>}
 */
function searchInWorker(challenge, progress) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL("./solve.js", import.meta.url), { type: "module" });
    worker.addEventListener("error", () => {
      worker.terminate();
      reject(new Error("the worker does not run"));
    });
    worker.addEventListener("message", (event) => {
      if ("tried" in event.data) return progress(event.data.tried);
      worker.terminate();
      resolve(event.data.number);
    });
    worker.postMessage(challenge);
  });
}

/** @param {HTMLFormElement} form */
async function solve(form) {
  const part = (/** @type {string} */ name) => /** @type {HTMLElement} */ (form.querySelector(`[data-part=${name}]`));
  const said = part("said");
  const bar = /** @type {HTMLProgressElement} */ (form.querySelector("progress"));
  const challenge = /** @type {Challenge} */ (JSON.parse(form.dataset.work ?? "{}"));
  const progress = (/** @type {number} */ tried) => {
    bar.value = Math.min(100, (100 * tried) / challenge.maxnumber);
  };
  said.textContent = form.dataset.working ?? "";
  part("progress").hidden = false;
  progress(0);
  const number = await searchInWorker(challenge, progress).catch(() => searchInSlices(challenge, progress));
  if (number === null) throw new Error("the challenge has no number");
  /** @type {HTMLInputElement} */ (form.elements.namedItem("altcha")).value = payload(challenge, number);
  said.textContent = form.dataset.done ?? "";
  progress(challenge.maxnumber);
  form.submit();
}

const form = /** @type {HTMLFormElement | null} */ (document.querySelector("form[data-work]"));
if (form) {
  solve(form).catch(() => {
    const byHand = form.querySelector("[data-part=by-hand]");
    byHand?.classList.remove("without-script");
    /** @type {HTMLElement} */ (form.querySelector("[data-part=progress]")).hidden = true;
    /** @type {HTMLElement} */ (form.querySelector("[data-part=said]")).textContent = form.dataset.failed ?? "";
  });
}
