"""Every overlay is drawn on the frame that it was computed from.

The camera's picture carries a number, the engine reads it from the decoded frame, and at each drawn frame the number
is read back from the composited canvas: they must be the same.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import httpx
import pytest
from playwright.sync_api import Page
from websockets.sync.client import connect

from tests.barcode import BarcodeEngine, picture, write_clip
from tests.browser import chromium, wait_for
from tests.server import RunningServer

PROBE = (Path(__file__).parent / "exactness.js").read_text()
# Chooses the camera's codec, and keeps its track so that the test can change the size in the middle.
CAMERA = """
  const addTransceiver = RTCPeerConnection.prototype.addTransceiver;
  RTCPeerConnection.prototype.addTransceiver = function (track, init) {
    const transceiver = addTransceiver.call(this, track, init);
    if (track.kind === "video") {
      window.cameraTrack = track;
      const codecs = RTCRtpSender.getCapabilities("video").codecs;
      transceiver.setCodecPreferences(codecs.filter((one) => /CODEC|rtx/i.test(one.mimeType)));
    }
    return transceiver;
  };
"""
SIZE = (640, 480)
SECONDS = 8
SETTLED_MS = 1000
DRAWN = 0.90
"""Of the frames that came."""
TAKES = 3
"""How many of the pictures that come are drawn is a matter of the machine too, and of chance: where the pictures come
just before the browser composes, it tells the page of 85 % of them. One take of these must do, each in a browser of
its own. Each of them must be exact."""
OTHER_SIZE = """() => {
  const { width } = window.cameraTrack.getSettings();
  const [w, h] = width === 640 ? [480, 360] : [640, 480];
  return window.cameraTrack.applyConstraints({ width: { exact: w }, height: { exact: h } });
}"""


@dataclass
class Listener:
    """A client of its own, which notes every frame that was annotated."""

    url: str
    labels: dict[int, str]
    stop: threading.Event

    def run(self) -> None:
        with connect(self.url, subprotocols=["onlooker.v1"], compression=None) as socket:  # type: ignore[list-item]
            while not self.stop.is_set():
                message = json.loads(socket.recv(timeout=20))
                if message["type"] == "tracks":
                    self.labels[message["rtp"]] = message["tracks"][0]["label"]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips whose frames carry their numbers: for the fake camera, and as files in both codecs."""
    folder = tmp_path_factory.mktemp("numbers")
    write_clip(folder / "camera.mjpeg", codec="mjpeg", size=SIZE, frames=300)
    options = {"preset": "ultrafast", "bf": "0", "g": "30"}
    write_clip(folder / "numbers.mp4", codec="libx264", size=SIZE, frames=300, options=options)
    write_clip(
        folder / "numbers.webm",
        codec="libvpx",
        size=SIZE,
        frames=300,
        options={"g": "30", "deadline": "realtime", "cpu-used": "8"},
    )
    write_resized(folder / "resized.ts")
    return folder


def write_resized(path: Path) -> None:
    """An H.264 stream that changes its size after five seconds."""
    with av.open(str(path), "w", format="mpegts") as out:
        stream = out.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for start, size in ((0, SIZE), (150, (480, 360))):
            encoder = av.CodecContext.create("libx264", "w")
            encoder.width, encoder.height, encoder.pix_fmt, encoder.framerate = *size, "yuv420p", 30
            encoder.options = {"preset": "ultrafast", "bf": "0", "g": "30", "tune": "zerolatency"}
            encoder.time_base = Fraction(1, 30)
            for number in range(start, start + 150):
                frame = av.VideoFrame.from_ndarray(picture(number, *size), format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 30)
                for packet in encoder.encode(frame):
                    packet.stream, packet.time_base = stream, Fraction(1, 30)
                    out.mux(packet)


