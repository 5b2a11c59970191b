// The measured truth of the page, in the status line and in a small panel: rate, latency, drift, drops.
import { make } from "./dom.js";

/**
 * @typedef {object} Readings
 * @property {import("./stage.js").Stage["report"]} report
 * @property {import("./stage.js").Stage["counts"]} counts
 * @property {import("./types.js").Status | null} status
 * @property {boolean} local
 * @property {boolean} zeroDelay
 * @property {string} codec
 */

/** @type {Record<import("./sync.js").Rung, string>} */
const RUNGS = {
  report: "sender report",
  transform: "encoded-frame timestamp",
  calibrated: "calibrated presentation time",
  remote: "RTP timestamp",
  none: "none yet",
};

/** @param {number} value */
const ms = (value) => (Number.isFinite(value) ? `${value < 10 ? value.toFixed(1) : Math.round(value)} ms` : "–");

/**
 * The one line at the top.
 * @param {Readings} readings
 */
export function summary({ report, status, local, zeroDelay }) {
  const latency = local ? report.latencyMs.p50 : (status?.latency_ms.p50 ?? NaN);
  const sync = zeroDelay ? "live picture" : report.synced ? "exact" : "unsynced";
  return { rate: `${report.fps} fps`, latency: ms(latency), sync };
}

/** @param {Record<string, number>} [counts] */
const counted = (counts = {}) => Object.entries(counts).filter(([, count]) => count > 0).map(([what, count]) => `${what} ${count}`).join(" · ");

/**
 * Name, value and explanation of each line of the panel.
 * @param {Readings} readings
 * @returns {[string, string, string][]}
 */
export function lines({ report, counts, status, local, codec }) {
  const overlayed = Math.max(1, counts.drawn);
  const [drops, skipped] = [counted(status?.drops), counted(status?.skipped)];
  /** @type {[string, string, string][]} */
  const rows = [
    ["Picture", `${report.fps} fps shown · ${Math.round(status?.fps_in ?? 0)} in · ${Math.round(status?.fps_out ?? 0)} tracked`, "Frames a second on screen, received by the server, and tracked"],
    ["Capture → overlay", local ? `${ms(report.latencyMs.p50)} · p95 ${ms(report.latencyMs.p95)}` : "seen on the sender’s page only", "From the camera to the masks being here"],
    ["Server", `${ms(status?.latency_ms.p50 ?? NaN)} · p95 ${ms(status?.latency_ms.p95 ?? NaN)}`, "From the last packet of a frame to its result"],
    ["Held back", ms(report.delayMs), "The picture waits so long for its own overlay"],
    ["Drift", `${ms(report.driftMs.p95)} · ${Number.isFinite(report.driftFrames) ? report.driftFrames : "–"} frames`, "Between the overlay’s frame and the picture’s, p95"],
    ["Unsynced", `${((100 * counts.unsynced) / overlayed).toFixed(1)} %`, "Share of pictures drawn with another frame’s overlay"],
    ["Matched by", RUNGS[report.rung], "How results find their frames"],
    ["Engine", status ? `${status.engine.name} on ${status.engine.device}` : "–", "What tracks"],
  ];
  if (codec) rows.push(["Codec", codec, "What carries the picture"]);
  rows.push(["Dropped", drops || "nothing", "Frames given up, by stage"]);
  if (skipped) rows.push(["Skipped", skipped, "Frames that nobody wanted tracked, by reason"]);
  for (const rule of status?.policy ?? []) rows.push(["At present", rule, "What is done otherwise than usual, and why"]);
  return rows;
}

/**
 * @param {HTMLElement} list a definition list
 * @param {[string, string, string][]} rows
 */
export function showLines(list, rows) {
  rows.forEach(([name, value, why], index) => {
    const row = list.children[index] ?? list.appendChild(make("div", "number", make("dt"), make("dd")));
    const [term, detail] = row.children;
    if (term && term.textContent !== name) term.textContent = name;
    if (detail && detail.textContent !== value) detail.textContent = value;
    if (row instanceof HTMLElement) row.title = why;
  });
  while (list.childElementCount > rows.length) list.lastElementChild?.remove();
}
