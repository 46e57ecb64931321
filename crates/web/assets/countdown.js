// @ts-check
/**
 * Counts down to the opening of a sale by the server's clock. Without this script the page says the moment in words.
 */

/** How often the server's clock is asked for: a machine that slept comes back with another idea of the time. */
const ASK_EVERY_MS = 10 * 60 * 1000;
/** Over how long the visitors of a page reload it once the sale is open. */
const SPREAD_MS = 2000;

/**
 * How far the server's clock is ahead of this machine's, in milliseconds.
 * @returns {Promise<number>}
 */
async function ahead() {
  const asked = Date.now();
  const answer = await fetch("/clock", { cache: "no-store" });
  if (!answer.ok) throw new Error(`the clock answers ${answer.status}`);
  const server = Number(await answer.text());
  const answered = Date.now();
  if (!Number.isFinite(server)) throw new Error("the clock tells no time");
  return server - (asked + answered) / 2;
}

/**
 * @param {number} seconds
 * @param {string} day
 * @returns {string}
 */
function written(seconds, day) {
  const two = (/** @type {number} */ part) => String(part).padStart(2, "0");
  const days = Math.floor(seconds / 86400);
  const hours = Math.floor(seconds / 3600) % 24;
  const clock = `${two(hours)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  return days > 0 ? `${days}${day} ${clock}` : clock;
}

/**
 * @param {HTMLElement} place
 */
async function countDown(place) {
  const opens = Number(place.dataset.opens);
  const { day = "", open = "" } = place.dataset;
  let offset = await ahead();
  let askedAt = Date.now();
  const step = () => {
    const left = Math.ceil((opens - Date.now() - offset) / 1000);
    place.hidden = false;
    if (left <= 0) {
      place.textContent = open;
      setTimeout(() => location.reload(), 500 + Math.random() * SPREAD_MS);
      return;
    }
    place.textContent = written(left, day);
    if (Date.now() - askedAt > ASK_EVERY_MS) {
      askedAt = Date.now();
      ahead().then((now) => { offset = now; }, () => {});
    }
    // At the next whole second of the server's clock.
    const rest = (opens - Date.now() - offset) % 1000;
    setTimeout(step, rest > 0 ? rest : 1000 + rest);
  };
  step();
}

for (const place of document.querySelectorAll("[data-opens]")) {
  if (place instanceof HTMLElement) countDown(place).catch(() => {});
}

export { written };
