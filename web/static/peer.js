// The part of WHIP and WHEP that both share: one offer with all candidates, one answer, one address to end it.
import { request } from "./api.js";

const GATHERING_MS = 1500;

/** @typedef {{session: string, location: string, etag: string | null}} Accepted */

/** @param {RTCPeerConnection} connection */
function gathered(connection) {
  return new Promise((/** @type {(value: void) => void} */ resolve) => {
    if (connection.iceGatheringState === "complete") return resolve();
    const timer = setTimeout(resolve, GATHERING_MS);
    connection.addEventListener("icegatheringstatechange", () => {
      if (connection.iceGatheringState !== "complete") return;
      clearTimeout(timer);
      resolve();
    });
  });
}

/**
 * Offer, wait for the answer and apply it.
 * @param {RTCPeerConnection} connection
 * @param {string} path
 * @param {Record<string, string>} [headers]
 * @returns {Promise<Accepted>}
 */
export async function negotiate(connection, path, headers = {}) {
  await connection.setLocalDescription();
  await gathered(connection);
  const response = await request("POST", path, {
    body: connection.localDescription?.sdp ?? "",
    headers: { "Content-Type": "application/sdp", Accept: "application/sdp", ...headers },
  });
  const location = response.headers.get("Location") ?? "";
  await connection.setRemoteDescription({ type: "answer", sdp: await response.text() });
  return { location, session: location.split("/").pop() ?? "", etag: response.headers.get("ETag") };
}

/**
 * Tell when media can flow, and of the connection's end: `failed`, or `disconnected` for longer than a hiccup.
 * @param {RTCPeerConnection} connection
 * @param {() => void} onConnected
 * @param {() => void} onLost
 */
export function watchConnection(connection, onConnected, onLost) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  connection.addEventListener("connectionstatechange", () => {
    clearTimeout(timer);
    if (connection.connectionState === "connected") onConnected();
    if (connection.connectionState === "failed") onLost();
    if (connection.connectionState === "disconnected") timer = setTimeout(onLost, 3000);
  });
}
