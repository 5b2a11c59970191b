// Drawing a zone or a line on the picture, and changing one: with the mouse, a finger, or the keyboard alone.
import { distinct, inside, LEAST, MOST_POINTS } from "./regions-shape.js";

/** @typedef {import("./regions-shape.js").Point} Point */
/** @typedef {{kind: "zone" | "line", points: Point[], cursor: Point | null, changing: boolean}} Sketch */

const STEP = 0.02;
const FINE_STEP = 0.004;
const GRAB_PX = 16;

/**
 * @typedef {object} DrawingPage
 * @property {(sketch: Sketch | null) => void} show
 * @property {() => boolean} mirrored
 * @property {(words: string) => void} say
 * @property {(words: string) => void} refuse
 */

export class Drawing {
  /** @type {Sketch | null} */
  #sketch = null;
  /** @type {((points: Point[] | null) => void) | null} */
  #done = null;
  #dragged = -1;
  #moved = false;
  /** Whether the last point was put where the cursor is. */
  #put = false;

  /**
   * @param {SVGSVGElement} layer
   * @param {DrawingPage} page
   */
  constructor(layer, page) {
    this.layer = layer;
    this.page = page;
    layer.addEventListener("pointerdown", (event) => this.#press(event));
    layer.addEventListener("pointermove", (event) => this.#move(event));
    layer.addEventListener("pointerup", (event) => this.#release(event));
    layer.addEventListener("pointercancel", () => (this.#dragged = -1));
    layer.addEventListener("dblclick", (event) => {
      event.preventDefault();
      if (this.#sketch && !this.#sketch.changing) this.finish();
    });
    layer.addEventListener("contextmenu", (event) => this.#sketch && event.preventDefault());
    layer.addEventListener("keydown", (event) => this.#key(event));
  }

  get active() {
    return this.#sketch !== null;
  }

  /**
   * Draw a new shape. Resolves with its points, or none where it was cancelled.
   * @param {"zone" | "line"} kind
   * @returns {Promise<Point[] | null>}
   */
  draw(kind) {
    const what = kind === "zone" ? "a zone: put its corners" : "a line: put its ends";
    return this.#begin({ kind, points: [], cursor: null, changing: false }, `Drawing ${what}. Arrow keys move, Enter puts a point, Enter twice finishes, Escape cancels.`);
  }

  /**
   * Change a shape: drag its points, or move the nearest one from the keyboard.
   * @param {"zone" | "line"} kind
   * @param {Point[]} points
   */
  change(kind, points) {
    const copy = points.map(([x, y]) => /** @type {Point} */ ([x, y]));
    return this.#begin({ kind, points: copy, cursor: null, changing: true }, "Changing the shape. Space takes the next point, arrow keys move it, Delete removes it, Enter finishes, Escape cancels.");
  }

  /**
   * @param {Sketch} sketch
   * @param {string} words
   * @returns {Promise<Point[] | null>}
   */
  #begin(sketch, words) {
    this.cancel();
    this.#sketch = sketch;
    this.#dragged = -1;
    this.#put = false;
    this.layer.classList.add("drawing");
    this.layer.setAttribute("tabindex", "0");
    this.page.show(sketch);
    // On a phone the picture may be under the sheet.
    scrollTo({ top: 0 });
    this.layer.focus({ preventScroll: true });
    this.page.say(words);
    return new Promise((resolve) => (this.#done = resolve));
  }

  finish() {
    const sketch = this.#sketch;
    if (!sketch) return;
    const points = distinct(sketch.points);
    const least = LEAST[sketch.kind];
    if (points.length < least) {
      this.page.refuse(sketch.kind === "zone" ? "A zone has three corners or more." : "A line has two ends or more.");
      return;
    }
    this.#end(points);
  }

  cancel() {
    if (this.#sketch) this.#end(null);
  }

  /** Take back the last point. */
  back() {
    const sketch = this.#sketch;
    if (!sketch || sketch.changing) return;
    sketch.points.pop();
    this.#put = false;
    this.page.show(sketch);
    this.page.say(`${sketch.points.length} points`);
  }

  /** @param {Point[] | null} points */
  #end(points) {
    this.#sketch = null;
    this.layer.classList.remove("drawing");
    this.layer.removeAttribute("tabindex");
    const done = this.#done;
    this.#done = null;
    this.page.show(null);
    done?.(points);
  }

  /**
   * @param {PointerEvent} event
   * @returns {Point}
   */
  #spot(event) {
    const box = this.layer.getBoundingClientRect();
    const x = inside((event.clientX - box.left) / box.width);
    return [this.page.mirrored() ? 1 - x : x, inside((event.clientY - box.top) / box.height)];
  }

  /** The point under a spot, or -1. @param {Point} spot */
  #near([x, y]) {
    const { width, height } = this.layer.getBoundingClientRect();
    const far = (this.#sketch?.points ?? []).map(([px, py]) => Math.hypot((px - x) * width, (py - y) * height));
    const best = far.indexOf(Math.min(...far));
    return best >= 0 && (far[best] ?? GRAB_PX) < GRAB_PX ? best : -1;
  }

  /** @param {PointerEvent} event */
  #press(event) {
    if (!this.#sketch || event.button !== 0) return;
    this.layer.setPointerCapture(event.pointerId);
    this.#dragged = this.#near(this.#spot(event));
    this.#moved = false;
  }

  /** @param {PointerEvent} event */
  #move(event) {
    const sketch = this.#sketch;
    if (!sketch) return;
    const spot = this.#spot(event);
    if (this.#dragged >= 0 && event.buttons) {
      sketch.points[this.#dragged] = spot;
      sketch.cursor = spot;
      this.#moved = true;
    } else if (event.pointerType !== "touch" && !sketch.changing) {
      sketch.cursor = spot;
      this.#put = false;
    }
    this.page.show(sketch);
  }

  /** @param {PointerEvent} event */
  #release(event) {
    const sketch = this.#sketch;
    if (!sketch || event.button !== 0) return;
    const [dragged, moved] = [this.#dragged, this.#moved];
    this.#dragged = -1;
    if (sketch.changing || moved) return;
    // A click on the first corner closes a zone.
    if (dragged === 0 && sketch.kind === "zone" && sketch.points.length >= LEAST.zone) this.finish();
    else if (dragged < 0) this.#add(this.#spot(event));
  }

  /** @param {Point} spot */
  #add(spot) {
    const sketch = this.#sketch;
    if (!sketch) return;
    if (sketch.points.length >= MOST_POINTS) {
      this.page.refuse(`A shape has at most ${MOST_POINTS} points.`);
      return;
    }
    sketch.points.push(spot);
    sketch.cursor = spot;
    this.#put = true;
    this.page.show(sketch);
    this.page.say(`Point ${sketch.points.length}, ${Math.round(100 * spot[0])} % across, ${Math.round(100 * spot[1])} % down`);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const sketch = this.#sketch;
    if (!sketch || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = event.shiftKey ? FINE_STEP : STEP;
    const ratio = this.layer.clientWidth / Math.max(1, this.layer.clientHeight);
    const across = this.page.mirrored() ? -step : step;
    /** @type {Record<string, Point>} */
    const moves = { ArrowLeft: [-across, 0], ArrowRight: [across, 0], ArrowUp: [0, -step * ratio], ArrowDown: [0, step * ratio] };
    const move = moves[event.key];
    if (move) this.#shift(sketch, move);
    else if (event.key === "Enter" && !event.repeat) this.#enter(sketch);
    else if (event.key === "Escape") this.cancel();
    else if (event.key === " " && sketch.changing) this.#next(sketch);
    else if (event.key === "Delete" && sketch.changing) this.#remove(sketch);
    else if (event.key === "Backspace" || event.key === "Delete") this.back();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /**
   * @param {Sketch} sketch
   * @param {Point} move
   */
  #shift(sketch, [dx, dy]) {
    const [x, y] = sketch.cursor ?? (sketch.changing ? (sketch.points[0] ?? [0.5, 0.5]) : [0.5, 0.5]);
    const taken = sketch.changing ? this.#taken(sketch) : -1;
    sketch.cursor = [inside(x + dx), inside(y + dy)];
    if (taken >= 0) sketch.points[taken] = sketch.cursor;
    this.#put = false;
    this.page.show(sketch);
  }

  /** The point that the keyboard moves. @param {Sketch} sketch */
  #taken({ points, cursor }) {
    if (!cursor) return 0;
    return points.findIndex(([x, y]) => x === cursor[0] && y === cursor[1]);
  }

  /** @param {Sketch} sketch */
  #next(sketch) {
    const next = sketch.cursor ? (this.#taken(sketch) + 1) % sketch.points.length : 0;
    const point = /** @type {Point} */ (sketch.points[next]);
    sketch.cursor = point;
    this.page.show(sketch);
    this.page.say(`Point ${next + 1} of ${sketch.points.length}`);
  }

  /** @param {Sketch} sketch */
  #remove(sketch) {
    const taken = this.#taken(sketch);
    if (taken < 0 || sketch.points.length <= LEAST[sketch.kind]) return;
    sketch.points.splice(taken, 1);
    sketch.cursor = null;
    this.page.show(sketch);
    this.page.say("Point removed");
  }

  /** Put a point; where the last one was put already, that is all. @param {Sketch} sketch */
  #enter(sketch) {
    if (sketch.changing || this.#put) this.finish();
    else this.#add(sketch.cursor ?? [0.5, 0.5]);
  }
}
