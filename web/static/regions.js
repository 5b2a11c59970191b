// Zones and lines of the stream on screen: drawn, listed with their rules, armed, changed and removed.
import { call } from "./api.js";
import { find, icon } from "./dom.js";
import { keepTyped } from "./keys.js";
import { Bell } from "./regions-bell.js";
import { Drawing } from "./regions-drawing.js";
import { RuleEditor } from "./regions-editor.js";
import { colourOf, RegionLayer } from "./regions-layer.js";
import { RegionList } from "./regions-list.js";
import { freeName, newRule } from "./regions-words.js";

/** @typedef {import("./protocol.js").Region} Region */
/** @typedef {import("./protocol.js").RegionRule} RegionRule */
/** @typedef {import("./regions-shape.js").Point} Point */

/** @param {import("./page.js").Page} page */
export function openRegions(page) {
  return new Regions(page);
}

export class Regions {
  /** @type {Map<string, Region>} */
  #regions = new Map();
  #armed = true;
  #bell = new Bell();

  /** @param {import("./page.js").Page} page */
  constructor(page) {
    this.page = page;
    const { station, announcer, toasts, keys } = page.parts;
    const mirrored = () => station.mirrored;
    const layer = find("#regions-layer", SVGSVGElement);
    this.layer = new RegionLayer(layer, mirrored);
    this.bar = find("#drawing", HTMLElement);
    this.drawing = new Drawing(layer, {
      show: (sketch) => this.#showSketch(sketch),
      mirrored,
      say: (words) => announcer.say(words),
      refuse: (words) => toasts.show(words),
    });
    this.editor = new RuleEditor(find("#rule-sheet", HTMLDialogElement), {
      call: (method, path, body) => this.#call(method, path, body),
      ring: () => this.#bell.ring(),
      words: () => [...page.parts.model.words],
    });
    this.list = new RegionList(find("#regions-list", HTMLElement), {
      mark: (id) => {
        this.layer.marked = id;
        this.layer.show();
      },
      rename: (region, name) => void this.#put({ ...region, name }),
      reshape: (region) => void this.#reshape(region),
      remove: (region) => void this.#remove(region),
      addRule: (region) => this.editor.open(region, newRule(region.kind === "zone" ? "enter" : "cross")),
      editRule: (region, rule) => this.editor.open(region, rule),
      switchRule: (region, rule) => void this.#call("PATCH", `/regions/${region.id}/rules/${rule.id}`, { enabled: !rule.enabled }),
    });
    this.armed = find("#regions-armed", HTMLButtonElement);
    this.#wire();
    page.onMessage((message) => this.#take(message));
    page.onLeave(() => this.#restore([], true));
    keys.d = () => void this.draw("zone");
    keys.l = () => void this.draw("line");
  }

  #wire() {
    this.armed.addEventListener("click", () => void this.#arm(!this.#armed));
    find("#draw-zone", HTMLButtonElement).addEventListener("click", () => void this.draw("zone"));
    find("#draw-line", HTMLButtonElement).addEventListener("click", () => void this.draw("line"));
    find("#drawing-done", HTMLButtonElement).addEventListener("click", () => this.drawing.finish());
    find("#drawing-back", HTMLButtonElement).addEventListener("click", () => this.drawing.back());
    find("#drawing-cancel", HTMLButtonElement).addEventListener("click", () => this.drawing.cancel());
  }

  /** @param {import("./types.js").ServerMessage} message */
  #take(message) {
    if (message.type === "hello") this.#restore(message.regions, message.armed);
    else if (message.type === "armed") this.#showArmed(message.armed);
    else if (message.type === "region") this.#onRegion(message.region, message.removed);
    else if (message.type === "event" && message.event.rule_id) this.#onAlert(message.event);
  }

  /**
   * @param {Region[]} regions
   * @param {boolean} armed
   */
  #restore(regions, armed) {
    this.#regions = new Map(regions.map((region) => [region.id, region]));
    this.#showArmed(armed);
    if (!regions.length) this.drawing.cancel();
    this.#show();
  }

