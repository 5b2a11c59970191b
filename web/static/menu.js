// A short menu beside what it is about.
import { button, icon, make, place } from "./dom.js";
import { moveFocus } from "./sources.js";

/** @typedef {[iconName: string, words: string, act: () => void]} MenuEntry */

export class Menu {
  /** @type {HTMLElement | null} */
  #back = null;

  /** @param {HTMLElement} popover */
  constructor(popover) {
    this.popover = popover;
    popover.addEventListener("keydown", (event) => moveFocus(popover, event));
    popover.addEventListener("toggle", (event) => {
      const closed = /** @type {ToggleEvent} */ (event).newState === "closed";
      if (closed && popover.contains(document.activeElement)) this.#back?.focus();
    });
  }

  /**
   * @param {string} name what it is about
   * @param {MenuEntry[]} entries
   * @param {{x: number, y: number}} corner
   * @param {HTMLElement} back where the focus returns to
   */
  open(name, entries, corner, back) {
    this.#back = back;
    this.popover.replaceChildren(make("h3", "", name), ...entries.map((entry) => this.#row(entry)));
    this.popover.setAttribute("aria-label", name);
    this.popover.showPopover();
    place(this.popover, corner);
    this.popover.querySelector("button")?.focus();
  }

  close() {
    if (this.popover.matches(":popover-open")) this.popover.hidePopover();
  }

  /** @param {MenuEntry} entry */
  #row([iconName, words, act]) {
    const item = button("", () => {
      this.#back?.focus();
      this.popover.hidePopover();
      act();
    }, "menu-item");
    item.append(icon(iconName), words);
    return item;
  }
}
