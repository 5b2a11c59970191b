// Answers aloud, sentence by sentence as they stream, by the browser's own voices.
import { cut, speaks, spoken } from "./sentences.js";

/** A voice that has not begun by then, or gone on far too long, has failed without saying so: some browsers' do. */
const BEGINS_WITHIN_MS = 4000;
const SLACK_MS = 3000;
const SLOWEST_MS_A_CHAR = 140;

/**
 * @typedef {object} SpeakerParts
 * @property {Pick<SpeechSynthesis, "speak" | "cancel" | "getVoices"> | null} synthesis none where the browser has none
 * @property {(words: string) => SpeechSynthesisUtterance} utterance
 * @property {() => {rate: number, voice: string | null}} wish
 * @property {(id: number) => string} label what an object is called, or nothing
 * @property {() => void} change it has begun or ended
 * @property {() => void} failed there is no voice that works
 */

export class Speaker {
  /** @type {{words: string, language: string}[]} */
  #queue = [];
  /** @type {SpeechSynthesisUtterance | null} kept, or the browser may collect it and never say that it ended */
  #current = null;
  #timer = 0;
  /** @type {string | null} what is being said: an answer's id */
  #source = null;
  #language = "en";
  #rest = "";
  #ended = true;
  /** Silence was asked for, and did not come by itself. */
  stopped = false;

  /** @param {SpeakerParts} parts */
  constructor(parts) {
    this.parts = parts;
  }

  get speaking() {
    return this.#current !== null;
  }

  /** The answer that is being spoken, or that will be once it has a first sentence. */
  get source() {
    return this.#source;
  }

  /**
   * Whatever was said before ends.
   * @param {string} source
   * @param {string} language
   */
  begin(source, language) {
    this.stop();
    this.#source = source;
    this.#language = language;
    this.#ended = false;
  }

  /**
   * More of the answer.
   * @param {string} source
   * @param {string} text
   */
  add(source, text) {
    if (source !== this.#source || this.#ended) return;
    const { sentences, rest } = cut(this.#rest + text, false);
    this.#rest = rest;
    this.#say(sentences);
  }

  /** What the answer turns out to be in. @param {string} language */
  useLanguage(language) {
    this.#language = language;
    for (const waiting of this.#queue) waiting.language = language;
  }

  /** The answer is complete. @param {string} source */
  end(source) {
    if (source !== this.#source || this.#ended) return;
    this.#ended = true;
    this.#say(cut(this.#rest, true).sentences);
    this.#rest = "";
    if (!this.#current) this.stop();
  }

  /**
   * Words of their own, such as an alert: after what is waiting to be said, between the sentences of an answer.
   * @param {string} text
   * @param {string} language
   */
  say(text, language) {
    const before = this.#language;
    this.#language = language;
    this.#say(cut(text, true).sentences);
    this.#language = before;
  }

  /** Be silent, now. */
  stop() {
    clearTimeout(this.#timer);
    const spoke = this.#current !== null;
    this.#queue = [];
    this.#current = this.#source = null;
    this.#rest = "";
    this.#ended = true;
    if (!spoke) return;
    this.stopped = true;
    this.parts.synthesis?.cancel();
    this.parts.change();
  }

  /** @param {string[]} sentences */
  #say(sentences) {
    for (const sentence of sentences) {
      const words = spoken(sentence, this.#language, this.parts.label);
      if (words) this.#queue.push({ words, language: this.#language });
    }
    if (!this.#current) this.#next();
  }

  #next() {
    const next = this.#queue.shift();
    const spoke = this.#current !== null;
    this.#current = null;
    clearTimeout(this.#timer);
    if (next) this.#utter(next.words, next.language);
    else if (this.#ended) this.#source = null;
    if (spoke !== this.speaking) this.parts.change();
  }

  /**
   * @param {string} words
   * @param {string} language
   */
  #utter(words, language) {
    const { synthesis } = this.parts;
    if (!synthesis) return this.#fail();
    const { rate, voice } = this.parts.wish();
    const utterance = this.parts.utterance(words);
    const chosen = synthesis.getVoices().find(({ voiceURI, lang }) => voiceURI === voice && speaks(lang, language));
    if (chosen) utterance.voice = chosen;
    utterance.lang = chosen?.lang ?? language;
    utterance.rate = rate;
    utterance.onstart = () => this.#watch(utterance, SLACK_MS + (SLOWEST_MS_A_CHAR * words.length) / rate);
    utterance.onend = () => this.#current === utterance && this.#next();
    utterance.onerror = ({ error }) => {
      if (this.#current !== utterance) return;
      // Something else in the browser took the voice away.
      if (error === "interrupted" || error === "canceled") this.stop();
      else this.#fail();
    };
    this.#current = utterance;
    this.stopped = false;
    this.#watch(utterance, BEGINS_WITHIN_MS, () => this.#fail());
    synthesis.speak(utterance);
  }

  /**
   * @param {SpeechSynthesisUtterance} utterance
   * @param {number} withinMs
   * @param {() => void} [otherwise]
   */
  #watch(utterance, withinMs, otherwise = () => this.#next()) {
    if (this.#current !== utterance) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (this.#current !== utterance) return;
      // A stuck utterance blocks those behind it.
      this.parts.synthesis?.cancel();
      otherwise();
    }, withinMs);
  }

  #fail() {
    this.stop();
    this.parts.failed();
  }
}
