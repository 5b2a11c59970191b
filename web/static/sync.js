// Which result belongs to which frame, how long to hold frames back, and which frame is to be shown: plain functions
// and small state without media, network or clock.

/**
 * One picture in the ring.
 * @typedef {object} Shot
 * @property {number} seq counts from 1
 * @property {number} at when it was copied, ms of the page's clock
 * @property {number | null} unixUs when it was captured, for pictures of this page's own camera
 * @property {number | null} rtp the publisher's RTP timestamp, for pictures from the server
 * @property {number | null} viewRtp the same picture's RTP timestamp on this viewer's own clock
 * @property {number} width
 * @property {number} height
 * @property {CanvasImageSource | null} image
 * @property {Result | null} result
 */

/**
 * One `tracks` message as the page uses it.
 * @typedef {object} Result
 * @property {number} seq
 * @property {number} epoch
 * @property {number} rtp
 * @property {number | null} reportedUnixUs when the frame was captured, as the server heard from the sender
 * @property {number | null} capturedUnixUs the same, or worked out from the RTP timestamp here
 * @property {number} arrivedAt ms of the page's clock
 * @property {import("./types.js").Track[]} tracks
 * @property {Map<number, Float32Array[]>} outlines
 */

/** @typedef {"report" | "transform" | "calibrated" | "remote" | "none"} Rung how results find their frames */

export const TICKS_PER_MS = 90;
const LONGEST_DELAY_MS = 900;
const LEAST_SYNCED_FPS = 10;

/**
 * Signed distance a − b of two RTP timestamps.
 * @param {number} a
 * @param {number} b
 */
export function rtpDelta(a, b) {
  const distance = (a - b) >>> 0;
  return distance >= 0x80000000 ? distance - 0x100000000 : distance;
}

/**
 * The value below which a share of the samples lies.
 * @param {number[]} samples
 * @param {number} share 0 to 1
 */
export function quantile(samples, share) {
  if (!samples.length) return NaN;
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN;
}

/** Relates the publisher's RTP clock to its capture times, from any frame where both are known. */
export class CaptureLink {
  /** @type {{rtp: number, unixUs: number} | null} */
  #anchor = null;
  /** @type {Rung} */
  rung = "none";

  /**
   * @param {number} rtp
   * @param {number} unixUs
   * @param {Rung} rung
   */
  learn(rtp, unixUs, rung) {
    if (rung === "transform" && this.rung === "report") return;
    this.#anchor = { rtp, unixUs };
    this.rung = rung;
  }

  /** @param {number} rtp */
  unixUs(rtp) {
    if (!this.#anchor) return null;
    return this.#anchor.unixUs + (rtpDelta(rtp, this.#anchor.rtp) * 1000) / TICKS_PER_MS;
  }

  reset() {
    this.#anchor = null;
    this.rung = "none";
  }
}

/**
 * Which capture time an RTP timestamp belongs to, before the first sender report: a frame is seen encoded soon after it
 * was captured, mostly before the next one, and the median of several such pairs is right.
 */
export class EncodedLink {
  /** @type {{rtp: number, seenUs: number}[]} */
  #notes = [];
  /** @type {{rtp: number, unixUs: number}[]} */
  #pairs = [];

  /**
   * @param {number} rtp
   * @param {number} seenUs when the encoded frame was seen
   */
  note(rtp, seenUs) {
    this.#notes.push({ rtp, seenUs });
    if (this.#notes.length > 30) this.#notes.shift();
  }

  /**
   * Pair what was noted with the frames, once these have surely come too.
   * @param {Shot[]} shots
   * @param {number} nowUs
   * @returns {{rtp: number, unixUs: number} | null} an anchor of the RTP clock
   */
  resolve(shots, nowUs) {
    const ripe = this.#notes.filter(({ seenUs }) => nowUs - seenUs > 100_000);
    this.#notes = this.#notes.filter((note) => !ripe.includes(note));
    for (const { rtp, seenUs } of ripe) {
      const before = shots.filter((shot) => shot.unixUs !== null && shot.unixUs <= seenUs).pop();
      if (before?.unixUs) this.#pairs.push({ rtp, unixUs: before.unixUs });
    }
    this.#pairs = this.#pairs.slice(-15);
    const first = this.#pairs[0];
    if (!first) return null;
    const starts = this.#pairs.map(({ rtp, unixUs }) => unixUs - (rtpDelta(rtp, first.rtp) * 1000) / TICKS_PER_MS);
    return { rtp: first.rtp, unixUs: quantile(starts, 0.5) };
  }
}

/** For browsers that do not say when a frame was captured: the median distance between presentation and capture. */
export class Calibration {
  /** @type {number[]} */
  #samples = [];

