// What the agent shall speak up about: shown as it was understood, paused, changed and removed.
import { call } from "./api.js";
import { button, icon, make, place } from "./dom.js";

/** @typedef {import("./types.js").Watch} Watch */
/** @typedef {import("./types.js").Rule} Rule */

/** @type {Partial<Record<Rule["kind"], string>>} */
const KINDS = {
  enter: "comes in", appear: "appears", exit: "leaves", lost: "goes out of sight", found: "is back", zone_enter: "enters",
  zone_leave: "leaves", line: "crosses", dwell: "stays", count: "is counted", proximity: "comes near", apart: "is left by",
  change: "looks different",
};

/** A rule in words. @param {Rule} rule */
export function ruleWords(rule) {
  const who = rule.label ?? "anything";
  if (rule.kind === "tick") return `looked at every ${rule.seconds} s`;
  if (rule.kind === "count") return `number of ${rule.label ?? "objects"} ${rule.op ?? ">="} ${rule.value ?? 1}`;
  if (rule.kind === "dwell") return `${who} stays ${rule.seconds} s`;
  return [who, KINDS[rule.kind] ?? rule.kind, rule.near_label ?? ""].join(" ").trim();
}

/** @param {Watch} watch */
export function watchWords({ compiled }) {
  const rules = compiled.rules.map(ruleWords).join(", or ");
  return compiled.verify ? `${rules}; then the model decides` : rules;
}

export class Watches {
  /** @type {Map<string, Watch>} */
  #watches = new Map();

  /**
   * @param {{list: HTMLElement, popover: HTMLElement}} parts
   * @param {{stream: () => string | null, failed: (error: unknown) => void, say: (words: string) => void}} page
   */
  constructor(parts, page) {
    this.parts = parts;
    this.page = page;
  }

  /** @param {Watch[]} watches */
  restore(watches) {
    this.#watches = new Map(watches.map((watch) => [watch.id, watch]));
    this.#show();
  }

  /** @param {{watch: Watch, removed: boolean}} message */
  onWatch({ watch, removed }) {
    if (!removed && !this.#watches.has(watch.id)) this.page.say(`Watching for ${watch.condition}: ${watchWords(watch)}`);
    if (removed) this.#watches.delete(watch.id);
    else this.#watches.set(watch.id, watch);
    this.#show();
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {unknown} [body]
   */
  async #call(method, path, body) {
    const stream = this.page.stream();
    if (!stream) return null;
    try {
      return await call(method, `/v1/streams/${encodeURIComponent(stream)}/watches${path}`, body);
    } catch (error) {
      this.page.failed(error);
      return null;
    }
  }

  #show() {
    const { list } = this.parts;
    list.replaceChildren(
      ...[...this.#watches.values()].map((watch) => {
        const open = button("", () => this.#open(watch, open), "watch");
        open.append(icon(watch.enabled ? "bell" : "bell-off"), make("span", "", watch.condition));
        open.title = watchWords(watch);
        open.setAttribute("aria-haspopup", "dialog");
        open.dataset.enabled = String(watch.enabled);
        return make("li", "", open);
      }),
    );
    list.hidden = !this.#watches.size;
  }

  /**
   * @param {Watch} watch
   * @param {HTMLElement} anchor
   */
  #open(watch, anchor) {
    const { popover } = this.parts;
    const input = make("input", "rename");
    input.value = watch.condition;
    input.maxLength = 200;
    input.setAttribute("aria-label", "What to watch for");
    const change = (/** @type {unknown} */ body) => {
      popover.hidePopover();
      void this.#call("PATCH", `/${watch.id}`, body);
    };
    const form = make("form", "watch-form", input);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (input.value.trim() && input.value !== watch.condition) change({ condition: input.value });
      else popover.hidePopover();
    });
    const pause = button("", () => change({ enabled: !watch.enabled }), "menu-item");
    pause.append(icon(watch.enabled ? "pause" : "play"), watch.enabled ? "Pause it" : "Go on watching");
    const remove = button("", () => {
      popover.hidePopover();
      void this.#call("DELETE", `/${watch.id}`);
    }, "menu-item");
    remove.append(icon("bin"), "Remove");
    const notes = [make("p", "foot", `Understood as: ${watchWords(watch)}.`)];
    if (watch.compiled.note) notes.push(make("p", "foot", watch.compiled.note));
    popover.replaceChildren(form, ...notes, pause, remove);
    popover.setAttribute("aria-label", `Watch: ${watch.condition}`);
    popover.showPopover();
    const box = anchor.getBoundingClientRect();
    place(popover, { x: box.left, y: box.bottom + 4 });
    input.focus();
  }
}
