"""Publishers that share no code with ours: FFmpeg's WHIP muxer, and libwebrtc in Node."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import platformdirs
import pytest

from stream.clock import RtpUnwrapper
from stream.sources.webrtc import Publisher, WebRtcConfig
from tests.peers import Sink, numbers

NODE_PACKAGE = Path(__file__).parent / "node"
SECONDS = 4


class WhipServer:
    """As much of WHIP as a publisher needs: one offer is answered, and what comes is noted."""

    def __init__(self) -> None:
        self.sink = Sink()
        self.url = ""
        self.ended = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._runs: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/whip/cam"

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()
        for run in self._runs:
            run.cancel()
        await asyncio.gather(*self._runs, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(
            (int(v) for k, _, v in (h.partition(":") for h in head.lower().split("\r\n")) if k == "content-length"), 0
        )
        offer = (await reader.readexactly(length)).decode()
        if head.startswith("POST"):
            publisher, answer = await Publisher.accept(offer, WebRtcConfig())
            self._runs.append(asyncio.create_task(self._run(publisher)))
            headers = "HTTP/1.1 201 Created\r\nContent-Type: application/sdp\r\nLocation: /whip/cam/1\r\n"
        else:
            answer, headers = "", "HTTP/1.1 200 OK\r\n"
        writer.write(f"{headers}Content-Length: {len(answer)}\r\nConnection: close\r\n\r\n{answer}".encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def _run(self, publisher: Publisher) -> None:
        await publisher.run(self.sink)
        self.ended.set()


@pytest.fixture
async def whip() -> AsyncIterator[WhipServer]:
    server = WhipServer()
    await server.open()
    yield server
    await server.close()


async def run_to_its_end(command: list[str]) -> None:
    process = await asyncio.create_subprocess_exec(*command)
    try:
        assert await asyncio.wait_for(process.wait(), 60) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_ffmpeg(whip: WhipServer, tmp_path: Path) -> None:
    """Every picture of FFmpeg's own packetiser arrives, in H.264."""
    command = [sys.executable, "-m", "tests.ffmpeg_publisher", whip.url, str(tmp_path), str(SECONDS)]
    await run_to_its_end(command)
    sent = 30 * SECONDS
    await asyncio.wait_for(whip.ended.wait(), 40)
    received = whip.sink.received
    assert {r.codec for r in received} == {"H264"}
    got = numbers("H264", [r.data for r in received])
    assert None not in got
    assert got == list(range(got[0] or 0, sent))
    assert len(got) >= sent - 31
    assert whip.sink.drops.get("network", 0) == (got[0] or 0)
    unwrap = RtpUnwrapper()
    pts = [unwrap.unwrap(r.rtp) for r in received]
    assert all(abs(after - before - 3000) <= 1 for before, after in pairwise(pts))


@pytest.fixture(scope="session")
def node_publisher() -> list[str]:
    """The command of the libwebrtc publisher, its packages installed once by their lock file."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.fail("Node and npm are needed for the libwebrtc publisher")
    key = hashlib.sha256((NODE_PACKAGE / "package-lock.json").read_bytes()).hexdigest()[:16]
    folder = platformdirs.user_cache_path("onlooker-tests") / f"libwebrtc-{key}"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json", "publish.js"):
        shutil.copy(NODE_PACKAGE / name, folder / name)
    if not (folder / "node_modules" / ".package-lock.json").exists():
        subprocess.run([npm, "ci", "--silent", "--no-audit", "--no-fund"], cwd=folder, check=True, timeout=300)
    return [node, str(folder / "publish.js")]


async def test_libwebrtc(whip: WhipServer, node_publisher: list[str]) -> None:
    """The browsers' own library: its packets, padding and feedback, and reports that give capture times."""
    await run_to_its_end([*node_publisher, whip.url, str(SECONDS)])
    await asyncio.wait_for(whip.ended.wait(), 40)
    received = whip.sink.received
    assert {r.codec for r in received} == {"VP8"}
    assert received[0].keyframe
    got = numbers("VP8", [r.data for r in received])
    certain = [number for number in got if number is not None]
    assert len(certain) == len(got)
    assert certain == sorted(set(certain))
    assert len(certain) >= SECONDS * 10
    captured = [r.captured_unix_us for r in received if r.captured_unix_us is not None]
    assert len(captured) > SECONDS * 5
    assert abs(captured[-1] - time.time() * 1e6) < 60e6
