// What a click on the picture means: a menu for the object that is there, something new to follow, or a refinement.
import { objectAt } from "./model.js";
import { pathOf } from "./paint.js";

/** @typedef {import("./pointer.js").Spot} Spot */

/**
 * The frame under the pointer, as the server knows it.
 * @param {import("./stage.js").Stage} stage
 */
export function shownFrame({ drawn }) {
  if (!drawn?.result) return null;
  if (drawn.synced) return { epoch: drawn.result.epoch, rtp: drawn.result.rtp };
  return drawn.shot.rtp === null ? null : { epoch: drawn.result.epoch, rtp: drawn.shot.rtp };
}

/**
 * @typedef {object} PickingParts
 * @property {HTMLElement} picture
 * @property {import("./model.js").Model} model
 * @property {import("./stage.js").Stage} stage
 * @property {import("./selection.js").Selection} selection
 * @property {import("./actions.js").Actions} actions
 * @property {import("./say.js").Toasts} toasts
 * @property {() => boolean} mirrored
 * @property {() => void} used the user has found out how it works
 * @property {(id: number, screen: {x: number, y: number}, followPart: () => void) => void} menu
 */

export class Picking {
  /** @param {PickingParts} parts */
  constructor(parts) {
    this.parts = parts;
  }

  /** @param {Spot} spot */
  objectAt(spot) {
    const { stage, model } = this.parts;
    return objectAt(stage.drawn?.result ?? null, spot, model.hidden, pathOf);
  }

  /**
   * @param {Spot} spot
   * @param {import("./pointer.js").ClickKind} kind
   * @param {{x: number, y: number}} screen
   */
  click(spot, kind, screen) {
    const { model, selection, actions, toasts } = this.parts;
    const hit = this.objectAt(spot);
    const only = model.items.size === 1 ? [...model.items.keys()][0] : undefined;
    const target = model.selected ?? hit ?? only ?? null;
    this.parts.used();
    if (kind === "new" && hit !== null) {
      selection.select(hit);
      const followPart = () => void actions.point(spot, true, null);
      // After this event, which would else close what it has opened.
      setTimeout(() => this.parts.menu(hit, { x: screen.x + 8, y: screen.y + 8 }, followPart));
    } else if (kind === "new") {
      selection.select(null);
      this.#ping(spot);
      void actions.point(spot, true, null);
    } else if (target === null) {
      toasts.show("Select an object first: click it, or choose it in the list.");
    } else {
      this.#ping(spot);
      void actions.point(spot, kind === "add", target);
    }
  }

  /** @param {[number, number, number, number]} box */
  box(box) {
    this.parts.used();
    void this.parts.actions.box(box);
  }

  /**
   * A ring that says: seen, working on it.
   * @param {Spot} spot
   */
  #ping({ x, y }) {
    const ring = document.createElement("div");
    ring.className = "ping";
    ring.style.setProperty("left", `${100 * (this.parts.mirrored() ? 1 - x : x)}%`);
    ring.style.setProperty("top", `${100 * y}%`);
    ring.addEventListener("animationend", () => ring.remove());
    this.parts.picture.append(ring);
  }
}