  /**
   * @param {Region} region
   * @param {boolean} removed
   */
  #onRegion(region, removed) {
    if (removed) this.#regions.delete(region.id);
    else this.#regions.set(region.id, region);
    this.#show();
  }

  /** @param {import("./types.js").AgentEvent} event */
  #onAlert({ region_id: id, rule_id: ruleId, at }) {
    if (!id || !ruleId) return;
    this.layer.ring(id);
    this.list.fired(ruleId, at);
    const rule = this.#regions.get(id)?.rules.find((one) => one.id === ruleId);
    if (rule?.sound) this.#bell.alert();
  }

  #show() {
    const regions = [...this.#regions.values()];
    this.layer.regions = regions;
    this.layer.show();
    this.list.show(regions, this.#armed);
    this.armed.hidden = !regions.some((region) => region.rules.length);
    find("#regions-empty", HTMLElement).hidden = regions.length > 0;
    this.#bell.prepare(regions.some((region) => region.rules.some((rule) => rule.sound)));
  }

  /** @param {boolean} armed */
  #showArmed(armed) {
    this.#armed = armed;
    this.armed.setAttribute("aria-pressed", String(armed));
    this.armed.replaceChildren(icon(armed ? "bell" : "bell-off"), armed ? "Armed" : "Disarmed");
    this.armed.title = armed ? "Rules raise alerts. Press to disarm them all" : "No rule raises an alert. Press to arm them";
    this.list.show([...this.#regions.values()], armed);
  }

  /** @param {boolean} armed */
  async #arm(armed) {
    if (await this.#call("PUT", "/armed", { armed })) this.page.parts.announcer.say(armed ? "Armed" : "Disarmed");
  }

  // --- drawing ------------------------------------------------------------------------------------------------------

  /** @param {"zone" | "line"} kind */
  async draw(kind) {
    if (!this.page.stream) return;
    const points = await this.drawing.draw(kind);
    if (!points) return;
    const name = freeName(kind, [...this.#regions.values()].map((region) => region.name));
    const typed = keepTyped();
    const region = await this.#call("POST", "/regions", { name, kind, points, rules: [] });
    const already = typed();
    if (!region) return;
    this.#onRegion(region, false);
    this.list.openNew(region.id, already);
  }

  /** @param {Region} region */
  async #reshape(region) {
    this.layer.changed = region.id;
    this.layer.svg.style.setProperty("--region", colourOf([...this.#regions.keys()].indexOf(region.id)));
    const points = await this.drawing.change(region.kind, region.points);
    this.layer.changed = null;
    this.layer.svg.style.removeProperty("--region");
    this.layer.show();
    if (points) await this.#put({ ...region, points });
  }

  /** @param {import("./regions-drawing.js").Sketch | null} sketch */
  #showSketch(sketch) {
    this.layer.sketch = sketch;
    this.layer.show();
    this.bar.hidden = !sketch;
    if (!sketch) return;
    const words = sketch.changing
      ? "Drag the points, then press Enter"
      : sketch.kind === "zone"
        ? "Click the corners; double-click or Enter to finish"
        : "Click the ends; double-click or Enter to finish";
    find("#drawing-words", HTMLElement).textContent = words;
    find("#drawing-back", HTMLElement).hidden = sketch.changing || !sketch.points.length;
    find("#drawing-done", HTMLButtonElement).disabled = sketch.points.length < (sketch.kind === "zone" ? 3 : 2);
  }

  // --- the server ---------------------------------------------------------------------------------------------------

  /** @param {Region} region */
  #put({ id, name, kind, points }) {
    return this.#call("PUT", `/regions/${id}`, { name, kind, points });
  }

  /** @param {Region} region */
  async #remove(region) {
    if ((await this.#call("DELETE", `/regions/${region.id}`)) === undefined) return;
    const { name, kind, points, rules } = region;
    this.page.parts.toasts.show(`${name} was removed.`, {
      actions: [["Undo", () => void this.#call("POST", "/regions", { name, kind, points, rules })]],
    });
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {unknown} [body]
   * @returns {Promise<any>} undefined where it failed, which was said
   */
  async #call(method, path, body) {
    const stream = this.page.stream;
    if (!stream) return undefined;
    try {
      return await call(method, `/v1/streams/${encodeURIComponent(stream)}${path}`, body);
    } catch (error) {
      this.page.parts.actions.fail(error);
      return undefined;
    }
  }
}
