// What narrows down the list of what happened: camera, class, zone, kind and time.
import { make } from "./dom.js";
import { select } from "./dialogs.js";

/** @typedef {{streams: {id: string, name: string}[], kinds: string[], labels: string[], regions: {id: string, name: string}[]}} Facets */

/** @typedef {{stream: string, label: string, region: string, kind: string, time: string}} Chosen */

/** @type {Record<string, string>} */
export const KINDS = {
  alert: "Alerts",
  saved: "Saved by hand",
  offline: "Camera offline",
  online: "Camera back",
  frozen: "Picture frozen",
  unfrozen: "Picture moves again",
  enter: "Came in",
  appear: "Appeared",
  exit: "Went out",
  lost: "Out of sight",
  found: "Came back",
  zone_enter: "Zone entered",
  zone_leave: "Zone left",
  line: "Line crossed",
  dwell: "Stayed",
  count: "Number",
  proximity: "Came near",
  apart: "Went apart",
};
const HOUR_MS = 3_600_000;
/** @type {[string, string][]} */
const TIMES = [["", "Any time"], ["hour", "Last hour"], ["today", "Today"], ["week", "Last 7 days"], ["range", "From … to …"]];

/**
 * From when on a choice of time looks.
 * @param {string} choice
 * @param {number} now
 * @returns {string | null} RFC 3339
 */
export function sinceOf(choice, now) {
  if (choice === "hour") return new Date(now - HOUR_MS).toISOString();
  if (choice === "week") return new Date(now - 7 * 24 * HOUR_MS).toISOString();
  if (choice !== "today") return null;
  const midnight = new Date(now);
  midnight.setHours(0, 0, 0, 0);
  return midnight.toISOString();
}

export class HistoryFilters {
  /** @type {Chosen} */
  #chosen = { stream: "", label: "", region: "", kind: "", time: "" };

  /** @param {(camera: boolean) => void} changed whether it was the camera */
  constructor(changed) {
    this.changed = changed;
    this.since = this.#instant("From");
    this.until = this.#instant("To");
    this.range = make("div", "filter-range", this.since, this.until);
    this.clips = make("input");
    this.clips.type = "checkbox";
    this.clips.addEventListener("change", () => changed(false));
    this.kept = make("input");
    this.kept.type = "checkbox";
    this.kept.addEventListener("change", () => changed(false));
    this.choices = make("div", "filter-row");
    const only = make("div", "filter-row", make("label", "filter-check", this.clips, "with a clip"), make("label", "filter-check", this.kept, "kept"));
    this.element = make("div", "filters", this.choices, this.range, only);
    this.show({ streams: [], kinds: [], labels: [], regions: [] });
  }

  /** The id of the camera that was chosen; empty for all. */
  get stream() {
    return this.#chosen.stream;
  }

  /** @param {string} stream */
  reset(stream) {
    this.#chosen = { stream, label: "", region: "", kind: "", time: "" };
    this.clips.checked = this.kept.checked = false;
    this.since.value = this.until.value = "";
    this.show({ streams: [], kinds: [], labels: [], regions: [] });
  }

  /** @param {Facets} facets */
  show({ streams, kinds, labels, regions }) {
    const { stream } = this.#chosen;
    const cameras = stream && streams.every(({ id }) => id !== stream) ? [...streams, { id: stream, name: stream }] : streams;
    this.choices.replaceChildren(
      this.#select("stream", "Camera", [["", "All cameras"], ...cameras.map(({ id, name }) => pair(id, name))]),
      this.#select("kind", "Kind", [["", "All kinds"], ...kinds.map((kind) => pair(kind, KINDS[kind] ?? kind))]),
      this.#select("label", "Class", [["", "All classes"], ...labels.map((label) => pair(label, label))]),
      this.#select("region", "Zone", [["", "All zones"], ...regions.map(({ id, name }) => pair(id, name))]),
      this.#select("time", "Time", TIMES),
    );
    this.range.hidden = this.#chosen.time !== "range";
  }

  /** @param {URLSearchParams} query */
  apply(query) {
    const { stream, label, region, kind, time } = this.#chosen;
    for (const [name, value] of Object.entries({ stream, label, region, kind })) if (value) query.set(name, value);
    const since = time === "range" ? instant(this.since) : sinceOf(time, Date.now());
    const until = time === "range" ? instant(this.until) : null;
    if (since) query.set("since", since);
    if (until) query.set("until", until);
    if (this.clips.checked) query.set("clip", "true");
    if (this.kept.checked) query.set("keep", "true");
  }

  /** Whether anything but the camera is chosen. */
  get narrowed() {
    const { label, region, kind, time } = this.#chosen;
    return Boolean(label || region || kind || time || this.clips.checked || this.kept.checked);
  }

  /**
   * @param {keyof Chosen} name
   * @param {string} words
   * @param {[string, string][]} options
   */
  #select(name, words, options) {
    const element = select(options, this.#chosen[name]);
    element.setAttribute("aria-label", words);
    element.hidden = options.length < 2;
    element.classList.toggle("chosen", Boolean(this.#chosen[name]) && name !== "stream");
    element.addEventListener("change", () => {
      this.#chosen[name] = element.value;
      element.classList.toggle("chosen", Boolean(element.value) && name !== "stream");
      this.range.hidden = this.#chosen.time !== "range";
      this.changed(name === "stream");
    });
    return element;
  }

  /** @param {string} words */
  #instant(words) {
    const input = make("input");
    input.type = "datetime-local";
    input.setAttribute("aria-label", words);
    input.addEventListener("change", () => this.changed(false));
    return input;
  }
}

/** @param {HTMLInputElement} input */
const instant = (input) => (input.value ? new Date(input.value).toISOString() : null);

/**
 * @param {string} value
 * @param {string} words
 * @returns {[string, string]}
 */
const pair = (value, words) => [value, words];
