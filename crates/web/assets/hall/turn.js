// Keeps the turn of the person who is choosing: asking for the token's place is the sign of life.

import { afterClosed, isClosed, tellWhenClosed } from "../live/away.js";
import { ask } from "../live/source.js";

/** How long to wait after a question that was not answered, in milliseconds. */
const AGAIN = 5000;
/**
 * The longest wait between two questions, in milliseconds: if a page on another device is closed, this one is heard of
 * while there is time.
 */
const WAIT_MAX = 10_000;

/**
 * Asks for the place of an active token until it is not active any more.
 * @param {string} token
 * @param {() => void} over
 */
export function keepTurn(token, over) {
  const position = `/api/v1/queue/tokens/${encodeURIComponent(token)}/position`;
  let timer = 0;
  let wasActive = false;
  let isOver = false;

  /** @param {{ status: string, stale: boolean }} place */
  const hasEnded = (place) => {
    wasActive ||= place.status === "active";
    if (place.stale) return false;
    // The instance that answers may not know of the claim yet; an end is one for good.
    return place.status === "ended" || (wasActive && place.status !== "active");
  };

  const askForIt = async () => {
    window.clearTimeout(timer);
    if (isOver) return;
    let wait = AGAIN;
    try {
      const answer = await ask(position);
      if (answer.ok) {
        const place = await answer.json();
        isOver ||= hasEnded(place);
        wait = Math.min(WAIT_MAX, Math.max(300, Number(place.poll_after_ms) || AGAIN));
      }
      // The line was begun anew.
      isOver ||= answer.status === 404;
    } catch {
      // The next question may be answered.
    }
    window.clearTimeout(timer);
    if (isOver) over();
    else timer = window.setTimeout(() => void askForIt(), wait);
  };

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) void askForIt();
  });
  void askForIt();
  tellWhenClosed(position, () => !isOver);
  if (typeof BroadcastChannel !== "function") return;
  new BroadcastChannel(position).addEventListener("message", ({ data }) => {
    if (isClosed(data)) afterClosed(() => void askForIt());
  });
}
