// The sound of an alert: two short tones, made here. Browsers play it only after somebody has touched the page.

const TONES = [880, 1175];
const TONE_S = 0.16;
const LOUDNESS = 0.25;
const REST_MS = 1500;

export class Bell {
  /** @type {AudioContext | null} */
  #context = null;
  #alertedAt = -Infinity;
  #waiting = false;

  /** Whether a rule wants to be heard: the next touch of the page lets it. @param {boolean} wanted */
  prepare(wanted) {
    if (!wanted || this.#waiting) return;
    this.#waiting = true;
    const unlock = () => void this.#open().resume();
    for (const kind of ["pointerdown", "keydown"]) document.addEventListener(kind, unlock, { once: true });
  }

  /** For an alert: of several at once the first one only. */
  alert() {
    const now = performance.now();
    if (now - this.#alertedAt < REST_MS) return;
    this.#alertedAt = now;
    this.ring();
  }

  ring() {
    document.dispatchEvent(new CustomEvent("onlooker:rang"));
    const context = this.#open();
    void context.resume();
    TONES.forEach((hertz, i) => {
      const begin = context.currentTime + i * TONE_S;
      const tone = new OscillatorNode(context, { frequency: hertz, type: "triangle" });
      const loudness = new GainNode(context, { gain: 0 });
      loudness.gain.setValueAtTime(0, begin);
      loudness.gain.linearRampToValueAtTime(LOUDNESS, begin + 0.01);
      loudness.gain.exponentialRampToValueAtTime(0.001, begin + TONE_S * 2);
      tone.connect(loudness).connect(context.destination);
      tone.start(begin);
      tone.stop(begin + TONE_S * 2);
    });
  }

  #open() {
    this.#context ??= new AudioContext();
    return this.#context;
  }
}
