// What happened, as far back as the store goes: newest first, page by page, searched in words and narrowed down, each
// event with its clip, several as one ZIP.
import { ApiError, call, request } from "./api.js";
import { button, find, icon, make } from "./dom.js";
import { HistoryDetail } from "./history-detail.js";
import { HistoryFilters } from "./history-filters.js";
import { REFERENCE } from "./turn.js";
import { when } from "./when.js";

/** @typedef {import("./types.js").StoredEvent} StoredEvent */

const PAGE = 40;
const MOST_ROWS = 400;
const TYPING_MS = 300;

/** @param {import("./page.js").Page} page */
export function openHistory(page) {
  const dialog = find("#history", HTMLDialogElement);
  const sheet = new HistorySheet(dialog, page.parts.settings, () => page.stream);
  find("#open-history", HTMLElement).addEventListener("click", () => sheet.open());
  document.addEventListener("onlooker:show-event", (event) => {
    sheet.open(/** @type {CustomEvent<{id: string}>} */ (event).detail.id);
  });
  return sheet;
}

export class HistorySheet {
  /** @type {string | null} */
  #next = null;
  /** What is on its way and no longer wanted is told by its number. */
  #asked = 0;
  #typing = 0;
  /** @type {Map<string, StoredEvent>} */
  #events = new Map();
  /** @type {Map<string, string>} names of cameras */
  #cameras = new Map();
  /** @type {Set<string>} */
  #chosen = new Set();
  #choosing = false;

