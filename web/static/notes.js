// What the engine says it is missing, and getting it from here.
import { button, make, paragraph } from "./dom.js";
import { ApiError, fetchModel } from "./api.js";

/** @typedef {import("./types.js").EngineNote} EngineNote */

export class Notes {
  #shown = "";
  #fetching = false;

  /**
   * @param {HTMLElement} section
   * @param {(words: string) => void} say
   */
  constructor(section, say) {
    this.section = section;
    this.say = say;
  }

  /** @param {EngineNote[]} notes */
  show(notes) {
    const key = JSON.stringify(notes);
    if (key === this.#shown || this.#fetching) return;
    this.#shown = key;
    this.section.hidden = !notes.length;
    this.section.replaceChildren(...notes.map((note) => make("div", "note", make("h2", "", note.message), paragraph(note.action))));
    if (!notes.some((note) => note.code === "model_missing")) return;
    this.section.append(make("div", "note", button("Fetch the models now", () => this.#fetch())));
  }

  /** Fetch what is missing, with its progress. */
  async #fetch() {
    this.#fetching = true;
    const bar = make("progress");
    bar.setAttribute("aria-label", "Fetching the models");
    const words = make("p", "", "Starting…");
    this.section.replaceChildren(make("div", "note", make("h2", "", "Fetching the models"), bar, words));
    try {
      await fetchModel("all", (job) => {
        words.textContent = job.step || "Starting…";
        if (!job.total) return;
        bar.max = job.total;
        bar.value = job.done;
      });
      this.say("The models are here");
      this.#shown = "";
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.section.replaceChildren(
        make("div", "note", make("h2", "", error.message), paragraph(error.action), button("Try again", () => this.#fetch())),
      );
      this.say(error.message);
    } finally {
      this.#fetching = false;
    }
  }
}
