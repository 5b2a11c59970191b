// Shows the page's state where the eye is: a card instead of the picture, or a badge on it.
import { button, make, paragraph } from "./dom.js";
import { STATES } from "./states.js";

/** @typedef {import("./types.js").StateName} StateName */
/** @typedef {import("./states.js").ActionName} ActionName */

export class Cover {
  /** @type {string} what is shown, so that nothing is built twice and no focus is lost */
  #shown = "";

  /**
   * @param {{cover: HTMLElement, badges: HTMLElement}} parts
   * @param {(action: ActionName, value: string) => void} act
   */
  constructor(parts, act) {
    this.parts = parts;
    this.act = act;
  }

  /**
   * @param {StateName | null} name
   * @param {{title?: string, text?: string, error?: string, actions?: [ActionName, string][], unsynced?: string | null}} words the server's own, where it has some
   */
  show(name, words = {}) {
    const key = JSON.stringify([name, words]);
    if (key === this.#shown) return;
    this.#shown = key;
    const state = name ? STATES[name] : null;
    const covers = state?.place === "cover";
    const hadFocus = this.parts.cover.contains(document.activeElement);
    this.parts.cover.hidden = !covers;
    this.parts.cover.replaceChildren(...(name && covers ? [this.#card(name, words)] : []));
    const badges = [];
    if (name && state && !covers) badges.push(this.#badge(name, words));
    if (words.unsynced && !covers) badges.push(make("div", "badge", make("strong", "", "Unsynced"), make("span", "", words.unsynced)));
    this.parts.badges.replaceChildren(...badges);
    if (hadFocus) this.parts.cover.querySelector("button")?.focus();
  }

  /**
   * @param {StateName} name
   * @param {{title?: string, text?: string, error?: string}} words
   */
  #card(name, words) {
    const state = STATES[name];
    const card = make("div", "card");
    card.dataset.state = name;
    if (state.busy) {
      const spinner = make("div", "spinner");
      spinner.setAttribute("aria-hidden", "true");
      card.append(spinner);
    }
    card.append(make("h2", "", words.title ?? state.title), paragraph(words.text ?? state.text));
    if (words.error) card.append(make("p", "card-error", words.error));
    card.append(name === "token" ? this.#tokenForm() : this.#buttons(state.actions));
    return card;
  }

  /** @param {[ActionName, string][]} actions */
  #buttons(actions) {
    const row = make("div", "card-actions");
    actions.forEach(([action, label], index) => {
      row.append(button(label, () => this.act(action, ""), index ? "button" : "button primary"));
    });
    return row;
  }

  #tokenForm() {
    const input = make("input");
    input.type = "password";
    input.autocomplete = "current-password";
    input.setAttribute("aria-label", "Token");
    input.placeholder = "Token";
    const send = make("button", "button primary", "Enter");
    const form = make("form", "card-actions", input, send);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (input.value.trim()) this.act("token", input.value.trim());
    });
    return form;
  }

  /**
   * @param {StateName} name
   * @param {{title?: string, text?: string, actions?: [ActionName, string][]}} words
   */
  #badge(name, words) {
    const state = STATES[name];
    const badge = make("div", "badge");
    badge.dataset.state = name;
    if (state.busy) badge.append(make("div", "spinner"));
    badge.append(make("strong", "", words.title ?? state.title), paragraph(words.text ?? state.text));
    for (const [action, label] of words.actions ?? state.actions) badge.append(button(label, () => this.act(action, ""), "text-button"));
    return badge;
  }
}
