// The rules of all cameras, armed and disarmed together.
import { ApiError, call } from "./api.js";
import { icon } from "./dom.js";

export class GridArmed {
  #all = true;

  /**
   * @param {HTMLButtonElement} button
   * @param {import("./page.js").Page["parts"]} parts
   */
  constructor(button, { announcer, toasts }) {
    this.button = button;
    this.announcer = announcer;
    this.toasts = toasts;
    button.addEventListener("click", () => void this.#turn());
  }

  /** What is armed now. Nothing is shown where no camera has a rule. */
  async refresh() {
    try {
      /** @type {{armed: string[], disarmed: string[]}} */
      const { armed, disarmed } = await call("GET", "/v1/armed");
      this.#show(armed.length, disarmed.length);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
    }
  }

  /**
   * @param {number} armed
   * @param {number} disarmed
   */
  #show(armed, disarmed) {
    const cameras = (/** @type {number} */ count) => `${count} ${count === 1 ? "camera" : "cameras"}`;
    const some = armed > 0 && disarmed > 0;
    const words = some ? `${armed} of ${armed + disarmed} armed` : armed ? "Armed" : "Disarmed";
    this.#all = !disarmed;
    this.button.hidden = !armed && !disarmed;
    this.button.setAttribute("aria-pressed", some ? "mixed" : String(this.#all));
    this.button.title = this.#all
      ? `The rules of ${cameras(armed)} raise alerts. Press to disarm them all`
      : `The rules of ${cameras(disarmed)} raise no alerts. Press to arm them all`;
    if (this.button.textContent !== words) this.button.replaceChildren(icon(armed ? "bell" : "bell-off"), words);
  }

  async #turn() {
    try {
      await call("PUT", "/v1/armed", { armed: !this.#all });
      await this.refresh();
      this.announcer.say(this.#all ? "All cameras armed" : "All cameras disarmed");
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.toasts.show(error.message, { tone: "error" });
    }
  }
}
