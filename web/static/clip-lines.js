// The annotations of a clip: which line belongs to the picture at a time, and the outlines of its masks.
import { outlinesOf } from "./outlines.js";

/** @typedef {import("./types.js").Track} Track */
/** @typedef {{pts: number, time_s: number, epoch: number, index: number, rtp: number, width: number, height: number, tracks: Track[]}} ClipLine */

/** Times in a file and in the player differ by their rounding only. */
const SAME_S = 0.002;
const AHEAD = 8;
const MOST_HELD = 240;

/**
 * @param {string} text JSON Lines
 * @returns {ClipLine[]}
 */
export function parseLines(text) {
  return text.split("\n").flatMap((line) => (line.trim() ? [/** @type {ClipLine} */ (JSON.parse(line))] : []));
}

/**
 * The place in ascending `times` of what is nearest to `time`.
 * @param {number[]} times
 * @param {number} time
 * @returns {number} -1 where there are none
 */
export function nearest(times, time) {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[middle] ?? 0) < time) low = middle + 1;
    else high = middle;
  }
  if (low === 0) return times.length ? 0 : -1;
  if (low === times.length) return low - 1;
  return time - (times[low - 1] ?? 0) <= (times[low] ?? 0) - time ? low - 1 : low;
}

export class ClipLines {
  /** @type {Map<number, Map<number, Float32Array[]>>} outlines by place of the line */
  #outlines = new Map();
  /** @type {Map<number, ((outlines: Map<number, Float32Array[]>) => void)[]>} */
  #asked = new Map();

  /** @param {ClipLine[]} lines */
  constructor(lines) {
    this.lines = lines;
    this.times = lines.map((line) => line.time_s);
  }

  /**
   * What was tracked on the picture shown at that time of the clip; null where it was not looked at.
   * @param {number} time_s
   */
  at(time_s) {
    const place = nearest(this.times, time_s);
    const line = this.lines[place];
    return line && Math.abs(line.time_s - time_s) <= SAME_S ? { line, place } : null;
  }

  /**
   * The outlines of a line's masks, soon; those of the lines after it are made ready.
   * @param {number} place
   * @param {(outlines: Map<number, Float32Array[]>) => void} take
   */
  outlines(place, take) {
    const ready = this.#outlines.get(place);
    if (ready) take(ready);
    else this.#ask(place, take);
    for (let next = place + 1; next <= place + AHEAD; next++) {
      if (this.lines[next] && !this.#outlines.has(next) && !this.#asked.has(next)) this.#ask(next, null);
    }
  }

  /**
   * @param {number} place
   * @param {((outlines: Map<number, Float32Array[]>) => void) | null} take
   */
  #ask(place, take) {
    const waiting = this.#asked.get(place);
    if (waiting) {
      if (take) waiting.push(take);
      return;
    }
    this.#asked.set(place, take ? [take] : []);
    outlinesOf(this.lines[place]?.tracks ?? [], (outlines) => {
      const takers = this.#asked.get(place) ?? [];
      this.#asked.delete(place);
      this.#outlines.set(place, outlines);
      const [oldest] = this.#outlines.keys();
      if (this.#outlines.size > MOST_HELD && oldest !== undefined) this.#outlines.delete(oldest);
      for (const taker of takers) taker(outlines);
    });
  }
}
