// Every condition in words with the way out. Pure: what to say is a table, which one applies is one function.

/** @typedef {import("./types.js").StateName} StateName */
/** @typedef {"camera" | "screen" | "demo" | "retry" | "reload" | "token" | "resume" | "streams" | "republish" | "add"} ActionName */

/**
 * @typedef {object} State
 * @property {string} title
 * @property {string} text
 * @property {[ActionName, string][]} actions the first is the one to take
 * @property {"cover" | "badge"} place `cover`: there is no picture; `badge`: beside the picture
 * @property {boolean} [busy]
 */

/** @type {Record<StateName, State>} */
export const STATES = {
  starting: { title: "Starting", text: "Looking for a picture…", actions: [], place: "cover", busy: true },
  choose: {
    title: "Point it at something",
    text: "Use your webcam, share your screen, or add a camera of your network. Then click a thing, and it is followed.",
    actions: [["camera", "Use my webcam"], ["screen", "Share my screen"], ["add", "Add a camera"], ["demo", "Play the demo"]],
    place: "cover",
  },
  no_cameras: {
    title: "No cameras yet",
    text: "Add a camera of your network by its address. Everything that is watched here stands side by side then.",
    actions: [["add", "Add a camera"], ["camera", "Use my webcam"], ["demo", "Play the demo"]],
    place: "cover",
  },
  permission_denied: {
    title: "The camera is blocked",
    text: "Your browser was told not to give it to this page. Allow the camera at the left of the address bar, then try again.",
    actions: [["camera", "Try again"], ["screen", "Share my screen"], ["demo", "Play the demo"]],
    place: "cover",
  },
  screen_denied: {
    title: "Nothing is shared",
    text: "No screen or window was chosen, or your system does not let the browser record the screen.",
    actions: [["screen", "Choose again"], ["camera", "Use my webcam"], ["demo", "Play the demo"]],
    place: "cover",
  },
  no_camera: {
    title: "No camera found",
    text: "Connect a camera, or share your screen instead.",
    actions: [["camera", "Look again"], ["screen", "Share my screen"], ["demo", "Play the demo"]],
    place: "cover",
  },
  camera_in_use: {
    title: "The camera is in use",
    text: "Another program has it. Close that program’s video, or choose another camera.",
    actions: [["camera", "Try again"], ["screen", "Share my screen"], ["demo", "Play the demo"]],
    place: "cover",
  },
  camera_failed: {
    title: "The camera did not start",
    text: "The browser could not open it. Unplug it and plug it in again, or choose another one.",
    actions: [["camera", "Try again"], ["screen", "Share my screen"], ["demo", "Play the demo"]],
    place: "cover",
  },
  unplugged: {
    title: "The camera was unplugged",
    text: "Plug it in again. What you asked to follow is kept for half a minute.",
    actions: [["camera", "Use the camera again"], ["screen", "Share my screen"], ["demo", "Play the demo"]],
    place: "cover",
  },
  insecure: {
    title: "This address may not use the camera",
    text: "Browsers give cameras to https:// and localhost only. Open this page at one of these.",
    actions: [["demo", "Play the demo"]],
    place: "cover",
  },
  no_screen_share: {
    title: "This browser cannot share a screen",
    text: "Phones usually cannot. Use the camera, or open this page on a computer.",
    actions: [["camera", "Use my webcam"], ["demo", "Play the demo"]],
    place: "cover",
  },
  screen_ended: {
    title: "Screen sharing ended",
    text: "You stopped it from the browser’s bar. What you asked to follow is kept for half a minute.",
    actions: [["screen", "Share again"], ["camera", "Use my webcam"], ["demo", "Play the demo"]],
    place: "cover",
  },
  connecting: { title: "Connecting", text: "The picture is on its way…", actions: [], place: "cover", busy: true },
  waiting: {
    title: "Waiting for the sender",
    text: "This stream has no picture at present. It starts by itself when the sender is back.",
    actions: [["streams", "Choose another"]],
    place: "cover",
    busy: true,
  },
  still: { title: "Still", text: "The picture does not change.", actions: [], place: "badge" },
  stalled: {
    title: "Stalled",
    text: "No new picture for a while.",
    actions: [["retry", "Connect again"]],
    place: "badge",
  },
  ended: {
    title: "This stream has ended",
    text: "The clip is over, or it was closed.",
    actions: [["camera", "Use my webcam"], ["demo", "Play the demo"], ["streams", "Choose another"]],
    place: "cover",
  },
  stream_gone: {
    title: "This stream is gone",
    text: "It was closed, or the server started anew without it.",
    actions: [["camera", "Use my webcam"], ["demo", "Play the demo"], ["streams", "Choose another"]],
    place: "cover",
  },
  server_gone: {
    title: "The server is gone",
    text: "It is tried again by itself. If it was stopped, start it with `onlooker demo`",
    actions: [["retry", "Try now"]],
    place: "badge",
    busy: true,
  },
  token: {
    title: "This server asks for its token",
    text: "It was printed where the server was started.",
    actions: [["token", "Enter"]],
    place: "cover",
  },
  reconnecting: {
    title: "Reconnecting",
    text: "The video connection was lost. It is made again by itself.",
    actions: [],
    place: "badge",
    busy: true,
  },
  rtc_failed: {
    title: "The video connection failed",
    text: "The server was reached, but no video got through. A firewall or VPN may block UDP; `onlooker doctor` tells more.",
    actions: [["republish", "Connect again"], ["demo", "Play the demo"]],
    place: "cover",
  },
  refused: { title: "The server said no", text: "", actions: [["retry", "Try again"], ["demo", "Play the demo"]], place: "cover" },
  version: {
    title: "This page is out of date",
    text: "The server speaks a newer version. Load the page again.",
    actions: [["reload", "Load again"]],
    place: "cover",
  },
  background: {
    title: "Back again",
    text: "Tracking went on while this tab was in the background.",
    actions: [],
    place: "badge",
  },
  paused: { title: "Paused", text: "Tracking goes on behind it.", actions: [["resume", "Resume"]], place: "badge" },
};

/**
 * What is known of the page's situation.
 * @typedef {object} Situation
 * @property {StateName | null} capture a camera or screen that could not be opened, or that ended
 * @property {boolean} connected the websocket is open
 * @property {boolean} wasConnected it has been open for this stream
 * @property {StateName | null} refused the server's final word
 * @property {boolean} hasPicture
 * @property {boolean} rtcFailed
 * @property {boolean} rtcLost the media connection is being made again
 * @property {boolean} paused
 * @property {"waiting" | "live" | "still" | "stalled" | "ended" | null} stream what the server says
 * @property {boolean} published by this page
 */

/**
 * The one condition to show, the most urgent first.
 * @param {Situation} situation
 * @returns {StateName | null}
 */
export function stateOf(situation) {
  const { capture, refused, stream } = situation;
  if (refused) return refused;
  if (capture) return capture;
  if (situation.rtcFailed) return "rtc_failed";
  if (!situation.connected && situation.wasConnected) return "server_gone";
  if (stream === "ended") return "ended";
  if (stream === "waiting" && !situation.published) return "waiting";
  if (!situation.hasPicture) return "connecting";
  if (situation.rtcLost) return "reconnecting";
  if (situation.paused) return "paused";
  if (stream === "stalled") return "stalled";
  if (stream === "still") return "still";
  return null;
}

/** @param {StateName} name */
export function wordsOf(name) {
  const { title, text } = STATES[name];
  return `${title}. ${text.replaceAll("`", "")}`;
}
