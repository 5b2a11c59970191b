// How many pictures stand side by side, and which one the arrow keys lead to. Pure.

const LEAST_WIDE = 260;

/**
 * The number of columns that makes pictures of one shape largest, as long as they are wide enough to be made out;
 * where they are not, the page scrolls.
 * @param {number} count
 * @param {{width: number, height: number}} room px
 * @param {{gap: number, ratio: number, below: number}} tile `below` px under each picture
 */
export function columnsFor(count, { width, height }, { gap, ratio, below }) {
  const most = Math.max(1, Math.min(count, Math.floor((width + gap) / (LEAST_WIDE + gap))));
  let best = most;
  let widest = 0;
  for (let columns = 1; columns <= most; columns++) {
    const rows = Math.ceil(count / columns);
    const byWidth = (width - gap * (columns - 1)) / columns;
    const byHeight = ((height - gap * (rows - 1)) / rows - below) * ratio;
    if (Math.min(byWidth, byHeight) > widest) [best, widest] = [columns, Math.min(byWidth, byHeight)];
  }
  return widest >= LEAST_WIDE ? best : most;
}

/**
 * Where an arrow key leads from one place to another, row by row.
 * @param {string} key
 * @param {number} at
 * @param {number} count
 * @param {number} columns
 */
export function moved(key, at, count, columns) {
  const last = count - 1;
  if (key === "Home") return 0;
  if (key === "End") return last;
  if (key === "ArrowLeft") return Math.max(0, at - 1);
  if (key === "ArrowRight") return Math.min(last, at + 1);
  if (key === "ArrowUp") return at - columns >= 0 ? at - columns : at;
  if (key === "ArrowDown") {
    if (at + columns <= last) return at + columns;
    // Into the last row, though it is shorter.
    return Math.floor(at / columns) < Math.floor(last / columns) ? last : at;
  }
  return at;
}
