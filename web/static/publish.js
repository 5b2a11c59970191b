// The page's own camera or screen: opened with words for every failure, and published by WHIP.
import { negotiate, watchConnection } from "./peer.js";
import { ApiError, request } from "./api.js";

/** @typedef {import("./types.js").StateName} StateName */
/** @typedef {{rtp: number, captureUnixMs: number | null, seenUnixMs: number}} EncodedNote */

/** A camera or screen that could not be opened; `state` names the page's state for it. */
export class CaptureError extends Error {
  /**
   * @param {StateName} state
   * @param {string} detail
   */
  constructor(state, detail) {
    super(detail);
    this.state = state;
  }
}

/** @type {Record<string, StateName>} */
const CAMERA_STATES = {
  NotAllowedError: "permission_denied",
  SecurityError: "permission_denied",
  NotFoundError: "no_camera",
  OverconstrainedError: "no_camera",
  NotReadableError: "camera_in_use",
  AbortError: "camera_in_use",
};

export async function listCameras() {
  const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  return devices.filter((device) => device.kind === "videoinput");
}

/**
 * @param {{deviceId: string | null, width: number, height: number}} wish
 * @returns {Promise<MediaStream>}
 */
export async function openCamera({ deviceId, width, height }) {
  if (!navigator.mediaDevices) throw new CaptureError("insecure", "no media devices here");
  /** @type {MediaTrackConstraints} */
  const video = { width: { ideal: width }, height: { ideal: height }, frameRate: { ideal: 30 } };
  if (deviceId) video.deviceId = { exact: deviceId };
  try {
    return await navigator.mediaDevices.getUserMedia({ video });
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
    if (deviceId && error.name === "OverconstrainedError") return openCamera({ deviceId: null, width, height });
    throw new CaptureError(CAMERA_STATES[error.name] ?? "camera_failed", error.message);
  }
}

/** @returns {Promise<MediaStream>} */
export async function openScreen() {
  if (!navigator.mediaDevices?.getDisplayMedia) throw new CaptureError("no_screen_share", "not offered here");
  try {
    return await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: { ideal: 30 } } });
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
    const state = error.name === "NotAllowedError" ? "screen_denied" : "no_screen_share";
    throw new CaptureError(state, error.message);
  }
}

/** Whether the browser says that this camera looks at its user. */
export function facesUser(/** @type {MediaStream} */ media) {
  return media.getVideoTracks()[0]?.getSettings().facingMode === "user";
}

/** One WHIP session. */
export class Publication {
  #connection = new RTCPeerConnection();
  #worker = /** @type {Worker | null} */ (null);
  #location = "";
  etag = /** @type {string | null} */ (null);

  /**
   * @param {MediaStream} media
   * @param {{screen: boolean, codec: string | null, onEncoded: (note: EncodedNote) => void, onConnected: () => void, onLost: () => void}} options
   */
  constructor(media, options) {
    const track = media.getVideoTracks()[0];
    if (!track) throw new CaptureError("camera_failed", "no video in it");
    track.contentHint = options.screen ? "detail" : "motion";
    const transceiver = this.#connection.addTransceiver(track, {
      direction: "sendonly",
      streams: [media],
      sendEncodings: [{ maxBitrate: 4_000_000, maxFramerate: 30 }],
    });
    // In the same turn as addTransceiver, or it sees no frames.
    this.#observe(transceiver.sender, options.onEncoded);
    if (options.codec) preferCodec(transceiver, options.codec);
    this.sender = transceiver.sender;
    watchConnection(this.#connection, options.onConnected, options.onLost);
  }

  /**
   * @param {string} streamId
   * @param {string | null} previous ETag of this page's earlier session, which may still hold the stream
   */
  async start(streamId, previous) {
    const path = `/whip/${encodeURIComponent(streamId)}`;
    const accepted = await negotiate(this.#connection, path, previous ? { "If-Match": previous } : {}).catch((error) => {
      // The earlier session is long gone: nothing to match.
      if (previous && error instanceof ApiError && error.status === 412) return negotiate(this.#connection, path);
      throw error;
    });
    this.#location = accepted.location;
    this.etag = accepted.etag;
    const parameters = this.sender.getParameters();
    parameters.degradationPreference = "maintain-resolution";
    await this.sender.setParameters(parameters).catch(() => undefined);
  }

  /** Tell the server first: a session that ends by itself is no longer there to be deleted. */
  close() {
    const end = () => this.#connection.close();
    if (this.#location) request("DELETE", this.#location, { keepalive: true }).then(end, end);
    else end();
    this.#worker?.terminate();
  }

  /**
   * @param {RTCRtpSender} sender
   * @param {(note: EncodedNote) => void} onEncoded
   */
  #observe(sender, onEncoded) {
    if (typeof RTCRtpScriptTransform === "undefined") return;
    this.#worker = new Worker(new URL("./transform-worker.js", import.meta.url), { type: "module" });
    this.#worker.addEventListener("message", (event) => onEncoded(event.data));
    sender.transform = new RTCRtpScriptTransform(this.#worker);
  }
}

/**
 * @param {RTCRtpTransceiver} transceiver
 * @param {string} name such as `VP8` or `H264`
 */
function preferCodec(transceiver, name) {
  const codecs = RTCRtpSender.getCapabilities("video")?.codecs ?? [];
  const wanted = codecs.filter((codec) => codec.mimeType.toLowerCase() === `video/${name.toLowerCase()}`);
  const repair = codecs.filter((codec) => /rtx|red|ulpfec/i.test(codec.mimeType));
  if (wanted.length) transceiver.setCodecPreferences([...wanted, ...repair]);
}
