// Talking to the server: one utterance while something is held, or an open microphone until it is muted.
import { ApiError } from "./api.js";
import { LiveError } from "./live.js";
import { Microphone, MicrophoneError } from "./microphone.js";
import { MICROPHONE_FAULTS } from "./voice-state.js";

/** The device is given back, and the browser's sign for it goes out, after so long without a word. */
const IDLE_MS = 60_000;
/** A press too short to say anything in. */
const TAP_MS = 250;
/** Silence that is sent behind the last word, so that the server need not wait to know that it was the last. */
const SILENCE_MS = 300;
const NOTICED_WITHIN_MS = 5000;
/** What has been missed by less is no word. */
const NOTICEABLE_MS = 60;
/** What somebody has said before it was clear that they talk over the voice. */
const BEFORE_INTERRUPTION_MS = 700;
const INTERRUPTION_HEARD_WITHIN_MS = 3000;

/**
 * @typedef {object} Trouble
 * @property {string} title
 * @property {string} text
 * @property {string} again the button's words; none where trying again cannot help
 */

/**
 * @typedef {object} TalkerParts
 * @property {import("./settings.js").Settings} settings
 * @property {() => import("./live.js").Live | null} live
 * @property {() => Record<string, unknown>} about what is said is about: objects, the frame on screen, the question before
 * @property {(trouble: Trouble) => void} trouble
 * @property {(words: string) => void} hint
 * @property {() => void} change
 */

/**
 * @typedef {object} Utterance
 * @property {number} at
 * @property {Promise<boolean>} over
 * @property {(cancelled: boolean) => void} end
 * @property {number} endedAt
 * @property {boolean} cancelled
 * @property {boolean} begun the server knows of it
 * @property {boolean} heard the server has said that it hears it
 */

const wait = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));

export class Talker {
  /** What the server says of the session. @type {import("./types.js").Speech["state"]} */
  state = "off";
  /** The open microphone is not muted. */
  on = false;
  /** @type {string | null} where this page's session is made */
  #address = null;
  /** @type {Utterance | null} */
  #held = null;
  /** @type {Promise<void>} */
  #turn = Promise.resolve();
  #idle = 0;
  #quiet = 0;
  #sending = 0;
  /** @type {(value: undefined) => void} */
  #onNotice = () => undefined;
  #connected = false;
  /** @type {{at: number, heard: boolean} | null} */
  #interruption = null;

  /** @param {TalkerParts} parts */
  constructor(parts) {
    this.parts = parts;
    this.microphone = new Microphone((fault) => this.#onEnded(fault));
  }

  get open() {
    return this.parts.settings.get("talk") === "open";
  }

  /** Somebody is, or may be, heard. */
  get wanted() {
    return this.open ? this.on : this.#held !== null;
  }

  /** Something that was said is still on its way. */
  get sending() {
    return this.#sending > 0;
  }

  /** The websocket is another one, and sessions end with theirs. @param {string | null} address */
  onHello(address) {
    this.#address = address;
    this.#disconnect();
    if (!address) return;
    void this.tellListen();
    if (this.on) void this.#listen();
  }

  /** @param {import("./types.js").Speech} speech */
  onSpeech({ state, error }) {
    this.state = state;
    if (state !== "off") this.#onNotice(undefined);
    if (error) this.parts.trouble({ title: error.message, text: error.action, again: "" });
    this.#catchUp(state);
    this.#endAtCap(state);
    if (state !== "off" || !this.#connected) return;
    this.#disconnect();
    if (this.on && error) void this.turn(false);
    else if (this.on) void this.#listen();
  }

  /** Somebody talks over the voice: what they have said already counts. */
  onInterruption() {
    this.#interruption = { at: performance.now(), heard: false };
    this.microphone.holdBack(BEFORE_INTERRUPTION_MS);
  }

  /**
   * After an interruption has been heard, or was none after all, nothing is late any more.
   * @param {import("./types.js").Speech["state"]} state
   */
  #catchUp(state) {
    const interruption = this.#interruption;
    if (!interruption) return;
    const over = performance.now() - interruption.at > INTERRUPTION_HEARD_WITHIN_MS;
    if (state === "hearing") interruption.heard = true;
    else if (interruption.heard || over) {
      this.#interruption = null;
      this.microphone.holdBack(0);
    }
  }

  /**
   * An utterance that the server hears no longer, though it is still held, was as long as one can be.
   * @param {import("./types.js").Speech["state"]} state
   */
  #endAtCap(state) {
    const held = this.#held;
    if (!held?.begun || state === "off") return;
    if (state === "hearing") held.heard = true;
    else if (held.heard) {
      this.release();
      this.parts.hint("That is as long as it can be: let go and say the rest");
    }
  }

  /** How the microphone is used, whenever that changes. */
  async tellListen() {
    const { settings } = this.parts;
    const live = this.parts.live();
    if (!live?.open) return;
    const words = { wake_word: settings.get("wakeWord") || null, language: settings.get("language") || null };
    try {
      await live.ask({ type: "listen", open: this.open, muted: this.open && !this.on, ...words });
    } catch (error) {
      // A connection that ended meanwhile is told anew when the next one begins.
      if (error instanceof LiveError && ["no_answer", "offline"].includes(error.code)) return;
      if (this.on) void this.turn(false);
      this.#explain(error);
    }
  }

