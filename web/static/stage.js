// The heart of the page: frames into the ring, results to their frames, one composited canvas out.
import { Calibration, CaptureLink, DelayControl, keepsUp, nearestShot, nextSynced, quantile } from "./sync.js";
import { FrameRing } from "./ring.js";
import { paint, paintPicture } from "./paint.js";

/** @typedef {import("./types.js").Track} Track */
/** @typedef {import("./types.js").Tracks} Tracks */
/** @typedef {import("./sync.js").Shot} Shot */
/** @typedef {import("./sync.js").Result} Result */
/** @typedef {import("./sync.js").Rung} Rung */

/** @typedef {{shot: Shot, result: Result | null, synced: boolean}} Drawn */

/**
 * What the stage asks of the rest of the page at each drawing.
 * @typedef {object} Look
 * @property {() => boolean} mirrored
 * @property {() => number | null} marked
 * @property {(track: Track) => boolean} visible
 * @property {(track: Track) => number} opacity
 * @property {import("./settings.js").Settings} settings
 */

const START_MS = 1000;
const MOST_CANVAS_PIXELS = 2_600_000;

export class Stage {
  ring = new FrameRing();
  link = new CaptureLink();
  delay = new DelayControl();
  paused = false;
  /** @type {Drawn | null} */
  drawn = null;
  /** @type {Result | null} */
  latest = null;
  /** Whether pictures come from this page's own camera. */
  local = true;
  /** @type {number | null} */
  rtpOffset = null;
  counts = { frames: 0, drawn: 0, unsynced: 0, unmatched: 0 };
  /** @type {number[]} */
  drifts = [];
  /** @type {number[]} */
  latencies = [];
  #calibration = new Calibration();
  /** @type {Result[]} */
  #early = [];
  /** @type {number[]} */
  #annotated = [];
  /** @type {number[]} */
  #drawnAt = [];
  #startedAt = 0;
  #dirty = false;
  #playing = 0;
  #context;

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {HTMLVideoElement} video
   * @param {Look} look
   */
  constructor(canvas, video, look) {
    this.canvas = canvas;
    this.video = video;
    this.look = look;
    const context = canvas.getContext("2d", { alpha: false });
    if (!context) throw new Error("this browser draws no canvas");
    this.#context = context;
    this.worker = new Worker(new URL("./mask-worker.js", import.meta.url), { type: "module" });
    this.worker.addEventListener("message", (event) => this.#onOutlines(event.data));
    const tick = () => {
      this.#tick(performance.now());
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  }

  /**
   * Show another source.
   * @param {MediaStream | null} media
   * @param {boolean} local
   */
  play(media, local) {
    const turn = ++this.#playing;
    this.reset();
    this.local = local;
    this.video.srcObject = media;
    if (!media) return;
    this.video.play().catch(() => undefined);
    const onFrame = (/** @type {number} */ _now, /** @type {VideoFrameCallbackMetadata} */ metadata) => {
      if (turn !== this.#playing) return;
      this.video.requestVideoFrameCallback(onFrame);
      this.#onFrame(metadata);
    };
    this.video.requestVideoFrameCallback(onFrame);
  }

  /** Forget pictures and results, as after a change of source or of the server. */
  reset() {
    this.ring.clear();
    this.link.reset();
    this.delay.reset();
    this.#calibration = new Calibration();
    this.#early = [];
    this.#annotated = [];
    this.#drawnAt = [];
    this.rtpOffset = null;
    this.latest = null;
    this.drawn = null;
    this.drifts = [];
    this.latencies = [];
    this.#startedAt = performance.now();
    this.counts = { frames: 0, drawn: 0, unsynced: 0, unmatched: 0 };
  }

  /**
   * The watched stream's offset is known: frames already here get their names.
   * @param {number} rtpOffset
   */
  useOffset(rtpOffset) {
    this.rtpOffset = rtpOffset;
    for (const shot of this.ring.shots) {
      if (shot.viewRtp !== null) shot.rtp = (shot.viewRtp - rtpOffset) >>> 0;
    }
  }

  /** The server was started anew: its results no longer belong to these frames. */
  forgetResults() {
    this.link.reset();
    this.#early = [];
    this.latest = null;
    for (const shot of this.ring.shots) shot.result = null;
  }

  /** Draw again what is shown, as after a change of colours. */
  redraw() {
    this.#dirty = true;
  }

  /** @param {Tracks} message */
  onTracks(message) {
    /** @type {Result} */
    const result = {
      seq: message.seq,
      epoch: message.epoch,
      rtp: message.rtp,
      capturedUnixUs: message.captured_unix_us,
      arrivedAt: performance.now(),
      tracks: message.tracks,
      outlines: new Map(),
    };
    this.#waitingForOutlines.set(result.seq, result);
    const masks = message.tracks.flatMap(({ id, mask }) => (mask ? [{ id, size: mask.size, counts: mask.counts }] : []));
    if (masks.length) this.worker.postMessage({ seq: result.seq, masks });
    else this.#onOutlines({ seq: result.seq, outlines: [], ms: 0, failed: 0 });
  }

  /** @param {import("./publish.js").EncodedNote} note */
  onEncoded({ rtp, captureUnixMs, seenUnixMs }) {
    if (captureUnixMs !== null) {
      this.link.learn(rtp, captureUnixMs * 1000, "transform");
      return;
    }
    if (this.link.rung !== "none") return;
    // Without a capture time: the newest frame that was captured before this one was encoded.
    const before = this.ring.shots.filter((shot) => shot.unixUs !== null && shot.unixUs / 1000 <= seenUnixMs).pop();
    if (before?.unixUs) this.link.learn(rtp, before.unixUs, "transform");
  }

  /** @returns {Rung} */
  get rung() {
    if (!this.local) return this.rtpOffset === null ? "none" : "remote";
    if (this.link.rung !== "none" && !this.#hasCaptureTime) return "calibrated";
    return this.link.rung;
  }

  get drawnLastSecond() {
    const now = performance.now();
    return this.#drawnAt.filter((at) => now - at < 1000).length;
  }

  /** @type {Map<number, Result>} */
  #waitingForOutlines = new Map();
  #hasCaptureTime = true;

  /** @param {VideoFrameCallbackMetadata} metadata */
  #onFrame(metadata) {
    const at = performance.now();
    if (!metadata.width || !this.video.videoWidth) return;
    this.counts.frames += 1;
    let unixUs = null;
    let rtp = null;
    let viewRtp = null;
    if (this.local) {
      this.#hasCaptureTime = metadata.captureTime !== undefined;
      const moment = metadata.captureTime ?? metadata.presentationTime;
      unixUs = (performance.timeOrigin + moment) * 1000;
    } else if (metadata.rtpTimestamp !== undefined) {
      viewRtp = metadata.rtpTimestamp;
      if (this.rtpOffset !== null) rtp = (viewRtp - this.rtpOffset) >>> 0;
    }
    const keepMs = Math.min(1000, this.delay.delayMs * 1.5 + 250);
    this.ring.push(this.video, { at, unixUs, rtp, viewRtp }, keepMs);
    if (this.ring.shots.length) this.#early = this.#early.filter((result) => !this.#attach(result) && at - result.arrivedAt < 500);
  }

  /** @param {import("./mask-worker.js").MaskAnswer} answer */
  #onOutlines(answer) {
    const result = this.#waitingForOutlines.get(answer.seq);
    if (!result) return;
    this.#waitingForOutlines.delete(answer.seq);
    result.outlines = new Map(answer.outlines);
    if (this.latest && result.seq < this.latest.seq) return;
    this.latest = result;
    if (!this.#attach(result)) {
      this.#early.push(result);
      if (this.#early.length > 30) this.#early.shift();
    }
  }

  /**
   * Give a result to its frame.
   * @param {Result} result
   * @returns {boolean} whether its frame is in the ring
   */
  #attach(result) {
    const shot = this.local ? this.#localShot(result) : this.ring.byRtp(result.rtp);
    if (!shot) return false;
    const first = !shot.result;
    shot.result = result;
    if (first) {
      const now = performance.now();
      this.delay.learn(now - shot.at);
      this.delay.step(this.ring.intervalMs);
      this.#annotated.push(now);
      if (this.#annotated.length > 120) this.#annotated.shift();
      const capturedAt = shot.unixUs === null ? shot.at : shot.unixUs / 1000 - performance.timeOrigin;
      keep(this.latencies, Math.max(0, result.arrivedAt - capturedAt));
    }
    if (shot === this.drawn?.shot) this.#dirty = true;
    return true;
  }

  /** @param {Result} result */
  #localShot(result) {
    if (result.capturedUnixUs !== null) {
      this.link.learn(result.rtp, result.capturedUnixUs, "report");
      if (!this.#hasCaptureTime) this.#calibration.learn(this.ring.shots, result.capturedUnixUs);
    }
    const captured = result.capturedUnixUs ?? this.link.unixUs(result.rtp);
    if (captured === null) return null;
    result.capturedUnixUs = captured;
    if (!this.#hasCaptureTime && !this.#calibration.ready) return null;
    const offset = this.#hasCaptureTime ? 0 : this.#calibration.offsetUs;
    return nearestShot(this.ring.shots, captured + offset, this.ring.intervalMs);
  }

  /** @param {number} now */
  #tick(now) {
    if (this.paused || document.hidden) {
      if (this.#dirty && this.drawn) this.#draw(this.drawn);
      return;
    }
    const next = this.#choose(now);
    if (next) this.#draw(next);
    else if (this.#dirty && this.drawn) {
      const { shot, synced, result } = this.drawn;
      this.#draw({ shot, synced, result: synced ? shot.result : result });
    }
  }

  /**
   * @param {number} now
   * @returns {Drawn | null}
   */
  #choose(now) {
    const newest = this.ring.newest;
    if (!newest) return null;
    const shownSeq = this.drawn?.shot.seq ?? 0;
    const interval = this.ring.intervalMs;
    if (!this.look.settings.get("zeroDelay")) {
      const shot = nextSynced(this.ring.shots, now, this.delay.delayMs, shownSeq, interval);
      if (shot) return { shot, result: shot.result, synced: true };
      const annotated = this.#annotated.filter((at) => now - at < 1000).length;
      const settling = now - this.#startedAt < START_MS && annotated > 0;
      if (settling || (annotated > 0 && keepsUp(this.ring.arrivedLastSecond(now), annotated))) return null;
      // A still picture sends no frames: the one on screen keeps its own overlay.
      if (now - newest.at > 1000 && this.drawn?.synced) return null;
    }
    if (newest.seq <= shownSeq) {
      const stale = this.latest && this.drawn && !this.drawn.synced && this.latest !== this.drawn.result;
      return stale ? { shot: newest, result: newest.result ?? this.latest, synced: Boolean(newest.result) } : null;
    }
    const result = newest.result ?? this.latest;
    return { shot: newest, result, synced: Boolean(newest.result) };
  }

  /** @param {Drawn} drawn */
  #draw(drawn) {
    const { shot, result, synced } = drawn;
    if (!shot.image) return;
    this.#dirty = false;
    const isNew = this.drawn?.shot !== shot;
    this.drawn = drawn;
    this.ring.held = shot;
    this.#fit(shot);
    if (result) paint(this.#context, this.scene(shot.image, result), this.unit);
    else paintPicture(this.#context, shot.image, this.look.mirrored());
    if (isNew) this.#count(drawn);
    document.dispatchEvent(
      new CustomEvent("onlooker:drawn", {
        detail: {
          label: result?.tracks[0]?.label ?? null,
          rtp: result?.rtp ?? null,
          epoch: result?.epoch ?? null,
          captured_unix_us: result?.capturedUnixUs ?? null,
          synced,
          repeated: !isNew,
        },
      }),
    );
  }

  /** @param {Drawn} drawn */
  #count({ shot, result, synced }) {
    this.counts.drawn += 1;
    this.#drawnAt.push(performance.now());
    if (this.#drawnAt.length > 120) this.#drawnAt.shift();
    if (!result) return;
    if (!synced) this.counts.unsynced += 1;
    keep(this.drifts, this.#drift(shot, result, synced));
  }

  /**
   * How far the overlay's frame is from the picture's, ms.
   * @param {Shot} shot
   * @param {Result} result
   * @param {boolean} synced
   */
  #drift(shot, result, synced) {
    if (shot.rtp !== null) return Math.abs((shot.rtp - result.rtp) | 0) / 90;
    if (synced && !this.#hasCaptureTime) return 0;
    if (shot.unixUs !== null && result.capturedUnixUs !== null) return Math.abs(shot.unixUs - result.capturedUnixUs) / 1000;
    return performance.now() - result.arrivedAt;
  }

  /**
   * @param {CanvasImageSource} image
   * @param {Result} result
   * @returns {import("./paint.js").Scene}
   */
  scene(image, result) {
    const { settings } = this.look;
    return {
      image,
      tracks: result.tracks.filter((track) => track.state !== "gone" && this.look.visible(track)),
      outlines: result.outlines,
      mirrored: this.look.mirrored(),
      marked: this.look.marked(),
      fill: settings.get("fill"),
      labels: settings.get("labels"),
      colour: (id) => settings.colour(id),
      shape: (id) => settings.shape(id),
      opacity: (track) => this.look.opacity(track),
    };
  }

  /** Canvas pixels of one CSS pixel. */
  get unit() {
    return this.canvas.width / Math.max(1, this.canvas.clientWidth);
  }

  /** @param {Shot} shot */
  #fit(shot) {
    const ratio = `${shot.width} / ${shot.height}`;
    if (this.canvas.dataset.ratio !== ratio) {
      this.canvas.dataset.ratio = ratio;
      this.canvas.dispatchEvent(new CustomEvent("resized", { detail: { width: shot.width, height: shot.height } }));
    }
    let width = Math.max(1, Math.round(this.canvas.clientWidth * devicePixelRatio));
    let height = Math.max(1, Math.round((width * shot.height) / shot.width));
    const shrink = Math.min(1, Math.sqrt(MOST_CANVAS_PIXELS / (width * height)));
    width = Math.round(width * shrink);
    height = Math.round(height * shrink);
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
  }

  get report() {
    return {
      latencyMs: { p50: quantile(this.latencies, 0.5), p95: quantile(this.latencies, 0.95) },
      driftMs: { p50: quantile(this.drifts, 0.5), p95: quantile(this.drifts, 0.95) },
      driftFrames: Math.round(quantile(this.drifts, 0.95) / this.ring.intervalMs),
      delayMs: this.delay.delayMs,
      fps: this.drawnLastSecond,
      rung: this.rung,
      synced: this.drawn?.synced ?? false,
    };
  }
}

/**
 * @param {number[]} samples
 * @param {number} sample
 */
function keep(samples, sample) {
  samples.push(sample);
  if (samples.length > 240) samples.shift();
}
