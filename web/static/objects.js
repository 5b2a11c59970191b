// The list of objects: newest of each track, what is hidden, and the actions on one.
import { icon, iconButton, make } from "./dom.js";
import { shapePath } from "./paint.js";

/** @typedef {import("./types.js").Item} Item */
/** @typedef {import("./types.js").Track} Track */

/**
 * @typedef {object} ObjectActions
 * @property {(id: number | null) => void} mark hover or focus
 * @property {(id: number) => void} select
 * @property {(id: number, label: string) => void} rename
 * @property {(id: number, hidden: boolean) => void} hide
 * @property {(id: number, anchor: HTMLElement) => void} menu
 */

/** @type {Record<Track["state"], string>} */
const STATE_WORDS = { tentative: "looking", live: "live", lost: "lost", gone: "gone" };
const SWATCH = 14;
/** An object that is lost for longer is folded away. */
const FOLD_MS = 3000;

/** @param {number} seconds */
export function age(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const padded = (/** @type {number} */ value) => String(value).padStart(2, "0");
  return hours ? `${hours}:${padded(minutes)}:${padded(whole % 60)}` : `${minutes}:${padded(whole % 60)}`;
}

/** One row and the parts of it that change. */
class Row {
  /**
   * @param {number} id
   * @param {ObjectActions} actions
   */
  constructor(id, actions) {
    this.id = id;
    this.swatch = make("canvas", "swatch");
    this.swatch.setAttribute("aria-hidden", "true");
    this.label = make("span", "object-label");
    this.note = make("span", "object-note");
    this.caption = make("span", "object-caption");
    this.caption.hidden = true;
    this.main = make("button", "object-main", this.swatch, make("span", "object-id", `#${id}`), this.label, this.note, this.caption);
    this.main.type = "button";
    this.main.addEventListener("click", () => actions.select(id));
    this.main.addEventListener("dblclick", () => this.edit());
    this.eye = iconButton("eye", "Hide", () => actions.hide(id, this.eye.getAttribute("aria-pressed") !== "true"));
    this.more = iconButton("more", "More", () => actions.menu(id, this.more));
    this.more.setAttribute("aria-haspopup", "true");
    this.element = make("li", "object", this.main, this.eye, this.more);
    this.element.dataset.id = String(id);
    this.element.addEventListener("pointerenter", () => actions.mark(id));
    this.element.addEventListener("pointerleave", () => actions.mark(null));
    this.element.addEventListener("focusin", () => actions.mark(id));
    this.element.addEventListener("focusout", () => actions.mark(null));
    this.actions = actions;
    this.painted = "";
  }

  /**
   * @param {Item} item
   * @param {boolean} marked
   * @param {boolean} selected
   * @param {import("./settings.js").Settings} settings
   */
  update({ track, hidden }, marked, selected, settings) {
    const note = `${age(track.age_s)} · ${STATE_WORDS[track.state]}`;
    if (this.label.textContent !== track.label) this.label.textContent = track.label;
    if (this.note.textContent !== note) this.note.textContent = note;
    const caption = track.caption ?? "";
    if (this.caption.textContent !== caption) this.caption.textContent = this.caption.title = caption;
    this.caption.hidden = !caption;
    this.element.dataset.state = track.state;
    this.element.classList.toggle("marked", marked);
    this.element.classList.toggle("hidden-object", hidden);
    this.main.setAttribute("aria-pressed", String(selected));
    this.more.setAttribute("aria-label", `More about #${track.id} ${track.label}`);
    if (this.eye.getAttribute("aria-pressed") !== String(hidden)) {
      this.eye.setAttribute("aria-pressed", String(hidden));
      this.eye.title = hidden ? "Show" : "Hide";
      this.eye.replaceChildren(icon(hidden ? "eye-off" : "eye"));
    }
    this.eye.setAttribute("aria-label", `Hide #${track.id} ${track.label}`);
    this.#paintSwatch(settings);
  }

