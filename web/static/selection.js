// Which object is selected, under the pointer or hidden. Every change is drawn, in the picture and in the list.

export class Selection {
  #due = 0;

  /**
   * @param {import("./model.js").Model} model
   * @param {import("./stage.js").Stage} stage
   * @param {() => void} drawList
   */
  constructor(model, stage, drawList) {
    this.model = model;
    this.stage = stage;
    this.drawList = drawList;
  }

  /** @param {number | null} id */
  select(id) {
    this.model.selected = id;
    this.#changed();
  }

  /** @param {number} id */
  toggle(id) {
    this.select(this.model.selected === id ? null : id);
  }

  /** @param {number | null} id */
  hover(id) {
    if (this.model.hovered === id) return;
    this.model.hovered = id;
    this.#changed();
  }

  /**
   * @param {number} id
   * @param {boolean} hidden
   */
  hide(id, hidden) {
    this.model.hide(id, hidden);
    this.#changed();
  }

  /** @param {number} id */
  toggleHidden(id) {
    this.hide(id, !this.model.hidden.has(id));
  }

  /** Draw the list soon; many changes at once cost one drawing. */
  show() {
    this.#due ||= requestAnimationFrame(() => {
      this.#due = 0;
      this.drawList();
    });
  }

  #changed() {
    this.stage.redraw();
    this.show();
  }
}
