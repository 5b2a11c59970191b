"""What a stream and a client cost the server: streams until pictures drop, websocket clients from 1 to 50.

    python -m tests.bench.load --seconds 8

Publishers send compressed 1280×720 at 30 a second from processes of their own; the engine looks at no picture where
streams are counted, so that receiving, decoding and fanning out are what is measured. Clients get one track with its
mask in each picture. CPU is that of the server's process, in cores.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import psutil
from websockets.asyncio.client import connect

from tests.barcode import write_clip
from tests.bench.report import table, write
from tests.serve import serving_process

RATE = 30
STREAM_COUNTS = (1, 2, 4, 6, 8)
CLIENT_COUNTS = (1, 5, 10, 20, 50)


def cores(pid: int, seconds: float) -> float:
    process = psutil.Process(pid)
    cpu_s, started_s = sum(process.cpu_times()[:2]), time.monotonic()
    time.sleep(seconds)
    return (sum(process.cpu_times()[:2]) - cpu_s) / (time.monotonic() - started_s)


def publisher(url: str, stream: str, clip: Path, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.publisher", f"{url}/whip/{stream}", str(clip), "--seconds", str(seconds)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline(), "a publisher did not start"
    return process


def streams(clip: Path, codec: str, seconds: float, most: int) -> list[dict[str, Any]]:
    """Cost of 1, 2, 4 … streams, until less than 95 % of the pictures come through."""
    rows: list[dict[str, Any]] = []
    for count in (count for count in STREAM_COUNTS if count <= most):
        with serving_process("idle") as (url, pid), contextlib.ExitStack() as stack:
            idle = cores(pid, 1)
            for number in range(count):
                process = publisher(url, f"load-{number}", clip, seconds + 4 * count + 10)
                stack.callback(process.wait)
                stack.callback(process.terminate)
            time.sleep(2)
            used = cores(pid, seconds) - idle
            stats = [httpx.get(f"{url}/v1/streams/load-{number}/stats").json() for number in range(count)]
            rate = min(one["fps_out"] for one in stats)
            drops = sum(sum(one["drops"].values()) for one in stats)
            row = {"codec": codec, "streams": count, "lowest fps": rate, "drops": drops, "cores": round(used, 3)}
            rows.append({**row, "% of a core each": round(100 * used / count, 1)})
        if rate < 0.95 * RATE:
            break
    return rows


async def _clients(url: str, pid: int, count: int, seconds: float) -> dict[str, Any]:
    live = f"{url.replace('http', 'ws', 1)}/v1/streams/load-0/live"
    received = 0

    async def listen() -> None:
        nonlocal received
        async with connect(live, subprotocols=["onlooker.v1"], compression=None) as socket:  # type: ignore[list-item]
            async for raw in socket:
                received += json.loads(raw)["type"] == "tracks"

    tasks = [asyncio.create_task(listen()) for _ in range(count)]
    await asyncio.sleep(2)
    received = 0
    used = await asyncio.to_thread(cores, pid, seconds)
    rate = received / count / seconds
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return {"clients": count, "fps each": round(rate, 1), "cores": round(used, 3)}


def clients(clip: Path, seconds: float) -> list[dict[str, Any]]:
    """Cost of 1 to 50 websocket clients on one stream, publishing included."""
    with serving_process("barcode") as (url, pid):
        process = publisher(url, "load-0", clip, len(CLIENT_COUNTS) * (seconds + 4) + 10)
        try:
            return [asyncio.run(_clients(url, pid, count, seconds)) for count in CLIENT_COUNTS]
        finally:
            process.terminate()
            process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--most", type=int, default=STREAM_COUNTS[-1], help="streams at once")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        h264, vp8 = Path(folder) / "clip.mp4", Path(folder) / "clip.webm"
        write_clip(
            h264, codec="libx264", size=(1280, 720), frames=90, options={"preset": "veryfast", "bf": "0", "g": "30"}
        )
        write_clip(vp8, codec="libvpx", size=(1280, 720), frames=90, options={"g": "30", "deadline": "realtime"})
        for clip, codec in ((h264, "H264"), (vp8, "VP8")):
            rows += streams(clip, codec, options.seconds, options.most)
        table("Streams of 1280×720 at 30 a second", rows)
        listeners = clients(h264, options.seconds)
        table("Websocket clients on one stream", listeners)
    write("load", rows + listeners, options.json)


if __name__ == "__main__":
    main()
