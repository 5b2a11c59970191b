// Talking with the scene: what is said becomes a question, its answer is read out, and either can be cut short.
import { ApiError, fetchModel } from "./api.js";
import { find } from "./dom.js";
import { Hold, keyName } from "./hold.js";
import { Speaker } from "./speak.js";
import { Talker } from "./talker.js";
import { Interruption, moodOf } from "./voice-state.js";
import { VoiceView } from "./voice-view.js";

/** @typedef {import("./types.js").AnswerBody} Answer */
/** @typedef {import("./types.js").Heard} Heard */
/** @typedef {import("./types.js").Speech} Speech */
/** @typedef {import("./types.js").VoiceInfo} VoiceInfo */

const WATCH_EVERY_MS = 50;
/** How long the end of what was said is still in the room, or on its way to a wireless loudspeaker. */
const LAST_ECHO_MS = 300;
/** An alert that is older when it comes, such as one told again after an interruption, is no news to read out. */
const FRESH_MS = 30_000;

/** What is said of an utterance that came to nothing. @type {Partial<Record<NonNullable<Heard["ignored"]>, string>>} */
const IGNORED = { nothing: "Nothing was heard", noise: "That was not understood" };

/**
 * @typedef {object} VoiceParts
 * @property {import("./settings.js").Settings} settings
 * @property {import("./conversation.js").Conversation} conversation
 * @property {() => import("./live.js").Live | null} live
 * @property {() => import("./types.js").FrameRef | null} frame
 * @property {(id: number) => string} label what an object is called, or nothing
 * @property {(words: string) => void} say
 */

export class Voice {
  /** @type {VoiceInfo} */
  info = { ready: false, name: null };
  /** A model answers, in the language that it was asked in. */
  #model = false;
  /** @type {Map<string, boolean>} questions of this page that are being answered, and whether they were spoken */
  #mine = new Map();
  /** @type {Interruption | null} */
  #interruption = null;
  /** The newest utterance, and the newest that nobody waits for any more. */
  #utterance = 0;
  #hushed = 0;
  /** @type {string | null} the answer that it listens over */
  #over = null;
  #gateTimer = 0;

