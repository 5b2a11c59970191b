"""Ingest against stock aiortc: send → decoded latency, and stalls at 0, 1 and 2 % packet loss.

    python -m tests.bench.loss [--runs 5] [--seconds 15] [--json FILE]

Numbered pictures go over loopback; packets are dropped by a seeded generator after decryption, media and
retransmissions alike. Each run is a process of its own, since some of our settings hold for a whole process, in ABBA
order. A picture's latency counts from sending to being decoded; a stall is the longest time between two decoded
pictures, less the camera's own pause between sending them; figures are medians over the runs.

What stalls a receiver is a retransmission that is lost too, which is rare: packets are cut small, so that a picture
takes as many as one of 720p does, and with loss four cameras send at once. Where stock shows no stall above 300 ms all
the same, that comparison is void and says so.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import aioice.ice
import aiortc.codecs.h264
import aiortc.codecs.vpx
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

from stream.decode import DecoderThread
from stream.errors import OnlookerError
from stream.pictures import nv12_planes
from stream.sources.base import Received
from stream.sources.webrtc import Publisher, WebRtcConfig
from stream.types import Codec, EncodedFrame, Frame
from tests.barcode import read
from tests.bench.report import percentile, table, write
from tests.peers import Camera, preferring

VARIANTS = ("ours", "stock")
LOSSES = (0.0, 0.01, 0.02)
STALL_MS = 300.0
SIZE = (320, 240)
PACKET_BYTES = 200
LOSSY_CAMERAS = 4
SECONDS_TIMES = {0.0: 0.4, 0.01: 1.2, 0.02: 0.8}
"""Of the length of a run: the rarer the losses, the longer."""


class Times:
    """When each numbered picture was decoded, `time.time()`."""

    def __init__(self) -> None:
        self.decoded: list[tuple[int, float]] = []

    def note(self, luma: Any) -> None:
        number = read(luma)
        if number is not None:
            self.decoded.append((number, time.time()))


class DecodedSink:
    """Decodes what a publisher delivers, as a stream does."""

    def __init__(self, times: Times, publisher: Publisher) -> None:
        self._times = times
        self.decoder = DecoderThread(
            "bench", on_frame=self._frame, request_keyframe=publisher.request_keyframe,
            on_drop=lambda stage, count: None, on_error=self._error,
        )  # fmt: skip

    def _frame(self, frame: Frame) -> None:
        self._times.note(frame.y)

    def _error(self, error: OnlookerError) -> None:
        print(error, file=sys.stderr)

    def connected(self) -> None: ...

    def dropped(self, stage: str, count: int = 1) -> None: ...

    def push(self, r: Received) -> None:
        self.decoder.push(EncodedFrame(r.codec, r.data, r.keyframe, 1, r.rtp, r.rtp, r.captured_unix_us, r.received_s))


def lose_packets(connection: RTCPeerConnection, loss: float, seed: int) -> None:
    """Drop packets between decryption and the receiver, from the first second on."""
    receiver: Any = connection.getReceivers()[0]
    handle, numbers, seen = receiver._handle_rtp_packet, random.Random(seed), 0

    async def handle_some(packet: Any, arrival_time_ms: int) -> None:
        nonlocal seen
        seen += 1
        if seen < 50 or numbers.random() >= loss:
            await handle(packet, arrival_time_ms)

    receiver._handle_rtp_packet = handle_some


async def run_ours(offer: str, loss: float, seed: int, times: Times, seconds: float, take: Any) -> None:
    publisher, answer = await Publisher.accept(offer, WebRtcConfig(addresses=("127.0.0.1",)))
    lose_packets(publisher.connection, loss, seed)
    sink = DecodedSink(times, publisher)
    run = asyncio.create_task(publisher.run(sink))
    await take(answer)
    await asyncio.sleep(seconds)
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)
    sink.decoder.close()


async def run_stock(offer: str, loss: float, seed: int, times: Times, seconds: float, take: Any) -> None:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    await connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
    await connection.setLocalDescription(await connection.createAnswer())
    lose_packets(connection, loss, seed)
    track = connection.getReceivers()[0].track

    async def note_all() -> None:
        while True:
            try:
                frame: Any = await track.recv()
            except MediaStreamError:
                return
            times.note(nv12_planes(frame)[0])

    notes = asyncio.create_task(note_all())
    await take(connection.localDescription.sdp)
    await asyncio.sleep(seconds)
    await connection.close()
    notes.cancel()
    await asyncio.gather(notes, return_exceptions=True)


async def one_run(variant: str, codec: Codec, loss: float, seed: int, seconds: float) -> dict[str, float]:
    aiortc.codecs.h264.PACKET_MAX = aiortc.codecs.vpx.PACKET_MAX = PACKET_BYTES
    if variant == "stock":
        # All that stock gets from us is loopback, which it would never use.
        aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]
    cameras = LOSSY_CAMERAS if loss else 1
    seeds = [seed * LOSSY_CAMERAS + number for number in range(cameras)]
    return joined(await asyncio.gather(*(one_camera(variant, codec, loss, own, seconds) for own in seeds)))


async def one_camera(variant: str, codec: Codec, loss: float, seed: int, seconds: float) -> dict[str, float]:
    camera, times = Camera(codec, {0: SIZE}), Times()
    sending = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    transceiver = sending.addTransceiver(camera, "sendonly")
    transceiver.setCodecPreferences(preferring(codec))
    sender: Any = transceiver.sender
    sender._send_keyframe = camera.ask
    addresses = aioice.ice.get_host_addresses
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]
    await sending.setLocalDescription()
    aioice.ice.get_host_addresses = addresses

    async def take(answer: str) -> None:
        await sending.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    run = run_ours if variant == "ours" else run_stock
    await run(sending.localDescription.sdp, loss, seed, times, seconds, take)
    await sending.close()
    return figures(camera, times)


def figures(camera: Camera, times: Times) -> dict[str, float]:
    """Latencies and stalls in milliseconds."""
    latencies = sorted(1000 * (at_s - camera.sent_unix_us[number] / 1e6) for number, at_s in times.decoded)
    stalls = [0.0]
    for (before, before_s), (after, after_s) in pairwise(times.decoded):
        sent = [camera.sent_unix_us[number] / 1e6 for number in range(before, after + 1)]
        pause_s = max((later - earlier for earlier, later in pairwise(sent)), default=0.0)
        stalls.append(1000 * (after_s - before_s - pause_s))
    return {
        "pictures": len(times.decoded),
        "of": len(camera.sent_unix_us),
        "p50_ms": latencies[len(latencies) // 2],
        "p95_ms": latencies[int(len(latencies) * 0.95)],
        "stall_ms": max(stalls),
    }


def joined(cameras: list[dict[str, float]]) -> dict[str, float]:
    """The figures of cameras that sent at once: the longest stall, the middle latency, all pictures."""
    together = {name: percentile([camera[name] for camera in cameras], 50) for name in ("p50_ms", "p95_ms")}
    together |= {name: sum(camera[name] for camera in cameras) for name in ("pictures", "of")}
    return {**together, "stall_ms": max(camera["stall_ms"] for camera in cameras)}


def in_a_process(variant: str, codec: str, loss: float, seed: int, seconds: float) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.bench.loss", "--one", variant, "--codec", codec]
    command += ["--loss", str(loss), "--seed", str(seed), "--seconds", str(seconds)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds + 60)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def compare(codec: str, runs: int, seconds: float) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for loss in LOSSES:
        got: dict[str, list[dict[str, float]]] = {variant: [] for variant in VARIANTS}
        for turn in range(runs):
            for variant in VARIANTS if turn % 2 == 0 else reversed(VARIANTS):
                got[variant].append(in_a_process(variant, codec, loss, turn, SECONDS_TIMES[loss] * seconds))
        void = bool(loss) and max(run["stall_ms"] for run in got["stock"]) <= STALL_MS
        for variant in VARIANTS:
            stalls = [run["stall_ms"] for run in got[variant]]
            row: dict[str, Any] = {"codec": codec, "loss_percent": 100 * loss, "variant": variant, "runs": runs}
            for name in ("p50_ms", "p95_ms", "stall_ms"):
                row[name] = round(percentile([run[name] for run in got[variant]], 50), 1)
            row |= {"stall_min_ms": round(min(stalls), 1), "stall_max_ms": round(max(stalls), 1)}
            row |= {"stalled_runs": sum(stall > STALL_MS for stall in stalls), "void": void}
            rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--codec", choices=["VP8", "H264"], default="H264")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", choices=VARIANTS, help=argparse.SUPPRESS)
    parser.add_argument("--loss", type=float, default=0.0, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(asyncio.run(one_run(options.one, options.codec, options.loss, options.seed, options.seconds))))
        return
    rows = compare(options.codec, options.runs, options.seconds)
    table("Send to decoded, and the longest stall: medians of the runs", rows)
    write("loss", rows, options.json)


if __name__ == "__main__":
    main()
