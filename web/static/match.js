// Frames and results as they come, in any order, brought together: the ring of frames, the clocks that relate the two
// sides, and the delay that lets nearly every frame meet its result.
import { Calibration, CaptureLink, DelayControl, EncodedLink, nearestShot, ReportBias, rtpDelta, TICKS_PER_MS } from "./sync.js";
import { FrameRing } from "./ring.js";

/** @typedef {import("./sync.js").Shot} Shot */
/** @typedef {import("./sync.js").Result} Result */
/** @typedef {import("./sync.js").Rung} Rung */

const KEPT_SAMPLES = 240;
const MOST_EARLY = 30;
const EARLY_FOR_MS = 500;
const LONGEST_KEPT_MS = 1000;
const SETTLED_SAMPLES = 30;
const MISSES_COUNT_MS = 3000;

export class Matcher {
  ring = new FrameRing();
  delay = new DelayControl();
  /** Whether pictures come from this page's own camera. */
  local = true;
  /** @type {number[]} capture to result, ms */
  latencies = [];
  #link = new CaptureLink();
  #encoded = new EncodedLink();
  #calibration = new Calibration();
  #bias = new ReportBias();
  /** @type {number | null} */
  #rtpOffset = null;
  #hasCaptureTime = true;
  /** @type {Result[]} results that came before their frame */
  #early = [];
  /** @type {number[]} when frames got their results */
  #annotated = [];
  /** When a result was last given up for want of its frame. */
  #missedAt = 0;

  /** @param {boolean} local */
  reset(local) {
    this.local = local;
    this.ring.clear();
    this.delay.reset();
    this.latencies = [];
    this.#calibration = new Calibration();
    this.#bias = new ReportBias();
    this.#rtpOffset = null;
    this.#annotated = [];
    this.forgetResults();
  }

  /** The server was started anew: its results no longer belong to these frames. */
  forgetResults() {
    this.#link.reset();
    this.#encoded = new EncodedLink();
    this.#early = [];
    for (const shot of this.ring.shots) shot.result = null;
  }

