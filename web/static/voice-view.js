// The voice beside the field: its button, what it is doing, how loud it is, and what is wrong with it.
import { button, find, icon, make, paragraph } from "./dom.js";
import { Meter } from "./meter.js";
import { keyName } from "./hold.js";
import { moodWords } from "./voice-state.js";

/** @typedef {import("./voice-state.js").Mood} Mood */

const HINT_MS = 2500;
/** What a screen reader says; it keeps silent while a voice speaks. @type {Partial<Record<Mood, string>>} */
const ANNOUNCED = { opening: "Opening the microphone", listening: "Listening", hearing: "Listening", thinking: "Thinking" };

export class VoiceView {
  #hint = "";
  #hold = "";
  #timer = 0;
  #touch = matchMedia("(pointer: coarse)");

  /**
   * @param {HTMLElement} form
   * @param {HTMLElement} notice
   * @param {HTMLElement} live
   * @param {() => number} level
   */
  constructor(form, notice, live, level) {
    this.form = form;
    this.notice = notice;
    this.live = live;
    this.button = find("#talk-button", HTMLButtonElement, form);
    this.input = find("#ask-input", HTMLInputElement, form);
    this.words = find(".voice-words", HTMLElement, form);
    this.meter = new Meter(find("canvas", HTMLCanvasElement, form), level);
    for (const name of ["focus", "blur"]) this.input.addEventListener(name, () => this.#invite());
  }

  /**
   * @param {Mood} mood
   * @param {{open: boolean, on: boolean, key: string, wakeWord: string, usable: boolean}} how
   */
  show(mood, { open, on, key, wakeWord, usable }) {
    const listening = mood === "listening" || mood === "hearing";
    const hint = listening ? "" : this.#hint;
    this.form.dataset.mood = hint ? "hint" : mood;
    this.form.toggleAttribute("data-open", open);
    setText(this.words, hint || moodWords(mood, { open, wakeWord, touch: this.#touch.matches }));
    setText(this.live, hint || (ANNOUNCED[mood] ?? ""));
    this.meter.run(listening);
    this.#showButton(open, on, key, usable);
    this.#hold = usable && !open ? (this.#touch.matches ? "Ask, or hold the microphone…" : `Ask, or hold ${keyName(key)} to talk…`) : "";
    this.#invite();
  }

  /** In the field that is typed in, the key is a letter. */
  #invite() {
    const typing = document.activeElement === this.input && !this.#touch.matches;
    const words = (!typing && this.#hold) || "Ask the scene…";
    if (this.input.placeholder !== words) this.input.placeholder = words;
  }

  /**
   * @param {boolean} open
   * @param {boolean} on
   * @param {string} key
   * @param {boolean} usable
   */
  #showButton(open, on, key, usable) {
    const off = !usable || (open && !on);
    const does = open ? (on ? "Mute the microphone" : "Turn the microphone on") : "Hold to talk";
    const words = usable ? `${does} (${keyName(key)})` : "Talking is not set up: what is missing?";
    if (this.button.title !== words) {
      this.button.title = words;
      this.button.setAttribute("aria-label", usable ? does : words);
      this.button.replaceChildren(icon(off ? "microphone-off" : "microphone"));
    }
    this.button.setAttribute("aria-keyshortcuts", keyName(key));
    if (open) this.button.setAttribute("aria-pressed", String(on));
    else this.button.removeAttribute("aria-pressed");
  }

  /**
   * Words for a moment.
   * @param {string} words
   * @param {() => void} change
   */
  hint(words, change) {
    this.#hint = words;
    clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => {
      this.#hint = "";
      change();
    }, HINT_MS);
    change();
  }

  /**
   * What is wrong, with the way out.
   * @param {{title: string, text: string}} trouble
   * @param {[string, () => void][]} actions
   */
  trouble({ title, text }, actions) {
    const row = make("div", "voice-actions", ...actions.map(([label, act]) => button(label, () => {
      this.calm();
      act();
    }, "text-button")));
    row.append(button("Close", () => this.calm(), "text-button quiet"));
    this.notice.replaceChildren(icon("microphone-off"), make("div", "", make("strong", "", title), paragraph(text)), row);
    this.notice.hidden = false;
  }

  calm() {
    this.notice.hidden = true;
    this.notice.replaceChildren();
  }
}

/**
 * @param {HTMLElement} element
 * @param {string} words
 */
function setText(element, words) {
  if (element.textContent !== words) element.textContent = words;
}
