// The heart of the page: frames in, results in, one composited canvas out.
import { keep, Matcher } from "./match.js";
import { outlinesOf } from "./outlines.js";
import { keepsUp, nextSynced, quantile } from "./sync.js";
import { paint, paintPicture } from "./paint.js";

/** @typedef {import("./types.js").Track} Track */
/** @typedef {import("./types.js").Tracks} Tracks */
/** @typedef {import("./sync.js").Shot} Shot */
/** @typedef {import("./sync.js").Result} Result */

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
const STILL_MS = 1000;
const MOST_CANVAS_PIXELS = 2_600_000;

export class Stage {
  matcher = new Matcher();
  paused = false;
  /** @type {Drawn | null} */
  drawn = null;
  /** @type {Result | null} */
  latest = null;
  counts = { frames: 0, drawn: 0, unsynced: 0 };
  /** @type {number[]} */
  #drifts = [];
  /** @type {number[]} */
  #drawnAt = [];
  /** Results from before the last change are not to be drawn. */
  #turn = 0;
  #startedAt = 0;
  #dirty = false;
  #playing = 0;
  #width = 0;
  #ticking = 0;
  #context;
  #resizing;

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
    this.#resizing = new ResizeObserver(([entry]) => {
      this.#width = entry?.contentRect.width ?? 0;
      this.redraw();
    });
    this.#resizing.observe(canvas);
    const tick = () => {
      this.#ticking = requestAnimationFrame(tick);
      this.#tick(performance.now());
    };
    this.#ticking = requestAnimationFrame(tick);
  }

  /** No more pictures for now; the last one stays on screen. */
  rest() {
    this.#playing += 1;
    this.video.srcObject = null;
  }

  /** Draw no more. */
  close() {
    this.play(null, false);
    cancelAnimationFrame(this.#ticking);
    this.#resizing.disconnect();
  }

  /**
   * Show another source.
   * @param {MediaStream | null} media
   * @param {boolean} local whether it is this page's own camera
   */
  play(media, local) {
    const turn = ++this.#playing;
    this.matcher.reset(local);
    this.#turn += 1;
    this.#drifts = [];
    this.#drawnAt = [];
    this.latest = this.drawn = null;
    this.counts = { frames: 0, drawn: 0, unsynced: 0 };
    this.#startedAt = performance.now();
    this.video.srcObject = media;
    if (!media) return;
    // Refused only where the element is replaced meanwhile; muted video may always play.
    this.video.play().catch(() => undefined);
    const onFrame = (/** @type {number} */ _now, /** @type {VideoFrameCallbackMetadata} */ metadata) => {
      if (turn !== this.#playing) return;
      this.video.requestVideoFrameCallback(onFrame);
      if (!this.video.videoWidth) return;
      this.counts.frames += 1;
      this.matcher.onFrame(this.video, metadata);
    };
    this.video.requestVideoFrameCallback(onFrame);
  }

  /** The server was started anew. */
  forgetResults() {
    this.matcher.forgetResults();
    this.#turn += 1;
    this.latest = null;
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
      reportedUnixUs: message.captured_unix_us,
      capturedUnixUs: message.captured_unix_us,
      arrivedAt: performance.now(),
      tracks: message.tracks,
      outlines: new Map(),
    };
    const turn = this.#turn;
    outlinesOf(message.tracks, (outlines) => {
      if (turn === this.#turn) this.#onOutlines(result, outlines);
    });
  }

  /**
   * @param {Result} result
   * @param {Result["outlines"]} outlines
   */
  #onOutlines(result, outlines) {
    result.outlines = outlines;
    if (!this.latest || result.seq > this.latest.seq) this.latest = result;
    if (this.matcher.onResult(result) === this.drawn?.shot) this.#dirty = true;
  }

  /** @param {number} now */
  #tick(now) {
    const next = this.paused || document.hidden ? null : this.#choose(now);
    if (next) this.#draw(next);
    else if (this.#dirty && this.drawn) {
      const { shot, synced, result } = this.drawn;
      this.#draw({ shot, synced, result: synced && !this.paused ? shot.result : result });
    }
  }

  /**
   * @param {number} now
   * @returns {Drawn | null}
   */
  #choose(now) {
    const { ring, delay } = this.matcher;
    const newest = ring.newest;
    if (!newest) return null;
    const shownSeq = this.drawn?.shot.seq ?? 0;
    if (!this.look.settings.get("zeroDelay")) {
      const shot = nextSynced(ring.shots, now, delay.delayMs, shownSeq, ring.intervalMs);
      if (shot) return { shot, result: shot.result, synced: true };
      if (this.#waitsForResults(now)) return null;
    }
    const result = newest.result ?? this.latest;
    const isNews = newest.seq > shownSeq || (this.drawn && !this.drawn.synced && result !== this.drawn.result);
    return isNews ? { shot: newest, result, synced: newest.result !== null } : null;
  }

  /**
   * Whether the picture on screen stays until a frame with its own overlay is due.
   * @param {number} now
   */
  #waitsForResults(now) {
    const { ring } = this.matcher;
    const annotated = this.matcher.annotatedLastSecond(now);
    // A still picture sends no frames: the one on screen keeps its own overlay.
    if (now - (ring.newest?.at ?? 0) > STILL_MS) return this.drawn?.synced ?? false;
    if (!annotated) return false;
    return now - this.#startedAt < START_MS || keepsUp(ring.arrivedLastSecond(now), annotated);
  }

  /** @param {Drawn} drawn */
  #draw(drawn) {
    const { shot, result, synced } = drawn;
    if (!shot.image) return;
    this.#dirty = false;
    const repeated = this.drawn?.shot === shot;
    this.drawn = drawn;
    this.matcher.ring.held = shot;
    this.#fit(shot);
    if (result) paint(this.#context, this.scene(shot.image, result), this.canvas.width / Math.max(1, this.#width));
    else paintPicture(this.#context, shot.image, this.look.mirrored());
    if (!repeated) this.#count(drawn);
    const { label = null } = result?.tracks[0] ?? {};
    const { rtp = null, epoch = null, capturedUnixUs = null } = result ?? {};
    const detail = { label, rtp, epoch, captured_unix_us: capturedUnixUs, synced, repeated };
    this.canvas.dispatchEvent(new CustomEvent("onlooker:drawn", { detail, bubbles: true }));
  }

  /** @param {Drawn} drawn */
  #count({ shot, result, synced }) {
    this.counts.drawn += 1;
    keep(this.#drawnAt, performance.now());
    if (!result) return;
    if (!synced) this.counts.unsynced += 1;
    keep(this.#drifts, this.matcher.drift(shot, result, synced));
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
      tracks: result.tracks.filter((track) => track.state !== "gone" && this.look.visible(track) && this.look.opacity(track) > 0),
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

  /**
   * Give the canvas the picture's shape and the screen's resolution.
   * @param {Shot} shot
   */
  #fit(shot) {
    const shape = `${shot.width}x${shot.height}`;
    if (this.canvas.dataset.shape !== shape) {
      this.canvas.dataset.shape = shape;
      this.canvas.dispatchEvent(new CustomEvent("resized", { detail: { width: shot.width, height: shot.height } }));
    }
    const wide = Math.max(1, this.#width * devicePixelRatio);
    const tall = (wide * shot.height) / shot.width;
    const shrink = Math.min(1, Math.sqrt(MOST_CANVAS_PIXELS / (wide * tall)));
    const [width, height] = [Math.round(wide * shrink), Math.round(tall * shrink)];
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
  }

  get report() {
    const now = performance.now();
    const { latencies, delay, ring, rung } = this.matcher;
    const drift95 = quantile(this.#drifts, 0.95);
    return {
      latencyMs: { p50: quantile(latencies, 0.5), p95: quantile(latencies, 0.95) },
      driftMs: { p50: quantile(this.#drifts, 0.5), p95: drift95 },
      driftFrames: Math.round(drift95 / ring.intervalMs),
      delayMs: delay.delayMs,
      fps: this.#drawnAt.filter((at) => now - at < 1000).length,
      rung,
      synced: this.drawn?.synced ?? false,
    };
  }
}
