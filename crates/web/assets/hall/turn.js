// Keeps the turn of the person who is choosing: asking for the token's place is the sign of life.

/** How long to wait after a question that was not answered, in milliseconds. */
const AGAIN = 5000;
/** The longest wait between two questions: well within the time after which a silent turn ends. */
const WAIT_MAX = 40_000;

/**
 * Asks for the place of an active token until it is not active any more.
 * @param {string} token
 * @param {() => void} over
 */
export function keepTurn(token, over) {
  let timer = 0;
  let wasActive = false;

  const ask = async () => {
    window.clearTimeout(timer);
    let wait = AGAIN;
    try {
      const answer = await fetch(`/api/v1/queue/tokens/${encodeURIComponent(token)}/position`, { credentials: "omit" });
      if (answer.ok) {
        const place = await answer.json();
        if (place.status === "active") {
          wasActive = true;
        } else if (wasActive && !place.stale) {
          over();
          return;
        }
        wait = Math.min(WAIT_MAX, Math.max(300, Number(place.poll_after_ms) || AGAIN));
      }
    } catch {
      // The next question may be answered.
    }
    window.clearTimeout(timer);
    timer = window.setTimeout(() => void ask(), wait);
  };

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) void ask();
  });
  void ask();
}
