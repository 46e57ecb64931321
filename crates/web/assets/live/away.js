// Tells the server when a page with a token is closed, so that what the token has of its time need not run out unused.
//
// Pages of this site that follow are no leaving: what a page itself leads to, by a link, a form or a script, is not told.
// A navigation that slips through costs nothing, since the next page is a sign of life within the grace.

/** A page that was led away from and is still there after so long has stayed, in milliseconds. */
const LED_MS = 10_000;
/** Another tab with the same token asks so long after one of them was closed, in milliseconds: after the server knows. */
const ASK_AFTER_MS = 1_000;

/** @typedef {{ closed: true }} Closed a tab with this token was closed, and the server was told */

/**
 * Whether a word on the channel of a token is that a tab was closed.
 * @param {unknown} word
 * @returns {word is Closed}
 */
export function isClosed(word) {
  return typeof word === "object" && word !== null && "closed" in word;
}

/**
 * Calls back soon after another tab has said that it was closed: this one still has the token.
 * @param {() => void} again
 */
export function afterClosed(again) {
  window.setTimeout(again, ASK_AFTER_MS);
}

/**
 * Tells the server when this page is closed, and the other tabs with the token, which have to ask for it then.
 * @param {string} position the address of the token's place, which names the channel of its tabs, too
 * @param {() => boolean} isDue whether the token has anything to give back
 */
export function tellWhenClosed(position, isDue) {
  // Tabs that could not say that they are still there would lose their turn to the one that is closed.
  if (typeof BroadcastChannel !== "function" || typeof navigator.sendBeacon !== "function") return;
  const away = position.replace(/\/position$/, "/away");
  let ledUntil = 0;
  const led = () => (ledUntil = Date.now() + LED_MS);
  document.addEventListener("click", (event) => {
    const link = event.target instanceof Element ? event.target.closest("a[href]") : null;
    if (link && !event.defaultPrevented) led();
  });
  document.addEventListener("submit", (event) => {
    if (!event.defaultPrevented) led();
  });
  // Also the scripts' own, and back and forward, in browsers that tell.
  const { navigation } = /** @type {{ navigation?: EventTarget }} */ (/** @type {unknown} */ (window));
  navigation?.addEventListener("navigate", led);
  window.addEventListener("pagehide", (event) => {
    // A page that is kept may come back as it was.
    if (event.persisted || Date.now() < ledUntil || !isDue()) return;
    if (!navigator.sendBeacon(away)) return;
    new BroadcastChannel(position).postMessage({ closed: true });
  });
}
