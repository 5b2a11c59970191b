// This computer's microphone: opened on request, muted at its source, heard by the server over a session of its own.
import { request } from "./api.js";
import { negotiate, watchConnection } from "./peer.js";

/** @typedef {"blocked" | "none" | "in_use" | "failed" | "unplugged" | "insecure" | "lost"} MicrophoneFault */

/** @type {Record<string, MicrophoneFault>} */
const FAULTS = {
  NotAllowedError: "blocked",
  SecurityError: "blocked",
  NotFoundError: "none",
  OverconstrainedError: "none",
  NotReadableError: "in_use",
  AbortError: "in_use",
};
/** How much of what was said the delay line can keep while the way to the server is being made. */
const LONGEST_DELAY_S = 10;
const RAMP_S = 0.01;
const CONNECTS_WITHIN_MS = 8000;

/** A microphone that could not be opened, or that ended. */
export class MicrophoneError extends Error {
  /**
   * @param {MicrophoneFault} fault
   * @param {string} detail
   */
  constructor(fault, detail) {
    super(detail);
    this.fault = fault;
  }
}

export async function listMicrophones() {
  const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  return devices.filter((device) => device.kind === "audioinput" && device.label);
}

/**
 * @param {string | null} deviceId
 * @returns {Promise<MediaStream>}
 */
async function openDevice(deviceId) {
  if (!navigator.mediaDevices) throw new MicrophoneError("insecure", "no media devices here");
  const plain = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 };
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: deviceId ? { ...plain, deviceId: { exact: deviceId } } : plain });
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
    if (deviceId && error.name === "OverconstrainedError") return openDevice(null);
    throw new MicrophoneError(FAULTS[error.name] ?? "failed", error.message);
  }
}

/**
 * The open device with what its sound runs through: meter, delay line, gate.
 *
 * The delay line is why nothing is lost of what is said while a session is still being made: the sound waits in it.
 */
class Device {
  /** @param {MediaStream} media */
  constructor(media) {
    this.media = media;
    this.openedAt = performance.now();
    this.context = new AudioContext({ latencyHint: "interactive" });
    this.analyser = this.context.createAnalyser();
    this.analyser.fftSize = 2048;
    this.samples = new Float32Array(this.analyser.fftSize);
    this.delay = this.context.createDelay(LONGEST_DELAY_S);
    this.gate = this.context.createGain();
    const out = this.context.createMediaStreamDestination();
    out.channelCount = 1;
    const source = this.context.createMediaStreamSource(media);
    source.connect(this.analyser);
    source.connect(this.delay).connect(this.gate).connect(out);
    const [track] = media.getAudioTracks();
    const [sent] = out.stream.getAudioTracks();
    if (!track || !sent) throw new MicrophoneError("failed", "no sound in it");
    this.track = track;
    this.sent = sent;
    void this.context.resume();
  }

  close() {
    for (const track of this.media.getTracks()) track.stop();
    void this.context.close();
  }
}

/** @param {MediaStream} media given back where it cannot be used */
function deviceOf(media) {
  try {
    return new Device(media);
  } catch (error) {
    for (const track of media.getTracks()) track.stop();
    throw error;
  }
}

/** The way to the server. */
class Session {
  #connection = new RTCPeerConnection();
  #location = "";
  #closed = false;
  /** @type {(error: MicrophoneError) => void} */
  #giveUp = () => undefined;

