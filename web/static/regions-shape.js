// Shapes of zones and lines in the picture. Pure: points are in [0, 1] of the picture, pixels on the screen.

/** @typedef {[number, number]} Point */

export const LEAST = { zone: 3, line: 2 };
export const MOST_POINTS = 64;

/**
 * The middle of a shape's points.
 * @param {Point[]} points
 * @returns {Point}
 */
export function middle(points) {
  const sum = points.reduce(([sx, sy], [x, y]) => [sx + x, sy + y], [0, 0]);
  return [sum[0] / Math.max(1, points.length), sum[1] / Math.max(1, points.length)];
}

/**
 * The arrow of a line, from its middle to its right-hand side, seen along it from its first point.
 * @param {Point[]} points on the screen
 * @param {number} length
 * @param {boolean} mirrored whether the screen shows the picture mirrored, so that right is left
 * @returns {[Point, Point] | null} none where the line has no length
 */
export function arrow(points, length, mirrored) {
  let [from, to] = [points[0], points[1]];
  let longest = 0;
  points.slice(1).forEach((point, i) => {
    const before = /** @type {Point} */ (points[i]);
    const long = Math.hypot(point[0] - before[0], point[1] - before[1]);
    if (long > longest) [longest, from, to] = [long, before, point];
  });
  if (!longest || !from || !to) return null;
  const side = mirrored ? -1 : 1;
  /** @type {Point} */
  const start = [(from[0] + to[0]) / 2, (from[1] + to[1]) / 2];
  const [dx, dy] = [(to[0] - from[0]) / longest, (to[1] - from[1]) / longest];
  return [start, [start[0] - side * dy * length, start[1] + side * dx * length]];
}

/**
 * Points without those that follow each other at nearly the same place, as a double click makes them.
 * @param {Point[]} points
 * @param {number} [least]
 * @returns {Point[]}
 */
export function distinct(points, least = 0.008) {
  return points.filter((point, i) => {
    const before = points[i - 1];
    return !before || Math.hypot(point[0] - before[0], point[1] - before[1]) > least;
  });
}

/** @param {number} value */
export const inside = (value) => Math.min(1, Math.max(0, value));
