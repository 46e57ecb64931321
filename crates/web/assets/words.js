// Words that the server hands over, with values filled in.

/**
 * Fills in the names in braces. A value that looks like such a name stays as it is.
 * @param {string | undefined} words
 * @param {Record<string, string | number>} values
 */
export const fill = (words, values) =>
  (words ?? "").replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
