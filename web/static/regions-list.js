// The list of zones and lines: each with its rules, a switch for each rule, and what can be done with it.
import { button, icon, iconButton, make } from "./dom.js";
import { when } from "./when.js";
import { colourOf } from "./regions-layer.js";
import { ruleSentence } from "./regions-words.js";

/** @typedef {import("./protocol.js").Region} Region */
/** @typedef {import("./protocol.js").RegionRule} RegionRule */

/**
 * @typedef {object} RegionActs
 * @property {(id: string | null) => void} mark
 * @property {(region: Region, name: string) => void} rename
 * @property {(region: Region) => void} reshape
 * @property {(region: Region) => void} remove
 * @property {(region: Region) => void} addRule
 * @property {(region: Region, rule: RegionRule) => void} editRule
 * @property {(region: Region, rule: RegionRule) => void} switchRule
 */

export class RegionList {
  /** @type {string | null} the region whose rules are shown */
  #open = null;
  /** @type {Map<string, string>} when rules fired last */
  #fired = new Map();
  /** @type {{ id: string, text: string, entered: boolean } | null} the new region, whose name is being asked for */
  #naming = null;
  #rendering = false;
  /** @type {Region[]} */
  #regions = [];
  #armed = true;

  /**
   * @param {HTMLElement} root
   * @param {RegionActs} acts
   */
  constructor(root, acts) {
    this.root = root;
    this.acts = acts;
  }

  /**
   * A region was just drawn: ask for its name.
   * @param {string} id
   * @param {{ text: string, entered: boolean }} already what was typed before there was a field for it
   */
  openNew(id, already) {
    this.#naming = { id, ...already };
    this.#open = id;
    this.#render();
    this.root.querySelector(`[data-region="${id}"]`)?.scrollIntoView({ block: "nearest" });
  }

  /**
   * @param {string} ruleId
   * @param {string} at
   */
  fired(ruleId, at) {
    this.#fired.set(ruleId, at);
    this.#render();
  }

  /**
   * @param {Region[]} regions
   * @param {boolean} armed
   */
  show(regions, armed) {
    this.#regions = regions;
    this.#armed = armed;
    this.#render();
  }

  #render() {
    const active = document.activeElement;
    const held = active instanceof HTMLElement && this.root.contains(active) ? active.dataset.focus : undefined;
    const field = active instanceof HTMLInputElement && active.type === "text" ? active : null;
    const { value = "", selectionStart = 0, selectionEnd = 0 } = field ?? {};
    this.#rendering = true;
    this.root.replaceChildren(...this.#regions.map((region, i) => this.#item(region, i)));
    this.#rendering = false;
    const again = held ? this.root.querySelector(`[data-focus="${held}"]`) : null;
    if (again instanceof HTMLElement) again.focus();
    if (again instanceof HTMLInputElement && field) {
      again.value = value;
      again.setSelectionRange(selectionStart, selectionEnd);
    }
    if (this.#naming) this.#ask(this.#naming);
  }

  /** @param {{ id: string, text: string, entered: boolean }} naming */
  #ask({ id, text, entered }) {
    const field = this.root.querySelector(`[data-focus="name-${id}"]`);
    if (!(field instanceof HTMLInputElement)) return;
    this.#naming = null;
    field.focus();
    if (text) field.value = text.slice(0, field.maxLength);
    else field.select();
    if (entered) field.blur();
  }

  /**
   * @param {Region} region
   * @param {number} position
   */
  #item(region, position) {
    const open = this.#open === region.id;
    const item = make("li", "region-item");
    item.dataset.region = region.id;
    item.style.setProperty("--region", colourOf(position));
    const rules = region.rules.length;
    const head = button("", () => this.#toggle(region.id), "region-head");
    head.dataset.focus = `head-${region.id}`;
    head.setAttribute("aria-expanded", String(open));
    head.append(make("span", "region-swatch"), make("span", "region-title", region.name));
    head.append(make("span", "object-note", rules === 0 ? "no rule" : rules === 1 ? "1 rule" : `${rules} rules`), icon("chevron"));
    for (const [kind, id] of /** @type {[string, string | null][]} */ ([["pointerenter", region.id], ["pointerleave", null], ["focus", region.id], ["blur", null]])) {
      head.addEventListener(kind, () => this.acts.mark(id));
    }
    item.append(head);
    if (open) item.append(this.#body(region));
    return item;
  }

  /** @param {string} id */
  #toggle(id) {
    this.#open = this.#open === id ? null : id;
    this.#render();
  }

  /** @param {Region} region */
  #body(region) {
    const rules = make("ul", "region-rules", ...region.rules.map((rule) => this.#rule(region, rule)));
    const add = button("Add a rule", () => this.acts.addRule(region), "text-button");
    add.prepend(icon("plus"));
    add.dataset.focus = `add-${region.id}`;
    const tools = make("div", "region-tools", add, make("span", "grow"));
    tools.append(
      iconButton("pen", `Change the shape of ${region.name}`, () => this.acts.reshape(region)),
      iconButton("bin", `Remove ${region.name}`, () => this.acts.remove(region)),
    );
    return make("div", "region-body", this.#name(region), rules, tools);
  }

  /** @param {Region} region */
  #name(region) {
    const input = make("input", "region-field");
    input.type = "text";
    input.value = region.name;
    input.maxLength = 80;
    input.dataset.focus = `name-${region.id}`;
    input.setAttribute("aria-label", "Name");
    // Not on "change": a field that was drawn again does not know what was typed into the one before.
    input.addEventListener("blur", () => {
      const name = input.value.trim();
      if (this.#rendering || name === region.name) return;
      if (name) this.acts.rename(region, name);
      else input.value = region.name;
    });
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter") input.blur();
      event.stopPropagation();
    });
    return input;
  }

  /**
   * @param {Region} region
   * @param {RegionRule} rule
   */
  #rule(region, rule) {
    const on = make("input", "toggle");
    on.type = "checkbox";
    on.checked = rule.enabled !== false;
    on.setAttribute("role", "switch");
    on.setAttribute("aria-label", `Armed: ${ruleSentence(rule, region)}`);
    on.dataset.focus = `on-${rule.id}`;
    on.addEventListener("change", () => this.acts.switchRule(region, rule));
    const edit = button("", () => this.acts.editRule(region, rule), "rule-words");
    edit.dataset.focus = `rule-${rule.id}`;
    edit.append(make("span", "", ruleSentence(rule, region)));
    const fired = this.#fired.get(rule.id);
    if (fired) edit.append(make("span", "foot", `last at ${when(fired, Date.now())}`));
    const item = make("li", "region-rule", on, edit);
    item.dataset.rule = rule.id;
    item.dataset.on = String(rule.enabled !== false && this.#armed);
    item.dataset.severity = rule.severity ?? "warn";
    if (rule.sound) item.append(icon("bell"));
    return item;
  }
}
