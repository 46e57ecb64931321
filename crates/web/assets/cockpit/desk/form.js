// The form of the room's settings: what was typed, what another operator has set meanwhile, and what a change would do.

/**
 * The settings of a room as the form has them.
 * @typedef {{ max_active: string, admit_per_minute: string, message: string }} Settings
 */
/** @typedef {import("./view.js").Room} Room */

/** The fields of the form. */
export const FIELDS = /** @type {const} */ (["max_active", "admit_per_minute", "message"]);
/** A preview is asked for once nothing was typed for so long, in milliseconds. */
export const TYPED_MS = 350;

/**
 * The settings of a room, as a form writes them.
 * @param {Room} room
 * @returns {Settings}
 */
export const settingsOf = (room) => ({
  max_active: String(room.max_active),
  admit_per_minute: room.admit_per_minute === null ? "" : String(room.admit_per_minute),
  message: room.message ?? "",
});

/**
 * What becomes of the form when the room is another one: a field that was not touched takes the new value, one that was
 * keeps what was typed. The form is based on the new room unless what was typed meets what another operator has set: then
 * it stays based on the old one, and the server asks again.
 * @param {{ typed: Settings, was: Settings, version: string, busy?: string | undefined }} form `busy` is the field that is being typed in
 * @param {Room} room
 */
export function takeRoom({ typed, was, version, busy }, room) {
  const now = settingsOf(room);
  const next = { typed: { ...typed }, was: { ...was }, version: room.version, clashes: /** @type {string[]} */ ([]) };
  for (const field of FIELDS) {
    const isTouched = typed[field] !== was[field];
    const isOther = now[field] !== was[field];
    if (!isOther) continue;
    if ((isTouched || busy === field) && typed[field] !== now[field]) {
      next.clashes.push(field);
    } else {
      next.typed[field] = now[field];
      next.was[field] = now[field];
    }
  }
  if (next.clashes.length > 0) next.version = version;
  return next;
}

/**
 * The query of a preview; none if nothing was touched.
 * @param {Settings} typed
 * @param {Settings} was
 */
export function previewQuery(typed, was) {
  const touched = FIELDS.filter((field) => field !== "message" && typed[field] !== was[field]);
  if (touched.length === 0) return undefined;
  return new URLSearchParams(touched.map((field) => [field, typed[field].trim()])).toString();
}
