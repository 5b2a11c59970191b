"""What a viewer costs: packets passed on to 1 to 20 viewers, against stock aiortc that encodes for each of two.

    python -m tests.bench.viewers [--runs 5] [--seconds 1.5] [--json FILE]

A clip of 640×360 at 30 pictures a second is the feed. The relay is a process of its own and reports its CPU time; the
viewers are in this one and count the pictures that they got whole. Ours is a stream's relay with WHEP viewers; stock
is `MediaPlayer`, `MediaRelay` and aiortc's own sender, as its examples do it. Runs alternate, ABBA; figures are
medians over the runs with the smallest and largest.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aioice.ice
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaPlayer, MediaRelay

from stream.relay import PacketRelay
from stream.sources.base import Received
from stream.sources.file import FileSource
from stream.sources.webrtc import Viewer, WebRtcConfig
from stream.types import EncodedFrame
from tests.barcode import write_clip
from tests.bench.report import percentile, table, write
from tests.peers import ViewingPeer

COUNTS = {"ours": (1, 2, 5, 10, 20), "stock": (2,)}
COMPARED = 2
LEAST_RATIO = 5.0
SIZE, RATE = (640, 360), 30
BITS = 900_000
"""A second, about as many as stock's encoder makes."""

SETTLE_S = 0.5
LINE_BYTES = 1 << 20
Answering = Callable[[str], Awaitable[str]]


# --- the relay, in a process of its own ------------------------------------------------------------------------------


class RelaySink:
    """Hands what a source delivers to a stream's relay."""

    def __init__(self) -> None:
        self.relay = PacketRelay()

    def connected(self) -> None: ...

    def lost(self, error: Any) -> None: ...

    def dropped(self, stage: str, count: int = 1) -> None: ...

    def push(self, r: Received) -> None:
        self.relay.push(EncodedFrame(r.codec, r.data, r.keyframe, 1, r.rtp, r.rtp, None, r.received_s))


@contextlib.asynccontextmanager
async def ours(clip: Path) -> AsyncIterator[Answering]:
    sink = RelaySink()
    tasks = [asyncio.create_task(FileSource(clip, loop=True).run(sink))]

    async def answer(offer: str) -> str:
        config = WebRtcConfig(addresses=("127.0.0.1",))
        viewer, sdp = await Viewer.accept(offer, "H264", config, lambda: None)
        sink.relay.add(viewer)
        tasks.append(asyncio.create_task(viewer.run()))
        return sdp

    yield answer
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def stock(clip: Path) -> AsyncIterator[Answering]:
    # All that stock gets from us is loopback, which it would never use.
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]
    video, relay = MediaPlayer(str(clip), loop=True).video, MediaRelay()
    assert video is not None
    connections: list[RTCPeerConnection] = []

    async def answer(offer: str) -> str:
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        connections.append(connection)
        connection.addTrack(relay.subscribe(video))
        await connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await connection.setLocalDescription(await connection.createAnswer())
        return str(connection.localDescription.sdp)

    yield answer
    for connection in connections:
        await connection.close()
    video.stop()


async def serve(variant: str, clip: Path) -> None:
    """Answer each offer on standard input, and an empty one with the CPU seconds used so far."""
    reader = asyncio.StreamReader(limit=LINE_BYTES)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with (ours if variant == "ours" else stock)(clip) as answer:
        while line := await reader.readline():
            offer = json.loads(line)
            print(json.dumps(await answer(offer) if offer else time.process_time()), flush=True)


# --- the viewers ------------------------------------------------------------------------------------------------------


