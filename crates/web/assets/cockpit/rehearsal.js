// The page of a rehearsal: while one runs, its numbers are read again from the page itself, and its end shows the page
// anew. What came of the last one is drawn as charts.

import { charts } from "../chart/chart.js";

/** Between two looks, in milliseconds. */
const LOOK_MS = 2_000;
const RUNNING = "rehearsal-running";

async function look() {
  const here = document.getElementById(RUNNING);
  if (!here) return;
  /** @type {Element | null} */
  let there = null;
  try {
    const answer = await fetch(location.pathname, { headers: { Accept: "text/html" } });
    if (answer.ok) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      there = page.getElementById(RUNNING);
      if (!there) {
        location.replace(location.pathname);
        return;
      }
    }
  } catch {
    // The next look may find the server again.
  }
  if (there) renew(here, there);
  setTimeout(look, LOOK_MS);
}

/**
 * Takes over what is written there, and leaves the button alone: it may have the focus.
 * @param {Element} here
 * @param {Element} there
 */
function renew(here, there) {
  for (const what of ["h2", "label", "dd"]) {
    const news = there.querySelectorAll(what);
    here.querySelectorAll(what).forEach((element, index) => {
      const text = news[index]?.textContent ?? "";
      if (element.textContent !== text) element.textContent = text;
    });
  }
  const bar = here.querySelector("progress");
  const value = there.querySelector("progress")?.getAttribute("value");
  if (bar && value) bar.setAttribute("value", value);
}

function draw() {
  const place = document.getElementById("rehearsal-charts");
  const { plan, columns } = place?.dataset ?? {};
  if (!place || !plan || !columns) return;
  /** @param {number} at in milliseconds since the opening */
  const time = (at) => `${Math.floor(at / 60_000)}:${String(Math.floor(at / 1_000) % 60).padStart(2, "0")}`;
  charts(place, { ...JSON.parse(plan), time }).set(JSON.parse(columns));
}

draw();
setTimeout(look, LOOK_MS);
