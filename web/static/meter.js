// The level of the microphone as a calm row of bars that wanders to the left, newest at the right.

const BAR_PX = 3;
const GAP_PX = 3;
const EVERY_MS = 60;
const QUIETEST_DB = -60;
const LOUDEST_DB = -14;
/** Quick to rise, slow to fall, as an ear is. */
const FALL = 0.72;

/**
 * How high to draw a level, in [0, 1], so that whispering and shouting both show.
 * @param {number} rms
 */
export function height(rms) {
  const db = 20 * Math.log10(Math.max(rms, 1e-6));
  return Math.min(1, Math.max(0, (db - QUIETEST_DB) / (LOUDEST_DB - QUIETEST_DB)));
}

export class Meter {
  /** @type {number[]} the newest last */
  #bars = [];
  #due = 0;
  #tookAt = 0;
  #still = matchMedia("(prefers-reduced-motion: reduce)");

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {() => number} level root mean square in [0, 1]
   */
  constructor(canvas, level) {
    this.canvas = canvas;
    this.level = level;
  }

  /** @param {boolean} on */
  run(on) {
    if (on && !this.#due) this.#due = requestAnimationFrame((now) => this.#step(now));
    if (on || !this.#due) return;
    cancelAnimationFrame(this.#due);
    this.#due = 0;
    this.#bars = [];
  }

  /** @param {number} now */
  #step(now) {
    this.#due = requestAnimationFrame((later) => this.#step(later));
    if (now - this.#tookAt >= EVERY_MS) {
      this.#tookAt = now;
      this.#bars.push(Math.max(height(this.level()), (this.#bars.at(-1) ?? 0) * FALL));
      this.#bars.splice(0, this.#bars.length - 120);
    }
    this.#draw((now - this.#tookAt) / EVERY_MS);
  }

  /** @param {number} passed how far the row has wandered towards the next bar */
  #draw(passed) {
    const { canvas } = this;
    const scale = devicePixelRatio;
    const [wide, high] = [canvas.clientWidth, canvas.clientHeight];
    if (canvas.width !== wide * scale || canvas.height !== high * scale) {
      canvas.width = wide * scale;
      canvas.height = high * scale;
    }
    const context = canvas.getContext("2d");
    if (!context) return;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, wide, high);
    context.fillStyle = getComputedStyle(canvas).color;
    if (this.#still.matches) this.#drawStill(context, wide, high);
    else this.#drawRow(context, wide, high, passed * (BAR_PX + GAP_PX));
  }

  /**
   * One bar that only grows: nothing wanders.
   * @param {CanvasRenderingContext2D} context
   * @param {number} wide
   * @param {number} high
   */
  #drawStill(context, wide, high) {
    context.beginPath();
    context.roundRect(0, high / 2 - 2, Math.max(4, wide * (this.#bars.at(-1) ?? 0)), 4, 2);
    context.fill();
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {number} wide
   * @param {number} high
   * @param {number} shift
   */
  #drawRow(context, wide, high, shift) {
    const step = BAR_PX + GAP_PX;
    const count = Math.ceil(wide / step) + 1;
    for (let i = 0; i < count; i++) {
      const x = wide - BAR_PX - i * step - shift + step;
      const tall = Math.max(BAR_PX, (this.#bars.at(-1 - i) ?? 0) * high);
      // Fades where it comes from and where it goes, so that nothing jumps at the ends.
      context.globalAlpha = Math.min(1, Math.max(0, x / (wide * 0.6))) * Math.min(1, Math.max(0, (wide - x) / step));
      context.beginPath();
      context.roundRect(x, (high - tall) / 2, BAR_PX, tall, BAR_PX / 2);
      context.fill();
    }
    context.globalAlpha = 1;
  }
}
