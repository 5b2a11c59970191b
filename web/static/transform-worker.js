// Passes encoded frames through unchanged and tells the page their RTP timestamps, which name frames before the first
// sender report has reached the server.

/** @typedef {Event & {transformer: {readable: ReadableStream<any>, writable: WritableStream<any>}}} TransformEvent */

self.addEventListener("rtctransform", async (event) => {
  const { readable, writable } = /** @type {TransformEvent} */ (event).transformer;
  const reader = readable.getReader();
  const writer = writable.getWriter();
  for (;;) {
    const { value: frame, done } = await reader.read();
    if (done) return;
    const metadata = frame.getMetadata();
    self.postMessage({
      rtp: metadata.rtpTimestamp ?? frame.timestamp,
      captureUnixMs: metadata.captureTime === undefined ? null : performance.timeOrigin + metadata.captureTime,
      seenUnixMs: performance.timeOrigin + performance.now(),
    });
    await writer.write(frame);
  }
});
