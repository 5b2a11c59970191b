// Draws one composited picture: the frame, the light fill and crisp outline of every object, and its label.
// Nothing here reads the page or the clock, so a snapshot is the same drawing at another size.

/** @typedef {import("./types.js").Track} Track */

/**
 * @typedef {object} Scene
 * @property {CanvasImageSource} image
 * @property {Track[]} tracks those to be drawn
 * @property {Map<number, Float32Array[]>} outlines
 * @property {boolean} mirrored
 * @property {number | null} marked the object under the pointer or selected
 * @property {boolean} fill
 * @property {boolean} labels
 * @property {(id: number) => string} colour
 * @property {(id: number) => string} shape
 * @property {(track: Track) => number} opacity 0 to 1: lost objects fade
 */

/** @typedef {{x: number, y: number, wide: number}} Label */

const LABEL_FONT = '600 {}px system-ui, -apple-system, "Segoe UI", Roboto, Inter, sans-serif';
/** Labels keep off the upper edge: they go inside the object there. */
const TOP_SHARE = 0.12;

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Scene} scene
 * @param {number} unit size of one CSS pixel on this canvas
 */
export function paint(context, scene, unit) {
  const { width, height } = context.canvas;
  context.save();
  if (scene.mirrored) context.transform(-1, 0, 0, 1, width, 0);
  context.drawImage(scene.image, 0, 0, width, height);
  for (const track of scene.tracks) paintShape(context, scene, track, unit);
  context.restore();
  if (!scene.labels) return;
  /** @type {Label[]} */
  const taken = [];
  for (const track of scene.tracks) taken.push(paintLabel(context, scene, track, unit, taken));
}

/**
 * Only the picture, where there is nothing to draw on it.
 * @param {CanvasRenderingContext2D} context
 * @param {CanvasImageSource} image
 * @param {boolean} mirrored
 */
export function paintPicture(context, image, mirrored) {
  const { width, height } = context.canvas;
  context.save();
  if (mirrored) context.transform(-1, 0, 0, 1, width, 0);
  context.drawImage(image, 0, 0, width, height);
  context.restore();
}

/**
 * A closed path through outlines given in [0, 1], rounded between their points.
 * @param {Float32Array[]} lines
 * @param {number} width
 * @param {number} height
 */
export function pathOf(lines, width, height) {
  const path = new Path2D();
  for (const line of lines) {
    const n = line.length;
    const x = (/** @type {number} */ i) => (line[i % n] ?? 0) * width;
    const y = (/** @type {number} */ i) => (line[(i + 1) % n] ?? 0) * height;
    path.moveTo((x(0) + x(n - 2)) / 2, (y(0) + y(n - 2)) / 2);
    for (let i = 0; i < n; i += 2) {
      path.quadraticCurveTo(x(i), y(i), (x(i) + x(i + 2)) / 2, (y(i) + y(i + 2)) / 2);
    }
    path.closePath();
  }
  return path;
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Scene} scene
 * @param {Track} track
 * @param {number} unit
 */
function paintShape(context, scene, track, unit) {
  const { width, height } = context.canvas;
  const lines = scene.outlines.get(track.id);
  const marked = scene.marked === track.id;
  const colour = scene.colour(track.id);
  context.globalAlpha = scene.opacity(track);
  const alpha = context.globalAlpha;
  if (lines?.length) {
    const path = pathOf(lines, width, height);
    if (scene.fill || marked) {
      context.globalAlpha = alpha * (marked ? 0.4 : 0.22);
      context.fillStyle = colour;
      context.fill(path, "evenodd");
    }
    context.globalAlpha = alpha;
    context.setLineDash(track.state === "tentative" ? [5 * unit, 4 * unit] : []);
    strokeTwice(context, path, colour, (marked ? 3 : 2) * unit, unit);
  } else {
    const [x0, y0, x1, y1] = track.box_xyxy;
    const path = new Path2D();
    path.roundRect(x0 * width, y0 * height, (x1 - x0) * width, (y1 - y0) * height, 6 * unit);
    context.setLineDash(track.state === "live" ? [] : [6 * unit, 5 * unit]);
    strokeTwice(context, path, colour, (marked ? 2.5 : 1.5) * unit, unit);
  }
  context.setLineDash([]);
  context.globalAlpha = 1;
}