  /**
   * @param {HTMLDialogElement} dialog
   * @param {import("./settings.js").Settings} settings
   * @param {() => string | null} stream
   */
  constructor(dialog, settings, stream) {
    this.dialog = dialog;
    this.stream = stream;
    this.list = find("#history-list", HTMLElement);
    this.note = find("#history-note", HTMLElement);
    this.more = find("#history-more", HTMLButtonElement);
    this.input = find("#history-input", HTMLInputElement);
    this.filters = new HistoryFilters((camera) => void this.#narrow(camera));
    this.detail = new HistoryDetail(settings, {
      changed: (event) => this.#changed(event),
      closed: () => this.#select(null),
      camera: (id) => this.#cameras.get(id) ?? id,
    });
    this.choose = button("Select", () => this.#choose(!this.#choosing), "text-button");
    this.count = make("span", "foot");
    this.zip = button("", () => void this.#export(), "button primary small");
    this.zip.append(icon("download"), "Download ZIP");
    this.bar = make("div", "history-bar", this.count, this.zip);
    this.bar.hidden = true;
    const search = find("#history-search", HTMLFormElement);
    const side = make("div", "history-side", search, this.filters.element, this.list, this.note, this.more, this.bar);
    dialog.append(make("div", "history-body", side, this.detail.element));
    find("#history header", HTMLElement, document).insertBefore(this.choose, dialog.querySelector("header form"));
    dialog.addEventListener("close", () => this.detail.close());
    this.more.addEventListener("click", () => void this.#load(this.#next));
    this.input.addEventListener("input", () => {
      clearTimeout(this.#typing);
      this.#typing = window.setTimeout(() => void this.#load(null), TYPING_MS);
    });
    search.addEventListener("submit", (event) => {
      event.preventDefault();
      clearTimeout(this.#typing);
      void this.#load(null);
    });
  }

  /** @param {string | null} [wanted] the id of an event to show at once */
  open(wanted = null) {
    this.input.value = "";
    this.list.replaceChildren();
    this.detail.close();
    this.#choose(false);
    this.filters.reset(this.stream() ?? "");
    if (!this.dialog.open) this.dialog.showModal();
    void this.#narrow(true);
    if (wanted) void this.#showWanted(wanted);
  }

  /** @param {string} id */
  async #showWanted(id) {
    try {
      this.#show1(await call("GET", `/v1/events/${id}`));
    } catch (error) {
      this.#fail(error);
    }
  }

  /** @param {boolean} camera whether another was chosen, which has other things to choose from */
  async #narrow(camera) {
    const loading = this.#load(null);
    if (camera) {
      const { stream } = this.filters;
      try {
        const facets = await call("GET", `/v1/events/facets${stream ? `?stream=${encodeURIComponent(stream)}` : ""}`);
        this.#cameras = new Map(facets.streams.map((/** @type {{id: string, name: string}} */ { id, name }) => [id, name]));
        this.filters.show(facets);
      } catch (error) {
        this.#fail(error);
      }
    }
    await loading;
  }

  /** @param {string | null} after the page before; none for the newest */
  async #load(after) {
    const asked = ++this.#asked;
    const words = this.input.value.trim();
    const query = new URLSearchParams({ limit: String(PAGE) });
    this.filters.apply(query);
    if (words) query.set("q", words);
    if (after) query.set("after", after);
    this.more.disabled = true;
    try {
      const page = await call("GET", `/v1/events?${query}`);
      if (asked === this.#asked) this.#show(page.items, page.next, Boolean(after));
    } catch (error) {
      if (asked === this.#asked) this.#fail(error);
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
    if (!further) this.#events.clear();
    for (const event of items) this.#events.set(event.id, event);
    const rows = items.map((event) => this.#row(event));
    if (further) this.list.append(...rows);
    else this.list.replaceChildren(...rows);
    const full = this.list.childElementCount >= MOST_ROWS;
    this.#next = full ? null : next;
    this.more.hidden = !this.#next;
    const narrowed = this.input.value.trim() || this.filters.narrowed;
    if (full && next) this.#say("Search for what is older.");
    else this.#say(this.list.childElementCount ? "" : narrowed ? "Nothing of that kind has been kept." : "Nothing has happened yet.");
    this.choose.hidden = !this.list.childElementCount;
    if (further) rows[0]?.querySelector("button")?.focus();
  }

  /**
   * One event; pressed it is shown in full, or chosen.
   * @param {StoredEvent} event
   */
  #row(event) {
    const row = make("li", "history-row");
    row.dataset.kind = event.kind;
    row.dataset.severity = event.severity;
    row.dataset.id = event.id;
    const signs = make("span", "history-signs");
    if (event.keep) signs.append(named("star", "Kept", "kept"));
    if (event.clip) signs.append(named("film", "Has a clip", ""));
    const camera = this.filters.stream ? "" : `${this.#cameras.get(event.stream) ?? event.stream} · `;
    const time = make("time", "foot", `${camera}${when(event.at, Date.now())}`);
    time.dateTime = event.at;
    const text = make("p", "", ...(event.kind === "alert" ? [icon("bell")] : []), event.text.replace(REFERENCE, "#$1"));
    const open = button("", () => (this.#choosing ? this.#toggle(event.id) : this.#show1(event)), "history-open");
    open.append(thumb(event.thumb), make("div", "history-words", text, time), signs);
    row.append(open);
    this.#mark(row, open);
    return row;
  }

  /**
   * @param {HTMLElement} row
   * @param {Element} open
   */
  #mark(row, open) {
    const id = row.dataset.id ?? "";
    if (this.#choosing) open.setAttribute("aria-pressed", String(this.#chosen.has(id)));
    else open.removeAttribute("aria-pressed");
    if (!this.#choosing && this.detail.shown === id) open.setAttribute("aria-current", "true");
    else open.removeAttribute("aria-current");
  }

  #markAll() {
    for (const row of this.list.children) {
      const open = row.firstElementChild;
      if (row instanceof HTMLElement && open) this.#mark(row, open);
    }
  }

  /** @param {StoredEvent} event */
  #show1(event) {
    this.detail.show(event);
    this.#select(event.id);
  }

  /** @param {string | null} id */
  #select(id) {
    this.dialog.classList.toggle("with-detail", id !== null);
    this.#markAll();
  }

  /** @param {StoredEvent} event */
  #changed(event) {
    this.#events.set(event.id, event);
    const row = [...this.list.children].find((each) => each instanceof HTMLElement && each.dataset.id === event.id);
    row?.replaceWith(this.#row(event));
  }

  // --- several ------------------------------------------------------------------------------------------------------

  /** @param {boolean} choosing */
  #choose(choosing) {
    this.#choosing = choosing;
    this.#chosen.clear();
    this.choose.textContent = choosing ? "Done" : "Select";
    if (choosing) this.detail.close();
    this.list.classList.toggle("choosing", choosing);
    this.#tellChosen();
  }

  /** @param {string} id */
  #toggle(id) {
    if (!this.#chosen.delete(id)) this.#chosen.add(id);
    this.#tellChosen();
  }

  #tellChosen() {
    const count = this.#chosen.size;
    this.bar.hidden = !this.#choosing;
    this.count.textContent = count ? `${count} selected` : "Choose the events to download.";
    this.zip.disabled = !count;
    this.#markAll();
  }

  async #export() {
    this.zip.disabled = true;
    this.count.textContent = "Being packed…";
    try {
      const body = JSON.stringify({ event_ids: [...this.#chosen] });
      const answer = await request("POST", "/v1/export", { body, headers: { "Content-Type": "application/json" } });
      const link = make("a");
      link.href = URL.createObjectURL(await answer.blob());
      link.download = `onlooker-${new Date().toISOString().slice(0, 19).replaceAll(":", "-")}.zip`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
      this.#choose(false);
    } catch (error) {
      this.#tellChosen();
      this.#fail(error);
    }
  }

  /** @param {unknown} error */
  #fail(error) {
    if (!(error instanceof ApiError)) throw error;
    this.#say(`${error.message} ${error.action}`);
  }

  /** @param {string} words */
  #say(words) {
    this.note.textContent = words;
    this.note.hidden = !words;
  }
}

/** @param {string | null | undefined} source */
function thumb(source) {
  const empty = () => make("span", "history-thumb");
  if (!source) return empty();
  const image = make("img", "history-thumb");
  image.src = source;
  image.alt = "";
  image.loading = "lazy";
  image.addEventListener("error", () => image.replaceWith(empty()));
  return image;
}

/**
 * A sign that says what it means.
 * @param {string} name
 * @param {string} words
 * @param {string} className
 */
function named(name, words, className) {
  const sign = make("span", className, icon(name), make("span", "sr-only", words));
  sign.title = words;
  return sign;
}