  /**
   * @param {MediaStreamTrack} track
   * @param {() => void} onLost
   */
  constructor(track, onLost) {
    this.sender = this.#connection.addTransceiver(track, { direction: "sendonly" }).sender;
    this.connected = new Promise((/** @type {(value: void) => void} */ resolve, reject) => {
      this.#giveUp = reject;
      const lost = () => {
        reject(new MicrophoneError("lost", "no way to the server"));
        onLost();
      };
      watchConnection(this.#connection, resolve, lost);
    });
    this.connected.catch(() => undefined);
  }

  /** @param {string} path */
  async start(path) {
    // Nothing is sent before somebody talks.
    await this.sender.replaceTrack(null);
    const { location } = await negotiate(this.#connection, path);
    this.#location = location;
    if (this.#closed) this.close();
    const late = new Promise((_, reject) => {
      setTimeout(() => reject(new MicrophoneError("lost", "not connected in time")), CONNECTS_WITHIN_MS);
    });
    await Promise.race([this.connected, late]);
  }

  /** Tell the server first: a session that ends by itself is no longer there to be deleted. */
  close() {
    this.#closed = true;
    this.#giveUp(new MicrophoneError("lost", "closed"));
    const end = () => this.#connection.close();
    if (this.#location) request("DELETE", this.#location, { keepalive: true }).then(end, end);
    else end();
  }
}

export class Microphone {
  /** @type {Device | null} */
  #device = null;
  /** @type {Promise<Device> | null} */
  #opening = null;
  /** @type {Session | null} */
  #session = null;
  /** @type {Promise<void> | null} */
  #connecting = null;
  #open = 0;

  /** @param {(fault: MicrophoneFault) => void} onEnded it ended by itself: the device, or the way to the server */
  constructor(onEnded) {
    this.onEnded = onEnded;
  }

  get opened() {
    return this.#device !== null;
  }

  /** When the device began to hear, on `performance.now()`'s clock. */
  get openedAt() {
    return this.#device?.openedAt ?? Infinity;
  }

  /** Which device is used at present. */
  get deviceId() {
    return this.#device?.track.getSettings().deviceId ?? null;
  }

  /** How loud it is at present, root mean square in [0, 1]; 0 while muted. */
  get level() {
    if (!this.#device) return 0;
    const { analyser, samples } = this.#device;
    analyser.getFloatTimeDomainData(samples);
    return Math.sqrt(samples.reduce((sum, value) => sum + value * value, 0) / samples.length);
  }

  /**
   * Open the device, muted. Rejects with `MicrophoneError`.
   * @param {string | null} deviceId
   */
  async open(deviceId) {
    this.#opening ??= this.#openDevice(deviceId);
    try {
      await this.#opening;
    } catch (error) {
      this.#opening = null;
      throw error;
    }
  }

  /** @param {string | null} deviceId */
  async #openDevice(deviceId) {
    const turn = ++this.#open;
    const device = deviceOf(await openDevice(deviceId));
    device.track.enabled = false;
    if (turn !== this.#open) {
      device.close();
      throw new MicrophoneError("failed", "closed meanwhile");
    }
    device.track.addEventListener("ended", () => {
      if (this.#device !== device) return;
      this.close();
      this.onEnded("unplugged");
    });
    this.#device = device;
    return device;
  }

  /**
   * Make the way to the server, unless there is one. Rejects with `MicrophoneError` or `ApiError`.
   * @param {string} path
   */
  async connect(path) {
    const connecting = (this.#connecting ??= this.#makeSession(path));
    try {
      await connecting;
    } catch (error) {
      // Unless another one is being made by now.
      if (this.#connecting === connecting) this.disconnect();
      throw error;
    }
  }

  /** @param {string} path */
  async #makeSession(path) {
    if (!this.#device) throw new MicrophoneError("failed", "not open");
    const session = new Session(this.#device.sent, () => {
      if (this.#session !== session) return;
      this.disconnect();
      this.onEnded("lost");
    });
    this.#session = session;
    await session.start(path);
  }

  /** Whether the device hears at all: muting is done here, at the source. @param {boolean} on */
  hear(on) {
    if (this.#device) this.#device.track.enabled = on;
  }

  /** Whether anything is sent, be it silence. @param {boolean} on */
  async send(on) {
    await this.#session?.sender.replaceTrack(on ? (this.#device?.sent ?? null) : null);
  }

  /** Send what was heard so long ago. @param {number} ms */
  holdBack(ms) {
    const { delay, context } = this.#device ?? {};
    delay?.delayTime.setValueAtTime(Math.min(LONGEST_DELAY_S, ms / 1000), context?.currentTime ?? 0);
  }

  /** Let sound pass, or silence in its place. @param {boolean} open */
  gate(open) {
    const { gate, context } = this.#device ?? {};
    gate?.gain.setTargetAtTime(open ? 1 : 0, context?.currentTime ?? 0, RAMP_S);
  }

  disconnect() {
    this.#session?.close();
    this.#session = null;
    this.#connecting = null;
  }

  /** Give the device back. */
  close() {
    this.#open++;
    this.disconnect();
    this.#device?.close();
    this.#device = null;
    this.#opening = null;
  }
}
