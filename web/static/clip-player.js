// Plays a clip with the overlay on the very pictures that it was computed from, forwards, backwards and one at a time.
import { call, request } from "./api.js";
import { ClipLines, nearest, parseLines } from "./clip-lines.js";
import { icon, iconButton, make } from "./dom.js";
import { present } from "./match.js";
import { paint, paintPicture } from "./paint.js";

/** @typedef {import("./settings.js").Settings} Settings */
/** @typedef {{url: string, annotations_url: string, width: number, height: number, duration_s: number, times_s: number[]}} ClipInfo */

/** Seeking to just behind a picture's time shows that picture whatever the rounding. */
const BEHIND_S = 0.0005;
const LEAD_S = 3;
const LOST_OPACITY = 0.5;
const MOST_PIXELS = 2_600_000;

export class ClipPlayer {
  /** @type {ClipInfo | null} */
  #clip = null;
  #lines = new ClipLines([]);
  #place = 0;
  #drawn = 0;
  #turn = 0;
  #wanted = -1;
  /** A picture of this clip is there to be drawn. */
  #shown = false;

  /** @param {Settings} settings */
  constructor(settings) {
    this.settings = settings;
    this.video = make("video");
    this.video.muted = true;
    this.video.playsInline = true;
    this.video.preload = "auto";
    this.canvas = make("canvas");
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", "The clip with what was tracked");
    this.#still = document.createElement("canvas");
    this.playButton = iconButton("play", "Play (Space)", () => this.toggle());
    this.scrub = make("input", "clip-scrub");
    this.scrub.type = "range";
    this.scrub.setAttribute("aria-label", "Picture");
    this.mark = make("span", "clip-moment");
    this.mark.title = "When it happened";
    this.time = make("output", "clip-time");
    const back = iconButton("step-back", "One picture back (,)", () => this.step(-1));
    const on = iconButton("step", "One picture on (.)", () => this.step(1));
    const track = make("div", "clip-track", this.mark, this.scrub);
    this.element = make(
      "div",
      "clip-player",
      make("div", "clip-stage", this.video, this.canvas),
      make("div", "clip-bar", back, this.playButton, on, track, this.time),
    );
    this.#listen();
  }

  #still;

  get playing() {
    return !this.video.paused && !this.video.ended;
  }

