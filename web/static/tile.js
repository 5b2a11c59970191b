// One feed among others: its picture with the overlay on the right frame while it is in sight, and what is to be said
// of it. Out of sight it has no session and costs the server nothing.
import { ApiError, call } from "./api.js";
import { Feed } from "./feed.js";
import { icon, iconButton, make } from "./dom.js";
import { Model } from "./model.js";
import { Stage } from "./stage.js";
import { streamHash } from "./route.js";
import { tileWords } from "./tile-state.js";
import { REFERENCE } from "./turn.js";

/** @typedef {import("./types.js").StreamInfo} StreamInfo */
/** @typedef {import("./types.js").StoredEvent} StoredEvent */

/** A still in place of the video, where all places for viewers are taken. */
const STILL_EVERY_MS = 3000;

const clock = (/** @type {number} */ at) => new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

export class Tile {
  element = make("li", "tile");
  link = make("a", "tile-link");
  #video = make("video");
  #still = make("img", "tile-still");
  #cover = make("p", "tile-cover");
  #dot = make("span", "dot");
  #name = make("span", "tile-name");
  #word = make("span", "tile-word");
  #note = make("span", "tile-note", "transcoded");
  #alert = make("span", "tile-alert");
  #model = new Model();
  /** @type {Feed | null} */
  #feed = null;
  /** @type {import("./types.js").Status | null} */
  #status = null;
  /** @type {number | null} when the stream was last all right, as far as this page saw */
  #fineAt = null;
  #asked = false;
  #stillAt = 0;
  /** @type {StoredEvent | null} */
  alert = null;

