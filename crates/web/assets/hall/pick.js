// The seats that a person has chosen and not held yet: one state for the drawing, the list and the form.

/** What became of a wish to choose a seat, or to let it go. */
export const ADDED = "added", REMOVED = "removed", FULL = "full", TAKEN = "taken";

/** The chosen seats, by id, in the order of the choice. */
export class Picks {
  /** @type {Set<number>} */
  #chosen = new Set();
  /** @type {((changed: number[]) => void)[]} */
  #listeners = [];

  /** @param {number} limit how many seats may be chosen */
  constructor(limit) {
    this.limit = Math.max(0, limit);
  }

  /** The chosen seats. */
  get ids() {
    return [...this.#chosen];
  }

  /** @param {number} id */
  has(id) {
    return this.#chosen.has(id);
  }

  /**
   * Calls back after every change, with the seats whose choice changed.
   * @param {(changed: number[]) => void} listener
   */
  onChange(listener) {
    this.#listeners.push(listener);
  }

  /**
   * Chooses a seat, or lets it go.
   * @param {number} id
   * @param {boolean} isFree
   * @returns {string}
   */
  toggle(id, isFree) {
    if (this.#chosen.delete(id)) {
      this.#tell([id]);
      return REMOVED;
    }
    if (!isFree) return TAKEN;
    if (this.#chosen.size >= this.limit) return FULL;
    this.#chosen.add(id);
    this.#tell([id]);
    return ADDED;
  }

  /**
   * Lets go of the chosen seats that are not free any more, and returns them.
   * @param {(id: number) => boolean} isFree
   */
  dropTaken(isFree) {
    const taken = this.ids.filter((id) => !isFree(id));
    for (const id of taken) this.#chosen.delete(id);
    if (taken.length > 0) this.#tell(taken);
    return taken;
  }

  /** @param {number[]} changed */
  #tell(changed) {
    for (const listener of this.#listeners) listener(changed);
  }
}
