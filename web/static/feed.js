// One stream as this page uses it: its media (published or watched), its websocket, and getting both back.
import { ApiError } from "./api.js";
import { Live, LiveError } from "./live.js";
import { Publication } from "./publish.js";
import { Viewing } from "./watch.js";

/** @typedef {import("./types.js").StateName} StateName */
/** @typedef {import("./types.js").ServerMessage} ServerMessage */

/**
 * @typedef {object} FeedEvents
 * @property {(message: ServerMessage) => void} message
 * @property {(media: MediaStream) => void} media pictures of a watched stream
 * @property {(note: import("./publish.js").EncodedNote) => void} encoded
 * @property {(rtpOffset: number) => void} offset of the watched stream's RTP timestamps
 * @property {() => void} restarted the server is another one than before
 * @property {() => void} change the situation changed
 */

const ID_KEY = "onlooker.stream";
const ETAG_KEY = "onlooker.etag";
const RTC_TRIES = 2;
const GONE_TRIES = 6;
const OFFSET_WITHIN_MS = 20_000;

/** This tab's own stream id. */
export function ownStreamId() {
  const kept = sessionStorage.getItem(ID_KEY);
  if (kept) return kept;
  const letters = "abcdefghijklmnopqrstuvwxyz0123456789";
  const random = crypto.getRandomValues(new Uint8Array(8));
  const id = `cam-${[...random].map((value) => letters[value % letters.length]).join("")}`;
  sessionStorage.setItem(ID_KEY, id);
  return id;
}

export class Feed {
  connected = false;
  wasConnected = false;
  rtcFailed = false;
  /** The media connection was there, and is being made again. */
  rtcLost = false;
  /** @type {StateName | null} */
  refused = null;
  /** @type {ApiError | null} the server's words, where it refused */
  error = null;
  /** @type {string | null} */
  boot = null;
  /** @type {Live | null} */
  live = null;
  session = "";
  #media = /** @type {Publication | Viewing | null} */ (null);
  #closed = false;
  #rtcTries = 0;
  #goneTries = 0;
  #timer = 0;

  /**
   * @param {string} id
   * @param {{media: MediaStream, screen: boolean, codec: string | null} | null} own what this page publishes
   * @param {FeedEvents} events
   */
  constructor(id, own, events) {
    this.id = id;
    this.own = own;
    this.events = events;
    if (!own) this.#openLive();
    this.connectMedia();
  }