  /** @param {import("./settings.js").Settings} settings */
  #paintSwatch(settings) {
    const [colour, shape] = [settings.colour(this.id), settings.shape(this.id)];
    if (this.painted === colour + shape) return;
    this.painted = colour + shape;
    this.swatch.width = this.swatch.height = SWATCH * 2;
    const context = this.swatch.getContext("2d");
    if (!context) return;
    context.fillStyle = colour;
    context.fill(shapePath(shape, SWATCH, SWATCH, SWATCH * 0.72));
  }

  /** Change the label in place. */
  edit() {
    const input = make("input", "rename");
    input.value = this.label.textContent ?? "";
    input.maxLength = 80;
    input.setAttribute("aria-label", `New name of #${this.id}`);
    let done = false;
    const finish = (/** @type {boolean} */ keep) => {
      if (done) return;
      done = true;
      const label = input.value.trim();
      input.replaceWith(this.main);
      this.main.focus();
      if (keep && label && label !== this.label.textContent) this.actions.rename(this.id, label);
    };
    input.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key !== "Enter" && event.key !== "Escape") return;
      // Else the key would go on to press the button that takes the field's place.
      event.preventDefault();
      finish(event.key === "Enter");
    });
    input.addEventListener("blur", () => finish(true));
    this.main.replaceWith(input);
    input.focus();
    input.select();
  }
}

export class ObjectList {
  /** @type {Map<number, Row>} */
  #rows = new Map();

  /**
   * @param {{list: HTMLElement, lost: HTMLDetailsElement, empty: HTMLElement, count: HTMLElement}} parts
   * @param {ObjectActions} actions
   * @param {import("./settings.js").Settings} settings
   */
  constructor(parts, actions, settings) {
    this.parts = parts;
    this.summary = make("summary", "lost-summary");
    this.lostRows = make("ul", "list");
    parts.lost.replaceChildren(this.summary, this.lostRows);
    this.actions = actions;
    this.settings = settings;
  }

  /**
   * @param {Item[]} items in the order of their ids
   * @param {number | null} marked
   * @param {number | null} selected
   * @param {number} now
   */
  update(items, marked, selected, now) {
    const wanted = new Set(items.map((item) => item.track.id));
    for (const [id, row] of this.#rows) {
      if (wanted.has(id)) continue;
      row.element.remove();
      this.#rows.delete(id);
    }
    for (const item of items) {
      const { id } = item.track;
      const row = this.#rows.get(id) ?? new Row(id, this.actions);
      this.#rows.set(id, row);
      row.update(item, marked === id, selected === id, this.settings);
    }
    const isSelected = (/** @type {number} */ id) => id === selected && !this.parts.lost.open;
    const [shown, folded] = fold(items, now, (id) => isSelected(id) || this.#isUsed(id, marked, selected));
    this.#fill(this.parts.list, shown);
    this.#fill(this.lostRows, folded);
    this.parts.lost.hidden = !folded.length;
    const words = `${folded.length} lost`;
    if (this.summary.textContent !== words) this.summary.textContent = words;
    this.parts.empty.hidden = items.length > 0;
    this.parts.count.textContent = shown.length ? String(shown.length) : "";
  }

  /**
   * @param {HTMLElement} list
   * @param {Item[]} items
   */
  #fill(list, items) {
    items.forEach(({ track }, index) => {
      const element = this.#rows.get(track.id)?.element;
      const there = list.children[index];
      if (element && there !== element) list.insertBefore(element, there ?? null);
    });
  }

  /**
   * What one is at work with stays where it is.
   * @param {number} id
   * @param {number | null} marked
   * @param {number | null} selected
   */
  #isUsed(id, marked, selected) {
    const row = this.#rows.get(id)?.element;
    if (row?.parentElement !== this.parts.list) return false;
    return id === marked || id === selected || row.contains(document.activeElement);
  }

  /** @param {number} id */
  edit(id) {
    this.#rows.get(id)?.edit();
  }
}

/**
 * Objects to show one by one, and those that have been lost for a while, which go under one row until they are found.
 * @param {Item[]} items
 * @param {number} now
 * @param {(id: number) => boolean} inUse
 * @returns {[Item[], Item[]]}
 */
export function fold(items, now, inUse) {
  const isFolded = (/** @type {Item} */ { track, lostAt }) => lostAt !== null && now - lostAt > FOLD_MS && !inUse(track.id);
  return [items.filter((item) => !isFolded(item)), items.filter(isFolded)];
}
