// The view of all cameras and the way between it and one camera: by button, key, link, and the browser's own Back.
import { Cover } from "./cover.js";
import { find } from "./dom.js";
import { Grid } from "./grid.js";
import { GridArmed } from "./grid-armed.js";
import { GRID, routeOf, streamHash } from "./route.js";

/**
 * @typedef {object} GridActions
 * @property {(action: import("./states.js").ActionName, value: string) => Promise<void>} act what a button of the cover asks for
 * @property {() => void} add a camera
 * @property {(tile: import("./tile.js").Tile, anchor: HTMLElement) => void} menu
 */

const element = (/** @type {string} */ id) => find(`#${id}`, HTMLElement);

class GridView {
  /** The stream that the user came from, and goes back to. @type {string | null} */
  #from = null;
  /** Whether the picture on screen was opened out of the grid. */
  #opened = false;

  /**
   * @param {import("./page.js").Page} page
   * @param {GridActions} actions
   */
  constructor(page, actions) {
    this.page = page;
    this.cover = new Cover({ cover: element("grid-cover"), badges: element("grid-badges") }, async (action, value) => {
      await actions.act(action, value);
      void this.grid.refresh();
    });
    this.armed = new GridArmed(find("#grid-armed", HTMLButtonElement), page.parts);
    this.grid = new Grid(element("grid-list"), element("grid-room"), page.parts.settings, {
      listed: (streams) => this.#count(streams),
      reached: (error) => {
        if (error?.status === 401) this.cover.show("token", this.page.parts.station.tokenError ? { error: this.page.parts.station.tokenError } : {});
        else if (error) this.cover.show("server_gone");
      },
      menu: actions.menu,
    });
    element("open-grid").addEventListener("click", () => this.show());
    element("grid-back").addEventListener("click", () => this.#back());
    element("grid-add").addEventListener("click", () => actions.add());
    addEventListener("hashchange", () => this.#follow());
  }

  /** Begin with what the address names. */
  start() {
    const { grid, stream } = routeOf(location.hash);
    if (grid) this.#open();
    else void this.page.parts.station.start(stream);
  }

  /** End every session. */
  close() {
    this.grid.close();
  }

  get shown() {
    return document.documentElement.dataset.view === "grid";
  }

  show() {
    if (location.hash !== GRID) location.hash = GRID;
    else this.#follow();
  }

  /** Another source is on its way to the screen: that is where the user wants to be. */
  leave() {
    const { station } = this.page.parts;
    const watched = station.feed && !station.feed.own ? station.feed.id : null;
    const hash = watched ? streamHash(watched) : "";
    if (location.hash && location.hash !== hash) history.replaceState(null, "", hash || location.pathname + location.search);
    this.#hide();
  }

  /**
   * Escape, where it has nothing else to end.
   * @returns {boolean} whether it led somewhere
   */
  escape() {
    if (document.querySelector(":popover-open")) return false;
    if (this.shown) return this.#from !== null && this.#back();
    if (this.#opened) this.show();
    return this.#opened;
  }

  /** Show what the address says. */
  #follow() {
    const { grid, stream } = routeOf(location.hash);
    const { station } = this.page.parts;
    if (grid) return this.#open();
    if (stream && stream !== this.page.stream) {
      this.#opened = this.shown;
      const tile = this.grid.tiles.get(stream);
      this.grid.look(stream);
      this.#hide();
      if (tile) station.watch(stream, tile.info.name || stream, tile.info.source.kind);
      else void station.start(stream);
    } else {
      this.#hide();
      station.resume();
    }
  }

  #open() {
    if (this.shown) return;
    const stream = this.page.stream;
    this.#from = this.#opened ? null : stream;
    this.#opened = false;
    document.documentElement.dataset.view = "grid";
    element("grid").hidden = false;
    this.cover.show("starting");
    this.page.parts.station.rest();
    this.grid.open();
    this.#focus = stream;
  }

  /** The tile to put the keyboard on, once it is there. @type {string | null | undefined} */
  #focus = undefined;

  #hide() {
    if (!this.shown) return;
    delete document.documentElement.dataset.view;
    element("grid").hidden = true;
    this.grid.close();
    element("open-grid").focus({ preventScroll: true });
  }

  #back() {
    const { station } = this.page.parts;
    history.replaceState(null, "", this.#from ? streamHash(this.#from) : location.pathname + location.search);
    this.#hide();
    station.resume();
    return true;
  }

  /** @param {import("./types.js").StreamInfo[]} streams */
  #count(streams) {
    const fine = streams.filter(({ state }) => state === "live" || state === "still").length;
    const rest = streams.length - fine;
    const parts = [`${fine} live`, ...(rest ? [`${rest} without a picture`] : [])];
    element("grid-count").textContent = streams.length ? parts.join(" · ") : "";
    this.cover.show(streams.length ? null : "no_cameras");
    void this.armed.refresh();
    if (this.#focus === undefined || !streams.length) return;
    if (document.activeElement === document.body || element("grid").contains(document.activeElement)) this.grid.focus(this.#focus);
    this.#focus = undefined;
  }
}

/**
 * @param {import("./page.js").Page} page
 * @param {GridActions} actions
 */
export function openGridView(page, actions) {
  const view = new GridView(page, actions);
  const { keys } = page.parts;
  const escape = keys.Escape;
  keys.Escape = () => {
    if (!view.shown && page.parts.model.selected !== null) escape?.();
    else view.escape();
  };
  keys.g = () => view.show();
  return view;
}