  /**
   * Load a clip and play it from a little before the moment.
   * @param {string} url
   * @param {number | null} offset_s where it happened
   * @returns {Promise<ClipInfo | null>} null where another was asked for meanwhile. Throws `ApiError`.
   */
  async open(url, offset_s) {
    this.close();
    const turn = ++this.#turn;
    /** @type {ClipInfo} */
    const clip = await call("GET", `${url}/info`);
    const text = await (await request("GET", clip.annotations_url)).text();
    if (turn !== this.#turn) return null;
    this.#clip = clip;
    this.#lines = new ClipLines(parseLines(text));
    this.#fit(clip);
    this.scrub.max = String(Math.max(0, clip.times_s.length - 1));
    this.mark.hidden = offset_s === null;
    this.mark.style.setProperty("--at", String((offset_s ?? 0) / Math.max(clip.duration_s, 0.001)));
    this.video.src = clip.url;
    this.video.requestVideoFrameCallback((_, metadata) => this.#onFrame(turn, metadata));
    this.video.currentTime = Math.max(0, (offset_s ?? 0) - LEAD_S) + BEHIND_S;
    // A browser that forbids it shows the first picture, and the button.
    await this.video.play().catch(() => undefined);
    return clip;
  }

  close() {
    this.#turn += 1;
    this.#clip = null;
    this.#wanted = -1;
    this.#shown = false;
    this.video.pause();
    this.video.removeAttribute("src");
    this.video.load();
  }

  toggle() {
    if (this.playing) this.video.pause();
    else void this.video.play().catch(() => undefined);
  }

  /** @param {number} pictures forwards, or backwards where negative */
  step(pictures) {
    this.video.pause();
    this.show((this.#wanted >= 0 ? this.#wanted : this.#place) + pictures);
  }

  /**
   * Show the picture at that place in the clip.
   * @param {number} place
   */
  show(place) {
    const times = this.#clip?.times_s;
    if (!times?.length) return;
    this.#wanted = Math.max(0, Math.min(times.length - 1, place));
    this.#tell(this.#wanted);
    // While it seeks only the last wish counts.
    if (!this.video.seeking) this.#seek();
  }

  #seek() {
    const time = this.#clip?.times_s[this.#wanted];
    if (time !== undefined) this.video.currentTime = time + BEHIND_S;
  }

  /** Draw again what is shown, as after a change of colours. */
  redraw() {
    if (this.#clip && this.#shown) this.#draw(this.#clip.times_s[this.#place] ?? 0);
  }

  #listen() {
    this.scrub.addEventListener("input", () => {
      this.video.pause();
      this.show(Number(this.scrub.value));
    });
    this.video.addEventListener("seeked", () => {
      const arrived = this.#clip && nearest(this.#clip.times_s, this.video.currentTime - BEHIND_S);
      if (this.#wanted >= 0 && arrived !== this.#wanted) this.#seek();
      else this.#wanted = -1;
    });
    for (const name of ["play", "pause", "ended"]) this.video.addEventListener(name, () => this.#showButton());
    this.canvas.addEventListener("click", () => this.toggle());
    this.settings.addEventListener("change", () => this.redraw());
    new ResizeObserver(() => this.#clip && this.#sharpen()).observe(this.canvas);
    this.element.addEventListener("keydown", (event) => {
      const act = { " ": () => this.toggle(), ",": () => this.step(-1), ".": () => this.step(1) }[event.key];
      const button = event.target instanceof HTMLButtonElement && event.key === " ";
      if (!act || button || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      act();
    });
  }

  #showButton() {
    const { playing } = this;
    this.playButton.replaceChildren(icon(playing ? "pause" : "play"));
    const words = playing ? "Pause (Space)" : "Play (Space)";
    this.playButton.title = words;
    this.playButton.setAttribute("aria-label", words);
  }

  /** @param {ClipInfo} clip */
  #fit({ width, height }) {
    [this.#still.width, this.#still.height] = [width, height];
    this.element.style.setProperty("--ratio", String(width / height));
    this.#sharpen();
  }

  /** As many pixels as the picture has or the screen shows, so that lines and labels are crisp. */
  #sharpen() {
    const { width, height } = this.#still;
    const scale = Math.max(1, (this.canvas.clientWidth * devicePixelRatio) / width);
    const most = Math.max(1, Math.sqrt(MOST_PIXELS / (width * height)));
    const wide = Math.round(width * Math.min(scale, most));
    if (this.canvas.width === wide) return;
    [this.canvas.width, this.canvas.height] = [wide, Math.round((wide * height) / width)];
    this.redraw();
  }

  /**
   * @param {number} turn
   * @param {VideoFrameCallbackMetadata} metadata
   */
  #onFrame(turn, metadata) {
    if (turn !== this.#turn || !this.#clip) return;
    this.video.requestVideoFrameCallback((_, next) => this.#onFrame(turn, next));
    const time_s = this.#hold(metadata.mediaTime);
    this.#shown = true;
    this.#place = nearest(this.#clip.times_s, time_s);
    if (this.#wanted < 0) this.#tell(this.#place);
    this.#draw(time_s);
  }

  /**
   * Keep the picture on screen: by the time the outlines are there the video may have gone on.
   * @param {number} told_s what the callback says of its time
   * @returns {number} its time. The video may already be a picture further than the callback says, which only the
   *   picture itself knows.
   */
  #hold(told_s) {
    const context = this.#still.getContext("2d");
    const { width, height } = this.#still;
    const frame = present(this.video);
    context?.drawImage(frame ?? this.video, 0, 0, width, height);
    const time_s = frame ? frame.timestamp / 1e6 : told_s;
    frame?.close();
    return time_s;
  }

  /** @param {number} time_s of the picture that is kept */
  #draw(time_s) {
    const drawing = ++this.#drawn;
    const context = this.canvas.getContext("2d");
    if (!context) return;
    const found = this.#lines.at(time_s);
    if (!found) {
      paintPicture(context, this.#still, false);
      this.#announce(time_s, null);
      return;
    }
    this.#lines.outlines(found.place, (outlines) => {
      if (drawing !== this.#drawn) return;
      paint(context, this.#scene(found.line.tracks, outlines), this.canvas.width / Math.max(1, this.canvas.clientWidth));
      this.#announce(time_s, found.line.tracks[0]?.label ?? "");
    });
  }

  /**
   * @param {import("./types.js").Track[]} tracks
   * @param {Map<number, Float32Array[]>} outlines
   * @returns {import("./paint.js").Scene}
   */
  #scene(tracks, outlines) {
    return {
      image: this.#still,
      tracks: tracks.filter((track) => track.state !== "gone"),
      outlines,
      mirrored: false,
      marked: null,
      fill: this.settings.get("fill"),
      labels: this.settings.get("labels"),
      colour: (id) => this.settings.colour(id),
      shape: (id) => this.settings.shape(id),
      opacity: (track) => (track.state === "lost" ? LOST_OPACITY : 1),
    };
  }

  /** @param {number} place */
  #tell(place) {
    const clip = this.#clip;
    if (!clip) return;
    this.scrub.value = String(place);
    const words = `${clock(clip.times_s[place] ?? 0)} / ${clock(clip.duration_s)}`;
    this.time.textContent = words;
    this.scrub.setAttribute("aria-valuetext", `${words}, picture ${place + 1} of ${clip.times_s.length}`);
  }

  /**
   * @param {number} time_s
   * @param {string | null} label of the first track; null where the picture was not looked at
   */
  #announce(time_s, label) {
    document.dispatchEvent(new CustomEvent("onlooker:clip-drawn", { detail: { time_s, label, place: this.#place } }));
  }
}

/** @param {number} seconds */
function clock(seconds) {
  const tenths = Math.floor(seconds * 10);
  const rest = (tenths % 600) / 10;
  return `${Math.floor(tenths / 600)}:${rest < 10 ? "0" : ""}${rest.toFixed(1)}`;
}