  /** @param {VoiceParts} parts */
  constructor(parts) {
    const { settings } = parts;
    this.parts = parts;
    this.talker = new Talker({
      settings,
      live: parts.live,
      about: () => this.#about(),
      trouble: (trouble) => this.#trouble(trouble),
      hint: (words) => this.view.hint(words, () => this.show()),
      change: () => this.show(),
    });
    this.speaker = new Speaker({
      synthesis: window.speechSynthesis ?? null,
      utterance: (words) => new SpeechSynthesisUtterance(words),
      wish: () => ({ rate: settings.get("rate"), voice: settings.get("voice") }),
      label: parts.label,
      change: () => this.#onSpeaking(),
      failed: () => this.view.hint("This browser has no voice that works", () => this.show()),
    });
    const element = (/** @type {string} */ id) => find(`#${id}`, HTMLElement);
    this.view = new VoiceView(element("ask-form"), element("voice-notice"), element("voice-live"), () => this.talker.microphone.level);
    this.hold = new Hold(this.view.button, {
      key: () => settings.get("talkKey"),
      down: () => this.#down(),
      up: () => this.talker.release(),
      cancel: () => this.talker.release(true),
    });
    document.addEventListener("keydown", (event) => this.#onEscape(event), { capture: true });
    settings.addEventListener("change", (event) => this.#onSetting(/** @type {CustomEvent<string>} */ (event).detail));
    setInterval(() => this.#listenOver(), WATCH_EVERY_MS);
    this.show();
  }

  /** @param {import("./types.js").Hello} hello */
  onHello(hello) {
    this.#model = hello.vlm.name !== null;
    this.#utterance = this.#hushed = 0;
    this.info = hello.voice;
    this.talker.onHello(hello.microphone);
    this.show();
  }

  /** @param {import("./types.js").Status} status */
  onStatus({ voice, vlm }) {
    this.#model = vlm.name !== null;
    this.info = voice;
    this.show();
  }

  /** The source is another one. */
  leave() {
    this.speaker.stop();
    this.#mine.clear();
    this.talker.release(true);
    this.talker.onHello(null);
    this.view.calm();
    this.show();
  }

  /** The page goes. */
  close() {
    this.speaker.stop();
    this.talker.microphone.close();
  }

  /** @param {Speech} speech */
  onSpeech(speech) {
    const before = this.talker.state;
    this.talker.onSpeech(speech);
    const { utterance, transcript, state } = speech;
    // With a wake word, people in the room may talk to each other.
    const addressed = this.talker.open && !this.parts.settings.get("wakeWord");
    if (state === "hearing" && before !== "hearing" && addressed) this.interrupt();
    this.#utterance = Math.max(this.#utterance, utterance ?? 0);
    if (utterance && transcript) this.parts.conversation.hear(utterance, transcript);
    this.show();
  }

  /** @param {Heard} heard */
  onHeard({ utterance, transcript, question_id, language, ignored, error }) {
    const { conversation, say } = this.parts;
    if (error) this.#trouble({ title: error.message, text: error.action, again: "" });
    const obeyed = !question_id && !ignored && !error;
    if (obeyed) conversation.hear(utterance, transcript);
    // What could not be done is there to be edited and sent again.
    conversation.settle(utterance, obeyed ? "done" : error && transcript ? error.message : null);
    if (obeyed) say("Done");
    if (question_id && utterance > this.#hushed) this.asked(question_id, true, language ?? "");
    else if (question_id) this.parts.live()?.send({ type: "ask.stop", question_id });
    const words = ignored && IGNORED[ignored];
    if (words && !this.talker.open) this.view.hint(words, () => this.show());
  }

  /**
   * A question of this page is on its way.
   * @param {string} id
   * @param {boolean} aloud it was spoken
   * @param {string} language that it was asked in, if that is known
   */
  asked(id, aloud, language) {
    const { settings, conversation } = this.parts;
    if (aloud) this.parts.conversation.setAbout([]);
    const wish = settings.get("answers");
    const answer = conversation.answer(id);
    if (!answer?.done) this.#mine.set(id, aloud);
    if (wish === "always" || (wish === "spoken" && aloud)) {
      // Without a model, answers are in English whatever the question was in.
      this.speaker.begin(id, this.#model ? language || settings.get("language") || navigator.language : "en");
      if (answer) this.speaker.add(id, answer.text);
      if (answer?.done) this.speaker.end(id);
    }
    this.show();
  }

  /**
   * @param {Answer} answer
   * @returns {boolean} whether it is read out
   */
  onAnswer({ question_id, state, language }) {
    this.#mine.delete(question_id);
    const readOut = this.speaker.source === question_id;
    if (readOut && language) this.speaker.useLanguage(language);
    if (readOut && state === "done") this.speaker.end(question_id);
    else if (readOut) this.speaker.stop();
    this.show();
    return readOut;
  }

  /** @param {import("./types.js").AgentEvent} event */
  onAlert({ text, at }) {
    const busy = this.hold.held || this.talker.state === "hearing";
    if (!this.parts.settings.get("alerts") || busy || Date.now() - Date.parse(at) > FRESH_MS) return;
    this.speaker.say(text, "en");
  }

  /** Something new is being typed: the voice is in the way, the answer may still be read. */
  onTyping() {
    this.speaker.stop();
  }

  /**
   * Stop the voice, and what is being answered: somebody wants to say something.
   * @returns {boolean} whether there was anything to stop
   */
  interrupt() {
    const { speaking } = this.speaker;
    this.speaker.stop();
    if (this.#mine.size) this.parts.live()?.send({ type: "ask.stop" });
    // What is not understood yet will be answered to nobody.
    this.#hushed = this.#utterance;
    return speaking || this.#mine.size > 0 || this.talker.state === "thinking" || this.talker.sending;
  }

  show() {
    const { settings, conversation } = this.parts;
    const { talker } = this;
    const mood = moodOf({
      open: talker.open,
      wanted: talker.wanted,
      hears: talker.microphone.opened,
      server: talker.state,
      sending: talker.sending,
      answering: [...this.#mine.values()].some(Boolean),
      speaking: this.speaker.speaking,
    });
    const how = { open: talker.open, on: talker.on, key: settings.get("talkKey"), wakeWord: settings.get("wakeWord") };
    this.view.show(mood, { ...how, usable: !this.#missing });
    conversation.setSpeaking(this.speaker.speaking);
  }

  /** What has to be fetched or installed first; a transcriber that only fails may be well again by now. */
  get #missing() {
    const { error } = this.info;
    return error && error.code !== "voice_unavailable" ? error : null;
  }

  /** @param {KeyboardEvent} event */
  #onEscape(event) {
    if (event.key !== "Escape" || !this.interrupt()) return;
    // One press does one thing; an open dialog closes all the same.
    if (!document.querySelector("dialog[open]")) event.preventDefault();
  }

  #down() {
    this.view.calm();
    this.interrupt();
    if (this.#missing) return this.#explainMissing(this.#missing);
    if (this.talker.open) void this.talker.turn(!this.talker.on);
    else this.talker.press();
  }

  /** @param {NonNullable<VoiceInfo["error"]>} error */
  #explainMissing(error) {
    const fetches = error.code === "model_missing";
    this.view.trouble({ title: error.message, text: error.action }, fetches ? [["Fetch it now", () => void this.#fetch()]] : []);
    this.parts.say(error.message);
  }

  async #fetch() {
    const showProgress = (/** @type {number} */ done, /** @type {number} */ total) =>
      this.view.trouble({ title: "Fetching the speech model", text: total ? `${Math.round((100 * done) / total)} %` : "Starting…" }, []);
    showProgress(0, 0);
    try {
      await fetchModel("voice", ({ done, total }) => showProgress(done, total));
      this.view.calm();
      this.parts.say("The speech model is here");
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.view.trouble({ title: error.message, text: error.action }, [["Try again", () => void this.#fetch()]]);
    }
  }

  /** @param {import("./talker.js").Trouble} trouble */
  #trouble(trouble) {
    this.view.trouble(trouble, trouble.again ? [[trouble.again, () => void this.talker.retry()]] : []);
    this.parts.say(trouble.title);
  }

  /** How talking stands in the list of keys. @returns {[string[], string]} */
  get keyHelp() {
    const does = this.talker.open ? "mute or unmute the microphone" : "talk to the scene while it is held";
    return [[keyName(this.parts.settings.get("talkKey"))], does];
  }

  #about() {
    const { about, follows } = this.parts.conversation.context;
    const frame = this.parts.frame();
    return { ...(about.length ? { track_ids: about } : {}), ...(follows ? { follows } : {}), ...(frame ? { frame } : {}) };
  }

  #onSpeaking() {
    const { speaking, source } = this.speaker;
    clearTimeout(this.#gateTimer);
    if (speaking && this.talker.open && this.talker.on) {
      if (!this.#interruption || this.#over !== source) this.#interruption = new Interruption();
      this.#over = source;
      this.talker.microphone.gate(false);
    } else this.#gateTimer = window.setTimeout(() => this.talker.microphone.gate(true), this.speaker.stopped ? 0 : LAST_ECHO_MS);
    this.show();
  }

  #listenOver() {
    const { speaker, talker } = this;
    if (!speaker.speaking || !talker.open || !talker.on) return;
    if (!this.#interruption?.feed(talker.microphone.level, performance.now())) return;
    this.#interruption = null;
    talker.onInterruption();
    this.interrupt();
  }

  /** @param {string} key */
  #onSetting(key) {
    if (key === "talk" || key === "microphone") void this.talker.restart();
    else if (key === "wakeWord" || key === "language") void this.talker.tellListen();
    if (key === "answers" && this.parts.settings.get("answers") === "off") this.speaker.stop();
    this.show();
  }
}