  /**
   * @param {StreamInfo} info
   * @param {import("./settings.js").Settings} settings
   * @param {(tile: Tile, anchor: HTMLElement) => void} openMenu
   */
  constructor(info, settings, openMenu) {
    this.info = info;
    const canvas = make("canvas");
    const frame = make("div", "frame", make("div", "picture", this.#video, canvas), this.#still, this.#cover, this.#alert);
    canvas.addEventListener("resized", (event) => {
      const { width, height } = /** @type {CustomEvent<{width: number, height: number}>} */ (event).detail;
      frame.style.setProperty("--ratio", String(width / height));
    });
    Object.assign(this.#video, { muted: true, playsInline: true, autoplay: true, disablePictureInPicture: true });
    this.#still.alt = "";
    const more = iconButton("more", `More for ${info.name}`, () => openMenu(this, more));
    this.link.href = streamHash(info.id);
    this.link.append(frame, make("span", "tile-bar", this.#dot, this.#name, this.#word, this.#note));
    this.element.append(this.link, more);
    this.element.dataset.id = info.id;
    this.stage = new Stage(canvas, this.#video, {
      mirrored: () => false,
      marked: () => null,
      visible: () => true,
      opacity: (track) => this.#model.opacity(track.id, performance.now()),
      settings,
    });
    this.update(info);
  }

  get playing() {
    return this.#feed !== null;
  }

  /** @param {StreamInfo} info the newest of the server's list */
  update(info) {
    const back = this.info.state !== "live" && info.state === "live";
    this.info = info;
    if (back && this.#feed?.refused) this.#feed.retry();
    if (info.state === "live" || info.state === "still") this.#fineAt = Date.now();
    else if (this.#fineAt === null) void this.#askSince();
    this.#name.textContent = info.name || info.id;
    this.refresh();
  }

  /**
   * Play while the tile is in sight and there is something to play.
   * @param {boolean} inSight
   */
  show(inSight) {
    const worthwhile = inSight && this.info.state !== "waiting" && this.info.state !== "ended";
    if (worthwhile && !this.#feed) this.#open();
    else if (!inSight && this.#feed) this.#close();
    this.refresh();
  }

  close() {
    this.#close();
    this.stage.close();
    this.element.remove();
  }

  /** @param {StoredEvent | null} event */
  mark(event) {
    this.alert = event;
    this.refresh();
  }

  #open() {
    const { stage } = this;
    // What was shown before is not how it looks now.
    stage.play(null, false);
    this.#stillAt = 0;
    this.#feed = new Feed(this.info.id, null, {
      message: (message) => this.#onMessage(message),
      media: (media) => stage.play(media, false),
      encoded: () => undefined,
      offset: (rtpOffset) => stage.matcher.useOffset(rtpOffset),
      restarted: () => stage.forgetResults(),
      change: () => this.refresh(),
    });
  }

  /** The last picture stays. */
  #close() {
    this.#feed?.close();
    this.#feed = null;
    this.#status = null;
    this.stage.rest();
  }

  /** @param {import("./types.js").ServerMessage} message */
  #onMessage(message) {
    if (message.type === "tracks") {
      this.#model.update(message.tracks, performance.now());
      this.stage.onTracks(message);
    } else if (message.type === "status") {
      this.#status = message;
      this.info = { ...this.info, state: message.state };
      this.refresh();
    }
  }

  refresh() {
    const feed = this.#feed;
    const full = feed?.error?.code === "limit_reached";
    const words = tileWords(
      {
        state: this.info.state,
        trouble: this.info.error ? `${this.info.error.message} ${this.info.error.action}` : null,
        since: this.#fineAt,
        fromPage: this.info.source.kind === "webrtc",
        connected: feed?.connected ?? false,
        hasPicture: this.stage.drawn !== null,
        full,
        failed: this.#failure,
      },
      clock,
    );
    const { dataset } = this.element;
    dataset.state = words.word;
    this.#dot.dataset.tone = words.tone;
    this.#word.textContent = words.word;
    this.#cover.hidden = !words.text;
    this.#cover.replaceChildren(make("strong", "", words.text), ...(words.detail ? [make("span", "", words.detail)] : []));
    this.#cover.classList.toggle("tile-aside", full);
    this.#showNote();
    this.#showStill(full);
    this.#showAlert();
  }

  get #failure() {
    const feed = this.#feed;
    if (feed?.refused) return feed.error ? `${feed.error.message} ${feed.error.action}` : "The server said no.";
    return feed?.rtcFailed ? "A firewall or VPN may block UDP." : null;
  }

  /** When there was a picture last, where that was before this page came. */
  async #askSince() {
    if (this.#asked) return;
    this.#asked = true;
    try {
      const { last_frame_age_s: age } = await call("GET", `/v1/streams/${encodeURIComponent(this.info.id)}/stats`);
      if (age !== null) this.#fineAt ??= Date.now() - 1000 * age;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
    }
    this.refresh();
  }

  #showNote() {
    const note = this.#status?.policy.find((line) => line.includes("transcoded")) ?? "";
    this.#note.hidden = !note;
    this.#note.title = note;
  }

  /**
   * The picture that the server has, until the video is there or where it cannot be.
   * @param {boolean} again and again
   */
  #showStill(again) {
    const shown = this.#feed !== null && this.stage.drawn === null && this.info.width > 0;
    this.#still.hidden = !shown;
    const now = performance.now();
    if (!shown || (this.#stillAt && (!again || now - this.#stillAt < STILL_EVERY_MS))) return;
    this.#stillAt = now;
    this.#still.src = `/v1/streams/${encodeURIComponent(this.info.id)}/snapshot.jpg?overlay=${again}&at=${Math.round(now)}`;
  }

  #showAlert() {
    const { alert } = this;
    this.element.toggleAttribute("data-alert", alert !== null);
    this.#alert.hidden = !alert;
    if (!alert) return;
    const words = alert.text.replace(REFERENCE, "#$1");
    this.#alert.replaceChildren(icon("bell"), make("span", "", `${clock(Date.parse(alert.at))} · ${words}`));
    this.#alert.title = words;
  }
}