class Relay:
    """The process under test."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ask(self, offer: str = "") -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(offer).encode() + b"\n")
        line = await self._process.stdout.readline()
        assert line, "the relay has ended"
        return json.loads(line)


@contextlib.asynccontextmanager
async def relaying(variant: str, clip: Path) -> AsyncIterator[Relay]:
    command = [sys.executable, "-m", "tests.bench.viewers", "--serve", variant, "--clip", str(clip)]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, limit=LINE_BYTES)
    try:
        yield Relay(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


async def one_run(variant: str, clip: Path, seconds: float) -> dict[int, dict[str, float]]:
    """CPU by number of viewers."""
    results: dict[int, dict[str, float]] = {}
    peers: list[ViewingPeer] = []
    async with relaying(variant, clip) as relay:
        try:
            for count in COUNTS[variant]:
                while len(peers) < count:
                    peers.append(peer := ViewingPeer("H264"))
                    await peer.take(await relay.ask(await peer.offer()))
                await asyncio.gather(*(peer.until(len(peer.got) + 1) for peer in peers))
                await asyncio.sleep(SETTLE_S)
                results[count] = await measured(relay, peers, seconds)
        finally:
            await asyncio.gather(*(peer.close() for peer in peers))
    return results


async def measured(relay: Relay, peers: list[ViewingPeer], seconds: float) -> dict[str, float]:
    for peer in peers:
        peer.got.clear()
    cpu_s, started_s = await relay.ask(), time.monotonic()
    await asyncio.sleep(seconds)
    used_s, took_s = await relay.ask() - cpu_s, time.monotonic() - started_s
    pictures = sum(len(peer.got) for peer in peers)
    sent = sum(len(picture.data) for peer in peers for picture in peer.got)
    return {
        "us": 1e6 * used_s / max(1, pictures),
        "cores": used_s / took_s,
        "fps": pictures / took_s / len(peers),
        "kbit_s": sent * 8 / 1000 / took_s / len(peers),
    }


def compare(clip: Path, runs: int, seconds: float) -> list[dict[str, Any]]:
    got: dict[tuple[str, int], list[dict[str, float]]] = {}
    for turn in range(runs):
        for variant in COUNTS if turn % 2 == 0 else reversed(COUNTS):
            for count, figures in asyncio.run(one_run(variant, clip, seconds)).items():
                got.setdefault((variant, count), []).append(figures)
    return [row(variant, count, figures) for (variant, count), figures in sorted(got.items())]


def row(variant: str, count: int, figures: list[dict[str, float]]) -> dict[str, Any]:
    costs = [one["us"] for one in figures]
    middle = {name: percentile([one[name] for one in figures], 50) for name in figures[0]}
    return {
        "variant": variant,
        "viewers": count,
        "runs": len(figures),
        "us_per_picture_and_viewer": round(middle["us"]),
        "least_us": round(min(costs)),
        "most_us": round(max(costs)),
        "cores": round(middle["cores"], 3),
        "fps_each": round(middle["fps"], 1),
        "kbit_s_each": round(middle["kbit_s"]),
    }


def ratio(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """How much less a picture to one of two viewers costs; the least that the spread allows beside it."""
    by = {row["variant"]: row for row in rows if row["viewers"] == COMPARED}
    mine, theirs = by["ours"], by["stock"]
    return {
        "viewers": COMPARED,
        "times_less": round(theirs["us_per_picture_and_viewer"] / mine["us_per_picture_and_viewer"], 1),
        "at_worst": round(theirs["least_us"] / mine["most_us"], 1),
        "wanted": LEAST_RATIO,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--serve", choices=COUNTS, help=argparse.SUPPRESS)
    parser.add_argument("--clip", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve(options.serve, options.clip))
        return
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "feed.mp4"
        rate = dict.fromkeys(("b", "minrate", "maxrate", "bufsize"), str(BITS))
        encoder = {"preset": "veryfast", "bf": "0", "g": "30", "x264-params": "nal-hrd=cbr", **rate}
        write_clip(clip, codec="libx264", size=SIZE, frames=10 * RATE, options=encoder)
        rows = compare(clip, options.runs, options.seconds)
    table("CPU of the relay for a picture to a viewer: medians of the runs", rows)
    less = ratio(rows)
    table("Passing on against encoding for each viewer", [less])
    write("viewers", [*rows, less], options.json)


if __name__ == "__main__":
    main()
