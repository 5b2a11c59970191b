// Which view the address names: all cameras (`#grid`), one stream (`#stream/<id>`), or neither.

/** @typedef {{grid: boolean, stream: string | null}} Route */

export const GRID = "#grid";
const STREAM = "#stream/";

/**
 * @param {string} hash of the page's address
 * @returns {Route}
 */
export function routeOf(hash) {
  if (hash === GRID) return { grid: true, stream: null };
  if (!hash.startsWith(STREAM)) return { grid: false, stream: null };
  return { grid: false, stream: hash.slice(STREAM.length).toLowerCase() || null };
}

/** @param {string} id of a stream */
export const streamHash = (id) => `${STREAM}${encodeURIComponent(id)}`;