  get offsetUs() {
    return this.#samples.length ? quantile(this.#samples, 0.5) : 0;
  }

  get ready() {
    return this.#samples.length >= 15;
  }

  /**
   * @param {Shot[]} shots
   * @param {number} capturedUnixUs
   */
  learn(shots, capturedUnixUs) {
    const times = shots.flatMap((shot) => (shot.unixUs === null ? [] : [shot.unixUs - capturedUnixUs]));
    const later = times.filter((distance) => distance >= 0);
    if (!later.length) return;
    this.#samples.push(Math.min(...later));
    if (this.#samples.length > 90) this.#samples.shift();
  }
}

/**
 * How much later than the camera the browser dates frames in what it sends, by the median of the last matches: it adds
 * the mean time that frames take from the camera to the encoder, which grows with load and changes slowly. Followed
 * from frame to frame, so that half a frame interval is no limit to it.
 */
export class ReportBias {
  /** @type {number[]} */
  #residuals = [];

  get us() {
    return this.#residuals.length < 5 ? 0 : quantile(this.#residuals, 0.5);
  }

  /**
   * @param {number} residualUs reported minus captured, of a frame and its match
   * @param {number} intervalMs
   */
  learn(residualUs, intervalMs) {
    this.#residuals.push(residualUs);
    if (this.#residuals.length > 31) this.#residuals.shift();
    // Frames cannot arrive before they are captured: outside of this the match has slipped by a frame.
    const share = this.us / (intervalMs * 1000);
    if (share < -0.3 || share > 0.7) this.#residuals = [];
  }
}

/**
 * The frame captured nearest to a moment, if it is within half a frame interval.
 * @param {Shot[]} shots
 * @param {number} unixUs
 * @param {number} intervalMs
 */
export function nearestShot(shots, unixUs, intervalMs) {
  let best = null;
  let least = (intervalMs * 1000) / 2;
  for (const shot of shots) {
    if (shot.unixUs === null) continue;
    const distance = Math.abs(shot.unixUs - unixUs);
    if (distance <= least) [best, least] = [shot, distance];
  }
  return best;
}

/** How long frames are held back so that nearly all find their result in time. */
export class DelayControl {
  /** @type {number[]} */
  #latencies = [];
  delayMs = 100;

  /** @param {number} latencyMs from the copied frame to its result; negative where the result came first */
  learn(latencyMs) {
    this.#latencies.push(Math.max(0, latencyMs));
    if (this.#latencies.length > 90) this.#latencies.shift();
  }

  /**
   * Move towards the wanted delay: at once at the start, later slowly enough not to be seen.
   * @param {number} intervalMs
   */
  step(intervalMs) {
    const wanted = Math.min(LONGEST_DELAY_MS, quantile(this.#latencies, 0.95) + intervalMs);
    if (Number.isNaN(wanted)) return;
    const settled = this.#latencies.length >= 30;
    const change = wanted - this.delayMs;
    this.delayMs += settled ? Math.max(-1, Math.min(4, change)) : change;
  }

  reset() {
    this.#latencies = [];
    this.delayMs = 100;
  }
}

/**
 * The next frame to show with its own overlay. Frames whose result never comes are passed over.
 * @param {Shot[]} shots oldest first
 * @param {number} now
 * @param {number} delayMs
 * @param {number} shownSeq
 * @param {number} intervalMs
 */
export function nextSynced(shots, now, delayMs, shownSeq, intervalMs) {
  const due = shots.filter((shot) => shot.seq > shownSeq && shot.result && now - shot.at >= delayMs);
  // Two frames due at once are shown one after the other, unless that would make the picture fall behind.
  return due.find((shot) => now - shot.at <= delayMs + 1.5 * intervalMs) ?? due[due.length - 1] ?? null;
}

/**
 * Whether results come often enough for showing only annotated frames.
 * @param {number} framesLastSecond
 * @param {number} annotatedLastSecond
 */
export function keepsUp(framesLastSecond, annotatedLastSecond) {
  return annotatedLastSecond >= Math.min(LEAST_SYNCED_FPS, 0.6 * framesLastSecond);
}
