// A stream that comes from the server, by WHEP.
import { negotiate, watchConnection } from "./peer.js";
import { request } from "./api.js";

/** One WHEP session; `media` plays as soon as packets come. */
export class Viewing {
  #connection = new RTCPeerConnection();
  #location = "";
  session = "";

  /**
   * @param {() => void} onConnected
   * @param {() => void} onLost
   */
  constructor(onConnected, onLost) {
    const transceiver = this.#connection.addTransceiver("video", { direction: "recvonly" });
    this.media = new MediaStream([transceiver.receiver.track]);
    watchConnection(this.#connection, onConnected, onLost);
  }

  /** @param {string} streamId */
  async start(streamId) {
    const accepted = await negotiate(this.#connection, `/whep/${encodeURIComponent(streamId)}`);
    this.#location = accepted.location;
    this.session = accepted.session;
  }

  /** Tell the server first: a session that ends by itself is no longer there to be deleted. */
  close() {
    const end = () => this.#connection.close();
    if (this.#location) request("DELETE", this.#location, { keepalive: true }).then(end, end);
    else end();
  }
}
