// The last moments of the picture, copied into canvases that are used again. Frames of the camera itself are never
// held: capture would stall after two of them.

/** @typedef {import("./sync.js").Shot} Shot */

/**
 * What tells one frame from all others: when it was copied and captured, and its timestamps in the stream and as sent.
 * @typedef {{at: number, unixUs: number | null, rtp: number | null, viewRtp: number | null}} Identity
 */

const MOST_SHOTS = 40;
const LARGEST_SIDE = 1920;

export class FrameRing {
  /** @type {Shot[]} oldest first */
  shots = [];
  /** @type {HTMLCanvasElement[]} */
  #spare = [];
  #seq = 0;
  /** @type {number[]} */
  #arrivals = [];
  /** @type {Shot | null} the frame on screen, which stays until another takes its place */
  held = null;

  /**
   * Copy a picture.
   * @param {CanvasImageSource} picture
   * @param {number} pictureWidth
   * @param {number} pictureHeight
   * @param {Identity} identity
   * @param {number} keepMs how long frames are needed
   */
  push(picture, pictureWidth, pictureHeight, identity, keepMs) {
    this.#dropOlderThan(identity.at - keepMs);
    const shrink = Math.min(1, LARGEST_SIDE / Math.max(pictureWidth, pictureHeight));
    const width = Math.round(pictureWidth * shrink);
    const height = Math.round(pictureHeight * shrink);
    const canvas = this.#spare.pop() ?? document.createElement("canvas");
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    canvas.getContext("2d", { alpha: false })?.drawImage(picture, 0, 0, width, height);
    /** @type {Shot} */
    const shot = { seq: ++this.#seq, ...identity, width, height, image: canvas, result: null };
    this.shots.push(shot);
    this.#arrivals.push(identity.at);
    if (this.#arrivals.length > 120) this.#arrivals.shift();
    return shot;
  }

  get newest() {
    return this.shots[this.shots.length - 1] ?? null;
  }

  /** The usual time between frames, ms. */
  get intervalMs() {
    const recent = this.#arrivals.slice(-31);
    const first = recent[0];
    const last = recent[recent.length - 1];
    if (first === undefined || last === undefined || recent.length < 3) return 1000 / 30;
    return Math.min(200, Math.max(8, (last - first) / (recent.length - 1)));
  }

  /** @param {number} now */
  arrivedLastSecond(now) {
    return this.#arrivals.filter((at) => now - at < 1000).length;
  }

  /** @param {number} rtp */
  byRtp(rtp) {
    return this.shots.find((shot) => shot.rtp === rtp) ?? null;
  }

  clear() {
    for (const shot of this.shots) this.#release(shot);
    this.shots = [];
    this.#arrivals = [];
    this.held = null;
  }

  /** @param {number} oldest */
  #dropOlderThan(oldest) {
    const old = this.shots.filter((shot, i) => shot.at < oldest || i < this.shots.length - MOST_SHOTS);
    for (const shot of old) {
      if (shot !== this.held) this.#release(shot);
    }
    this.shots = this.shots.filter((shot) => shot.image && (shot === this.held || !old.includes(shot)));
  }

  /** @param {Shot} shot */
  #release(shot) {
    if (shot.image instanceof HTMLCanvasElement && this.#spare.length < MOST_SHOTS) this.#spare.push(shot.image);
    shot.image = null;
  }
}
