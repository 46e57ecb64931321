// The seats that are held, and the clock until their hold ends. The server writes both; this keeps the clock going.

/** The seconds left at which the clock is read out. */
const READ_OUT = [180, 60];

/**
 * Minutes and seconds: `4:09`.
 * @param {number} seconds
 */
export function clock(seconds) {
  const whole = Math.max(0, Math.ceil(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/**
 * The mark that the clock has passed since it was last looked at, if any: each is read out once, and of several passed
 * in sleep the last.
 * @param {number} before
 * @param {number} now
 * @returns {number | undefined}
 */
export function passed(before, now) {
  return READ_OUT.filter((mark) => before > mark && now <= mark && now > 0).at(-1);
}

/** @param {HTMLElement} tray */
function start(tray) {
  const face = tray.querySelector(".clock");
  const said = tray.querySelector("[role=status]");
  if (!(face instanceof HTMLElement) || !(said instanceof HTMLElement)) return;
  const left = Number(tray.dataset["left"]) / 1000;
  const loaded = { clock: Date.now(), since: performance.now() };
  // One of the two stands still while the device sleeps, or jumps with its clock: the later is right or too careful.
  const elapsed = () => Math.max(Date.now() - loaded.clock, performance.now() - loaded.since) / 1000;
  let last = left;
  let isOver = false;
  tray.classList.add("live-clock");
  const tick = () => {
    const now = left - elapsed();
    face.textContent = clock(now);
    tray.classList.toggle("last", now <= 60);
    const mark = passed(last, now);
    if (mark !== undefined) said.textContent = tray.dataset[`at${mark}`] ?? "";
    last = now;
    if (now > 0 || isOver) return;
    isOver = true;
    said.textContent = tray.dataset["over"] ?? "";
    window.clearInterval(timer);
    // The page without what has ended, once the server says so too; an answer to a form is not asked for again.
    window.setTimeout(() => {
      tray.dispatchEvent(new Event("tray-over", { bubbles: true }));
      window.location.replace(tray.dataset["page"] ?? window.location.pathname);
    }, 2500);
  };
  const timer = window.setInterval(tick, 250);
  document.addEventListener("visibilitychange", tick);
  tick();
}

if (typeof document !== "undefined") {
  for (const tray of document.querySelectorAll("[data-left]")) {
    if (tray instanceof HTMLElement) start(tray);
  }
  // A page that comes back from the browser's memory shows holds of another moment.
  window.addEventListener("pageshow", (event) => {
    const page = document.querySelector("[data-page]")?.getAttribute("data-page");
    if (event.persisted && page) window.location.replace(page);
  });
}