@pytest.fixture(scope="module")
def server(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder, roots = tmp_path_factory.mktemp("server"), {"allow_roots": (str(clips),)}
    with RunningServer(folder, {"sources": roots}, engine=BarcodeEngine()) as running:
        yield running.url


def drawn_enough(
    server: str, opened: Callable[[Page], str], *, sizes: int, camera: Path | None = None, resize: bool = False
) -> None:
    """Take after take, each in a browser of its own, until enough was drawn.

    Args:
        opened: Opens the page, and returns the stream that it shows.
    """
    shares: list[float] = []
    while len(shares) < TAKES:
        with chromium(camera=camera) as browser:
            page = browser.new_page()
            page.add_init_script(PROBE)
            stream = opened(page)
            wait_for(page, "window.drawn.length > 5")
            drawn, annotated, drift = take(page, server, stream, resize=resize)
        check(drawn, drift, sizes=sizes)
        shares.append(len({frame["rtp"] for frame in drawn} & annotated.keys()) / len(annotated))
        if shares[-1] >= DRAWN:
            return
    raise AssertionError(f"too few of the received frames were drawn, take by take: {shares}")


def take(page: Page, server: str, stream: str, *, resize: bool) -> tuple[list[dict[str, Any]], dict[int, str], float]:
    """Let the page draw for some seconds.

    Returns what it drew, what was annotated meanwhile, and the drift in frames that it reports.
    """
    listener = Listener(server.replace("http", "ws") + f"/v1/streams/{stream}/live", {}, threading.Event())
    thread = threading.Thread(target=listener.run)
    thread.start()
    page.wait_for_timeout(SETTLED_MS)
    page.evaluate("window.drawn.length = 0")
    listener.labels.clear()
    page.wait_for_timeout(SECONDS * 500)
    if resize:
        page.evaluate(OTHER_SIZE)
    page.wait_for_timeout(SECONDS * 500)
    drawn = page.evaluate("window.drawn")
    annotated = dict(listener.labels)
    if not page.locator("#numbers-list").is_visible():
        page.locator("#status").click()
    drift = page.locator("#numbers-list > div", has=page.locator("dt", has_text="Drift")).locator("dd").inner_text()
    listener.stop.set()
    thread.join(30)
    return drawn, annotated, float(drift.split("·")[1].split()[0])


def published(server: str, before: set[str]) -> str:
    """The stream that the page publishes, once there is one that was not there before."""
    deadline_s = time.monotonic() + 20
    while time.monotonic() < deadline_s:
        streams = httpx.get(f"{server}/v1/streams").json()["items"]
        live = {one["id"] for one in streams if one["source"]["kind"] == "webrtc" and one["state"] == "live"}
        if live - before:
            return str((live - before).pop())
        time.sleep(0.1)
    raise AssertionError("the page published nothing")


def check(drawn: list[dict[str, Any]], reported_drift: float, *, sizes: int) -> None:
    assert len(drawn) > SECONDS * 15, f"only {len(drawn)} frames were drawn"
    synced = [frame for frame in drawn if frame["synced"]]
    unsynced = len(drawn) - len(synced)
    assert unsynced <= 0.01 * len(drawn), f"{unsynced} of {len(drawn)} frames were unsynced"
    exact = [frame for frame in synced if str(frame["number"]) == frame["label"]]
    wrong = [frame for frame in synced if str(frame["number"]) != frame["label"]][:5]
    assert len(exact) >= 0.99 * len(synced), f"{len(exact)} of {len(synced)} overlays are on their frame: {wrong}"
    assert len({frame["width"] for frame in drawn}) == sizes
    measured = [abs(int(frame["label"]) - frame["number"]) for frame in synced if frame["number"] is not None]
    assert abs(reported_drift - sum(measured) / len(measured)) <= 0.05, "the page reports another drift"


@pytest.mark.parametrize("codec", ["VP8", "H264"])
def test_own_camera_also_after_a_change_of_size(clips: Path, server: str, codec: str) -> None:
    def opened(page: Page) -> str:
        before = {one["id"] for one in httpx.get(f"{server}/v1/streams").json()["items"]}
        page.add_init_script(CAMERA.replace("CODEC", codec))
        page.goto(server)
        page.get_by_role("button", name="Use my webcam").locator("visible=true").first.click()
        stream = published(server, before)
        assert httpx.get(f"{server}/v1/streams/{stream}").json()["codec"] == codec
        return stream

    drawn_enough(server, opened, camera=clips / "camera.mjpeg", sizes=2, resize=True)


@pytest.mark.parametrize(("clip", "codec"), [("numbers.webm", "VP8"), ("numbers.mp4", "H264"), ("resized.ts", "H264")])
def test_a_watched_stream_also_after_a_change_of_size(clips: Path, server: str, clip: str, codec: str) -> None:
    stream = clip.replace(".", "-")
    source = {"kind": "file", "path": str(clips / clip), "loop": True}
    httpx.post(f"{server}/v1/streams", json={"id": stream, "source": source}).raise_for_status()

    def opened(page: Page) -> str:
        page.goto(f"{server}/#stream/{stream}")
        return stream

    try:
        drawn_enough(server, opened, sizes=2 if clip == "resized.ts" else 1)
        assert httpx.get(f"{server}/v1/streams/{stream}").json()["codec"] == codec
    finally:
        httpx.delete(f"{server}/v1/streams/{stream}").raise_for_status()
