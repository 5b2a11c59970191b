// What the user can do to the stream: prompts, names, removal and its undoing. Every answer is told in words.
import { ApiError } from "./api.js";
import { LiveError } from "./live.js";
import { nearestWords } from "./concept.js";

/** @typedef {import("./types.js").Prompt} Prompt */
/** @typedef {import("./types.js").FrameRef} FrameRef */

export class Actions {
  /** @type {{words: string, undo: () => void} | null} */
  #last = null;

  /**
   * @param {{
   *   live: () => import("./live.js").Live | null,
   *   frame: () => FrameRef | null,
   *   model: import("./model.js").Model,
   *   toasts: import("./say.js").Toasts,
   *   announcer: import("./say.js").Announcer,
   *   asked: (questionId: string) => void,
   * }} page
   */
  constructor(page) {
    this.page = page;
  }

  /**
   * Ask the server; a refusal is shown with what to do about it.
   * @param {Record<string, unknown>} message
   * @param {(error: LiveError) => boolean} [explain] shows the refusal itself and says so
   * @returns {Promise<any>} null where it was refused
   */
  async send(message, explain = () => false) {
    const live = this.page.live();
    if (!live) {
      this.page.toasts.show("There is no picture to work on yet.");
      return null;
    }
    try {
      return await live.ask(message);
    } catch (error) {
      if (!(error instanceof LiveError)) throw error;
      if (!explain(error)) this.fail(error);
      return null;
    }
  }

  /** @param {unknown} error */
  fail(error) {
    if (!(error instanceof LiveError) && !(error instanceof ApiError)) throw error;
    this.page.toasts.show(`${error.message} ${error.action}`, { tone: "error" });
    this.page.announcer.say(error.message);
  }

  /** @param {string} text */
  async follow(text) {
    const answer = await this.send({ type: "prompt.add", kind: "text", text }, (error) => this.#offerWords(error, text));
    if (answer) this.page.announcer.say(`Looking for ${text}`);
  }

  /**
   * @param {import("./pointer.js").Spot} spot
   * @param {boolean} positive
   * @param {number | null} trackId the track that it refines
   */
  point(spot, positive, trackId) {
    return this.#prompt({ kind: "points", points: [{ ...spot, positive }] }, trackId);
  }

  /**
   * @param {[number, number, number, number]} box
   * @param {number | null} trackId
   */
  box(box, trackId = null) {
    return this.#prompt({ kind: "box", box_xyxy: box }, trackId);
  }

  /**
   * @param {Record<string, unknown>} body
   * @param {number | null} trackId
   */
  #prompt(body, trackId) {
    const frame = this.page.frame();
    const refined = trackId === null ? {} : { track_id: trackId };
    return this.send({ type: "prompt.add", ...body, ...refined, ...(frame ? { frame } : {}) });
  }

  /**
   * @param {number} id
   * @param {string} label
   */
  rename(id, label) {
    return this.send({ type: "track.rename", track_id: id, label });
  }

  /**
   * Free words: a question, something to follow or to forget, a watch, an undo.
   * @param {string} text
   * @param {number[]} trackIds
   * @param {string | null} follows
   * @returns {Promise<boolean>} whether they were taken
   */
  async tell(text, trackIds, follows) {
    const frame = this.page.frame();
    const message = { type: "command", text, ...(trackIds.length ? { track_ids: trackIds } : {}) };
    const then = { ...(frame ? { frame } : {}), ...(follows ? { follows } : {}) };
    let again = false;
    const explain = (/** @type {LiveError} */ error) =>
      (again = ["frame_too_old", "unknown_question"].includes(error.code)) || this.#offerWords(error, text);
    const first = await this.send({ ...message, ...then }, explain);
    // The server has been started anew, or the picture stood still for long: then it is about the present.
    const answer = first ?? (again ? await this.send(message) : null);
    if (answer?.question_id) this.page.asked(answer.question_id);
    if (answer?.prompt_id || answer?.track_id || answer?.watch_id) this.page.announcer.say("Done");
    return Boolean(answer);
  }

  /** @param {number} id */
  async remove(id) {
    const name = this.page.model.name(id);
    if (!(await this.send({ type: "track.remove", track_id: id }))) return;
    this.#offerUndo(`Removed ${name}`, () => this.send({ type: "track.restore", track_id: id }));
  }

  /** @param {Prompt} prompt */
  async drop(prompt) {
    if (!(await this.send({ type: "prompt.remove", prompt_id: prompt.id }))) return;
    this.#offerUndo(`No longer following “${prompt.text}”`, () => this.send({ type: "prompt.restore", prompt_id: prompt.id }));
  }

  undo() {
    const last = this.#last;
    this.#last = null;
    if (last) last.undo();
    else this.page.toasts.show("There is nothing to undo.");
  }

  /**
   * @param {string} words
   * @param {() => void} undo
   */
  #offerUndo(words, undo) {
    this.#last = { words, undo };
    this.page.toasts.show(words, { actions: [["Undo", () => this.undo()]], ms: 10_000 });
    this.page.announcer.say(`${words}. Press U to undo`);
  }

  /**
   * @param {LiveError} error
   * @param {string} text
   */
  #offerWords(error, text) {
    if (error.code !== "unknown_word") return false;
    const known = error.nearest.length ? error.nearest : nearestWords(text, this.page.model.words);
    this.page.toasts.show(`“${text}” is not known by name. Click it, or try:`, {
      actions: known.slice(0, 4).map((word) => [word, () => void this.follow(word)]),
      ms: 15_000,
    });
    this.page.announcer.say(`${text} is not known by name. Try ${known.join(", ")}`);
    return true;
  }
}
