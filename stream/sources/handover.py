"""From a reader's thread to the sink on the event loop. Nothing waits for a slow loop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

from stream.sources.base import MediaSink, Received
from stream.sources.picture import Picture

MAX_IN_FLIGHT = 8
"""Pictures that may wait for the event loop; more are dropped up to the next keyframe."""


class Handover:
    """`give` and `call` are for the reader's thread. After `stop` is set nothing more reaches the sink."""

    def __init__(self, sink: MediaSink, loop: asyncio.AbstractEventLoop, most: int | None = None) -> None:
        """`most` pictures may wait, by default `MAX_IN_FLIGHT`."""
        self._sink = sink
        self._loop = loop
        self._most = MAX_IN_FLIGHT if most is None else most
        self._given = 0  # counted by the reader
        self._delivered = 0  # counted by the event loop
        self._until_keyframe = False
        self.stop = threading.Event()

    def call(self, function: Callable[..., object], *args: object) -> None:
        """Do something on the event loop, soon."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, *args)

    def give(self, picture: Picture) -> None:
        """Hand `picture` over, or drop it and count it where the loop does not keep up."""
        if self._given - self._delivered >= self._most or (self._until_keyframe and not picture.keyframe):
            self._until_keyframe = True
            self.call(self._sink.dropped, "source", 1)
            return
        self._until_keyframe = False
        self._given += 1
        rtp = picture.ticks & 0xFFFFFFFF
        self.call(self._deliver, Received(picture.codec, picture.data, picture.keyframe, rtp, None, time.monotonic()))

    def _deliver(self, received: Received) -> None:
        self._delivered += 1
        if not self.stop.is_set():
            self._sink.push(received)
