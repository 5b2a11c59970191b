// From the cells of a mask to smooth closed outlines, so that the painter draws crisp curves at any size.

/** Steps on the lattice of cell corners: right, down, left, up. */
const STEP_X = [1, 0, -1, 0];
const STEP_Y = [0, 1, 0, -1];
const SMALLEST_OUTLINE = 6;
const SMOOTHING_PASSES = 16;

/**
 * Closed outlines of a mask in [0, 1] of the picture, holes included (fill them with the even-odd rule).
 * @param {import("./rle.js").MaskCells} mask
 * @param {[number, number]} size height and width of the mask grid
 * @returns {Float32Array[]} each x0, y0, x1, y1, …
 */
export function outlines(mask, [height, width]) {
  return traceCorners(mask)
    .filter((corners) => corners.length / 2 >= SMALLEST_OUTLINE)
    .map((corners) => {
      const points = thin(smooth(midpoints(corners)));
      for (let i = 0; i < points.length; i += 2) {
        points[i] = ((points[i] ?? 0) + mask.x - 1) / width;
        points[i + 1] = ((points[i + 1] ?? 0) + mask.y - 1) / height;
      }
      return points;
    });
}

/**
 * Walk along the cell edges with the inside on the right hand.
 * @param {import("./rle.js").MaskCells} mask
 * @returns {number[][]} lattice corners x, y of each closed walk, one unit apart
 */
function traceCorners({ columns, rows, cells }) {
  const stride = rows + 1;
  const exits = new Uint8Array((columns + 1) * stride);
  for (let x = 1; x < columns - 1; x++) {
    for (let y = 1; y < rows - 1; y++) {
      const at = x * rows + y;
      if (!cells[at]) continue;
      const corner = x * stride + y;
      if (!cells[at - 1]) exits[corner] = (exits[corner] ?? 0) | 1;
      if (!cells[at + rows]) exits[corner + stride] = (exits[corner + stride] ?? 0) | 2;
      if (!cells[at + 1]) exits[corner + stride + 1] = (exits[corner + stride + 1] ?? 0) | 4;
      if (!cells[at - rows]) exits[corner + 1] = (exits[corner + 1] ?? 0) | 8;
    }
  }
  const walks = [];
  for (let start = 0; start < exits.length; start++) {
    while (exits[start]) walks.push(walk(exits, start, stride));
  }
  return walks;
}

/**
 * @param {Uint8Array} exits directions that leave each corner, as bits; used ones are cleared
 * @param {number} start
 * @param {number} stride
 */
function walk(exits, start, stride) {
  const corners = [];
  let at = start;
  let direction = Math.log2((exits[at] ?? 0) & -(exits[at] ?? 0));
  do {
    corners.push(Math.floor(at / stride), at % stride);
    exits[at] = (exits[at] ?? 0) & ~(1 << direction);
    at += (STEP_X[direction] ?? 0) * stride + (STEP_Y[direction] ?? 0);
    // At a corner where two outlines touch, turning right keeps diagonal neighbours apart.
    for (const turn of [1, 0, 3]) {
      const next = (direction + turn) % 4;
      if ((exits[at] ?? 0) & (1 << next)) {
        direction = next;
        break;
      }
    }
  } while (at !== start || (exits[at] ?? 0) & (1 << direction));
  return corners;
}

/** @param {number[]} corners */
function midpoints(corners) {
  const points = new Float32Array(corners.length);
  for (let i = 0; i < corners.length; i += 2) {
    const j = (i + 2) % corners.length;
    points[i] = ((corners[i] ?? 0) + (corners[j] ?? 0)) / 2;
    points[i + 1] = ((corners[i + 1] ?? 0) + (corners[j + 1] ?? 0)) / 2;
  }
  return points;
}

/**
 * Taubin's smoothing: a shrinking and a growing pass in turn, so that the staircase goes and the area stays.
 * @param {Float32Array} points
 */
function smooth(points) {
  let from = points;
  for (let pass = 0; pass < SMOOTHING_PASSES; pass++) {
    const weight = pass % 2 ? -0.52 : 0.5;
    const to = new Float32Array(from.length);
    const n = from.length;
    for (let i = 0; i < n; i++) {
      const middle = ((from[(i + n - 2) % n] ?? 0) + (from[(i + 2) % n] ?? 0)) / 2;
      to[i] = (from[i] ?? 0) + weight * (middle - (from[i] ?? 0));
    }
    from = to;
  }
  return from;
}

/**
 * Keep every second point of long outlines: the painter's curves fill in.
 * @param {Float32Array} points
 */
function thin(points) {
  const count = points.length / 2;
  const every = count > 600 ? 3 : count > 60 ? 2 : 1;
  const kept = new Float32Array(2 * Math.ceil(count / every));
  for (let i = 0, k = 0; i < count; i += every) {
    kept[k++] = points[2 * i] ?? 0;
    kept[k++] = points[2 * i + 1] ?? 0;
  }
  return kept;
}
