// What happened in this stream, as far back as the store goes: newest first, page by page, searched in words.
import { ApiError, call } from "./api.js";
import { button, find, icon, make } from "./dom.js";
import { REFERENCE } from "./turn.js";

/** @typedef {import("./types.js").StoredEvent} StoredEvent */

const PAGE = 40;
const MOST_ROWS = 400;
const TYPING_MS = 300;
const DAY_MS = 86_400_000;

/**
 * The time of an event, with its day where that is another one than today.
 * @param {string} at
 * @param {number} now
 */
export function when(at, now) {
  const then = new Date(at);
  const time = then.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  if (then.toDateString() === new Date(now).toDateString()) return time;
  const far = now - then.getTime() > 300 * DAY_MS;
  return `${then.toLocaleDateString([], { day: "numeric", month: "short", ...(far ? { year: "numeric" } : {}) })}, ${time}`;
}

export class HistorySheet {
  /** @type {string | null} */
  #next = null;
  /** What is on its way and no longer wanted is told by its number. */
  #asked = 0;
  #typing = 0;

  /**
   * @param {HTMLDialogElement} dialog
   * @param {HTMLElement} opener
   * @param {() => string | null} stream
   */
  constructor(dialog, opener, stream) {
    this.dialog = dialog;
    this.stream = stream;
    this.list = find("#history-list", HTMLElement);
    this.note = find("#history-note", HTMLElement);
    this.more = find("#history-more", HTMLButtonElement);
    this.input = find("#history-input", HTMLInputElement);
    opener.addEventListener("click", () => this.open());
    this.more.addEventListener("click", () => void this.#load(this.#next));
    this.input.addEventListener("input", () => {
      clearTimeout(this.#typing);
      this.#typing = window.setTimeout(() => void this.#load(null), TYPING_MS);
    });
    find("#history-search", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      clearTimeout(this.#typing);
      void this.#load(null);
    });
  }

  open() {
    this.input.value = "";
    this.list.replaceChildren();
    this.dialog.showModal();
    void this.#load(null);
  }

  /** @param {string | null} after the page before; none for the newest */
  async #load(after) {
    const asked = ++this.#asked;
    const stream = this.stream();
    const words = this.input.value.trim();
    if (!stream) return this.#say("There is no stream yet.");
    const query = new URLSearchParams({ stream, limit: String(PAGE) });
    if (words) query.set("q", words);
    if (after) query.set("after", after);
    this.more.disabled = true;
    try {
      const page = await call("GET", `/v1/events?${query}`);
      if (asked === this.#asked) this.#show(page.items, page.next, Boolean(after));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (asked === this.#asked) this.#say(`${error.message} ${error.action}`);
    } finally {
      this.more.disabled = false;
    }
  }

  /**
   * @param {StoredEvent[]} items
   * @param {string | null} next
   * @param {boolean} further than what is shown
   */
  #show(items, next, further) {
    const now = Date.now();
    const rows = items.map((event) => row(event, now));
    if (further) this.list.append(...rows);
    else this.list.replaceChildren(...rows);
    const full = this.list.childElementCount >= MOST_ROWS;
    this.#next = full ? null : next;
    this.more.hidden = !this.#next;
    if (full && next) this.#say("Search for what is older.");
    else this.#say(this.list.childElementCount ? "" : this.input.value.trim() ? "Nothing of that kind has been kept." : "Nothing has happened yet.");
    if (further) rows[0]?.querySelector("button")?.focus();
  }

  /** @param {string} words */
  #say(words) {
    this.note.textContent = words;
    this.note.hidden = !words;
  }
}

/**
 * One event; its picture grows when it is pressed.
 * @param {StoredEvent} event
 * @param {number} now
 */
function row(event, now) {
  const words = event.text.replace(REFERENCE, "#$1");
  const time = make("time", "foot", when(event.at, now));
  time.dateTime = event.at;
  const text = make("p", "", ...(event.kind === "alert" ? [icon("bell")] : []), words);
  const said = make("div", "history-words", text, time);
  const item = make("li", "history-row");
  item.dataset.kind = event.kind;
  item.dataset.severity = event.severity;
  const { thumb } = event;
  if (!thumb) {
    item.append(make("span", "history-thumb"), said);
    return item;
  }
  const picture = (/** @type {string} */ name, /** @type {string} */ source) => {
    const image = make("img", name);
    image.src = source;
    image.alt = "";
    image.loading = "lazy";
    image.addEventListener("error", () => image.replaceWith(make("span", name)));
    return image;
  };
  const large = picture("moment", event.frame_url ?? thumb);
  const open = button("", () => {
    const shown = open.getAttribute("aria-expanded") !== "true";
    open.setAttribute("aria-expanded", String(shown));
    if (shown) item.append(large);
    else large.remove();
  }, "history-open");
  open.setAttribute("aria-expanded", "false");
  open.append(picture("history-thumb", thumb), said);
  item.append(open);
  return item;
}
