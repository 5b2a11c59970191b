// What the server's messages change on the page.
import { wordsOf } from "./states.js";

/** @typedef {import("./types.js").ServerMessage} ServerMessage */

/**
 * @typedef {object} Parts
 * @property {import("./model.js").Model} model
 * @property {import("./stage.js").Stage} stage
 * @property {import("./actions.js").Actions} actions
 * @property {import("./concept.js").ConceptField} concept
 * @property {import("./choices.js").Choices} choices
 * @property {import("./notes.js").Notes} notes
 * @property {import("./say.js").Toasts} toasts
 * @property {import("./say.js").Announcer} announcer
 * @property {import("./conversation.js").Conversation} conversation
 * @property {import("./describe.js").DescribeSwitch} describe
 * @property {import("./voice.js").Voice} voice
 * @property {import("./watches.js").Watches} watches
 * @property {import("./timeline.js").Timeline} timeline
 * @property {() => Promise<void>} catchUp fetch what was said and what happened before this page came
 * @property {() => boolean} mirrored
 * @property {() => void} listChanged
 * @property {() => void} statusChanged
 */

export class Messages {
  /** @type {string[]} concepts to ask for again once the new server knows this stream */
  #wantedAgain = [];
  #sees = false;

  /** @param {Parts} parts */
  constructor(parts) {
    this.parts = parts;
  }

  /** @param {ServerMessage} message */
  take(message) {
    const { model, stage, notes, toasts, announcer } = this.parts;
    if (message.type === "tracks") {
      stage.onTracks(message);
      this.parts.timeline.onTracks(message.tracks);
      if (model.update(message.tracks, performance.now())) this.parts.listChanged();
    } else if (message.type === "status") {
      notes.show(message.engine.notes);
      this.parts.conversation.setModel(message.vlm);
      this.parts.describe.show(message.vlm);
      this.#sees = message.vlm.can.includes("image");
      this.parts.voice.onStatus(message);
      this.parts.statusChanged();
    } else if (message.type === "hello") this.#onHello(message);
    else if (message.type === "prompt") this.#onPrompt(message);
    else if (message.type === "track") this.#onTrack(message);
    else if (this.#ofAgent(message)) return;
    else if (message.type === "source" && message.change === "lost") announcer.say("The picture was lost");
    else if (message.type === "error") toasts.show(`${message.message} ${message.action}`, { tone: "error" });
  }

  /**
   * What the agent says.
   * @param {ServerMessage} message
   * @returns {boolean} whether it was its own
   */
  #ofAgent(message) {
    const { conversation, voice, watches, timeline } = this.parts;
    if (message.type === "question") conversation.onQuestion(message);
    else if (message.type === "delta") conversation.onDelta(message);
    else if (message.type === "answer") conversation.onAnswer(message);
    else if (message.type === "speech") voice.onSpeech(message);
    else if (message.type === "heard") voice.onHeard(message);
    else if (message.type === "watch") watches.onWatch(message);
    else if (message.type === "event") {
      timeline.onEvent(message.event);
      if (message.event.kind === "alert") conversation.onAlert(message.event);
    } else return false;
    return true;
  }

  /** The source is another one. */
  clear() {
    this.parts.voice.leave();
    this.parts.conversation.clear();
    this.parts.timeline.clear();
    this.parts.watches.restore([]);
    this.parts.model.clear();
    this.parts.choices.hide();
    this.parts.concept.showChips([]);
    this.parts.listChanged();
  }

  /**
   * The server is another one than before.
   * @param {boolean} published whether the stream is this page's own, so that its concepts are asked for again
   */
  restart(published) {
    const texts = [...this.parts.model.prompts.values()].map((prompt) => prompt.text ?? "").filter((text) => text);
    if (published && texts.length) this.#wantedAgain = texts;
    this.clear();
    this.parts.announcer.say(`${wordsOf("server_gone")} It is back`);
  }

  /** @param {import("./types.js").Hello} hello */
  #onHello(hello) {
    const { model, concept, actions } = this.parts;
    this.parts.conversation.setModel(hello.vlm);
    this.parts.describe.onHello(hello);
    this.#sees = hello.vlm.can.includes("image");
    this.parts.voice.onHello(hello);
    this.parts.watches.restore(hello.watches);
    void this.parts.catchUp();
    model.words = concept.words = hello.engine.words ?? [];
    model.prompts = new Map(hello.prompts.map((prompt) => [prompt.id, prompt]));
    concept.showChips(hello.prompts);
    const known = new Set(hello.prompts.map((prompt) => prompt.text));
    for (const text of this.#wantedAgain) if (!known.has(text)) void actions.follow(text);
    this.#wantedAgain = [];
  }

  /** @param {import("./types.js").PromptMessage} message */
  #onPrompt({ prompt, tracks, choices: offered }) {
    const { model, concept, choices, actions, toasts, announcer } = this.parts;
    const before = model.prompts.get(prompt.id);
    if (prompt.state === "removed") model.prompts.delete(prompt.id);
    else model.prompts.set(prompt.id, prompt);
    concept.showChips([...model.prompts.values()]);
    // What the engine does not understand at first, a model that sees understands.
    const told = prompt.state === "failed" || before || !this.#sees;
    if (prompt.message && prompt.message !== before?.message && told) {
      toasts.show(prompt.message, prompt.state === "failed" ? { tone: "error" } : {});
      announcer.say(prompt.message);
    }
    if (!offered || offered.length < 2) return;
    const refined = tracks[0] ?? prompt.track_id ?? null;
    choices.show(offered, this.parts.mirrored(), (choice) => void actions.box(choice.box_xyxy, refined));
    announcer.say(`You can choose: ${offered.map((choice) => choice.name).join(" or ")}`);
  }

  /** @param {Extract<ServerMessage, {type: "track"}>} message */
  #onTrack({ id, change, label }) {
    const name = label ? `#${id} ${label}` : this.parts.model.name(id);
    /** @type {Partial<Record<typeof change, string>>} */
    const words = {
      confirmed: `Following ${name}`,
      lost: `${name} lost`,
      found: `${name} found again`,
      gone: `${name} gone`,
    };
    if (words[change]) this.parts.announcer.say(words[change]);
  }
}
