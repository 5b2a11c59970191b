// A click that may have meant the whole of something or a part of it: both offered beside the place.
import { button } from "./dom.js";

/** @typedef {[number, number, number, number]} Box */
/** @typedef {{name: string, box_xyxy: Box}} Choice */

const STAYS_MS = 10_000;

export class Choices {
  #timer = 0;

  /** @param {HTMLElement} group */
  constructor(group) {
    this.group = group;
    group.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.hide();
    });
  }

  /**
   * @param {Choice[]} choices
   * @param {boolean} mirrored
   * @param {(choice: Choice) => void} choose
   */
  show(choices, mirrored, choose) {
    const largest = choices.reduce((a, b) => (area(a) >= area(b) ? a : b));
    const [x0, y0, x1] = largest.box_xyxy;
    this.group.replaceChildren(
      ...choices.map((choice) =>
        button(choice.name.charAt(0).toUpperCase() + choice.name.slice(1), () => {
          this.hide();
          choose(choice);
        }, ""),
      ),
    );
    this.group.hidden = false;
    const middle = (x0 + x1) / 2;
    const parent = this.group.parentElement;
    const halfWide = this.group.offsetWidth / 2 / Math.max(1, parent?.clientWidth ?? 1);
    const left = Math.min(1 - 2 * halfWide, Math.max(0, (mirrored ? 1 - middle : middle) - halfWide));
    this.group.style.setProperty("left", `${100 * left}%`);
    this.group.style.setProperty("top", `calc(${100 * Math.max(0.02, y0)}% + 36px)`);
    clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => this.#leave(), STAYS_MS);
  }

  hide() {
    clearTimeout(this.#timer);
    this.group.hidden = true;
    this.group.replaceChildren();
  }

  #leave() {
    if (this.group.matches(":hover, :focus-within")) this.#timer = window.setTimeout(() => this.#leave(), 2000);
    else this.hide();
  }
}

/** @param {Choice} choice */
function area({ box_xyxy: [x0, y0, x1, y1] }) {
  return (x1 - x0) * (y1 - y0);
}
