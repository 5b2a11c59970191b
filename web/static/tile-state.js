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
 * @property {string | null} failed why no video comes here, though there is some
 */

/**
 * @typedef {object} TileWords
 * @property {string} word
 * @property {"good" | "warn" | "bad" | ""} tone
 * @property {string} text what stands on the picture; empty where that speaks for itself
 * @property {string} detail in smaller letters under it
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
  if (state === "ended") return said("ended", "warn", "The video is over", trouble ?? "");
  if (state === "waiting" && fromPage) return said("waiting", "warn", "Waiting for the sender", "", true);
  if (trouble && (state === "waiting" || state === "stalled")) {
    return said("offline", "bad", `Offline${from}`, `${trouble} It is tried again by itself.`, true);
  }
  if (state === "waiting") return said("connecting", "warn", "", "", true);
  if (state === "stalled") return said("stalled", "bad", `No new picture${from}`, "", true);
  if (situation.full) return said(state, "warn", "Stills only", "All places for viewers are taken.");
  if (situation.failed) return said("no video", "bad", "The video connection failed", situation.failed);
  if (!situation.connected || !situation.hasPicture) return said("connecting", "warn", "", "", true);
  return said(state, "good");
}

/**
 * @param {string} word
 * @param {TileWords["tone"]} tone
 * @returns {TileWords}
 */
const said = (word, tone, text = "", detail = "", busy = false) => ({ word, tone, text, detail, busy });
