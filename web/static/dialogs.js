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
  [["N"], "numbers"],
  [["Esc"], "cancel, or select nothing"],
];

/**
 * @param {HTMLElement} body
 * @param {Settings} settings
 */
export function fillSettings(body, settings) {
  body.replaceChildren(
    ...CHOICES.map(([key, title, note, options]) => {
      const id = `setting-${key}`;
      const words = make("label", "", title);
      words.htmlFor = id;
      if (note) words.append(make("small", "", note));
      const control = options ? select(options, String(settings.get(key))) : checkbox(Boolean(settings.get(key)));
      control.id = id;
      control.addEventListener("change", () => {
        const value = control instanceof HTMLInputElement ? control.checked : control.value;
        settings.set(key, /** @type {never} */ (value));
      });
      return make("div", "setting", words, control);
    }),
  );
}

/**
 * @param {[string, string][]} options
 * @param {string} value
 */
function select(options, value) {
  const element = make("select");
  for (const [key, words] of options) element.add(new Option(words, key));
  element.value = value;
  return element;
}

/** @param {boolean} checked */
function checkbox(checked) {
  const element = make("input");
  element.type = "checkbox";
  element.checked = checked;
  return element;
}

/** @param {HTMLElement} list */
export function fillKeys(list) {
  list.replaceChildren(
    ...KEYS.map(([keys, words]) => {
      const term = make("dt");
      keys.forEach((key, index) => term.append(...(index ? [" + "] : []), make("kbd", "", key)));
      return make("div", "", term, make("dd", "", words));
    }),
  );
}
