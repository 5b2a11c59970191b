// One event in full: its clip or picture, what was said of it, and what can be done with it.
import { ApiError, call } from "./api.js";
import { ClipPlayer } from "./clip-player.js";
import { button, icon, make } from "./dom.js";
import { REFERENCE } from "./turn.js";
import { when } from "./when.js";

/** @typedef {import("./types.js").StoredEvent} StoredEvent */
/** @typedef {{id: string, url: string, width: number, height: number, events: {event_id: string, offset_s?: number | null}[]}} PartInfo */

const SURE_MS = 4000;

export class HistoryDetail {
  /** @type {StoredEvent | null} */
  #event = null;

  /**
   * @param {import("./settings.js").Settings} settings
   * @param {{changed: (event: StoredEvent) => void, closed: () => void, camera: (id: string) => string}} sheet
   */
  constructor(settings, sheet) {
    this.sheet = sheet;
    this.player = new ClipPlayer(settings);
    this.picture = make("img", "detail-picture");
    this.picture.alt = "The picture at that moment";
    this.picture.addEventListener("error", () => (this.picture.hidden = true));
    this.state = make("p", "detail-state");
    this.state.setAttribute("role", "status");
    this.parts = make("div", "detail-parts");
    this.words = make("h3", "detail-words");
    this.foot = make("p", "foot");
    this.keep = button("", () => void this.#change({ keep: !this.#event?.keep }), "button small");
    this.download = make("a", "button small", icon("download"), "Video");
    this.annotations = make("a", "button small", icon("download"), "Tracks");
    this.annotations.title = "The tracks of each picture, as JSON Lines";
    this.delete = button("", () => this.#delete(), "button small delete");
    this.note = make("textarea", "detail-note");
    this.note.rows = 1;
    this.note.maxLength = 2000;
    this.note.placeholder = "Add a note…";
    this.note.setAttribute("aria-label", "Note");
    this.note.addEventListener("change", () => void this.#change({ note: this.note.value.trim() || null }));
    const back = button("", () => this.close(), "text-button detail-back");
    back.append(icon("chevron"), "All events");
    this.element = make(
      "section", "detail", back, this.player.element, this.picture, this.state, this.parts, this.words, this.foot,
      this.note, make("div", "detail-acts", this.keep, this.download, this.annotations, this.delete),
    );
    this.element.setAttribute("aria-label", "What happened then");
    this.element.hidden = true;
  }

  get shown() {
    return this.#event?.id ?? null;
  }

  /** @param {StoredEvent} event */
  show(event) {
    this.player.close();
    this.element.hidden = false;
    this.#event = event;
    this.#fill(event);
    this.picture.hidden = Boolean(event.clip) || !(event.frame_url ?? event.thumb);
    if (!this.picture.hidden) this.picture.src = event.frame_url ?? event.thumb ?? "";
    this.player.element.hidden = !event.clip;
    this.parts.replaceChildren();
    this.#say("");
    if (event.clip) void this.#play(event, event.clip, event.clip_offset_s ?? null);
  }

  close() {
    this.player.close();
    this.#event = null;
    this.element.hidden = true;
    this.sheet.closed();
  }

  /** @param {StoredEvent} event */
  #fill(event) {
    this.words.textContent = event.text.replace(REFERENCE, "#$1");
    this.foot.textContent = `${this.sheet.camera(event.stream)} · ${when(event.at, Date.now())}`;
    this.note.value = event.note ?? "";
    this.keep.replaceChildren(icon("star"), event.keep ? "Kept" : "Keep");
    this.keep.setAttribute("aria-pressed", String(Boolean(event.keep)));
    this.keep.title = event.keep ? "It stays however old it gets. Press to let it go in its time." : "Keep it however old it gets";
    this.delete.replaceChildren(icon("bin"), "Delete clip");
    this.delete.classList.remove("sure");
    for (const element of [this.download, this.annotations, this.delete]) element.hidden = !event.clip;
    if (!event.clip) return;
    const name = `${event.stream}-${event.at.slice(0, 19).replaceAll(":", "-")}`;
    this.download.href = event.clip;
    this.download.download = name;
    this.annotations.href = `${event.clip}/annotations.jsonl`;
    this.annotations.download = `${name}.jsonl`;
  }

  /**
   * @param {StoredEvent} event
   * @param {string} url
   * @param {number | null} offset_s
   */
  async #play(event, url, offset_s) {
    if (offset_s === null) this.#say("The clip is still being recorded. It plays here as soon as it is there.");
    try {
      const clip = await this.player.open(url, offset_s);
      if (!clip || this.#event?.id !== event.id) return;
      this.#say("");
      /** @type {PartInfo[]} */
      const parts = (await call("GET", `/v1/clips?event=${event.id}`)).items.reverse();
      if (this.#event?.id === event.id) this.#showParts(event, parts, url);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (this.#event?.id !== event.id) return;
      this.player.element.hidden = true;
      this.picture.hidden = !(event.frame_url ?? event.thumb);
      if (!this.picture.hidden) this.picture.src = event.frame_url ?? event.thumb ?? "";
      this.#say(`${error.message} ${error.action}`);
    }
  }

  /**
   * Where the picture changed its size or the camera came back, a clip is in several files.
   * @param {StoredEvent} event
   * @param {PartInfo[]} parts
   * @param {string} playing
   */
  #showParts(event, parts, playing) {
    if (parts.length < 2) return;
    const offset = (/** @type {PartInfo} */ part) => part.events.find(({ event_id }) => event_id === event.id)?.offset_s ?? null;
    this.parts.replaceChildren(
      ...parts.map((part, number) => {
        const open = button(`Part ${number + 1}`, () => {
          for (const other of this.parts.children) other.setAttribute("aria-pressed", String(other === open));
          void this.player.open(part.url, offset(part));
        }, "switch");
        open.setAttribute("aria-pressed", String(part.url === playing));
        return open;
      }),
    );
  }

  /** @param {{keep?: boolean, note?: string | null}} changes */
  async #change(changes) {
    const event = this.#event;
    if (!event) return;
    try {
      const changed = { ...event, ...(await call("PATCH", `/v1/events/${event.id}`, changes)) };
      this.sheet.changed(changed);
      if (this.#event?.id !== event.id) return;
      this.#event = changed;
      this.#fill(changed);
      this.#say("note" in changes ? "The note is saved." : "");
    } catch (error) {
      this.#fail(error);
    }
  }

  /** The second press within some seconds is meant. */
  #delete() {
    const event = this.#event;
    if (!event?.clip) return;
    if (!this.delete.classList.contains("sure")) {
      this.delete.classList.add("sure");
      this.delete.replaceChildren(icon("bin"), "Delete for good?");
      setTimeout(() => this.#event?.id === event.id && this.#fill(this.#event), SURE_MS);
      return;
    }
    void this.#remove(event);
  }

  /** @param {StoredEvent} event */
  async #remove(event) {
    try {
      await call("DELETE", event.clip ?? "");
      const { clip: _, clip_offset_s: __, ...left } = event;
      this.sheet.changed(left);
      if (this.#event?.id === event.id) this.show(left);
      this.#say("The clip is deleted.");
    } catch (error) {
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
    this.state.textContent = words;
    this.state.hidden = !words;
  }
}