  press() {
    if (this.#held) return;
    clearTimeout(this.#idle);
    /** @type {(cancelled: boolean) => void} */
    let end = () => undefined;
    const over = new Promise((/** @type {(cancelled: boolean) => void} */ resolve) => (end = resolve));
    const utterance = { at: performance.now(), over, end, endedAt: Infinity, cancelled: false, begun: false, heard: false };
    this.#held = utterance;
    this.microphone.hear(true);
    this.#turn = this.#turn.then(() => this.#utter(utterance));
    this.parts.change();
  }

  /** @param {boolean} cancelled */
  release(cancelled = false) {
    const utterance = this.#held;
    if (!utterance) return;
    this.#held = null;
    this.microphone.hear(false);
    utterance.endedAt = performance.now();
    const tap = utterance.endedAt - utterance.at < TAP_MS;
    if (tap) this.parts.hint("Hold it while you speak");
    utterance.cancelled = cancelled || tap;
    utterance.end(utterance.cancelled);
    this.parts.change();
  }

  /** Unmute or mute the open microphone. @param {boolean} on */
  async turn(on) {
    if (this.on === on) return;
    this.on = on;
    void this.tellListen();
    this.parts.change();
    if (on) return this.#listen();
    this.microphone.hear(false);
    await this.microphone.send(false);
    this.#closeLater();
  }

  /** Open the microphone again after trouble. */
  async retry() {
    if (this.open) return this.turn(true);
    try {
      await this.#ready();
      this.#closeLater();
      this.parts.hint("The microphone is ready");
    } catch (error) {
      this.#explain(error);
    }
  }

  /** Another device, or another way of talking. */
  async restart() {
    this.release(true);
    const on = this.on && this.open;
    this.on = false;
    this.#disconnect();
    this.microphone.close();
    void this.tellListen();
    if (on) await this.turn(true);
    this.parts.change();
  }

  /** @param {Utterance} utterance */
  async #utter(utterance) {
    this.#sending++;
    try {
      await this.microphone.open(this.parts.settings.get("microphone"));
      this.microphone.hear(this.#held !== null);
      this.parts.change();
      if (utterance.cancelled) return this.#closeLater();
      await this.#ready();
      if (this.microphone.openedAt > utterance.endedAt) {
        this.#closeLater();
        return this.parts.hint("The microphone is ready");
      }
      await this.#stream(utterance);
    } catch (error) {
      if (this.#held === utterance) this.#held = null;
      this.microphone.hear(false);
      await this.microphone.send(false);
      if (!utterance.cancelled) this.#explain(error);
    } finally {
      this.#sending--;
    }
    this.parts.change();
  }

  /**
   * Send what was said from the press on, however late it is by now, up to the release.
   * @param {Utterance} utterance
   */
  async #stream(utterance) {
    const { at, over } = utterance;
    const missed = performance.now() - Math.max(at, this.microphone.openedAt);
    const late = missed > NOTICEABLE_MS ? missed : 0;
    this.microphone.holdBack(late);
    clearTimeout(this.#quiet);
    const begun = this.#ask({ type: "talk", on: true });
    await this.microphone.send(true);
    await begun;
    utterance.begun = true;
    const cancelled = await over;
    const about = cancelled ? { cancel: true } : this.parts.about();
    if (!cancelled) await wait(late);
    await this.#ask({ type: "talk", on: false, ...about });
    this.#quiet = window.setTimeout(() => this.microphone.send(false), cancelled ? 0 : SILENCE_MS);
    this.#closeLater();
  }

  async #listen() {
    clearTimeout(this.#idle);
    try {
      await this.#ready();
      if (!this.on) return this.#closeLater();
      this.microphone.hear(true);
      this.microphone.holdBack(0);
      await this.microphone.send(true);
    } catch (error) {
      this.on = false;
      void this.tellListen();
      this.#explain(error);
    }
    this.parts.change();
  }

  async #ready() {
    await this.microphone.open(this.parts.settings.get("microphone"));
    this.parts.change();
    if (!this.#address) {
      throw new LiveError({ code: "offline", message: "The server is not connected.", action: "Wait a moment, it is tried again." });
    }
    await this.microphone.connect(this.#address);
    await this.#noticed();
    this.#connected = true;
  }

  /** The server knows of the session a little later than the browser does. */
  async #noticed() {
    if (this.state === "off") await Promise.race([new Promise((resolve) => (this.#onNotice = resolve)), wait(NOTICED_WITHIN_MS)]);
    if (this.state !== "off") return;
    this.#disconnect();
    throw new MicrophoneError("lost", "the server has not noticed it");
  }

  /** @param {Record<string, unknown>} message */
  async #ask(message) {
    const live = this.parts.live();
    if (!live) throw new MicrophoneError("lost", "no websocket");
    return live.ask(message);
  }

  #disconnect() {
    this.#connected = false;
    this.state = "off";
    this.microphone.disconnect();
  }

  #closeLater() {
    clearTimeout(this.#idle);
    this.#idle = window.setTimeout(() => {
      if (this.wanted) return;
      this.#disconnect();
      this.microphone.close();
      this.parts.change();
    }, IDLE_MS);
  }

  /** @param {import("./microphone.js").MicrophoneFault} fault */
  #onEnded(fault) {
    const { wanted } = this;
    this.#connected = false;
    // With the server gone all of it is made anew when that is back.
    if (fault === "lost" && !this.parts.live()?.open) return this.release(true);
    this.on = false;
    this.release(true);
    this.state = "off";
    void this.tellListen();
    // A session that nobody uses may end: the next press makes another.
    if (wanted || fault === "unplugged") this.parts.trouble(MICROPHONE_FAULTS[fault]);
    this.parts.change();
  }

  /** @param {unknown} error */
  #explain(error) {
    if (error instanceof MicrophoneError) this.parts.trouble(MICROPHONE_FAULTS[error.fault]);
    else if (error instanceof DOMException) this.parts.trouble(MICROPHONE_FAULTS.failed);
    else if (error instanceof LiveError || error instanceof ApiError) {
      this.parts.trouble({ title: error.message, text: error.action, again: "Try again" });
    } else throw error;
    this.parts.change();
  }
}
