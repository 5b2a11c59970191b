// What the user chose, kept in this browser, and what follows from it: theme and palette.

/**
 * @typedef {object} Values
 * @property {"system" | "dark" | "light"} theme
 * @property {"vivid" | "safe"} palette `safe` is told apart by colour-blind people
 * @property {"auto" | "on" | "off"} mirror `auto`: front cameras only
 * @property {boolean} zeroDelay
 * @property {boolean} fill
 * @property {boolean} labels
 * @property {"640x480" | "1280x720"} size what the camera is asked for
 * @property {string | null} camera
 * @property {"hold" | "open"} talk `hold`: only what is said while a key or button is held is heard
 * @property {string} talkKey the key to hold, as `event.key` gives it
 * @property {string} wakeWord what a question to an open microphone begins with; empty where any speech counts
 * @property {string} language that is spoken, such as `de`; empty to have it detected
 * @property {string | null} microphone
 * @property {"spoken" | "always" | "off"} answers which are read out: those to spoken questions, all, or none
 * @property {string | null} voice `voiceURI`; none for the browser's choice
 * @property {number} rate of speaking, 1 as the voice's own
 * @property {boolean} alerts read out
 * @property {boolean} notify of alerts, by the browser
 * @property {Record<string, boolean>} describes by stream: whether the model describes its objects, where that was chosen
 */

/** @type {Values} */
const DEFAULTS = {
  theme: "system",
  palette: "vivid",
  mirror: "auto",
  zeroDelay: false,
  fill: true,
  labels: true,
  size: "1280x720",
  camera: null,
  talk: "hold",
  talkKey: "v",
  wakeWord: "",
  language: "",
  microphone: null,
  answers: "spoken",
  voice: null,
  rate: 1,
  alerts: false,
  notify: false,
  describes: {},
};
const KEY = "onlooker.settings";

/** @type {Record<Values["palette"], readonly string[]>} */
const PALETTES = {
  vivid: ["#ff7a59", "#3fd0c9", "#ffc83d", "#b08bff", "#7ddc5a", "#ff6fae", "#56aaff", "#f0a36b", "#9fe3b0", "#e58cf0"],
  // Okabe and Ito's set without black.
  safe: ["#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7"],
};

/** Beside its colour each object has a shape, so that colour is never the only sign. */
export const SHAPES = /** @type {const} */ (["circle", "square", "diamond", "triangle", "hexagon", "cross", "drop"]);

export class Settings extends EventTarget {
  /** @type {Values} */
  #values = { ...DEFAULTS, ...read() };

  constructor() {
    super();
    matchMedia("(prefers-color-scheme: light)").addEventListener("change", () => this.#applyTheme());
    this.#applyTheme();
  }

  /**
   * @template {keyof Values} K
   * @param {K} key
   * @returns {Values[K]}
   */
  get(key) {
    return this.#values[key];
  }

  /**
   * @template {keyof Values} K
   * @param {K} key
   * @param {Values[K]} value
   */
  set(key, value) {
    this.#values[key] = value;
    try {
      localStorage.setItem(KEY, JSON.stringify(this.#values));
    } catch {
      // Storage is switched off in this browser: the choice lasts until the page closes.
    }
    this.#applyTheme();
    this.dispatchEvent(new CustomEvent("change", { detail: key }));
  }

  get theme() {
    const chosen = this.#values.theme;
    if (chosen !== "system") return chosen;
    return matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark";
  }

  /** @param {number} trackId */
  colour(trackId) {
    const colours = PALETTES[this.#values.palette];
    return colours[(trackId + colours.length - 1) % colours.length] ?? "#ffffff";
  }

  /** @param {number} trackId */
  shape(trackId) {
    return SHAPES[(trackId + SHAPES.length - 1) % SHAPES.length] ?? "circle";
  }

  #applyTheme() {
    document.documentElement.dataset.theme = this.theme;
  }
}

/** @returns {Partial<Values>} */
function read() {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? "{}");
  } catch {
    return {};
  }
}
