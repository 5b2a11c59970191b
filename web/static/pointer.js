// What the user does on the picture: click, shift-click, drag, touch, and the same from the keyboard with a crosshair.

/** @typedef {{x: number, y: number}} Spot in [0, 1] of the picture, mirroring taken out */
/** @typedef {"new" | "negative" | "add"} ClickKind */

/**
 * @typedef {object} Gestures
 * @property {(spot: Spot, kind: ClickKind, screen: {x: number, y: number}) => void} click
 * @property {(box: [number, number, number, number]) => void} box
 * @property {(spot: Spot | null) => void} hover
 * @property {() => boolean} mirrored
 * @property {(words: string) => void} say
 */

const DRAG_PX = 6;
const STEP = 0.02;
const FINE_STEP = 0.004;
const LONG_PRESS_MS = 500;

export class Pointer {
  /** @type {{x: number, y: number, id: number, touch: boolean, at: number} | null} */
  #down = null;
  /** @type {{x: number, y: number} | null} first corner of a box drawn with the keyboard, on the screen's picture */
  #corner = null;
  #boxMode = false;
  cursor = { x: 0.5, y: 0.5 };

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {HTMLElement} crosshair
   * @param {HTMLElement} rubber the drawn box
   * @param {Gestures} gestures
   */
  constructor(canvas, crosshair, rubber, gestures) {
    this.canvas = canvas;
    this.crosshair = crosshair;
    this.rubber = rubber;
    this.gestures = gestures;
    canvas.addEventListener("pointerdown", (event) => this.#press(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    canvas.addEventListener("pointerup", (event) => this.#release(event));
    canvas.addEventListener("pointercancel", () => this.cancel());
    canvas.addEventListener("pointerleave", () => gestures.hover(null));
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("focus", () => {
      if (canvas.matches(":focus-visible")) this.#showCursor();
    });
    canvas.addEventListener("blur", () => this.#hideCursor());
  }

  cancel() {
    this.#down = null;
    this.#corner = null;
    this.#boxMode = false;
    this.rubber.hidden = true;
    this.canvas.classList.remove("boxing");
  }

  /** Start drawing a box with the keyboard. */
  startBox() {
    this.#boxMode = true;
    this.canvas.focus();
    this.#showCursor();
    this.canvas.classList.add("boxing");
    this.gestures.say("Box: move to one corner and press Enter, then to the opposite corner and press Enter");
  }

  /**
   * Where an event is, in [0, 1] of the canvas as it is seen.
   * @param {{clientX: number, clientY: number}} event
   */
  #seen(event) {
    const box = this.canvas.getBoundingClientRect();
    const inside = (/** @type {number} */ value) => Math.min(1, Math.max(0, value));
    return { x: inside((event.clientX - box.left) / box.width), y: inside((event.clientY - box.top) / box.height) };
  }

  /** @param {{x: number, y: number}} seen */
  #spot({ x, y }) {
    return { x: this.gestures.mirrored() ? 1 - x : x, y };
  }

  /** @param {PointerEvent} event */
  #press(event) {
    if (event.button !== 0 || this.#down) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.#down = { ...this.#seen(event), id: event.pointerId, touch: event.pointerType === "touch", at: event.timeStamp };
    this.#hideCursor();
  }

  /** @param {PointerEvent} event */
  #move(event) {
    const seen = this.#seen(event);
    if (!this.#down) {
      if (event.pointerType !== "touch") this.gestures.hover(this.#spot(seen));
      return;
    }
    if (event.pointerId === this.#down.id && this.#dragged(seen)) this.#drawRubber(this.#down, seen);
  }

  /** @param {PointerEvent} event */
  #release(event) {
    const down = this.#down;
    if (!down || event.pointerId !== down.id) return;
    this.#down = null;
    this.rubber.hidden = true;
    const seen = this.#seen(event);
    const screen = { x: event.clientX, y: event.clientY };
    if (this.#dragged(seen, down)) this.#finishBox(down, seen);
    // A finger has no shift key: a long press is its negative click.
    else if (event.shiftKey || (down.touch && event.timeStamp - down.at > LONG_PRESS_MS)) {
      this.gestures.click(this.#spot(seen), "negative", screen);
    } else this.gestures.click(this.#spot(seen), event.ctrlKey || event.metaKey || event.altKey ? "add" : "new", screen);
  }

  #dragged(/** @type {{x: number, y: number}} */ seen, from = this.#down) {
    if (!from) return false;
    const { clientWidth, clientHeight } = this.canvas;
    return Math.hypot((seen.x - from.x) * clientWidth, (seen.y - from.y) * clientHeight) > DRAG_PX;
  }

  /**
   * @param {{x: number, y: number}} a
   * @param {{x: number, y: number}} b
   */
  #finishBox(a, b) {
    const { clientWidth, clientHeight } = this.canvas;
    if (Math.abs(a.x - b.x) * clientWidth < DRAG_PX || Math.abs(a.y - b.y) * clientHeight < DRAG_PX) return;
    const [p, q] = [this.#spot(a), this.#spot(b)];
    this.gestures.box([Math.min(p.x, q.x), Math.min(p.y, q.y), Math.max(p.x, q.x), Math.max(p.y, q.y)]);
  }

  /**
   * @param {{x: number, y: number}} a
   * @param {{x: number, y: number}} b
   */
  #drawRubber(a, b) {
    this.rubber.hidden = false;
    const { style } = this.rubber;
    style.setProperty("left", `${100 * Math.min(a.x, b.x)}%`);
    style.setProperty("top", `${100 * Math.min(a.y, b.y)}%`);
    style.setProperty("width", `${100 * Math.abs(a.x - b.x)}%`);
    style.setProperty("height", `${100 * Math.abs(a.y - b.y)}%`);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const step = event.shiftKey ? FINE_STEP : STEP;
    const ratio = this.canvas.clientWidth / Math.max(1, this.canvas.clientHeight);
    /** @type {Record<string, [number, number]>} */
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step * ratio], ArrowDown: [0, step * ratio] };
    const move = moves[event.key];
    if (move) {
      this.cursor.x = Math.min(1, Math.max(0, this.cursor.x + move[0]));
      this.cursor.y = Math.min(1, Math.max(0, this.cursor.y + move[1]));
      this.#showCursor();
    } else if (event.key === "Enter" && !event.repeat) this.#enter(event);
    else if (event.key === "Escape" && (this.#boxMode || this.#down)) this.cancel();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {KeyboardEvent} event */
  #enter(event) {
    if (!this.#boxMode) {
      const box = this.canvas.getBoundingClientRect();
      const screen = { x: box.left + this.cursor.x * box.width, y: box.top + this.cursor.y * box.height };
      const kind = event.shiftKey ? "negative" : event.ctrlKey || event.metaKey || event.altKey ? "add" : "new";
      this.gestures.click(this.#spot(this.cursor), kind, screen);
    } else if (!this.#corner) {
      this.#corner = { ...this.cursor };
      this.gestures.say("First corner set");
    } else {
      this.#finishBox(this.#corner, this.cursor);
      this.cancel();
    }
  }

  #showCursor() {
    this.crosshair.hidden = false;
    this.crosshair.style.setProperty("left", `${100 * this.cursor.x}%`);
    this.crosshair.style.setProperty("top", `${100 * this.cursor.y}%`);
    if (this.#corner) this.#drawRubber(this.#corner, this.cursor);
    this.gestures.hover(this.#spot(this.cursor));
  }

  #hideCursor() {
    this.crosshair.hidden = true;
  }
}
