"""The light engine on a live camera: from capture to annotation, over the real network path.

    python -m tests.bench.live --objects 1 3 8 --seconds 20 [--browser]

A clip of moving things, compressed beforehand at 640×480 and 30 pictures a second, is published by WHIP from a
process of its own; the server runs in another; this one listens on the websocket and clicks the things.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import httpx
import psutil
from websockets.asyncio.client import ClientConnection, connect

from tests.bench.crowd import crowd
from tests.bench.report import spread, table, write
from tests.browser import chromium_path
from tests.quality.scenes import Scene, inner_point
from tests.serve import serving_process

FPS = 30
PEOPLE = Path(__file__).parents[2] / "stream" / "data" / "walking.mp4"
STREAM = "bench"
START_S = 8.0
"""Until a browser has started and shows the stream."""
PAUSE_S = 1.0
"""Between two asks, as between two of a person's."""


def write_scene(scene: Scene, path: Path) -> None:
    """The scene, there and back again so that it loops without a jump, as H.264 with a keyframe a second."""
    with av.open(str(path), "w") as out:
        options = {"preset": "veryfast", "bf": "0", "g": "30", "crf": "20", "tune": "zerolatency"}
        stream = out.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
        order = [*range(scene.frames), *range(scene.frames - 2, 0, -1)]
        for number, k in enumerate(order):
            frame = av.VideoFrame.from_ndarray(scene.bgr(k), format="bgr24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


class Client:
    """A websocket client that notes when each annotation came, in the clock that the publisher stamps with."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.updates: list[tuple[float, dict[str, Any]]] = []
        self.status: dict[str, Any] = {}
        self.news = asyncio.Event()

    async def listen(self) -> None:
        async for raw in self.socket:
            message = json.loads(raw)
            if message["type"] == "tracks":
                self.updates.append((time.time(), message))
            elif message["type"] == "status":
                self.status = message
            self.news.set()

    @property
    def newest(self) -> dict[str, Any]:
        return self.updates[-1][1]

    async def until(self, check: Any, timeout_s: float = 30.0) -> None:
        async with asyncio.timeout(timeout_s):
            while not check():
                self.news.clear()
                await self.news.wait()

    async def ask(self, **message: Any) -> None:
        await self.socket.send(json.dumps(message))


def clip_frame(message: dict[str, Any], frames: int) -> int:
    """Which frame of the scene this picture shows."""
    position = round(message["pts"] / (90_000 / FPS)) % (2 * frames - 2)
    return position if position < frames else 2 * frames - 2 - position


async def click(client: Client, scene: Scene, identity: int) -> float:
    """Click a thing where it is in the newest annotated picture; returns the seconds until its first mask."""
    await client.until(lambda: client.updates)
    for _ in range(300):
        seen = client.newest
        mask = scene.truth(clip_frame(seen, scene.frames)).masks.get(identity)
        if mask is not None and mask.sum() > 400:
            break
        await asyncio.sleep(0.03)
    assert mask is not None, "the thing was never in the picture"
    x, y = inner_point(mask)
    known = {track["id"] for track in seen["tracks"]}
    frame = {"epoch": seen["epoch"], "rtp": seen["rtp"]}
    started_s = time.monotonic()
    point = {"x": x / 640, "y": y / 480, "positive": True}
    await client.ask(type="prompt.add", ref="c", kind="points", points=[point], frame=frame)
    await client.until(lambda: any(t["mask"] for t in client.newest["tracks"] if t["id"] not in known))
    return time.monotonic() - started_s


async def word(client: Client, text: str) -> float:
    """Ask by word; returns the seconds until the first mask of any thing that it names."""
    started_s = time.monotonic()
    known = {track["id"] for track in client.newest["tracks"]}
    await client.ask(type="prompt.add", ref="w", kind="text", text=text)
    await client.until(lambda: any(t["mask"] for t in client.newest["tracks"] if t["id"] not in known))
    return time.monotonic() - started_s


async def forget(client: Client) -> None:
    """Remove all prompts."""
    for prompt_id in {track["prompt_id"] for track in client.newest["tracks"]} - {None}:
        await client.ask(type="prompt.remove", ref="r", prompt_id=prompt_id)
    await client.until(lambda: not client.newest["tracks"])


@contextlib.asynccontextmanager
async def connected(url: str) -> AsyncIterator[Client]:
    live = f"{url.replace('http', 'ws', 1)}/v1/streams/{STREAM}/live"
    async with connect(live, subprotocols=["onlooker.v1"], compression=None, max_size=None) as socket:  # type: ignore[list-item]
        client = Client(socket)
        listening = asyncio.create_task(client.listen())
        try:
            yield client
        finally:
            listening.cancel()


@contextlib.contextmanager
def publishing(url: str, clip: Path, seconds: float) -> Iterator[None]:
    command = [sys.executable, "-m", "tests.publisher", f"{url}/whip/{STREAM}", str(clip), "--seconds", str(seconds)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline(), "the publisher did not start"
        yield
    finally:
        process.terminate()
        process.communicate(timeout=30)


@contextlib.contextmanager
def watching(url: str, enabled: bool) -> Iterator[None]:
    """A browser on the same machine that shows the stream, if wanted."""
    if not enabled:
        yield
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--mute-audio"]
        flags += [f"--user-data-dir={profile}", "--remote-debugging-port=0"]
        process = subprocess.Popen([chromium_path(), *flags, url], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            time.sleep(START_S)
            yield
        finally:
            process.terminate()
            process.wait(30)


def looks(url: str) -> int:
    """How often SAM has looked at something since the start."""
    text = httpx.get(f"{url}/metrics").text
    return sum(int(float(count)) for count in re.findall(r"onlooker_engine_jobs_total\{[^}]*\} (\S+)", text))


async def measure(url: str, pid: int, scene: Scene, objects: int, seconds: float) -> dict[str, Any]:
    async with connected(url) as client:
        await client.until(lambda: client.updates)
        clicks = [await click(client, scene, identity) for identity in scene.identities[:objects]]
        await asyncio.sleep(2)
        client.updates.clear()
        server = psutil.Process(pid)
        looks_before = looks(url)
        cpu_s, started_s = sum(server.cpu_times()[:2]), time.monotonic()
        await asyncio.sleep(seconds)
        elapsed_s = time.monotonic() - started_s
        cores = (sum(server.cpu_times()[:2]) - cpu_s) / elapsed_s
        updates = list(client.updates)
        latency = [(at - m["captured_unix_us"] / 1e6) * 1000 for at, m in updates if m["captured_unix_us"]]
        engine = [m["timings_ms"]["engine"] for _, m in updates]
        live = [sum(t["state"] == "live" and t["mask"] is not None for t in m["tracks"]) for _, m in updates]
        return {
            "objects": objects,
            "fps": round(len(updates) / elapsed_s, 1),
            "capture→annotation ms": spread(latency),
            "engine ms": spread(engine),
            "first mask ms": spread([s * 1000 for s in clicks]),
            "live objects": round(sum(live) / max(1, len(live)), 2),
            "SAM a second": round((looks(url) - looks_before) / elapsed_s, 1),
            "drops": client.status.get("drops", {}),
            "server cores": round(cores, 2),
        }


async def first_clicks(url: str, scene: Scene, times: int) -> dict[str, Any]:
    """Clicks on an otherwise idle stream, one after the other."""
    async with connected(url) as client:
        await client.until(lambda: client.updates)
        clicks = []
        for turn in range(times):
            clicks.append(await click(client, scene, scene.identities[turn % len(scene.identities)]) * 1000)
            await forget(client)
            await asyncio.sleep(PAUSE_S)
        return {"asked by": "click", **spread(clicks)}


async def first_words(url: str, times: int) -> dict[str, Any]:
    """The same by word, on real people who are there all the time."""
    async with connected(url) as client:
        await client.until(lambda: client.updates)
        words = []
        for _ in range(times):
            words.append(await word(client, "person") * 1000)
            await forget(client)
            await asyncio.sleep(PAUSE_S)
        return {"asked by": "word", **spread(words)}


def run(objects: list[int], seconds: float, *, browser: bool) -> list[dict[str, Any]]:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for count in objects:
            scene, clip = crowd(count), Path(folder) / f"{count}.mp4"
            write_scene(scene, clip)
            with (
                serving_process("light") as (url, pid),
                publishing(url, clip, seconds * 3 + 60),
                watching(url, browser),
            ):
                rows.append({"browser": browser, **asyncio.run(measure(url, pid, scene, count, seconds))})
    return rows


def run_first(times: int, *, browser: bool) -> list[dict[str, Any]]:
    """Clicks and words, each on a server of its own."""
    with tempfile.TemporaryDirectory() as folder:
        scene, clip = crowd(3), Path(folder) / "clip.mp4"
        write_scene(scene, clip)
        with serving_process("light") as (url, _), publishing(url, clip, 300), watching(url, browser):
            clicks = asyncio.run(first_clicks(url, scene, times))
    with serving_process("light") as (url, _), publishing(url, PEOPLE, 300), watching(url, browser):
        words = asyncio.run(first_words(url, times))
    return [{"browser": browser, **clicks}, {"browser": browser, **words}]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, nargs="+", default=[1, 3, 8])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--clicks", type=int, default=20)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = run(options.objects, options.seconds, browser=False) + run(options.objects, options.seconds, browser=True)
    table("Capture to annotation, 640×480 at 30 a second", [_flat(row) for row in rows])
    first = run_first(options.clicks, browser=False) + run_first(options.clicks, browser=True)
    table("To the first mask, ms", first)
    write("live", rows + first, options.json)


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    return {k: f"{v['p50']} / {v['p95']}" if isinstance(v, dict) and "p50" in v else v for k, v in row.items()}


if __name__ == "__main__":
    main()
