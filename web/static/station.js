// Which source is on screen and how the page gets to one: at the start, on request, and after something went wrong.
import { ApiError, listStreams, openDemo, openSession } from "./api.js";
import { isCamera } from "./camera-address.js";
import { Capture } from "./capture.js";
import { Feed, ownStreamId } from "./feed.js";
import { stateOf, wordsOf } from "./states.js";

/** @typedef {import("./types.js").StateName} StateName */
/** @typedef {import("./types.js").ServerMessage} ServerMessage */

/**
 * @typedef {object} StationEvents
 * @property {() => void} change something that is shown changed
 * @property {(name: string, iconName: string) => void} opened another source is on its way
 * @property {(message: ServerMessage) => void} message
 * @property {() => void} left nothing of the source before is valid any more
 * @property {() => void} restarted the server is another one than before
 * @property {(error: unknown) => void} failed
 * @property {(words: string, again: () => void) => void} refused a camera or screen, while there is a picture
 * @property {(words: string) => void} say
 */

const RETRY_MS = 3000;
const BACK_MS = 4000;

export class Station {
  /** @type {Feed | null} */
  feed = null;
  /** @type {import("./types.js").Status | null} */
  status = null;
  codec = "";
  tokenError = "";
  /** @type {StateName | null} why there is no feed */
  #startState = "starting";
  #backUntil = 0;
  /** A source that is not our camera, turned by hand. */
  #turned = false;
  #resting = false;
  /** What was watched before the rest. @type {[id: string, name: string, kind: string] | null} */
  #watched = null;
  #query = new URLSearchParams(location.search);

  /**
   * @param {import("./settings.js").Settings} settings
   * @param {import("./stage.js").Stage} stage
   * @param {StationEvents} events
   */
  constructor(settings, stage, events) {
    this.settings = settings;
    this.stage = stage;
    this.events = events;
    this.capture = new Capture(settings, () => this.#leave());
  }

  get mirrored() {
    if (this.capture.kind !== "camera") return this.#turned;
    const wish = this.settings.get("mirror");
    return wish === "on" || (wish === "auto" && this.capture.facesUser);
  }

  /** Whether a camera of the network is on screen. */
  get watchesCamera() {
    return this.feed?.own === null && isCamera(this.#watched?.[2] ?? "");
  }

  toggleMirror() {
    if (this.capture.kind === "camera") this.settings.set("mirror", this.mirrored ? "off" : "on");
    else this.#turned = !this.#turned;
    this.stage.redraw();
    this.events.change();
  }

  /** @returns {StateName | null} */
  get state() {
    const { feed, capture, stage, status } = this;
    if (!feed) return capture.state ?? this.#startState;
    const state = stateOf({
      capture: capture.state,
      connected: feed.connected,
      wasConnected: feed.wasConnected,
      refused: feed.refused,
      hasPicture: stage.drawn !== null,
      rtcFailed: feed.rtcFailed,
      rtcLost: feed.rtcLost,
      paused: stage.paused,
      stream: status?.state ?? null,
      published: feed.own !== null,
    });
    return state ?? (performance.now() < this.#backUntil ? "background" : null);
  }

  /**
   * Show what the server has.
   * @param {string | null} [first] the stream to begin with, if it is there
   */
  async start(first = null) {
    this.#resting = false;
    this.#startState = "starting";
    this.events.change();
    try {
      const streams = await listStreams();
      if (this.#resting) return;
      const wanted = first ?? this.#query.get("stream") ?? "demo";
      const found = streams.find((stream) => stream.id === wanted) ?? streams.find((stream) => stream.state === "live");
      if (found) this.watch(found.id, found.name || found.id, found.source.kind);
      else this.#startState = "choose";
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.#startState = error.status === 401 ? "token" : "server_gone";
      if (error.status !== 401) setTimeout(() => this.#startState === "server_gone" && this.start(), RETRY_MS);
    }
    this.events.change();
  }

  /**
   * @param {string} id
   * @param {string} name
   * @param {string} kind
   */
  watch(id, name, kind) {
    this.capture.forget();
    this.#watched = [id, name, kind];
    this.#open(id, null, name, kind === "webrtc" || isCamera(kind) ? "camera" : "film");
  }

  /** @param {"camera" | "screen"} kind */
  async publish(kind) {
    const { capture } = this;
    const media = await capture.open(kind);
    if (media) {
      this.#open(ownStreamId(), { media, screen: kind === "screen", codec: this.#query.get("codec") }, capture.name, kind);
      this.stage.play(media, true);
    } else if (this.feed && capture.state && !capture.media?.active) {
      const words = wordsOf(capture.state);
      if (!capture.media) capture.state = null;
      this.events.refused(words, () => void this.publish(kind));
    }
    this.events.change();
  }

  async playDemo() {
    try {
      const running = (await listStreams()).find((stream) => stream.id === "demo" || stream.source.kind === "demo");
      const demo = running ?? (await openDemo());
      this.watch(demo.id, demo.name || demo.id, "demo");
    } catch (error) {
      this.events.failed(error);
    }
  }

  /** @param {string} token */
  async enterToken(token) {
    try {
      await openSession(token);
      this.tokenError = "";
      await this.retry();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.tokenError = error.message;
      this.events.change();
    }
  }

  /** Nothing of this is on screen: what is watched is left, what this page publishes goes on. */
  rest() {
    this.#resting = true;
    if (this.feed?.own) return;
    this.feed?.close();
    this.feed = null;
    this.stage.play(null, false);
    this.events.left();
  }

  /** Go on with what was on screen before the rest. */
  resume() {
    if (!this.#resting) return;
    this.#resting = false;
    if (this.feed) this.events.change();
    else if (this.#watched) this.watch(...this.#watched);
    else void this.start();
  }

  async retry() {
    if (this.#resting) return;
    if (this.feed) this.feed.retry();
    else await this.start();
  }

  /** This tab was in the background, where browsers stop the pictures. */
  back() {
    this.#backUntil = performance.now() + BACK_MS;
    this.stage.matcher.ring.clear();
  }

  close() {
    this.feed?.close();
  }

  /**
   * @param {string} id
   * @param {{media: MediaStream, screen: boolean, codec: string | null} | null} own
   * @param {string} name
   * @param {string} iconName
   */
  #open(id, own, name, iconName) {
    this.feed?.close();
    this.#resting = false;
    this.#startState = null;
    this.status = null;
    this.codec = "";
    this.#turned = false;
    this.stage.paused = false;
    this.stage.play(null, false);
    this.events.left();
    this.feed = new Feed(id, own, {
      message: (message) => this.#onMessage(message),
      media: (media) => this.stage.play(media, false),
      encoded: (note) => this.stage.matcher.onEncoded(note),
      offset: (rtpOffset) => this.stage.matcher.useOffset(rtpOffset),
      restarted: () => this.#onRestart(),
      change: this.events.change,
    });
    this.events.opened(name, iconName);
    this.events.change();
  }

  /** @param {ServerMessage} message */
  #onMessage(message) {
    if (message.type === "status") this.status = message;
    if (message.type === "source") this.codec = message.codec ?? this.codec;
    this.events.message(message);
  }

  #onRestart() {
    this.stage.forgetResults();
    this.events.restarted();
  }

  /** The camera or screen of this page has ended by itself. */
  #leave() {
    this.feed?.close();
    this.feed = null;
    this.stage.play(null, false);
    this.events.left();
    if (this.capture.state) this.events.say(wordsOf(this.capture.state));
    this.events.change();
  }
}
