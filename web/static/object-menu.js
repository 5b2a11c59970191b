// What can be done with one object, from the list or from a click on it.
import { button, icon, make, place } from "./dom.js";
import { moveFocus } from "./sources.js";

/**
 * @typedef {object} MenuActions
 * @property {(id: number) => void} explain
 * @property {(id: number) => void} rename
 * @property {(id: number) => void} hide
 * @property {(id: number) => void} cutOut
 * @property {(id: number) => void} remove
 */

export class ObjectMenu {
  /** @type {HTMLElement | null} */
  #back = null;

  /**
   * @param {HTMLElement} popover
   * @param {MenuActions} actions
   */
  constructor(popover, actions) {
    this.popover = popover;
    this.actions = actions;
    popover.addEventListener("keydown", (event) => moveFocus(popover, event));
    popover.addEventListener("toggle", (event) => {
      const closed = /** @type {ToggleEvent} */ (event).newState === "closed";
      if (closed && popover.contains(document.activeElement)) this.#back?.focus();
    });
  }

  /**
   * @param {number} id
   * @param {string} name
   * @param {{x: number, y: number}} corner
   * @param {HTMLElement} back where the focus returns to
   * @param {(() => void) | null} followPart offered where a place in the picture was clicked
   */
  open(id, name, corner, back, followPart) {
    this.#back = back;
    const title = make("h3", "", name);
    const rows = [
      this.#row("ask", "Explain this", () => this.actions.explain(id)),
      this.#row("pen", "Rename", () => this.actions.rename(id)),
      this.#row("eye-off", "Hide or show", () => this.actions.hide(id)),
      this.#row("cut", "Cut out as PNG", () => this.actions.cutOut(id)),
      this.#row("bin", "Remove", () => this.actions.remove(id)),
    ];
    if (followPart) rows.unshift(this.#row("part", "Follow what I clicked on its own", followPart));
    this.popover.replaceChildren(title, ...rows);
    this.popover.setAttribute("aria-label", name);
    this.popover.showPopover();
    place(this.popover, corner);
    this.popover.querySelector("button")?.focus();
  }

  close() {
    if (this.popover.matches(":popover-open")) this.popover.hidePopover();
  }

  /**
   * @param {string} iconName
   * @param {string} words
   * @param {() => void} act
   */
  #row(iconName, words, act) {
    const item = button("", () => {
      this.#back?.focus();
      this.popover.hidePopover();
      act();
    }, "menu-item");
    item.append(icon(iconName), words);
    return item;
  }
}