/**
 * A thin dark rim under the colour keeps the line visible on any background.
 * @param {CanvasRenderingContext2D} context
 * @param {Path2D} path
 * @param {string} colour
 * @param {number} line
 * @param {number} unit
 */
function strokeTwice(context, path, colour, line, unit) {
  context.lineJoin = "round";
  context.lineWidth = line + 1.5 * unit;
  context.strokeStyle = "rgb(0 0 0 / 0.35)";
  context.stroke(path);
  context.lineWidth = line;
  context.strokeStyle = colour;
  context.stroke(path);
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Scene} scene
 * @param {Track} track
 * @param {number} unit
 * @param {Label[]} taken places of the labels before
 * @returns {Label}
 */
function paintLabel(context, scene, track, unit, taken) {
  const { width, height } = context.canvas;
  const [x0, y0, x1] = track.box_xyxy;
  const left = (scene.mirrored ? 1 - x1 : x0) * width;
  const size = 12 * unit;
  const tall = 22 * unit;
  context.font = LABEL_FONT.replace("{}", String(size));
  const words = `#${track.id} ${shorten(track.label)}${track.state === "lost" ? " · lost" : ""}`;
  const wide = context.measureText(words).width + 30 * unit;
  const above = y0 * height - tall - 4 * unit;
  const x = Math.max(2 * unit, Math.min(left, width - wide - 2 * unit));
  let y = above > TOP_SHARE * height ? above : Math.max(y0 * height + 6 * unit, TOP_SHARE * height);
  while (taken.some((other) => Math.abs(other.y - y) < tall && other.x < x + wide && x < other.x + other.wide)) {
    y += tall + 2 * unit;
  }
  context.globalAlpha = scene.opacity(track);
  context.fillStyle = "rgb(12 14 18 / 0.82)";
  context.beginPath();
  context.roundRect(x, y, wide, tall, tall / 2);
  context.fill();
  if (scene.marked === track.id) {
    context.lineWidth = 1.5 * unit;
    context.strokeStyle = scene.colour(track.id);
    context.stroke();
  }
  context.fillStyle = scene.colour(track.id);
  context.fill(shapePath(scene.shape(track.id), x + 12 * unit, y + tall / 2, 4.5 * unit));
  context.fillStyle = "#ffffff";
  context.textBaseline = "middle";
  context.fillText(words, x + 21 * unit, y + tall / 2 + 0.5 * unit);
  context.globalAlpha = 1;
  return { x, y, wide };
}

/** @param {string} label */
function shorten(label) {
  return label.length > 28 ? `${label.slice(0, 27)}…` : label;
}

/** Corners on the unit circle, in degrees; `circle` and `drop` are drawn apart. */
const CORNERS = /** @type {Record<string, number[]>} */ ({
  square: [45, 135, 225, 315],
  diamond: [0, 90, 180, 270],
  triangle: [-90, 30, 150],
  hexagon: [0, 60, 120, 180, 240, 300],
});

/**
 * @param {string} shape
 * @param {number} x
 * @param {number} y
 * @param {number} radius
 */
export function shapePath(shape, x, y, radius) {
  const path = new Path2D();
  const corners = CORNERS[shape];
  if (corners) {
    for (const degrees of corners) {
      const angle = (degrees * Math.PI) / 180;
      path.lineTo(x + 1.15 * radius * Math.cos(angle), y + 1.15 * radius * Math.sin(angle));
    }
    path.closePath();
  } else if (shape === "cross") {
    path.rect(x - radius, y - radius / 3, 2 * radius, (2 * radius) / 3);
    path.rect(x - radius / 3, y - radius, (2 * radius) / 3, 2 * radius);
  } else {
    path.arc(x, y, radius, shape === "drop" ? Math.PI / 2 : 0, 2 * Math.PI);
    if (shape === "drop") path.lineTo(x + radius, y + radius);
    path.closePath();
  }
  return path;
}
