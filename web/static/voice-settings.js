// What the user chooses about the voice: how to talk, with which microphone and language, what is read out and how.
import { button, make } from "./dom.js";
import { keyName, refusal } from "./hold.js";
import { listMicrophones } from "./microphone.js";
import { checkbox, row, select } from "./dialogs.js";

/** @typedef {import("./settings.js").Settings} Settings */
/** @typedef {import("./settings.js").Values} Values */

const SAMPLE = "This is how answers sound.";

/** Languages that are offered where the transcriber knows many. */
const LANGUAGES = "ar cs da de el en es fi fr he hi hu id it ja ko nl no pl pt ro ru sv th tr uk vi zh".split(" ");

/**
 * @param {HTMLElement} body
 * @param {Settings} settings
 * @param {{taken: readonly string[], languages: readonly string[] | null, speak: (words: string) => void}} voice
 *   keys that do something else, languages that are understood, and how to hear what is chosen
 */
export function fillVoiceSettings(body, settings, { taken, languages, speak }) {
  const rows = make("div", "settings-group");
  const fill = () => {
    const open = settings.get("talk") === "open";
    const listens = open ? [wakeWordRow(settings)] : [];
    rows.replaceChildren(
      make("h3", "", "Voice"),
      talkRow(settings, fill),
      keyRow(settings, taken, open),
      ...listens,
      microphoneRow(settings),
      languageRow(settings, languages ?? LANGUAGES),
      answersRow(settings, fill),
      ...(settings.get("answers") === "off" && !settings.get("alerts") ? [] : [voiceRow(settings, speak), rateRow(settings)]),
      alertsRow(settings, fill),
    );
  };
  fill();
  body.append(rows);
}

/**
 * @template {keyof Values} K
 * @param {Settings} settings
 * @param {K} key
 * @param {[string, string][]} options
 * @param {(value: string) => Values[K]} read
 * @param {() => void} [then]
 */
function choice(settings, key, options, read, then) {
  const control = select(options, String(settings.get(key) ?? ""));
  control.addEventListener("change", () => {
    settings.set(key, read(control.value));
    then?.();
  });
  return control;
}

/** A row that is made anew keeps the focus that was in it. @param {Settings} settings @param {() => void} fill */
function talkRow(settings, fill) {
  const options = /** @type {[string, string][]} */ ([["hold", "While I hold"], ["open", "Open microphone"]]);
  const control = choice(settings, "talk", options, (value) => (value === "open" ? "open" : "hold"), () => {
    fill();
    document.getElementById("setting-talk")?.focus();
  });
  return row("talk", "Listen", "An open microphone hears everything until it is muted", control);
}

/**
 * @param {Settings} settings
 * @param {readonly string[]} taken
 * @param {boolean} open
 */
function keyRow(settings, taken, open) {
  const control = button(keyName(settings.get("talkKey")), () => {
    control.textContent = "Press a key";
    control.dataset.waiting = "";
  }, "button key-button");
  const line = row("talkKey", open ? "Key that mutes" : "Key to hold", "", control);
  const note = line.querySelector("label")?.appendChild(make("small"));
  const stop = () => {
    delete control.dataset.waiting;
    control.textContent = keyName(settings.get("talkKey"));
  };
  control.setAttribute("aria-describedby", "setting-talkKey-note");
  if (note) note.id = "setting-talkKey-note";
  control.addEventListener("blur", stop);
  control.addEventListener("keydown", (event) => {
    if (control.dataset.waiting === undefined || event.key === "Tab") return;
    event.preventDefault();
    event.stopPropagation();
    const refused = event.key === "Escape" ? "" : refusal(event, taken);
    if (note) note.textContent = refused;
    if (refused) return;
    if (event.key !== "Escape") settings.set("talkKey", event.key.length === 1 ? event.key.toLowerCase() : event.key);
    stop();
  });
  return line;
}

/** @param {Settings} settings */
function wakeWordRow(settings) {
  const control = make("input");
  control.type = "text";
  control.maxLength = 40;
  control.value = settings.get("wakeWord");
  control.placeholder = "none";
  control.addEventListener("change", () => settings.set("wakeWord", control.value.trim()));
  // Enter would close the dialog.
  control.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    control.blur();
  });
  return row("wakeWord", "Wake word", "Only what begins with it is taken as a question", control);
}

/** @param {Settings} settings */
function microphoneRow(settings) {
  const control = choice(settings, "microphone", [["", "Browser’s choice"]], (value) => value || null);
  listMicrophones().then((devices) => {
    for (const { deviceId, label } of devices) {
      if (deviceId !== "default" && deviceId !== "communications") control.add(new Option(label, deviceId));
    }
    control.value = settings.get("microphone") ?? "";
    if (control.selectedIndex < 0) control.value = "";
  });
  return row("microphone", "Microphone", "Their names are known after its first use", control);
}

/**
 * @param {Settings} settings
 * @param {readonly string[]} languages
 */
function languageRow(settings, languages) {
  const names = new Intl.DisplayNames([navigator.language, "en"], { type: "language" });
  const options = languages.map((code) => /** @type {[string, string]} */ ([code, names.of(code) ?? code]));
  options.sort((a, b) => a[1].localeCompare(b[1]));
  return row("language", "I speak", "", choice(settings, "language", [["", "Find out"], ...options], (value) => value));
}

/** @param {Settings} settings @param {() => void} fill */
function answersRow(settings, fill) {
  const options = /** @type {[string, string][]} */ ([
    ["spoken", "When I asked aloud"],
    ["always", "Always"],
    ["off", "Never"],
  ]);
  const control = choice(settings, "answers", options, (value) => /** @type {Values["answers"]} */ (value), () => {
    fill();
    document.getElementById("setting-answers")?.focus();
  });
  return row("answers", "Read answers out", "", control);
}

/** @param {Settings} settings @param {(words: string) => void} speak */
function voiceRow(settings, speak) {
  const control = choice(settings, "voice", [["", "By language"]], (value) => value || null);
  const line = row("voice", "Voice", "", control);
  const note = line.querySelector("label")?.appendChild(make("small"));
  const list = () => {
    const voices = [...(window.speechSynthesis?.getVoices() ?? [])].sort((a, b) => a.lang.localeCompare(b.lang) || a.name.localeCompare(b.name));
    while (control.length > 1) control.remove(1);
    for (const { name, lang, voiceURI } of voices) control.add(new Option(`${name} (${lang})`, voiceURI));
    control.value = settings.get("voice") ?? "";
    if (control.selectedIndex < 0) control.value = "";
    control.disabled = !voices.length;
    if (note) note.textContent = voices.length ? "Used for its own language" : "This browser has no voice: answers stay silent";
  };
  list();
  window.speechSynthesis?.addEventListener("voiceschanged", list);
  control.addEventListener("change", () => speak(SAMPLE));
  return line;
}

/** @param {Settings} settings */
function rateRow(settings) {
  const control = make("input");
  control.type = "range";
  control.min = "0.6";
  control.max = "2";
  control.step = "0.1";
  control.value = String(settings.get("rate"));
  control.addEventListener("input", () => settings.set("rate", Number(control.value)));
  return row("rate", "Speed of speaking", "", control);
}

/** @param {Settings} settings @param {() => void} fill */
function alertsRow(settings, fill) {
  const control = checkbox(settings.get("alerts"));
  control.addEventListener("change", () => {
    settings.set("alerts", control.checked);
    fill();
    document.getElementById("setting-alerts")?.focus();
  });
  return row("alerts", "Read alerts out", "", control);
}
