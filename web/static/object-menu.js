// What can be done with one object, from the list or from a click on it.
import { Menu } from "./menu.js";

/**
 * @typedef {object} MenuActions
 * @property {(id: number) => void} explain
 * @property {(id: number) => void} rename
 * @property {(id: number) => void} hide
 * @property {(id: number) => void} cutOut
 * @property {(id: number) => void} remove
 */

export class ObjectMenu {
  #menu;

  /**
   * @param {HTMLElement} popover
   * @param {MenuActions} actions
   */
  constructor(popover, actions) {
    this.#menu = new Menu(popover);
    this.actions = actions;
  }

  /**
   * @param {number} id
   * @param {string} name
   * @param {{x: number, y: number}} corner
   * @param {HTMLElement} back where the focus returns to
   * @param {(() => void) | null} followPart offered where a place in the picture was clicked
   */
  open(id, name, corner, back, followPart) {
    /** @type {import("./menu.js").MenuEntry[]} */
    const entries = [
      ["ask", "Explain this", () => this.actions.explain(id)],
      ["pen", "Rename", () => this.actions.rename(id)],
      ["eye-off", "Hide or show", () => this.actions.hide(id)],
      ["cut", "Cut out as PNG", () => this.actions.cutOut(id)],
      ["bin", "Remove", () => this.actions.remove(id)],
    ];
    if (followPart) entries.unshift(["part", "Follow what I clicked on its own", followPart]);
    this.#menu.open(name, entries, corner, back);
  }

  close() {
    this.#menu.close();
  }
}
