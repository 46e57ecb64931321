// The tabs of one buyer with the same hall: what is held in one of them, the others have to show as the buyer's own.

/** @param {number[]} seats */
const alike = (seats) => [...seats].sort((one, other) => one - other).join(" ");

/**
 * Tells the other tabs which seats the buyer has, and calls back once another one tells of others.
 * @param {number} concert
 * @param {number[]} mine
 * @param {() => void} changed
 */
export function followTabs(concert, mine, changed) {
  if (typeof BroadcastChannel !== "function") return;
  const channel = new BroadcastChannel(`hall-${concert}`);
  channel.addEventListener("message", ({ data }) => {
    if (Array.isArray(data) && alike(data) !== alike(mine)) changed();
  });
  channel.postMessage(mine);
}

/** @param {number} concert */
const keyOf = (concert) => `hall-choice-${concert}`;

/**
 * Keeps a choice in this tab while its page is loaded anew.
 * @param {number} concert
 * @param {number[]} ids
 */
export function keepChoice(concert, ids) {
  try {
    window.sessionStorage.setItem(keyOf(concert), JSON.stringify(ids));
  } catch {
    // Then it is chosen anew.
  }
}

/**
 * The choice that was kept, once.
 * @param {number} concert
 * @returns {number[]}
 */
export function keptChoice(concert) {
  try {
    const kept = JSON.parse(window.sessionStorage.getItem(keyOf(concert)) ?? "[]");
    window.sessionStorage.removeItem(keyOf(concert));
    return Array.isArray(kept) ? kept.map(Number) : [];
  } catch {
    return [];
  }
}
