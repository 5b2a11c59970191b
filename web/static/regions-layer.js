// Zones and lines over the picture: what there is, what is being drawn, and which of them has just raised an alert.
import { arrow, middle } from "./regions-shape.js";

/** @typedef {import("./protocol.js").Region} Region */
/** @typedef {import("./regions-shape.js").Point} Point */
/** @typedef {import("./regions-drawing.js").Sketch} Sketch */

const SVG = "http://www.w3.org/2000/svg";
const ARROW_PX = 26;
const RANG_MS = 4000;
/** Told apart by colour-blind people, and from the objects' own by their dashes. */
export const COLOURS = ["#ffd166", "#5cc8ff", "#f78fb3", "#9be564", "#c9a6ff", "#ffa25c"];

/** @param {number} position of a region in the list */
export const colourOf = (position) => COLOURS[position % COLOURS.length] ?? "#ffd166";

export class RegionLayer {
  /** @type {Region[]} */
  regions = [];
  /** @type {string | null} the region that is pointed at in the list */
  marked = null;
  /** @type {Sketch | null} */
  sketch = null;
  /** @type {string | null} the region whose shape is being changed */
  changed = null;
  /** @type {Map<string, number>} when regions rang */
  #rang = new Map();
  #mirrored = false;

  /**
   * @param {SVGSVGElement} svg
   * @param {() => boolean} mirrored
   */
  constructor(svg, mirrored) {
    this.svg = svg;
    this.mirrored = mirrored;
    new ResizeObserver(() => this.show()).observe(svg);
    document.addEventListener("onlooker:drawn", () => this.#mirrored !== this.mirrored() && this.show());
  }

  /** A rule of the region has raised an alert. @param {string} id */
  ring(id) {
    this.#rang.set(id, performance.now());
    this.show();
    setTimeout(() => this.show(), RANG_MS + 50);
  }

  show() {
    this.#mirrored = this.mirrored();
    const shapes = this.regions.flatMap((region, i) => (region.id === this.changed ? [] : this.#region(region, colourOf(i))));
    if (this.sketch) shapes.push(...this.#sketch(this.sketch));
    this.svg.replaceChildren(...shapes);
  }

  /** @param {Point} point */
  #seen([x, y]) {
    const { clientWidth, clientHeight } = this.svg;
    return /** @type {Point} */ ([(this.#mirrored ? 1 - x : x) * clientWidth, y * clientHeight]);
  }

  /**
   * @param {Region} region
   * @param {string} colour
   */
  #region(region, colour) {
    const points = region.points.map((point) => this.#seen(point));
    const group = shape("g", { class: "region", "data-kind": region.kind, "data-region": region.id });
    const rang = performance.now() - (this.#rang.get(region.id) ?? -Infinity) < RANG_MS;
    group.classList.toggle("marked", this.marked === region.id);
    group.classList.toggle("rang", rang);
    group.style.setProperty("--region", colour);
    const flat = points.map((point) => point.join(",")).join(" ");
    group.append(shape(region.kind === "zone" ? "polygon" : "polyline", { class: "region-under", points: flat }));
    group.append(shape(region.kind === "zone" ? "polygon" : "polyline", { class: "region-shape", points: flat }));
    const [start, end] = (region.kind === "line" && arrow(points, ARROW_PX, this.#mirrored)) || [null, null];
    if (start && end) group.append(...arrowShapes(start, end));
    group.append(...this.#name(region, points));
    return [group];
  }

  /**
   * @param {Region} region
   * @param {Point[]} points
   */
  #name({ name, kind }, points) {
    const short = name.length > 24 ? `${name.slice(0, 23)}…` : name;
    const top = Math.min(...points.map((point) => point[1]));
    const [x, y] = kind === "zone" ? [middle(points)[0], top + 18] : (points[0] ?? [0, 0]);
    const { clientWidth, clientHeight } = this.svg;
    const wide = 7.2 * short.length + 16;
    const cx = Math.min(Math.max(x, wide / 2 + 4), Math.max(wide / 2 + 4, clientWidth - wide / 2 - 4));
    const cy = Math.min(Math.max(kind === "zone" ? y : y + 16, 14), clientHeight - 14);
    const words = shape("text", { class: "region-name", x: cx, y: cy });
    words.textContent = short;
    return [shape("rect", { class: "region-plate", x: cx - wide / 2, y: cy - 11, width: wide, height: 22, rx: 11 }), words];
  }

  /** @param {Sketch} sketch */
  #sketch({ kind, points, cursor, changing }) {
    const seen = points.map((point) => this.#seen(point));
    const at = cursor ? this.#seen(cursor) : null;
    const open = at && !changing ? [...seen, at] : seen;
    const closed = kind === "zone" && open.length > 2;
    const group = shape("g", { class: "sketch", "data-kind": kind });
    group.append(shape(closed ? "polygon" : "polyline", { class: "region-under", points: open.join(" ") }));
    group.append(shape(closed ? "polygon" : "polyline", { class: "region-shape", points: open.join(" ") }));
    const [start, end] = (kind === "line" && open.length > 1 && arrow(open, ARROW_PX, this.#mirrored)) || [null, null];
    if (start && end) group.append(...arrowShapes(start, end));
    seen.forEach(([x, y], i) => {
      const taken = changing && cursor && points[i]?.[0] === cursor[0] && points[i]?.[1] === cursor[1];
      group.append(shape("circle", { class: taken ? "handle taken" : "handle", cx: x, cy: y, r: i === 0 && !changing ? 8 : 7 }));
    });
    if (at && !changing) {
      const [x, y] = at;
      group.append(shape("path", { class: "sketch-cursor", d: `M${x - 12} ${y}H${x + 12}M${x} ${y - 12}V${y + 12}` }));
    }
    return [group];
  }
}

/**
 * @param {Point} start
 * @param {Point} end
 */
function arrowShapes(start, end) {
  const angle = Math.atan2(end[1] - start[1], end[0] - start[0]);
  const wing = (/** @type {number} */ turn) => `${end[0] - 9 * Math.cos(angle + turn)} ${end[1] - 9 * Math.sin(angle + turn)}`;
  const d = `M${start.join(" ")}L${end.join(" ")}M${wing(0.5)}L${end.join(" ")}L${wing(-0.5)}`;
  return [shape("path", { class: "region-under", d }), shape("path", { class: "region-arrow", d })];
}

/**
 * @param {string} tag
 * @param {Record<string, string | number>} attributes
 */
function shape(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  return /** @type {SVGElement} */ (element);
}
