// What the voice is doing, in words; and when somebody talks over it. Pure.

/** @typedef {"off" | "opening" | "listening" | "hearing" | "thinking" | "speaking"} Mood */
/** @typedef {import("./microphone.js").MicrophoneFault} MicrophoneFault */

/**
 * @typedef {object} Doing
 * @property {boolean} open the microphone stays open by choice; else it hears only what is said while something is held
 * @property {boolean} wanted it is held, or open and not muted
 * @property {boolean} hears the device is open
 * @property {"off" | "idle" | "listening" | "hearing" | "thinking"} server what the server says of it
 * @property {boolean} sending what was said is still on its way
 * @property {boolean} answering a spoken question is being answered
 * @property {boolean} speaking
 */

/**
 * The one thing to show.
 * @param {Doing} doing
 * @returns {Mood}
 */
export function moodOf({ open, wanted, hears, server, sending, answering, speaking }) {
  if (wanted && !open) return !hears ? "opening" : server === "hearing" ? "hearing" : "listening";
  if (wanted && server === "hearing") return "hearing";
  if (speaking) return "speaking";
  // What was said last is still being heard for a moment after the key has been let go.
  if (server === "thinking" || sending || answering || (server === "hearing" && !wanted)) return "thinking";
  if (wanted) return !hears || server === "off" ? "opening" : "listening";
  return "off";
}

/**
 * @param {Mood} mood
 * @param {{open: boolean, wakeWord: string, touch: boolean}} how
 */
export function moodWords(mood, { open, wakeWord, touch }) {
  if (mood === "opening") return "Opening the microphone";
  if (mood === "thinking") return "Thinking";
  if (mood === "speaking") return touch ? "Speaking" : "Speaking · Esc stops it";
  if (mood === "off") return "";
  if (!open || mood === "hearing") return "Listening";
  return wakeWord ? `Say “${wakeWord}” and ask` : "Ask aloud";
}

/** @type {Record<MicrophoneFault, {title: string, text: string, again: string}>} */
export const MICROPHONE_FAULTS = {
  blocked: {
    title: "The microphone is blocked",
    text: "Allow it at the left of the address bar, then try again. Typing works as ever.",
    again: "Try again",
  },
  none: { title: "No microphone found", text: "Connect one, or type your question.", again: "Look again" },
  in_use: { title: "The microphone is in use", text: "Another program has it. Close that, or type your question.", again: "Try again" },
  failed: { title: "The microphone did not start", text: "Unplug it and plug it in again, or type your question.", again: "Try again" },
  unplugged: { title: "The microphone was unplugged", text: "Plug it in again, or type your question.", again: "Try again" },
  insecure: {
    title: "This address may not use the microphone",
    text: "Browsers give microphones to https:// and localhost only. Typing works as ever.",
    again: "",
  },
  lost: {
    title: "The microphone’s connection was lost",
    text: "A firewall or VPN may block UDP; `onlooker doctor` tells more. Typing works as ever.",
    again: "Try again",
  },
};

const LEARNING_MS = 500;
const LASTING_MS = 200;
/** Twice as loud as the voice itself comes back: 6 dB. */
const LOUDER = 2;
/** Quieter than anybody who speaks up at a desk, −38 dB. */
const LEAST = 0.0125;
const FORGETTING = 0.995;

/**
 * Tells somebody who talks over the spoken answer from that answer coming back through the room.
 *
 * Browsers take out of the microphone what their own pages play, but most let speechSynthesis be played by the system,
 * which they do not hear. So while it speaks, an open microphone passes nothing on (it would ask what it has just
 * answered), and the level alone is watched here: how loud the voice comes back is learned first, and what is clearly
 * louder than that for a fifth of a second is a person.
 */
export class Interruption {
  #began = -1;
  #echo = 0;
  /** @type {number | null} */
  #loudSince = null;

  /**
   * @param {number} level root mean square in [0, 1]
   * @param {number} now ms
   * @returns {boolean} whether somebody talks over it
   */
  feed(level, now) {
    if (this.#began < 0) this.#began = now;
    const loud = level > Math.max(LEAST, this.#echo * LOUDER) && now - this.#began >= LEARNING_MS;
    if (!loud) {
      this.#echo = Math.max(level, this.#echo * FORGETTING);
      this.#loudSince = null;
      return false;
    }
    this.#loudSince ??= now;
    return now - this.#loudSince >= LASTING_MS;
  }
}
