// Words for those who do not look at the right place at the right time: toasts with a way back, and the live region.
import { button, make } from "./dom.js";

const TOAST_MS = 6000;
const MOST_TOASTS = 3;
const BETWEEN_ANNOUNCEMENTS_MS = 2000;

export class Toasts {
  /** @param {HTMLElement} place */
  constructor(place) {
    this.place = place;
  }

  /**
   * @param {string} words
   * @param {{actions?: [string, () => void][], tone?: "plain" | "error", ms?: number}} [options]
   */
  show(words, { actions = [], tone = "plain", ms = TOAST_MS } = {}) {
    const toast = make("div", `toast ${tone}`, make("span", "", words));
    if (tone === "error") toast.setAttribute("role", "alert");
    for (const [label, act] of actions) {
      toast.append(
        button(label, () => {
          toast.remove();
          act();
        }, "text-button"),
      );
    }
    while (this.place.childElementCount >= MOST_TOASTS) this.place.firstElementChild?.remove();
    this.place.append(toast);
    const leave = () => {
      // Someone who is on its button keeps it.
      if (toast.matches(":hover, :focus-within")) setTimeout(leave, 2000);
      else toast.remove();
    };
    setTimeout(leave, ms);
    return toast;
  }
}

/** A polite live region that gathers what happens within two seconds into one sentence. */
export class Announcer {
  /** @type {string[]} */
  #waiting = [];
  #timer = 0;
  #last = 0;

  /** @param {HTMLElement} region */
  constructor(region) {
    this.region = region;
  }

  /** @param {string} words */
  say(words) {
    if (this.#waiting.includes(words)) return;
    this.#waiting.push(words);
    if (this.#timer) return;
    const wait = Math.max(100, this.#last + BETWEEN_ANNOUNCEMENTS_MS - performance.now());
    this.#timer = window.setTimeout(() => this.#flush(), wait);
  }

  #flush() {
    this.#timer = 0;
    this.#last = performance.now();
    const told = this.#waiting.slice(0, 4);
    const more = this.#waiting.length - told.length;
    this.#waiting = [];
    this.region.textContent = told.join(". ") + (more > 0 ? `. And ${more} more changes.` : ".");
  }
}
