// All feeds side by side: a tile for each, laid out so that the pictures are as large as they can be.
import { ApiError, call, listStreams } from "./api.js";
import { moved, columnsFor } from "./tiling.js";
import { Tile } from "./tile.js";

/** @typedef {import("./types.js").StreamInfo} StreamInfo */
/** @typedef {import("./types.js").StoredEvent} StoredEvent */

const LOOK_EVERY_MS = 2000;
const ALERTS = 100;
const GAP = 12;
/** The line under each picture. */
const LINE = 36;
const RATIO = 16 / 9;
const SEEN_KEY = "onlooker.seen";
const MOST_SEEN = 500;

/**
 * @typedef {object} GridEvents
 * @property {(streams: StreamInfo[]) => void} listed
 * @property {(error: ApiError | null) => void} reached whether the server answers
 * @property {(tile: Tile, anchor: HTMLElement) => void} menu
 */

export class Grid {
  /** @type {Map<string, Tile>} by stream, in the server's order */
  tiles = new Map();
  #timer = 0;
  #shown = false;
  #columns = 1;
  /** @type {Set<Element>} */
  #inSight = new Set();
  #sight;
  /** Until when each stream's alerts have been looked at, unix ms. @type {Record<string, number>} */
  #seen = read();

  /**
   * @param {HTMLElement} list
   * @param {HTMLElement} room what scrolls
   * @param {import("./settings.js").Settings} settings
   * @param {GridEvents} events
   */
  constructor(list, room, settings, events) {
    this.list = list;
    this.room = room;
    this.settings = settings;
    this.events = events;
    this.#sight = new IntersectionObserver((entries) => this.#onSight(entries), { rootMargin: "64px" });
    new ResizeObserver(() => this.#arrange()).observe(room);
    document.addEventListener("visibilitychange", () => this.#play());
    list.addEventListener("keydown", (event) => this.#key(event));
  }

  open() {
    if (this.#shown) return;
    this.#shown = true;
    void this.refresh();
  }

  close() {
    this.#shown = false;
    clearTimeout(this.#timer);
    for (const tile of this.tiles.values()) tile.close();
    this.tiles.clear();
    this.#inSight.clear();
    this.#sight.disconnect();
  }

  /** Look what the server has, now and again and again. */
  async refresh() {
    clearTimeout(this.#timer);
    try {
      const streams = await listStreams();
      if (!this.#shown) return;
      this.#take(streams);
      this.events.reached(null);
      this.events.listed(streams);
      if (streams.length) await this.#markAlerts();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (this.#shown) this.events.reached(error);
    }
    clearTimeout(this.#timer);
    if (this.#shown) this.#timer = window.setTimeout(() => void this.refresh(), LOOK_EVERY_MS);
  }

  /**
   * What has happened in a stream until now has been looked at.
   * @param {string} stream
   */
  look(stream) {
    this.#seen[stream] = Date.now();
    write(this.#seen);
    this.tiles.get(stream)?.mark(null);
  }

  /**
   * Put the keyboard on a stream's tile, or on the first.
   * @param {string | null} stream
   */
  focus(stream) {
    const tile = (stream && this.tiles.get(stream)) || [...this.tiles.values()][0];
    tile?.link.focus();
  }

  /** @param {StreamInfo[]} streams */
  #take(streams) {
    const wanted = new Set(streams.map((stream) => stream.id));
    for (const [id, tile] of this.tiles) {
      if (wanted.has(id)) continue;
      this.#sight.unobserve(tile.element);
      this.#inSight.delete(tile.element);
      const focused = tile.element.contains(document.activeElement);
      tile.close();
      this.tiles.delete(id);
      if (focused) this.focus(null);
    }
    for (const info of streams) {
      const known = this.tiles.get(info.id);
      if (known) known.update(info);
      else this.#add(info);
    }
    this.#arrange();
    this.#play();
  }

  /** @param {StreamInfo} info */
  #add(info) {
    const tile = new Tile(info, this.settings, this.events.menu);
    this.#seen[info.id] ??= Date.now();
    this.tiles.set(info.id, tile);
    this.list.append(tile.element);
    this.#sight.observe(tile.element);
  }

  /** @param {IntersectionObserverEntry[]} entries */
  #onSight(entries) {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) this.#inSight.add(target);
      else this.#inSight.delete(target);
    }
    this.#play();
  }

  #play() {
    for (const tile of this.tiles.values()) tile.show(!document.hidden && this.#inSight.has(tile.element));
  }

  #arrange() {
    const { clientWidth, clientHeight } = this.room;
    const style = getComputedStyle(this.room);
    const width = clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    const height = clientHeight - parseFloat(style.paddingTop) - parseFloat(style.paddingBottom);
    if (width <= 0) return;
    this.#columns = columnsFor(this.tiles.size, { width, height }, { gap: GAP, ratio: RATIO, below: LINE });
    const rows = Math.ceil(this.tiles.size / this.#columns);
    const across = (width - GAP * (this.#columns - 1)) / this.#columns;
    // A tile is never taller than the room, so that few feeds need no scrolling.
    const down = ((height - GAP * (rows - 1)) / rows - LINE) * RATIO;
    this.list.style.setProperty("--columns", String(this.#columns));
    this.list.style.setProperty("--wide", `${Math.floor(Math.max(Math.min(across, down), Math.min(across, 260)))}px`);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const tiles = [...this.tiles.values()];
    const at = tiles.findIndex((tile) => tile.element.contains(document.activeElement));
    const next = moved(event.key, at, tiles.length, this.#columns);
    if (at < 0 || next === at) return;
    event.preventDefault();
    tiles[next]?.link.focus();
  }

  async #markAlerts() {
    const first = Math.min(...[...this.tiles.keys()].map((id) => this.#seen[id] ?? Date.now()));
    const query = new URLSearchParams({ kind: "alert", since: new Date(first).toISOString(), limit: String(ALERTS) });
    /** @type {StoredEvent[]} newest first */
    const alerts = (await call("GET", `/v1/events?${query}`)).items;
    for (const [id, tile] of this.tiles) {
      const newest = alerts.find((event) => event.stream === id && Date.parse(event.at) > (this.#seen[id] ?? 0));
      tile.mark(newest ?? null);
    }
  }
}

/** @returns {Record<string, number>} */
function read() {
  try {
    const kept = JSON.parse(localStorage.getItem(SEEN_KEY) ?? "{}");
    return typeof kept === "object" && kept ? kept : {};
  } catch {
    return {};
  }
}

/** Those that were looked at last: publishers have another id each time. @param {Record<string, number>} seen */
function write(seen) {
  const newest = Object.entries(seen).sort(([, a], [, b]) => b - a).slice(0, MOST_SEEN);
  try {
    localStorage.setItem(SEEN_KEY, JSON.stringify(Object.fromEntries(newest)));
  } catch {
    // Storage is switched off in this browser: it is remembered until the page closes.
  }
}
