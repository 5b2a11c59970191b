// Outlines of masks, decoded beside the main thread by one worker for all pictures of the page.

/** @typedef {import("./mask-worker.js").MaskAnswer} MaskAnswer */

/** @type {Worker | null} */
let worker = null;
let jobs = 0;
/** @type {Map<number, (outlines: Map<number, Float32Array[]>) => void>} */
const waiting = new Map();

function open() {
  const opened = new Worker(new URL("./mask-worker.js", import.meta.url), { type: "module" });
  opened.addEventListener("message", (/** @type {MessageEvent<MaskAnswer>} */ { data }) => {
    waiting.get(data.seq)?.(new Map(data.outlines));
    waiting.delete(data.seq);
  });
  // It could not be loaded, as while the server starts again: pictures go on, and the next mask tries anew.
  opened.addEventListener("error", () => {
    opened.terminate();
    if (worker === opened) worker = null;
    const left = [...waiting.values()];
    waiting.clear();
    for (const take of left) take(new Map());
  });
  return opened;
}

/**
 * Decode one update's masks; `take` is called at once where there is none.
 * @param {import("./types.js").Track[]} tracks
 * @param {(outlines: Map<number, Float32Array[]>) => void} take by track id, points in [0, 1]
 */
export function outlinesOf(tracks, take) {
  const masks = tracks.flatMap(({ id, mask }) => (mask ? [{ id, size: mask.size, counts: mask.counts }] : []));
  if (!masks.length) return take(new Map());
  worker ??= open();
  waiting.set(++jobs, take);
  worker.postMessage({ seq: jobs, masks });
}
