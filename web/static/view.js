// Keeps what stands around the picture true: the state, the status line, the pressed tools, the numbers.
import { find } from "./dom.js";
import { lines, showLines, summary } from "./numbers.js";
import { STATES } from "./states.js";

/** @typedef {import("./types.js").StateName} StateName */

/** States in which the picture is all right, or will be in a moment. */
const CALM = new Set(["still", "paused", "background", "starting", "connecting"]);
const HINT_KEY = "onlooker.hint";

/** What the status line says in trouble, where it is not that there is no picture. @type {Partial<Record<StateName, string>>} */
const TROUBLE = { server_gone: "offline", reconnecting: "reconnecting", stalled: "stalled" };

/** @type {Record<string, "good" | "warn" | "bad">} */
const TONES = { live: "good", still: "good", paused: "warn", stalled: "bad", waiting: "warn", ended: "warn" };

const element = (/** @type {string} */ id) => find(`#${id}`, HTMLElement);

export class View {
  /**
   * @param {import("./station.js").Station} station
   * @param {import("./stage.js").Stage} stage
   * @param {import("./cover.js").Cover} cover
   * @param {import("./settings.js").Settings} settings
   */
  constructor(station, stage, cover, settings) {
    this.station = station;
    this.stage = stage;
    this.cover = cover;
    this.settings = settings;
  }

  refresh() {
    const { station, stage, settings } = this;
    const { state, feed } = station;
    const refusal = state === "refused" && feed?.error ? { title: feed.error.message, text: feed.error.action } : {};
    const error = state === "token" && station.tokenError ? { error: station.tokenError } : {};
    this.cover.show(state, { ...refusal, ...error, ...this.#outage(state), unsynced: this.#unsynced() });
    const pressed = {
      pause: stage.paused,
      mirror: station.mirrored,
      zero: settings.get("zeroDelay"),
      full: Boolean(document.fullscreenElement),
    };
    for (const [tool, on] of Object.entries(pressed)) element(`tool-${tool}`).setAttribute("aria-pressed", String(on));
    element("hint").hidden = state !== null || sessionStorage.getItem(HINT_KEY) === "seen";
    element("tools").inert = state !== null && STATES[state].place === "cover";
    element("start").hidden = Boolean(feed?.own) || station.watchesCamera;
    this.#showStatus(state);
    if (!element("numbers").hidden) showLines(element("numbers-list"), lines(this.#readings()));
    document.title = document.hidden && feed ? "In the background – Onlooker" : "Onlooker";
  }

  /** The user has found out how it works. */
  hideHint() {
    sessionStorage.setItem(HINT_KEY, "seen");
    element("hint").hidden = true;
  }

  toggleNumbers() {
    const numbers = element("numbers");
    numbers.hidden = !numbers.hidden;
    element("status").setAttribute("aria-expanded", String(!numbers.hidden));
    this.refresh();
    if (!numbers.hidden) numbers.scrollIntoView({ block: "nearest" });
  }

  /**
   * Why a camera gives no picture, where the server knows.
   * @param {StateName | null} state
   */
  #outage(state) {
    if (state !== "waiting" && state !== "stalled") return {};
    const text = this.station.status?.policy.find((line) => line.includes("Trying again"));
    return text ? { title: "The camera is offline", text, actions: [] } : {};
  }

  #unsynced() {
    const { drawn, paused } = this.stage;
    if (this.settings.get("zeroDelay") || paused || !drawn?.result || drawn.synced) return null;
    return "The newest masks on the live picture, until the engine keeps up.";
  }

  /** @param {StateName | null} state */
  #showStatus(state) {
    const troubled = state !== null && !CALM.has(state);
    const calm = state === "background" ? "live" : (state ?? this.station.status?.state ?? "live");
    const word = troubled ? (TROUBLE[state] ?? "no picture") : calm;
    element("status-state").textContent = word;
    element("status-dot").dataset.tone = state === "choose" ? "" : troubled ? "bad" : (TONES[word] ?? "warn");
    const live = !troubled && this.stage.drawn !== null;
    const { rate, latency, sync } = summary(this.#readings());
    element("status-rate").textContent = live ? rate : "";
    element("status-latency").textContent = live ? latency : "";
    element("status-sync").textContent = live ? sync : "";
    element("status-sync").dataset.tone = sync === "exact" ? "good" : "warn";
  }

  #readings() {
    const { station, stage, settings } = this;
    const { status, codec } = station;
    const local = Boolean(station.feed?.own);
    return { report: stage.report, counts: stage.counts, status, local, zeroDelay: settings.get("zeroDelay"), codec };
  }
}