  /** Open the media again, at once. */
  async connectMedia() {
    clearTimeout(this.#timer);
    this.#media?.close();
    this.#media = null;
    this.rtcFailed = false;
    this.refused = null;
    this.events.change();
    try {
      await (this.own ? this.#publish(this.own) : this.#watch());
    } catch (error) {
      if (this.#closed) return;
      if (!(error instanceof ApiError) && !(error instanceof DOMException)) throw error;
      this.#onMediaError(error);
    }
  }

  retry() {
    this.#rtcTries = this.#goneTries = 0;
    if (this.live && !this.refused) this.live.retry();
    if (this.rtcFailed || this.refused || !this.#media) this.connectMedia();
    if (!this.own && !this.live) this.#openLive();
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.live?.close();
    this.#media?.close();
    for (const track of this.own?.media.getTracks() ?? []) track.stop();
  }

  /** @param {{media: MediaStream, screen: boolean, codec: string | null}} own */
  async #publish({ media, screen, codec }) {
    const publication = new Publication(media, {
      screen,
      codec,
      onEncoded: this.events.encoded,
      onConnected: () => this.#onConnected(publication),
      onLost: () => this.#onLost(publication),
    });
    this.#media = publication;
    try {
      await publication.start(this.id, sessionStorage.getItem(ETAG_KEY));
    } catch (error) {
      const taken = error instanceof ApiError && error.status === 409;
      if (!taken || this.#rtcTries++ > 0) throw error;
      // Another tab made from this one has the same id.
      sessionStorage.removeItem(ID_KEY);
      sessionStorage.removeItem(ETAG_KEY);
      this.id = ownStreamId();
      return this.connectMedia();
    }
    if (this.#closed || this.#media !== publication) return publication.close();
    if (publication.etag) sessionStorage.setItem(ETAG_KEY, publication.etag);
    if (!this.live) this.#openLive();
  }

  async #watch() {
    const viewing = new Viewing(() => this.#onConnected(viewing), () => this.#onLost(viewing));
    this.#media = viewing;
    await viewing.start(this.id);
    if (this.#closed || this.#media !== viewing) return viewing.close();
    this.session = viewing.session;
    this.error = null;
    this.events.media(viewing.media);
    this.#askOffset();
  }

  /** How this viewer's RTP timestamps differ from the publisher's; known after the first picture of each epoch. */
  async #askOffset() {
    const { session, live } = this;
    if (!session || !live || !this.connected) return;
    try {
      const view = await live.ask({ type: "view", session }, OFFSET_WITHIN_MS);
      if (this.session === session) this.events.offset(view.rtp_offset);
    } catch (error) {
      if (!(error instanceof LiveError)) throw error;
      const stillWanted = !this.#closed && this.session === session && this.live === live;
      if (stillWanted && error.code === "busy") this.#askOffset();
    }
  }

  /** @param {ApiError | DOMException} error */
  #onMediaError(error) {
    const status = error instanceof ApiError ? error.status : -1;
    this.error = error instanceof ApiError ? error : null;
    if (status === 401) this.refused = "token";
    else if (status === 0 || status === 503 || status === 409) this.#later();
    else if (status === 404) this.#onGone();
    else if (status > 0) this.refused = "refused";
    else this.rtcFailed = true;
    this.events.change();
  }

  /** @param {Publication | Viewing} media */
  #onConnected(media) {
    if (this.#closed || this.#media !== media) return;
    this.#rtcTries = 0;
    this.rtcLost = false;
    this.events.change();
  }

  /** @param {Publication | Viewing} media */
  #onLost(media) {
    if (this.#closed || this.#media !== media) return;
    this.rtcLost = this.#rtcTries < RTC_TRIES;
    if (this.rtcLost) this.#later();
    else this.rtcFailed = true;
    this.events.change();
  }

  #later() {
    clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => this.connectMedia(), Math.min(8000, 500 * 2 ** this.#rtcTries));
    this.#rtcTries = Math.min(this.#rtcTries + 1, RTC_TRIES);
  }

  #openLive() {
    this.live?.close();
    this.live = new Live(this.id, {
      message: (message) => this.#onMessage(message),
      lost: () => {
        this.connected = false;
        this.events.change();
      },
      refused: (code) => this.#onRefused(code),
    });
  }

  /** @param {ServerMessage} message */
  #onMessage(message) {
    if (message.type === "hello") {
      const restarted = this.boot !== null && this.boot !== message.boot;
      this.boot = message.boot;
      this.connected = this.wasConnected = true;
      this.#goneTries = 0;
      this.refused = null;
      if (restarted) this.events.restarted();
      // What kept the server away may have kept the video away as well.
      if (restarted || this.rtcFailed) {
        this.#rtcTries = 0;
        this.connectMedia();
      }
      this.#askOffset();
      this.events.change();
    }
    // The sender's clock began anew.
    if (message.type === "source" && message.change === "connected") this.#askOffset();
    this.events.message(message);
  }

  /** @param {number} code */
  #onRefused(code) {
    this.connected = false;
    this.live?.close();
    this.live = null;
    if (code === 4404) this.#onGone();
    else this.refused = code === 4401 ? "token" : code === 4406 ? "version" : "refused";
    this.events.change();
  }

  /** The server does not know this stream: publish it anew, or wait a little for it after a restart. */
  #onGone() {
    if (this.own && this.own.media.active && this.#goneTries++ < GONE_TRIES) {
      sessionStorage.removeItem(ETAG_KEY);
      if (this.boot !== null) this.events.restarted();
      this.boot = null;
      this.#later();
    } else if (!this.own && this.wasConnected && this.#goneTries++ < GONE_TRIES) {
      clearTimeout(this.#timer);
      this.#timer = window.setTimeout(() => {
        this.#openLive();
        this.connectMedia();
      }, 1000);
    } else this.refused = "stream_gone";
  }
}
