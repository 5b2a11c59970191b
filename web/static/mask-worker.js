// Decodes the masks of one `tracks` message off the main thread: run-length strings in, outlines out.
import { decodeMask } from "./rle.js";
import { outlines } from "./contour.js";

/** @typedef {{seq: number, masks: {id: number, size: [number, number], counts: string}[]}} MaskJob */
/** @typedef {{seq: number, outlines: [number, Float32Array[]][], failed: number}} MaskAnswer */

self.addEventListener("message", (/** @type {MessageEvent<MaskJob>} */ event) => {
  const { seq, masks } = event.data;
  /** @type {[number, Float32Array[]][]} */
  const found = [];
  let failed = 0;
  for (const { id, size, counts } of masks) {
    try {
      const cells = decodeMask(size, counts);
      if (cells) found.push([id, outlines(cells, size)]);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      failed += 1;
    }
  }
  const buffers = found.flatMap(([, lines]) => lines.map((line) => line.buffer));
  /** @type {MaskAnswer} */
  const answer = { seq, outlines: found, failed };
  self.postMessage(answer, { transfer: buffers });
});
