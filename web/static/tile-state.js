// What a tile says of its feed. Pure.

/**
 * @typedef {object} TileSituation
 * @property {"waiting" | "live" | "still" | "stalled" | "ended"} state what the server says of the stream
 * @property {string | null} trouble why there is no picture, in the server's words
 * @property {number | null} since when the stream was last all right, unix ms
 * @property {boolean} fromPage a browser or another sender publishes it, so that nothing is tried again here
 * @property {boolean} connected this page hears of the stream
 * @property {boolean} hasPicture
 * @property {boolean} full all places for viewers are taken
 * @property {boolean} failed the video connection does not come about
 */

/**
 * @typedef {object} TileWords
 * @property {string} word
 * @property {"good" | "warn" | "bad" | ""} tone
 * @property {string} text what stands on the picture; empty where that speaks for itself
 * @property {boolean} busy something is under way
 */

/**
 * @param {TileSituation} situation
 * @param {(at: number) => string} clock words for a time
 * @returns {TileWords}
 */
export function tileWords(situation, clock) {
  const { state, trouble, since, fromPage } = situation;
  const from = since === null ? "" : ` since ${clock(since)}`;
  if (state === "ended") return { word: "ended", tone: "warn", text: trouble ?? "The video is over.", busy: false };
  if (state === "waiting" && fromPage) return { word: "waiting", tone: "warn", text: `Waiting for the sender${from}`, busy: true };
  if (trouble && (state === "waiting" || state === "stalled")) {
    return { word: "offline", tone: "bad", text: `Offline${from}. ${trouble} It is tried again by itself.`, busy: true };
  }
  if (state === "waiting") return { word: "connecting", tone: "warn", text: "", busy: true };
  if (state === "stalled") return { word: "stalled", tone: "bad", text: `No new picture${from}.`, busy: true };
  if (situation.full) {
    return { word: state, tone: "warn", text: "Stills only: all places for viewers are taken", busy: false };
  }
  if (situation.failed) return { word: "no video", tone: "bad", text: "The video connection failed. UDP may be blocked.", busy: false };
  if (!situation.connected || !situation.hasPicture) return { word: "connecting", tone: "warn", text: "", busy: true };
  return { word: state, tone: "good", text: "", busy: false };
}
