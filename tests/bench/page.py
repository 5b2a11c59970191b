"""From capture to overlay data in the page, with an engine that costs nothing: what transport and page cost.

    python -m tests.bench.page --seconds 15

Chromium publishes a fake webcam; each `tracks` message is timed against the capture time of its own frame, both in
the page's clock.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from tests.barcode import write_clip
from tests.bench.report import spread, table, write
from tests.browser import chromium, wait_for
from tests.serve import serving_process

SIZES = ((640, 480), (1280, 720))
TIMING = """
  window.latencies = [];
  const Socket = window.WebSocket;
  window.WebSocket = class extends Socket {
    constructor(...args) {
      super(...args);
      this.addEventListener("message", (event) => {
        const message = JSON.parse(event.data);
        if (message.type !== "tracks" || message.captured_unix_us === null) return;
        window.latencies.push(performance.timeOrigin + performance.now() - message.captured_unix_us / 1000);
      });
    }
  };
"""
CODEC = """
  const addTransceiver = RTCPeerConnection.prototype.addTransceiver;
  RTCPeerConnection.prototype.addTransceiver = function (track, init) {
    const transceiver = addTransceiver.call(this, track, init);
    const codecs = RTCRtpSender.getCapabilities("video").codecs;
    transceiver.setCodecPreferences(codecs.filter((one) => /CODEC|rtx/i.test(one.mimeType)));
    return transceiver;
  };
"""


def measure(url: str, codec: str, size: tuple[int, int], seconds: float, folder: Path) -> dict[str, Any]:
    clip = folder / f"{size[0]}.mjpeg"
    if not clip.exists():
        write_clip(clip, codec="mjpeg", size=size, frames=90)
    with chromium(camera=clip) as browser:
        page = browser.new_page()
        page.add_init_script(TIMING)
        page.add_init_script(CODEC.replace("CODEC", codec))
        page.goto(url)
        page.get_by_role("button", name="Use my webcam").locator("visible=true").first.click()
        wait_for(page, "window.latencies.length > 90", 30)
        page.evaluate("window.latencies.length = 0")
        page.wait_for_timeout(seconds * 1000)
        latencies = page.evaluate("window.latencies")
    row = {"codec": codec, "size": f"{size[0]}×{size[1]}", "fps": round(len(latencies) / seconds, 1)}
    return {**row, **spread(latencies)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder, serving_process("barcode") as (url, _):
        for codec in ("VP8", "H264"):
            rows += [measure(url, codec, size, options.seconds, Path(folder)) for size in SIZES]
    table("Capture to overlay data in the page, ms", rows)
    write("page", rows, options.json)


if __name__ == "__main__":
    main()
