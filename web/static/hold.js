// Holding a key or a button: what counts as pressed, and everything that ends it.

/** Keys that mean something else everywhere. */
const NEVER = new Set(["Escape", "Tab", "Enter", "Backspace", "Dead", "Unidentified", "Process", " "]);

/** How a key is written. @param {string} key */
export const keyName = (key) => (key.length === 1 ? key.toUpperCase() : key);

/**
 * Why a key cannot be the one to hold; nothing where it can.
 * @param {{key: string, ctrlKey: boolean, metaKey: boolean, altKey: boolean}} event
 * @param {readonly string[]} taken keys that do something on the page
 */
export function refusal({ key, ctrlKey, metaKey, altKey }, taken) {
  if (["Shift", "Control", "Alt", "Meta", "AltGraph"].includes(key) || ctrlKey || metaKey || altKey) {
    return "One key alone, without Ctrl, Alt or Shift.";
  }
  if (NEVER.has(key) || key.startsWith("Arrow")) return "That key moves through the page.";
  return taken.includes(key.length === 1 ? key.toLowerCase() : key) ? `${keyName(key)} does something else here.` : "";
}

/** Something that takes text. @param {EventTarget | null} target */
function takesText(target) {
  if (target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement) return true;
  if (target instanceof HTMLInputElement) return !["checkbox", "radio", "button", "range"].includes(target.type);
  return target instanceof HTMLElement && target.isContentEditable;
}

/** @param {KeyboardEvent} event */
const modified = ({ ctrlKey, metaKey, altKey, shiftKey }) => ctrlKey || metaKey || altKey || shiftKey;

export class Hold {
  /** @type {string | number | null} the key or the pointer that holds */
  #by = null;

  /**
   * @param {HTMLElement} button
   * @param {{key: () => string, down: () => void, up: () => void, cancel: () => void}} actions
   */
  constructor(button, actions) {
    this.button = button;
    this.actions = actions;
    this.#listenKeys();
    this.#listenPointer();
    // Whoever looks elsewhere is not talking to this page any more.
    addEventListener("blur", () => this.release());
    document.addEventListener("visibilitychange", () => document.hidden && this.release());
    document.addEventListener("focusin", ({ target }) => takesText(target) && typeof this.#by === "string" && this.release());
  }

  get held() {
    return this.#by !== null;
  }

  release() {
    if (this.#by === null) return;
    this.#by = null;
    this.actions.up();
  }

  #cancel() {
    if (this.#by === null) return;
    this.#by = null;
    this.actions.cancel();
  }

  /** @param {string | number} by */
  #press(by) {
    if (this.#by !== null) return;
    this.#by = by;
    this.actions.down();
  }

  #listenKeys() {
    document.addEventListener("keydown", (event) => {
      const { key, repeat, target, defaultPrevented } = event;
      if (key === "Escape") return this.#cancel();
      const onButton = target === this.button && (key === "Enter" || key === " ");
      const same = onButton || key.toLowerCase() === this.actions.key().toLowerCase();
      if (!same || modified(event) || takesText(target) || document.querySelector("dialog[open]")) return;
      if (!defaultPrevented) event.preventDefault();
      if (!repeat) this.#press(onButton ? key : key.toLowerCase());
    });
    document.addEventListener("keyup", (event) => {
      if (event.target === this.button && event.key === " ") event.preventDefault();
      if (this.#by === event.key || this.#by === event.key.toLowerCase()) this.release();
    });
  }

  #listenPointer() {
    const { button } = this;
    button.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || this.held) return;
      button.setPointerCapture(event.pointerId);
      this.#press(event.pointerId);
    });
    for (const name of /** @type {const} */ (["pointerup", "pointercancel", "lostpointercapture"])) {
      button.addEventListener(name, (event) => this.#by === event.pointerId && this.release());
    }
    // A long touch would open a menu.
    button.addEventListener("contextmenu", (event) => event.preventDefault());
    // Screen readers and switches cannot hold: they click, and click again.
    button.addEventListener("click", ({ detail }) => {
      if (detail !== 0) return;
      if (this.held) this.release();
      else this.#press("click");
    });
  }
}
