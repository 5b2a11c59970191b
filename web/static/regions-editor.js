// The editor of one rule: a sentence with fields in it, what narrows it, and what it would have done in the last hour.
import { button, find, make } from "./dom.js";
import { checkbox, select } from "./dialogs.js";
import { labelled, number } from "./regions-fields.js";
import { narrowing, scheduling } from "./regions-narrow.js";
import { showTrial } from "./regions-trial.js";
import { COMPARED, hasSeconds, kindsOf, newRule, ruleSentence } from "./regions-words.js";

/** @typedef {import("./protocol.js").Region} Region */
/** @typedef {import("./regions-words.js").RuleDraft} RuleDraft */

const USUAL = ["person", "car", "dog", "cat", "bicycle", "truck", "bus", "motorcycle", "bag", "animal", "vehicle"];

/**
 * @typedef {object} EditorPage
 * @property {(method: string, path: string, body?: unknown) => Promise<any>} call undefined where it failed
 * @property {() => void} ring
 * @property {() => string[]} words that the engine knows
 */

export class RuleEditor {
  /** @type {{region: Region, rule: RuleDraft} | null} */
  #edited = null;

  /**
   * @param {HTMLDialogElement} dialog
   * @param {EditorPage} page
   */
  constructor(dialog, page) {
    this.dialog = dialog;
    this.page = page;
    this.body = find("#rule-body", HTMLElement);
    this.foot = find("#rule-foot", HTMLElement);
    find("#rule-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#save();
    });
  }

  /**
   * @param {Region} region
   * @param {RuleDraft} rule
   */
  open(region, rule) {
    this.#edited = { region, rule: structuredClone(rule) };
    this.#show();
    if (!this.dialog.open) this.dialog.showModal();
  }

  #show() {
    if (!this.#edited) return;
    const { region, rule } = this.#edited;
    find("#rule-title", HTMLElement).textContent = rule.id ? "Rule" : "New rule";
    this.said = make("p", "rule-said");
    this.trial = make("section", "trial");
    this.trial.hidden = true;
    this.body.replaceChildren(
      this.said,
      this.#sentence(region, rule),
      this.#choices(rule),
      this.#more(rule),
      this.trial,
    );
    this.#foot(rule);
    this.#changed();
  }

  /** The sentence follows every change; what was tried is out of date. */
  #changed() {
    if (!this.#edited || !this.said || !this.trial) return;
    const sentence = ruleSentence(this.#edited.rule, this.#edited.region);
    this.said.textContent = `Alert when ${sentence.charAt(0).toLowerCase()}${sentence.slice(1)}`;
    this.trial.hidden = true;
  }

  /**
   * @param {Region} region
   * @param {RuleDraft} rule
   */
  #sentence(region, rule) {
    const who = make("input", "region-field rule-who");
    who.type = "text";
    who.value = rule.label ?? "";
    who.maxLength = 80;
    who.placeholder = "anything";
    who.setAttribute("aria-label", "What it is about; empty for anything");
    who.setAttribute("list", "rule-labels");
    who.addEventListener("input", () => {
      rule.label = who.value.trim() || null;
      this.#changed();
    });
    const labels = make("datalist");
    labels.id = "rule-labels";
    for (const word of new Set([...USUAL, ...this.page.words()])) labels.append(new Option(word));
    const kind = select(kindsOf(region), rule.kind);
    kind.setAttribute("aria-label", "What happens");
    kind.addEventListener("change", () => {
      const other = newRule(/** @type {RuleDraft["kind"]} */ (kind.value));
      const { label, seconds, op, value } = other;
      if (this.#edited) this.#edited.rule = { ...rule, kind: other.kind, label: label ?? null, seconds: seconds ?? 0, op: op ?? null, value: value ?? null };
      this.#show();
    });
    const line = make("div", "rule-sentence", who, labels, kind, make("strong", "", region.name));
    if (rule.kind === "count") line.append(...this.#count(rule));
    if (rule.kind === "cross") line.append(this.#direction(rule));
    if (hasSeconds(rule.kind)) {
      line.append("for", number(rule.seconds ?? 0, "Seconds", 0, 86_400, (value) => this.#set({ seconds: value ?? 0 })), "seconds");
    }
    return line;
  }

  /** @param {Partial<RuleDraft>} change */
  #set(change) {
    if (this.#edited) Object.assign(this.#edited.rule, change);
    this.#changed();
  }

  /** @param {RuleDraft} rule */
  #count(rule) {
    const op = select(COMPARED, rule.op ?? ">=");
    op.setAttribute("aria-label", "How many");
    op.addEventListener("change", () => this.#set({ op: /** @type {RuleDraft["op"]} */ (op.value) }));
    return [op, number(rule.value ?? 1, "Number", 0, 1000, (value) => this.#set({ value: value ?? 0 }))];
  }

  /** @param {RuleDraft} rule */
  #direction(rule) {
    const way = select([["", "either way"], ["forward", "with the arrow"], ["backward", "against the arrow"]], rule.direction ?? "");
    way.setAttribute("aria-label", "Direction");
    way.addEventListener("change", () => this.#set({ direction: /** @type {RuleDraft["direction"]} */ (way.value || null) }));
    return way;
  }

  /** @param {RuleDraft} rule */
  #choices(rule) {
    const severity = select([["info", "Information"], ["warn", "Warning"], ["critical", "Critical"]], rule.severity ?? "warn");
    severity.addEventListener("change", () => this.#set({ severity: /** @type {RuleDraft["severity"]} */ (severity.value) }));
    const sound = checkbox(Boolean(rule.sound));
    sound.addEventListener("change", () => {
      this.#set({ sound: sound.checked });
      if (sound.checked) this.page.ring();
    });
    const rest = number(rule.cooldown_s ?? 30, "", 0, 86_400, (value) => this.#set({ cooldown_s: value ?? 0 }));
    return make(
      "div",
      "rule-choices",
      labelled("Severity", severity),
      labelled("Ring on this page", sound),
      labelled("Seconds until the same object alerts again", rest),
    );
  }

  /** @param {RuleDraft} rule */
  #more(rule) {
    const more = make("details", "rule-more", make("summary", "", "Times, size and speed"));
    more.open = Boolean(rule.schedule) || [rule.min_area, rule.max_area, rule.min_speed, rule.max_speed].some((value) => value != null);
    more.append(scheduling(rule, (change) => this.#set(change)), narrowing(rule, (change) => this.#set(change)));
    return more;
  }

  /** @param {RuleDraft} rule */
  #foot(rule) {
    const test = button("Test on the last hour", () => void this.#try());
    const save = make("button", "button primary", "Save");
    save.type = "submit";
    const remove = button("Remove", () => void this.#remove(), "button");
    remove.hidden = !rule.id;
    this.foot.replaceChildren(remove, make("span", "grow"), test, save);
  }

  async #try() {
    if (!this.#edited || !this.trial) return;
    const { region, rule } = this.#edited;
    const { name, kind, points } = region;
    this.trial.hidden = false;
    this.trial.replaceChildren(make("p", "foot thinking", "Looking through the last hour"));
    const trial = await this.page.call("POST", "/rules/test", { region: { name, kind, points }, rule });
    if (trial) showTrial(this.trial, trial);
    else this.trial.hidden = true;
  }

  async #save() {
    if (!this.#edited) return;
    const { region, rule } = this.#edited;
    const path = `/regions/${region.id}/rules`;
    const saved = rule.id ? await this.page.call("PUT", `${path}/${rule.id}`, rule) : await this.page.call("POST", path, rule);
    if (saved) this.dialog.close();
  }

  async #remove() {
    if (!this.#edited) return;
    const { region, rule } = this.#edited;
    if ((await this.page.call("DELETE", `/regions/${region.id}/rules/${rule.id}`)) !== undefined) this.dialog.close();
  }
}
