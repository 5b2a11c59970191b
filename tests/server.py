"""The real server on a real port, in a thread of its own, and a source that tests push pictures into."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from unittest import mock

import av
import httpx
import numpy as np
from fastapi import FastAPI
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection, connect

from stream.config import Config, load_config
from stream.engines.base import Engine
from stream.models.fetch import Progress
from stream.sources.base import MediaSink, Received
from tests.barcode import BarcodeEngine, picture
from web.app import create_app
from web.protocol.parts import SUBPROTOCOL
from web.server import make_server, open_sockets
from web.state import State
from web.tls import ensure_certificate

T = TypeVar("T")
U8 = NDArray[np.uint8]


class RunningServer:
    """`create_app` under uvicorn. `overrides` are tables of the configuration; nothing of the user's is read."""

    def __init__(
        self,
        folder: Path,
        overrides: dict[str, Any] | None = None,
        *,
        engine: Engine | None = None,
        bind: str = "localhost",
        port: int = 0,
        tls: bool = False,
        fetch_progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self._environment = mock.patch.dict(
            os.environ,
            ONLOOKER_DATA_DIR=str(folder / "data"),
            ONLOOKER_CACHE_DIR=str(folder / "cache"),
            ONLOOKER_CONFIG=str(folder / "onlooker.toml"),
        )
        self._environment.start()
        (folder / "onlooker.toml").touch()
        self.config: Config = load_config(overrides)
        self.app: FastAPI = create_app(self.config, engine or BarcodeEngine(), fetch_progress=fetch_progress)
        self._certificate = ensure_certificate(folder / "tls", ["localhost"], ["127.0.0.1"]) if tls else None
        self.sockets = open_sockets(bind, port)
        self._server = make_server(self.app, certificate=self._certificate)
        self._thread = threading.Thread(target=self._run, name="server", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self.port: int = self.sockets[0].getsockname()[1]
        self.scheme = "https" if tls else "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://localhost:{self.port}"

    @property
    def state(self) -> State:
        state: State = self.app.state.onlooker
        return state

    def client(self, **options: Any) -> httpx.AsyncClient:
        options.setdefault("base_url", self.url)
        return httpx.AsyncClient(verify=False, timeout=20, **options)

    def live(self, stream_id: str, query: str = "", **options: Any) -> connect:
        """A client of a stream's websocket: `async with server.live("cam") as live`."""
        url = f"ws://localhost:{self.port}/v1/streams/{stream_id}/live{query}"
        options.setdefault("subprotocols", [SUBPROTOCOL])
        options.setdefault("max_queue", None)  # or closing would wait for what nobody reads any more
        return connect(url, compression=None, **options)

    def call(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run `work` on the server's loop and wait for it."""
        assert self._loop is not None
        future: Future[T] = asyncio.run_coroutine_threadsafe(work(), self._loop)
        return future.result(20)

    def open_stream(self, stream_id: str) -> PushedSource:
        """A stream that lives until it is closed, fed by hand."""
        source = PushedSource(self)
        self.call(lambda: self.state.hub.open(source, stream_id=stream_id))
        assert source.ready.wait(10)
        return source

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(15)
        assert not self._thread.is_alive()

    def __enter__(self) -> Self:
        self._thread.start()
        deadline = time.monotonic() + 20
        while not self._server.started:
            assert self._thread.is_alive(), "the server did not start"
            assert time.monotonic() < deadline, "the server did not start in time"
            time.sleep(0.01)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._environment.stop()

    def _run(self) -> None:
        async def serve() -> None:
            self._loop = asyncio.get_running_loop()
            await self._server.serve(sockets=self.sockets)

        asyncio.run(serve())


class PushedSource:
    """A source for `RunningServer`: `push` may be called from any thread."""

    kind = "file"
    url: str | None = "by hand"
    note: str | None = None
    heard_s: float | None = None

    def __init__(self, server: RunningServer) -> None:
        self._server = server
        self._sink: MediaSink | None = None
        self._count = 0
        self._encoder = _encoder()
        self.picture: Callable[[int], U8] = lambda number: picture(number, 320, 240)
        self.ready = threading.Event()

    async def run(self, sink: MediaSink) -> None:
        self._sink = sink
        sink.connected()
        self.ready.set()
        await asyncio.Event().wait()

    def request_keyframe(self) -> None: ...

    @property
    def pushed(self) -> int:
        return self._count

    def push(self, count: int = 1, *, pause_s: float = 0.0) -> None:
        """`count` pictures of 320×240, by default with the barcodes 0, 1, …"""
        for _ in range(count):
            received = self._next()

            async def deliver(received: Received = received) -> None:
                assert self._sink is not None
                self._sink.push(received)

            self._server.call(deliver)
            time.sleep(pause_s)

    def _next(self) -> Received:
        frame = av.VideoFrame.from_ndarray(self.picture(self._count), format="rgb24")
        frame.pts = self._count
        (packet,) = self._encoder.encode(frame)
        self._count += 1
        return Received("H264", bytes(packet), packet.is_keyframe, (self._count - 1) * 3000, None, time.monotonic())


def _encoder() -> Any:
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 320, 240, "yuv420p"
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "g": "30"}
    return encoder


async def receive(live: ClientConnection, wanted: str, within_s: float = 10.0) -> dict[str, Any]:
    """The next message of type `wanted`; others are passed over."""
    async with asyncio.timeout(within_s):
        while True:
            message: dict[str, Any] = json.loads(await live.recv())
            if message["type"] == wanted:
                return message


async def ask(live: ClientConnection, **message: Any) -> dict[str, Any]:
    """Send a message and wait for what answers its `ref`."""
    await live.send(json.dumps(message))
    async with asyncio.timeout(10):
        while True:
            answer: dict[str, Any] = json.loads(await live.recv())
            if answer.get("ref") == message.get("ref") and answer["type"] in ("ok", "error", "view", "pong"):
                return answer
