// The field for concepts: suggestions from the words that the engine knows, and the concepts that are followed now.
import { button, icon, make } from "./dom.js";

/** @typedef {import("./types.js").Prompt} Prompt */

const MOST_SUGGESTIONS = 6;

/**
 * How many letters have to change to make one word of another.
 * @param {string} a
 * @param {string} b
 */
function editDistance(a, b) {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/**
 * The known words nearest to a typed one.
 * @param {string} typed
 * @param {readonly string[]} words
 * @param {number} [count]
 */
export function nearestWords(typed, words, count = 4) {
  const wanted = typed.trim().toLowerCase();
  const score = (/** @type {string} */ word) =>
    word.includes(wanted) || wanted.includes(word) ? 0 : editDistance(wanted, word) / Math.max(wanted.length, word.length);
  return [...words].sort((a, b) => score(a) - score(b)).slice(0, count);
}

/**
 * Known words that a beginning may become.
 * @param {string} typed
 * @param {readonly string[]} words
 */
export function suggestions(typed, words) {
  const wanted = typed.trim().toLowerCase();
  if (!wanted) return words.slice(0, MOST_SUGGESTIONS);
  const starting = words.filter((word) => word.startsWith(wanted));
  const within = words.filter((word) => !word.startsWith(wanted) && word.includes(wanted));
  return [...starting, ...within].slice(0, MOST_SUGGESTIONS);
}

export class ConceptField {
  /** @type {readonly string[]} */
  words = [];
  #active = -1;

  /**
   * @param {{form: HTMLFormElement, input: HTMLInputElement, list: HTMLElement, chips: HTMLElement}} parts
   * @param {{follow: (text: string) => void, drop: (prompt: Prompt) => void}} actions
   */
  constructor(parts, actions) {
    this.parts = parts;
    this.actions = actions;
    const { form, input } = parts;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    input.addEventListener("input", () => this.#suggest());
    input.addEventListener("focus", () => this.#suggest());
    input.addEventListener("blur", () => this.#close());
    input.addEventListener("keydown", (event) => this.#key(event));
    this.#close();
  }

  focus() {
    this.parts.input.focus();
    this.parts.input.select();
  }

  /** @param {Prompt[]} prompts those that are active */
  showChips(prompts) {
    const chips = prompts
      .filter((prompt) => prompt.kind === "text" && prompt.state !== "removed" && prompt.state !== "failed")
      .map((prompt) => {
        const words = prompt.text ?? "";
        const drop = button("", () => this.actions.drop(prompt), "chip-drop");
        drop.append(icon("close"));
        drop.setAttribute("aria-label", `Stop following “${words}”`);
        const chip = make("li", "chip", make("span", "", words), drop);
        chip.dataset.state = prompt.state;
        chip.title = prompt.message ?? "";
        return chip;
      });
    this.parts.chips.replaceChildren(...chips);
    this.parts.chips.hidden = !chips.length;
  }

  #submit() {
    const { input, list } = this.parts;
    const chosen = list.children[this.#active]?.textContent;
    const text = (chosen ?? input.value).trim();
    if (!text) return;
    this.actions.follow(text);
    input.value = "";
    this.#close();
  }

  #suggest() {
    const { input, list } = this.parts;
    const found = suggestions(input.value, this.words);
    this.#active = -1;
    list.replaceChildren(
      ...found.map((word, index) => {
        const option = make("li", "option", word);
        option.id = `concept-option-${index}`;
        option.setAttribute("role", "option");
        option.setAttribute("aria-selected", "false");
        option.addEventListener("pointerdown", (event) => {
          // Before the field loses the focus.
          event.preventDefault();
          this.#active = index;
          this.#submit();
        });
        return option;
      }),
    );
    list.hidden = !found.length;
    input.setAttribute("aria-expanded", String(found.length > 0));
    input.removeAttribute("aria-activedescendant");
  }

  #close() {
    const { input, list } = this.parts;
    this.#active = -1;
    list.hidden = true;
    list.replaceChildren();
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const { input, list } = this.parts;
    const count = list.childElementCount;
    if (event.key === "Escape") {
      if (list.hidden) input.blur();
      this.#close();
    } else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && count) {
      event.preventDefault();
      this.#active = (this.#active + (event.key === "ArrowDown" ? 1 : this.#active < 0 ? count : count - 1)) % count;
      [...list.children].forEach((option, i) => option.setAttribute("aria-selected", String(i === this.#active)));
      input.setAttribute("aria-activedescendant", `concept-option-${this.#active}`);
    }
  }
}
