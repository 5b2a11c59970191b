// The switch for descriptions: whether the model says by itself what each object of this stream looks like.

/** @typedef {import("./types.js").VlmInfo} VlmInfo */

export class DescribeSwitch {
  #stream = "";

  /**
   * @param {HTMLElement} control a button
   * @param {import("./settings.js").Settings} settings where the choice is remembered
   * @param {import("./actions.js").Actions} actions
   */
  constructor(control, settings, actions) {
    this.control = control;
    this.settings = settings;
    this.actions = actions;
    control.addEventListener("click", () => void this.#choose(control.getAttribute("aria-pressed") !== "true"));
  }

  /** What was chosen here before holds again. @param {import("./types.js").Hello} hello */
  onHello({ stream, vlm }) {
    this.#stream = stream.id;
    this.show(vlm);
    const chosen = this.settings.get("describes")[stream.id];
    if (chosen !== undefined && chosen !== vlm.describes) void this.#set(chosen);
  }

  /** @param {VlmInfo} vlm */
  show({ can, describes }) {
    this.control.hidden = !can.includes("image");
    this.#press(describes);
  }

  /** @param {boolean} on */
  async #choose(on) {
    if (!(await this.#set(on))) return;
    this.settings.set("describes", { ...this.settings.get("describes"), [this.#stream]: on });
    this.actions.page.announcer.say(on ? "Objects are described" : "Objects are no longer described");
  }

  /** @param {boolean} on */
  async #set(on) {
    const taken = await this.actions.send({ type: "describe", on });
    if (taken) this.#press(on);
    return Boolean(taken);
  }

  /** @param {boolean} on */
  #press(on) {
    const { control } = this;
    if (control.getAttribute("aria-pressed") === String(on)) return;
    control.setAttribute("aria-pressed", String(on));
    control.title = on
      ? "The model describes each object by itself. Press to stop it, for all who watch this stream."
      : "Have the model describe each object by itself, for all who watch this stream.";
  }
}
