// Settings and the sheet of shortcuts.
import { make } from "./dom.js";

/** @typedef {import("./settings.js").Settings} Settings */
/** @typedef {import("./settings.js").Values} Values */

/** @type {[keyof Values, string, string, [string, string][] | null][]} */
const CHOICES = [
  ["theme", "Appearance", "", [["system", "As the system"], ["dark", "Dark"], ["light", "Light"]]],
  ["palette", "Colours of objects", "Shapes and numbers tell them apart as well", [["vivid", "Vivid"], ["safe", "Colour-blind safe"]]],
  ["mirror", "Mirror my camera", "Picture, masks and clicks; never the labels", [["auto", "Front cameras"], ["on", "Always"], ["off", "Never"]]],
  ["size", "Camera picture", "Takes effect when the camera starts", [["640x480", "640 × 480"], ["1280x720", "1280 × 720"]]],
  ["fill", "Fill objects", "A light tint inside the outline", null],
  ["labels", "Show labels", "", null],
  ["zeroDelay", "Zero delay", "The live picture with the newest masks, which then lag behind", null],
];

/** @type {[string[], string][]} */
const KEYS = [
  [["Click"], "follow the thing under the pointer"],
  [["Shift", "Click"], "exclude a place from the object"],
  [["Ctrl", "Click"], "add a place to the selected object"],
  [["Drag"], "follow what is in the box"],
  [["/"], "type what to follow"],
  [["A"], "ask the scene"],
  [["E"], "have the selected object explained"],
  [["← ↑ → ↓"], "move the crosshair (with Shift: finely)"],
  [["Enter"], "click at the crosshair"],
  [["Shift", "Enter"], "exclude at the crosshair"],
  [["B"], "draw a box: Enter at two corners"],
  [["D"], "draw a zone"],
  [["L"], "draw a line"],
  [["["], "select the object before"],
  [["]"], "select the next object"],
  [["R"], "rename the selected object"],
  [["H"], "hide or show it"],
  [["Delete"], "remove it"],
  [["U"], "undo"],
  [["P"], "pause the picture"],
  [["M"], "mirror"],
  [["Z"], "zero delay"],
  [["F"], "full screen"],
  [["S"], "save a snapshot"],
  [["C"], "save a clip"],
  [["N"], "numbers"],
  [["G"], "all cameras; there the arrow keys move, Enter opens, Esc goes back"],
  [["Esc"], "stop the voice and the answer; cancel; select nothing"],
];
/** The key for talking is the user's choice, and stands behind the one for asking. */
const TALK_AT = 1 + KEYS.findIndex(([[key]]) => key === "A");

/**
 * @param {HTMLElement} body
 * @param {Settings} settings
 */
export function fillSettings(body, settings) {
  body.replaceChildren(
    ...CHOICES.map(([key, title, note, options]) => {
      const control = options ? select(options, String(settings.get(key))) : checkbox(Boolean(settings.get(key)));
      control.addEventListener("change", () => {
        const value = control instanceof HTMLInputElement ? control.checked : control.value;
        settings.set(key, /** @type {never} */ (value));
      });
      return row(key, title, note, control);
    }),
  );
}

/**
 * A control with its words.
 * @param {keyof Values} key
 * @param {string} title
 * @param {string} note
 * @param {HTMLElement} control
 */
export function row(key, title, note, control) {
  control.id = `setting-${key}`;
  const words = make("label", "", title);
  words.htmlFor = control.id;
  if (note) words.append(make("small", "", note));
  return make("div", "setting", words, control);
}

/**
 * @param {[string, string][]} options
 * @param {string} value
 */
export function select(options, value) {
  const element = make("select");
  for (const [key, words] of options) element.add(new Option(words, key));
  element.value = value;
  return element;
}

/** @param {boolean} checked */
export function checkbox(checked) {
  const element = make("input");
  element.type = "checkbox";
  element.checked = checked;
  return element;
}

/**
 * @param {HTMLElement} list
 * @param {[string[], string]} talk the key for talking, and what it does
 */
export function fillKeys(list, talk) {
  list.replaceChildren(
    ...[...KEYS.slice(0, TALK_AT), talk, ...KEYS.slice(TALK_AT)].map(([keys, words]) => {
      const term = make("dt");
      keys.forEach((key, index) => term.append(...(index ? [" + "] : []), make("kbd", "", key)));
      return make("div", "", term, make("dd", "", words));
    }),
  );
}
