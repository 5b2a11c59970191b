// This computer's camera or screen over its life: opened on request, gone when it is unplugged or stopped.
import { CaptureError, facesUser, openCamera, openScreen } from "./publish.js";

/** @typedef {import("./types.js").StateName} StateName */

/** @type {Record<string, string>} */
const SURFACES = { monitor: "Screen", window: "Window", browser: "Browser tab" };

export class Capture {
  /** @type {MediaStream | null} */
  media = null;
  /** @type {"camera" | "screen" | null} */
  kind = null;
  /** @type {StateName | null} why there is none */
  state = null;

  /**
   * @param {import("./settings.js").Settings} settings
   * @param {() => void} onEnded
   */
  constructor(settings, onEnded) {
    this.settings = settings;
    this.onEnded = onEnded;
  }

  get facesUser() {
    return this.kind === "camera" && this.media !== null && facesUser(this.media);
  }

  get name() {
    const track = this.media?.getVideoTracks()[0];
    // A shared screen's label is an identifier of the browser's own.
    if (this.kind === "screen") return SURFACES[track?.getSettings().displaySurface ?? ""] ?? "Screen";
    return track?.label || "Webcam";
  }

  /** Which camera is used at present. */
  get deviceId() {
    return (this.kind === "camera" && this.media?.getVideoTracks()[0]?.getSettings().deviceId) || null;
  }

  /**
   * @param {"camera" | "screen"} kind
   * @returns {Promise<MediaStream | null>} null where it was refused: `state` says why
   */
  async open(kind) {
    const [width = 1280, height = 720] = this.settings.get("size").split("x").map(Number);
    try {
      const media = await (kind === "screen" ? openScreen() : openCamera({ deviceId: this.settings.get("camera"), width, height }));
      this.media = media;
      this.kind = kind;
      this.state = null;
      media.getVideoTracks()[0]?.addEventListener("ended", () => this.#onEnded(media));
      return media;
    } catch (error) {
      if (!(error instanceof CaptureError)) throw error;
      this.state = error.state;
      return null;
    }
  }

  forget() {
    this.media = null;
    this.kind = null;
    this.state = null;
  }

  /** @param {MediaStream} media */
  #onEnded(media) {
    if (this.media !== media) return;
    this.state = this.kind === "screen" ? "screen_ended" : "unplugged";
    this.onEnded();
  }
}
