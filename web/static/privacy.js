// What nobody gets to see of a stream: chosen in the settings, said beside the picture.
import { ApiError, call } from "./api.js";
import { checkbox, select } from "./dialogs.js";
import { find, icon, make } from "./dom.js";

/** @typedef {{classes: string[], zones: (string | [number, number][])[], style: "pixelate" | "blur" | "fill"}} Privacy */

const WHOLE = "person";
const HEAD = "person: head";
/** @type {[string, string][]} */
const PEOPLE = [["", "Shown"], [WHOLE, "Hidden"], [HEAD, "Heads hidden"]];
/** @type {[string, string][]} */
const STYLES = [["pixelate", "Pixelated"], ["blur", "Blurred"], ["fill", "Grey"]];

/** @param {import("./page.js").Page} page */
export function openPrivacy(page) {
  const { station, announcer } = page.parts;
  const badge = make("p", "hidden-badge");
  badge.hidden = true;
  badge.setAttribute("role", "status");
  find("#picture", HTMLElement).append(badge);
  page.onMessage((message) => {
    if (message.type === "status") showBadge(badge, message.hidden ?? null, Boolean(station.feed?.own));
  });
  page.onLeave(() => showBadge(badge, null, false));

  const form = new PrivacyForm((words) => announcer.say(words));
  const dialog = find("#settings", HTMLDialogElement);
  // The settings are made anew each time that they are opened.
  new MutationObserver(() => {
    if (!dialog.open) return;
    find("#settings-body", HTMLElement).prepend(form.root);
    void form.fill(page.stream, Boolean(station.feed?.own));
  }).observe(dialog, { attributes: true, attributeFilter: ["open"] });
}

/**
 * @param {HTMLElement} badge
 * @param {string | null} hidden
 * @param {boolean} own
 */
function showBadge(badge, hidden, own) {
  const words = hidden === null ? "" : `Hidden: ${hidden}${own ? ". Only this page sees its own camera as it is." : ""}`;
  badge.hidden = !words;
  if (badge.dataset.words === words) return;
  badge.dataset.words = words;
  badge.replaceChildren(icon("eye-off"), make("span", "", words));
}

export class PrivacyForm {
  root = make("div", "settings-group privacy");
  #stream = "";
  #people = select(PEOPLE, "");
  #style = select(STYLES, "pixelate");
  #others = make("input");
  #zones = make("div", "privacy-zones");
  #problem = make("p", "privacy-problem");
  #note = make("p", "privacy-note");
  /** Zones that are no regions of the stream: from its configuration. @type {[number, number][][]} */
  #drawn = [];

  /** @param {(words: string) => void} say */
  constructor(say) {
    this.say = say;
    this.#others.type = "text";
    this.#others.maxLength = 400;
    this.#others.placeholder = "car, laptop";
    this.#problem.setAttribute("role", "alert");
    this.#problem.hidden = true;
    this.root.append(
      make("h3", "", "Privacy of this stream"),
      this.#note,
      row("privacy-people", "People", "Faces alone are not told apart: the head is the upper part of a person", this.#people),
      row("privacy-others", "Other things", "By name, with commas between", this.#others),
      this.#zones,
      row("privacy-style", "How", "", this.#style),
      this.#problem,
    );
    // The settings are a form of their own, which Enter would close.
    this.#others.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      void this.#save();
    });
    for (const control of [this.#people, this.#others, this.#style]) control.addEventListener("change", () => void this.#save());
  }

  /**
   * @param {string | null} stream
   * @param {boolean} own
   */
  async fill(stream, own) {
    this.root.hidden = stream === null;
    if (stream === null) return;
    this.#stream = stream;
    this.#note.textContent = own
      ? "Nobody else gets to see what is hidden: not viewers, clips, pictures of events or a model. This page sees its own camera as it is."
      : "Nobody gets to see what is hidden: not viewers, clips, pictures of events or a model.";
    try {
      const path = `/v1/streams/${encodeURIComponent(stream)}`;
      const [info, regions] = await Promise.all([call("GET", path), call("GET", `${path}/regions`)]);
      if (stream === this.#stream) this.#show(info.privacy ?? null, regions.items);
    } catch (error) {
      this.#fail(error);
    }
  }

  /**
   * @param {Privacy | null} privacy
   * @param {{id: string, name: string, kind: string}[]} regions
   */
  #show(privacy, regions) {
    const { classes = [], zones = [], style = "pixelate" } = privacy ?? {};
    this.#problem.hidden = true;
    this.#people.value = classes.includes(WHOLE) ? WHOLE : classes.includes(HEAD) ? HEAD : "";
    this.#others.value = classes.filter((name) => name !== WHOLE && name !== HEAD).join(", ");
    this.#style.value = style;
    this.#drawn = /** @type {[number, number][][]} */ (zones.filter((zone) => typeof zone !== "string"));
    this.#zones.replaceChildren(
      ...regions.filter(({ kind }) => kind === "zone").map(({ id, name }) => {
        const control = checkbox(zones.includes(id));
        control.value = id;
        control.addEventListener("change", () => void this.#save());
        return row(`privacy-zone-${id}`, `Zone “${name}”`, "Hide what is in it", control);
      }),
    );
  }

  async #save() {
    const others = this.#others.value.split(",").map((name) => name.trim()).filter(Boolean);
    const chosen = [...this.#zones.querySelectorAll("input")].filter((control) => control.checked);
    /** @type {Privacy} */
    const privacy = {
      classes: [...(this.#people.value ? [this.#people.value] : []), ...others],
      zones: [...chosen.map((control) => control.value), ...this.#drawn],
      style: /** @type {Privacy["style"]} */ (this.#style.value),
    };
    const nothing = !privacy.classes.length && !privacy.zones.length;
    try {
      await call("PATCH", `/v1/streams/${encodeURIComponent(this.#stream)}`, { privacy: nothing ? null : privacy });
      this.#problem.hidden = true;
      this.say(nothing ? "Nothing is hidden" : `Hidden: ${[...privacy.classes, ...privacy.zones.map(() => "a zone")].join(", ")}`);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** @param {unknown} error */
  #fail(error) {
    if (!(error instanceof ApiError)) throw error;
    this.#problem.textContent = `${error.message} ${error.action} What was hidden before still is.`;
    this.#problem.hidden = false;
  }
}

/**
 * @param {string} id
 * @param {string} title
 * @param {string} note
 * @param {HTMLElement} control
 */
function row(id, title, note, control) {
  control.id = id;
  const words = make("label", "", title);
  words.htmlFor = id;
  if (note) words.append(make("small", "", note));
  return make("div", "setting", words, control);
}
