"""Clients of the streams under measurement, on a thread of their own: what comes, and when."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from stream.tasks import begin, end
from web.protocol.parts import SUBPROTOCOL


@dataclass(frozen=True, slots=True)
class Arrival:
    """One update at its client. `timings_ms` as the server says; `tracks` those that are live."""

    stream: str
    rtp: int
    at_s: float
    timings_ms: dict[str, float]
    tracks: int


class Listener:
    """One client a stream, from entering to leaving. `arrivals` are only added to, on its own thread."""

    def __init__(self, port: int, streams: Sequence[str]) -> None:
        self.arrivals: list[Arrival] = []
        self._addresses = {stream: f"ws://127.0.0.1:{port}/v1/streams/{stream}/live" for stream in streams}
        self._loop = asyncio.new_event_loop()
        self._done = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="bench clients", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join()
        self._loop.close()

    def _run(self) -> None:
        self._loop.run_until_complete(self._listen())

    async def _listen(self) -> None:
        clients = [begin(self._client(*address), f"client of {address[0]}") for address in self._addresses.items()]
        await self._done.wait()
        await end(*clients)

    async def _client(self, stream: str, address: str) -> None:
        seen: set[int] = set()
        try:
            async with connect(
                address, subprotocols=[Subprotocol(SUBPROTOCOL)], compression=None, max_size=None
            ) as live:
                async for text in live:
                    at_s = time.monotonic()
                    message: dict[str, Any] = json.loads(text)
                    # A picture may come again with later news of it.
                    if message["type"] == "tracks" and message["rtp"] not in seen:
                        seen.add(message["rtp"])
                        live_ones = sum(track["state"] == "live" for track in message["tracks"])
                        self.arrivals.append(Arrival(stream, message["rtp"], at_s, message["timings_ms"], live_ones))
        except ConnectionClosed:
            return
