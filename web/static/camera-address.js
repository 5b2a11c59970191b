// What somebody types or pastes as a camera's address, as a source of the API. Pure.

/**
 * @typedef {object} CameraForm
 * @property {string} address
 * @property {string} username
 * @property {string} password
 * @property {string} transport `tcp` or `udp`
 * @property {boolean} anyCertificate whether the certificate may be anyone's
 */

/** @typedef {{kind: string, verify_tls?: boolean} & Partial<Record<"url" | "path" | "device" | "username" | "password" | "transport", string>>} CameraSource */

const SCHEME = /^([a-z][a-z0-9+.-]*):\/\//i;
/** @type {Record<string, string>} */
const KINDS = { rtsp: "rtsp", rtsps: "rtsp", http: "http", https: "http" };

/**
 * An address without the credentials that were pasted in it, and these.
 * @param {string} text
 */
export function splitAddress(text) {
  const address = text.trim();
  const scheme = SCHEME.exec(address)?.[0] ?? "";
  const end = address.indexOf("/", scheme.length);
  const authority = address.slice(scheme.length, end < 0 ? undefined : end);
  // A password may hold an @ that nobody has escaped.
  const at = authority.lastIndexOf("@");
  if (!scheme || at < 0) return { address, username: "", password: "" };
  const credentials = authority.slice(0, at);
  const colon = credentials.indexOf(":");
  const rest = end < 0 ? "" : address.slice(end);
  return {
    address: scheme + authority.slice(at + 1) + rest,
    username: decoded(colon < 0 ? credentials : credentials.slice(0, colon)),
    password: colon < 0 ? "" : decoded(credentials.slice(colon + 1)),
  };
}

/** Kinds whose address can be changed as it is shown. */
const SHOWN_WHOLE = new Set(["rtsp", "http", "mjpeg", "v4l2"]);

/** @param {string} kind of a stream's source */
export const isCamera = (kind) => SHOWN_WHOLE.has(kind);

/** @param {string} address */
export const isRtsp = (address) => kindOf(address) === "rtsp";

/** @param {string} address */
export const isOverTls = (address) => /^\s*(rtsps|https):\/\//i.test(address);

/**
 * @param {CameraForm} form
 * @returns {CameraSource | null} null where the address is of no kind that is known
 */
export function sourceOf({ address, username, password, transport, anyCertificate }) {
  const kind = kindOf(address);
  if (!kind) return null;
  if (kind === "v4l2") return { kind, device: address.trim() };
  if (kind === "file" || kind === "folder") return { kind, path: address.trim() };
  const url = SCHEME.test(address.trim()) ? address.trim() : `rtsp://${address.trim()}`;
  return {
    kind,
    url,
    ...(username ? { username } : {}),
    ...(password ? { password } : {}),
    ...(kind === "rtsp" ? { transport } : {}),
    ...(isOverTls(url) ? { verify_tls: !anyCertificate } : {}),
  };
}

/** @param {string} text */
function kindOf(text) {
  const address = text.trim();
  const scheme = SCHEME.exec(address)?.[1]?.toLowerCase();
  if (scheme) return KINDS[scheme] ?? null;
  if (/^\/dev\/video\d+$/.test(address)) return "v4l2";
  if (/^([\w-]+\.)+[\w-]+(:\d+)?(\/\S*)?$/.test(address) && !/\.(mp4|mkv|webm|mov|avi|ts|m4v)$/i.test(address)) return "rtsp";
  return address ? (address.endsWith("/") ? "folder" : "file") : null;
}

/** @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/**
 * What a camera was found to send, in a line.
 * @param {import("./types.js").ProbeResult} found
 */
export function probeWords({ codecs, width, height, fps }) {
  const names = codecs.map((codec) => codec.toUpperCase().replace(/^H264$/, "H.264").replace(/^(HEVC|H265)$/, "H.265"));
  return [names.join(" + "), `${width} × ${height}`, fps ? `${Math.round(fps)} pictures a second` : ""].filter(Boolean).join(" · ");
}