  /** @returns {Rung} */
  get rung() {
    if (!this.local) return this.#rtpOffset === null ? "none" : "remote";
    if (this.#link.rung !== "none" && !this.#hasCaptureTime) return "calibrated";
    return this.#link.rung;
  }

  /** @param {number} now */
  annotatedLastSecond(now) {
    return this.#annotated.filter((at) => now - at < 1000).length;
  }

  /**
   * Copy the picture that the video shows now.
   * @param {HTMLVideoElement} video
   * @param {VideoFrameCallbackMetadata} metadata
   */
  onFrame(video, metadata) {
    const at = performance.now();
    const frame = present(video);
    // When this runs the video may already show a later frame than the one that it is told of.
    const laterUs = frame ? frame.timestamp - metadata.mediaTime * 1e6 : 0;
    /** @type {import("./ring.js").Identity} */
    const identity = { at, unixUs: null, rtp: null, viewRtp: null };
    if (this.local) {
      this.#hasCaptureTime = metadata.captureTime !== undefined;
      identity.unixUs = (performance.timeOrigin + (metadata.captureTime ?? metadata.presentationTime)) * 1000 + laterUs;
    } else {
      identity.viewRtp = rtpOf(frame) ?? (Math.abs(laterUs) < 1000 ? (metadata.rtpTimestamp ?? null) : null);
      if (this.#rtpOffset !== null && identity.viewRtp !== null) identity.rtp = (identity.viewRtp - this.#rtpOffset) >>> 0;
    }
    if (!isSame(this.ring.newest, identity)) {
      const { displayWidth, displayHeight } = frame ?? { displayWidth: video.videoWidth, displayHeight: video.videoHeight };
      this.ring.push(frame ?? video, displayWidth, displayHeight, identity, this.#keepMs(at));
    }
    frame?.close();
    if (this.local && this.#link.rung !== "report") this.#learnFromEncoded(at);
    this.#early = this.#early.filter((result) => !this.#attach(result) && !this.#expired(result, at));
  }

  /**
   * The watched stream's offset is known: frames already here get their names.
   * @param {number} rtpOffset
   */
  useOffset(rtpOffset) {
    this.#rtpOffset = rtpOffset;
    for (const shot of this.ring.shots) {
      if (shot.viewRtp !== null) shot.rtp = (shot.viewRtp - rtpOffset) >>> 0;
    }
  }

  /** @param {import("./publish.js").EncodedNote} note */
  onEncoded({ rtp, captureUnixMs, seenUnixMs }) {
    if (captureUnixMs !== null) {
      this.#link.learn(rtp, captureUnixMs * 1000, "transform");
      return;
    }
    this.#encoded.note(rtp, seenUnixMs * 1000);
  }

  /**
   * Give a result to its frame, now or when that comes.
   * @param {Result} result
   * @returns {Shot | null} its frame, if it is here
   */
  onResult(result) {
    const shot = this.#attach(result);
    if (!shot) {
      this.#early.push(result);
      if (this.#early.length > MOST_EARLY) this.#early.shift();
    }
    return shot;
  }

  /**
   * How far the overlay's frame is from the picture's, ms.
   * @param {Shot} shot
   * @param {Result} result
   * @param {boolean} synced
   */
  drift(shot, result, synced) {
    if (shot.rtp !== null) return Math.abs(rtpDelta(shot.rtp, result.rtp)) / TICKS_PER_MS;
    if (synced && !this.#hasCaptureTime) return 0;
    if (shot.unixUs !== null && result.capturedUnixUs !== null) {
      return Math.abs(shot.unixUs + this.#bias.us - result.capturedUnixUs) / 1000;
    }
    return performance.now() - result.arrivedAt;
  }

  /** @param {number} now */
  #learnFromEncoded(now) {
    const anchor = this.#encoded.resolve(this.ring.shots, (performance.timeOrigin + now) * 1000);
    if (anchor) this.#link.learn(anchor.rtp, anchor.unixUs, "transform");
  }

  /**
   * How long frames are needed: not much longer than results take, but long while results miss their frames.
   * @param {number} now
   */
  #keepMs(now) {
    const settled = this.latencies.length >= SETTLED_SAMPLES && now - this.#missedAt > MISSES_COUNT_MS;
    return settled ? Math.min(LONGEST_KEPT_MS, this.delay.delayMs * 1.5 + 250) : LONGEST_KEPT_MS;
  }

  /**
   * @param {Result} result
   * @param {number} now
   */
  #expired(result, now) {
    if (now - result.arrivedAt < EARLY_FOR_MS) return false;
    this.#missedAt = now;
    return true;
  }

  /** @param {Result} result */
  #attach(result) {
    const shot = this.local ? this.#localShot(result) : this.ring.byRtp(result.rtp);
    if (!shot) return null;
    if (!shot.result) {
      const now = performance.now();
      this.delay.learn(now - shot.at);
      this.delay.step(this.ring.intervalMs);
      keep(this.#annotated, now);
      const capturedAt = shot.unixUs === null ? shot.at : shot.unixUs / 1000 - performance.timeOrigin;
      keep(this.latencies, Math.max(0, result.arrivedAt - capturedAt));
    }
    shot.result = result;
    return shot;
  }

  /** @param {Result} result */
  #localShot(result) {
    const { shots, intervalMs } = this.ring;
    if (result.reportedUnixUs !== null) {
      if (this.#link.rung !== "report") this.#bias = new ReportBias();
      this.#link.learn(result.rtp, result.reportedUnixUs, "report");
      if (!this.#hasCaptureTime) this.#calibration.learn(shots, result.reportedUnixUs);
    }
    result.capturedUnixUs = result.reportedUnixUs ?? this.#link.unixUs(result.rtp);
    if (result.capturedUnixUs === null) return null;
    if (this.#hasCaptureTime) {
      const shot = nearestShot(shots, result.capturedUnixUs - this.#bias.us, intervalMs);
      if (shot?.unixUs) this.#bias.learn(result.capturedUnixUs - shot.unixUs, intervalMs);
      return shot;
    }
    return this.#calibration.ready ? nearestShot(shots, result.capturedUnixUs + this.#calibration.offsetUs, intervalMs) : null;
  }
}

/**
 * The frame that the video shows, for a moment only: it is to be closed at once.
 * @param {HTMLVideoElement} video
 * @returns {VideoFrame | null}
 */
export function present(video) {
  if (typeof VideoFrame === "undefined") return null;
  try {
    return new VideoFrame(video);
  } catch {
    return null; // nothing to show yet, or a browser that makes none from a video
  }
}

/**
 * The RTP timestamp that a frame carries, in browsers that tell.
 * @param {VideoFrame | null} frame
 * @returns {number | null}
 */
function rtpOf(frame) {
  const told = /** @type {{metadata?: () => {rtpTimestamp?: number}} | null} */ (/** @type {unknown} */ (frame));
  return told?.metadata?.().rtpTimestamp ?? null;
}

/**
 * Whether a frame has been copied already, which happens when the one before it was copied late.
 * @param {Shot | null} newest
 * @param {import("./ring.js").Identity} identity
 */
function isSame(newest, identity) {
  if (!newest) return false;
  if (identity.viewRtp !== null) return newest.viewRtp === identity.viewRtp;
  return identity.unixUs !== null && newest.unixUs !== null && Math.abs(newest.unixUs - identity.unixUs) < 2000;
}

/**
 * Add a sample and forget the oldest.
 * @param {number[]} samples
 * @param {number} sample
 */
export function keep(samples, sample) {
  samples.push(sample);
  if (samples.length > KEPT_SAMPLES) samples.shift();
}
