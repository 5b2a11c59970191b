// Masks on the wire are COCO compressed run-length encodings: runs of 0 and 1 in column-major order, each length in
// base 32 with a continuation bit, from the fourth on as the difference to the run two before.

/**
 * A mask cut to its bounding box. `cells` is column-major, one byte a cell, with a border of one empty cell all round.
 * @typedef {object} MaskCells
 * @property {number} x column of the mask grid where the inside of `cells` begins
 * @property {number} y row of the mask grid where the inside of `cells` begins
 * @property {number} columns width of `cells`, border included
 * @property {number} rows height of `cells`, border included
 * @property {Uint8Array} cells 1 inside, 0 outside
 */

/**
 * Run lengths of a compressed string.
 * @param {string} counts
 * @returns {number[]} lengths, starting with a run of zeros
 */
export function decodeRuns(counts) {
  const runs = [];
  let at = 0;
  while (at < counts.length) {
    let value = 0;
    let shift = 0;
    let code = 0x20;
    while (code & 0x20) {
      if (at >= counts.length || shift > 30) throw new RangeError("truncated run-length string");
      code = counts.charCodeAt(at++) - 48;
      if (code < 0 || code > 63) throw new RangeError("not a run-length string");
      value |= (code & 0x1f) << shift;
      shift += 5;
    }
    if (code & 0x10 && shift < 32) value |= -1 << shift;
    if (runs.length > 2) value += runs[runs.length - 2] ?? 0;
    if (value < 0) throw new RangeError("negative run");
    runs.push(value);
  }
  return runs;
}

/**
 * Decode a mask into the cells of its bounding box.
 * @param {[number, number]} size height and width of the mask grid
 * @param {string} counts
 * @returns {MaskCells | null} null where the mask is empty
 */
export function decodeMask([height, width], counts) {
  const runs = decodeRuns(counts);
  const total = runs.reduce((sum, run) => sum + run, 0);
  if (total > height * width) throw new RangeError("runs exceed the mask's size");
  const box = boundsOfRuns(runs, height);
  if (!box) return null;
  const columns = box.x1 - box.x0 + 2;
  const rows = box.y1 - box.y0 + 2;
  const cells = new Uint8Array(columns * rows);
  forEachSpan(runs, height, (column, from, to) => {
    const start = (column - box.x0 + 1) * rows + 1 - box.y0;
    cells.fill(1, start + from, start + to);
  });
  return { x: box.x0, y: box.y0, columns, rows, cells };
}

/**
 * @param {number[]} runs
 * @param {number} height
 */
function boundsOfRuns(runs, height) {
  const box = { x0: Infinity, y0: Infinity, x1: -1, y1: -1 };
  forEachSpan(runs, height, (column, from, to) => {
    box.x0 = Math.min(box.x0, column);
    box.x1 = Math.max(box.x1, column + 1);
    box.y0 = Math.min(box.y0, from);
    box.y1 = Math.max(box.y1, to);
  });
  return box.x1 < 0 ? null : box;
}

/**
 * Call `span(column, from, to)` for each vertical stretch of ones.
 * @param {number[]} runs
 * @param {number} height
 * @param {(column: number, from: number, to: number) => void} span
 */
function forEachSpan(runs, height, span) {
  let at = 0;
  runs.forEach((run, index) => {
    if (index % 2 === 1) {
      let from = at;
      const end = at + run;
      while (from < end) {
        const column = Math.floor(from / height);
        const to = Math.min(end, (column + 1) * height);
        span(column, from - column * height, to - column * height);
        from = to;
      }
    }
    at += run;
  });
}
