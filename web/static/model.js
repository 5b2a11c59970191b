// What the page knows of the stream: objects, prompts, what is hidden or selected. No elements here.

/** @typedef {import("./types.js").Item} Item */
/** @typedef {import("./types.js").Prompt} Prompt */
/** @typedef {import("./types.js").Track} Track */

const FADE_MS = 2500;
/** A hit test needs a path of some size, not of the unit square. */
const GRID = 1000;

export class Model {
  /** @type {Map<number, Item>} */
  items = new Map();
  /** @type {Map<number, Prompt>} */
  prompts = new Map();
  /** @type {Set<number>} */
  hidden = new Set();
  /** @type {number | null} */
  selected = null;
  /** @type {number | null} */
  hovered = null;
  /** @type {readonly string[]} */
  words = [];

  clear() {
    this.items.clear();
    this.prompts.clear();
    this.hidden.clear();
    this.selected = this.hovered = null;
  }

  /**
   * Take over a `tracks` message.
   * @param {Track[]} tracks
   * @param {number} now
   * @returns {boolean} whether objects came or left
   */
  update(tracks, now) {
    const present = tracks.filter((track) => track.state !== "gone");
    const ids = new Set(present.map((track) => track.id));
    let changed = present.length !== this.items.size;
    for (const id of this.items.keys()) {
      if (ids.has(id)) continue;
      changed = true;
      this.items.delete(id);
      if (this.selected === id) this.selected = null;
      if (this.hovered === id) this.hovered = null;
    }
    for (const track of present) {
      const before = this.items.get(track.id);
      if (!before || before.track.state !== track.state) changed = true;
      const lostAt = track.state === "lost" ? (before?.lostAt ?? now) : null;
      this.items.set(track.id, { track, hidden: this.hidden.has(track.id), lostAt });
    }
    return changed;
  }

  /** Oldest id first. */
  get list() {
    return [...this.items.values()].sort((a, b) => a.track.id - b.track.id);
  }

  /** @param {number} id */
  name(id) {
    const label = this.items.get(id)?.track.label;
    return label ? `#${id} ${label}` : `#${id}`;
  }

  /**
   * @param {number} id
   * @param {boolean} hidden
   */
  hide(id, hidden) {
    if (hidden) this.hidden.add(id);
    else this.hidden.delete(id);
    const item = this.items.get(id);
    if (item) item.hidden = hidden;
  }

  /**
   * Lost objects fade from the picture; the list keeps them until they are found or gone.
   * @param {number} id
   * @param {number} now
   */
  opacity(id, now) {
    const lostAt = this.items.get(id)?.lostAt ?? null;
    if (lostAt === null) return 1;
    return Math.max(0, 1 - (now - lostAt) / FADE_MS);
  }

  /**
   * The next or previous object in the list.
   * @param {1 | -1} step
   */
  step(step) {
    const ids = this.list.map((item) => item.track.id);
    if (!ids.length) return null;
    const at = this.selected === null ? -1 : ids.indexOf(this.selected);
    const next = at < 0 ? (step > 0 ? 0 : ids.length - 1) : (at + step + ids.length) % ids.length;
    this.selected = ids[next] ?? null;
    return this.selected;
  }
}

const probe = document.createElement("canvas").getContext("2d");

/**
 * The smallest shown object whose mask (or box, where it has no mask) covers a place.
 * @param {{tracks: Track[], outlines: Map<number, Float32Array[]>} | null} result
 * @param {{x: number, y: number}} spot in [0, 1] of the picture
 * @param {Set<number>} hidden
 * @param {(lines: Float32Array[], width: number, height: number) => Path2D} pathOf
 */
export function objectAt(result, { x, y }, hidden, pathOf) {
  let best = null;
  let least = Infinity;
  for (const track of result?.tracks ?? []) {
    const [x0, y0, x1, y1] = track.box_xyxy;
    if (hidden.has(track.id) || track.state === "gone" || track.state === "lost") continue;
    const lines = result?.outlines.get(track.id);
    const inside = lines?.length
      ? probe?.isPointInPath(pathOf(lines, GRID, GRID), x * GRID, y * GRID, "evenodd")
      : x >= x0 && x < x1 && y >= y0 && y < y1;
    const area = (x1 - x0) * (y1 - y0);
    if (inside && area < least) [best, least] = [track.id, area];
  }
  return best;
}
