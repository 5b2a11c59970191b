"""A camera on the network or the machine: read in a thread of its own, and opened again whenever it is lost.

The thread reads, and where browsers cannot take what comes, transcodes; the event loop only gets complete pictures.
After a loss the next try comes later and later (`stream.sources.backoff`); the stream keeps its prompts and ids.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import av
from av.container import InputContainer

from stream.errors import OnlookerError
from stream.sources.backoff import Backoff
from stream.sources.base import MediaSink
from stream.sources.faults import ended, explained, unreadable
from stream.sources.handover import Handover
from stream.sources.live import LiveReading
from stream.types import CLOCK_HZ

log = logging.getLogger(__name__)

STALL_S = 1.0
"""Paced media that is later than this goes on from where it is."""

PACE_HZ = CLOCK_HZ * 1.001
"""What is held back goes a little faster than its time, so that the clock of a live server need not be exact."""

MOST_AT_ONCE = 60
"""Pictures that may wait for the event loop: those that came while a connection was looked at come all at once."""

LEAVE_S = 0.25
"""A thread that waits for a silent camera is not waited for: it ends by itself when its time is up."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a camera may take to answer, and then be silent."""

    connect_s: float = 8.0
    read_s: float = 8.0


class Opened(Protocol):
    """An open connection. `paced`: what comes may be ahead of its time, as a playlist's is, and is held back.
    `by_arrival`: what comes has no times but that of its arrival."""

    @property
    def container(self) -> InputContainer: ...

    @property
    def paced(self) -> bool: ...

    @property
    def by_arrival(self) -> bool: ...

    def close(self) -> None:
        """End it. Any thread but the reader's may call `abort` instead."""
        ...

    def abort(self) -> None:
        """Wake a reader that waits, if that can be done. Any thread."""
        ...


@dataclass(frozen=True, slots=True)
class OpenedContainer:
    """A container that FFmpeg reads by itself, in real time."""

    container: InputContainer
    paced: bool = False
    by_arrival: bool = False

    def close(self) -> None:
        self.container.close()

    def abort(self) -> None:
        """FFmpeg ends a read by itself when its time is up, and cannot be woken."""


class Camera(Protocol):
    """Where a camera is, and how it is opened. `shown` and all errors are free of credentials."""

    @property
    def kind(self) -> str: ...

    @property
    def shown(self) -> str: ...

    @property
    def where(self) -> str:
        """How errors call it, such as `192.168.1.20`."""
        ...

    @property
    def gives_login(self) -> bool: ...

    def check(self) -> None:
        """Whether it may be reached from here. Blocking. Raises `SourceError`."""
        ...

    def open(self, timeouts: Timeouts) -> Opened:
        """Blocking. Raises `OnlookerError` or an error of FFmpeg's or of a socket."""
        ...


@dataclass(frozen=True, slots=True)
class _Outage:
    error: OnlookerError
    again_s: float
    tries: int


class CameraSource:
    """A `Source` that never ends by itself. `note` says that the video is transcoded, or why there is none."""

    heard_s: float | None = None

    def __init__(self, camera: Camera, *, timeouts: Timeouts | None = None, backoff: Backoff | None = None) -> None:
        self.camera = camera
        self.kind = camera.kind
        self.url: str | None = camera.shown
        self.reconnects = 0
        self._timeouts = timeouts or Timeouts()
        self._backoff = backoff or Backoff()
        self._outage: _Outage | None = None
        self._reading: LiveReading | None = None

    @property
    def note(self) -> str | None:
        outage, reading = self._outage, self._reading
        if outage is not None:
            wait_s = max(0, round(outage.again_s - time.monotonic()))
            when = f"in {wait_s} s" if wait_s else "now"
            return f"{outage.error.message} {outage.error.action} Trying again {when}."
        return reading.note if reading is not None else None

    def request_keyframe(self) -> None:
        """A camera has its keyframes where they are."""

    async def run(self, sink: MediaSink) -> None:
        """Feed `sink` until cancelled."""
        while True:
            connection = _Connection(self.camera, self._timeouts, sink, asyncio.get_running_loop(), self._connected)
            error = await connection.run()
            self._reading = None
            login = error.code == "source_login"
            wait_s = self._backoff.lost(connection.lasted_s, refused=login)
            self._outage = _Outage(error, time.monotonic() + wait_s, self._backoff.tries)
            sink.lost(error)
            await asyncio.sleep(wait_s)

    def _connected(self, reading: LiveReading) -> None:
        self.reconnects += self._outage is not None
        self._outage, self._reading = None, reading


class _Connection:
    """One connection and the thread that reads it."""

    def __init__(
        self,
        camera: Camera,
        timeouts: Timeouts,
        sink: MediaSink,
        loop: asyncio.AbstractEventLoop,
        connected: Callable[[LiveReading], None],
    ) -> None:
        self._camera = camera
        self._timeouts = timeouts
        self._sink = sink
        self._connected = connected
        self._handover = Handover(sink, loop, MOST_AT_ONCE)
        self._opened: Opened | None = None
        self._first_s: float | None = None
        self._last_s = 0.0
        self._ended: asyncio.Future[OnlookerError] = loop.create_future()
        self._thread = threading.Thread(target=self._run, name=f"camera {camera.where}", daemon=True)

    @property
    def lasted_s(self) -> float:
        """For how long pictures came."""
        return self._last_s - self._first_s if self._first_s is not None else 0.0

    async def run(self) -> OnlookerError:
        """Read until the connection is lost; returns why."""
        self._thread.start()
        try:
            return await self._ended
        finally:
            self._handover.stop.set()
            opened = self._opened
            if opened is not None:
                opened.abort()
            await asyncio.shield(asyncio.to_thread(self._thread.join, LEAVE_S))

    def _run(self) -> None:
        error: OnlookerError = unreadable(self._camera.where)
        try:
            self._opened = opened = self._camera.open(self._timeouts)
            try:
                error = self._read(opened)
            finally:
                self._opened = None
                opened.close()
        except (OnlookerError, av.FFmpegError, OSError, ValueError) as failure:
            login = self._camera.gives_login
            error = explained(failure, self._camera.where, gave_login=login, opening=self._first_s is None)
        finally:
            self._handover.call(self._finish, error)

    def _finish(self, error: OnlookerError) -> None:
        if not self._ended.done():
            self._ended.set_result(error)

    def _read(self, opened: Opened) -> OnlookerError:
        if not opened.container.streams.video:
            return unreadable(self._camera.where)
        video = opened.container.streams.video[0]
        reading = LiveReading(opened.container, video, by_arrival=opened.by_arrival)
        stop = self._handover.stop
        start_s: float | None = None
        for picture in reading.pictures():
            start_s = start_s if start_s is not None else time.monotonic()
            if opened.paced:
                early_s = start_s + picture.ticks / PACE_HZ - time.monotonic()
                start_s += max(0.0, -early_s - STALL_S)
                stop.wait(max(0.0, early_s))
            if stop.is_set():
                break
            if self._first_s is None:
                self._handover.call(self._begin, reading)
                self._first_s = time.monotonic()
            self._handover.give(picture)
            self._last_s = time.monotonic()
        return ended(self._camera.where) if self._first_s else unreadable(self._camera.where)

    def _begin(self, reading: LiveReading) -> None:
        if not self._handover.stop.is_set():
            self._connected(reading)
            self._sink.connected()
