"""A video file played in real time, as if it were a camera.

A thread reads, paces and, where browsers cannot take what the file holds, transcodes; the event loop only gets
complete pictures. Nothing waits for a slow consumer: what cannot be handed over in time is dropped and counted.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import av

from stream.errors import OnlookerError, SourceError
from stream.sources.base import MediaSink
from stream.sources.demux import Layout, Reading, inspect
from stream.sources.handover import Handover
from stream.types import CLOCK_HZ

log = logging.getLogger(__name__)

STALL_S = 1.0
"""A reader that is later than this, after a suspended machine for example, goes on from where it is."""

LOOP_AGAIN_S = 0.5
"""A file that ends sooner than this after its start is not played in a loop."""


class FileSource:
    """A source that plays `path` once or in a loop.

    `shown_as` is what clients see in place of the file's name. `note` says that the video is being transcoded, once
    `run` has looked at it.
    """

    heard_s: float | None = None

    def __init__(self, path: Path, *, loop: bool, kind: str = "file", shown_as: str | None = None) -> None:
        self.path = Path(path)
        self.loop = loop
        self.kind = kind
        self.url: str | None = shown_as or self.path.name
        self.note: str | None = None
        self._layout: Layout | None = None

    def request_keyframe(self) -> None:
        """A file has its keyframes where they are."""

    async def check(self) -> None:
        """Look at the file before it is played. Raises `SourceError` with what to do about it."""
        self._layout = await asyncio.to_thread(inspect, self.path)
        self.note = self._layout.note

    def files(self) -> Sequence[Path]:
        """What a round plays. On the reader's thread, as the next one. Raises `SourceError`."""
        return (self.path,)

    def layout(self, path: Path) -> Layout | None:
        """How one of them is played; None for one to be passed over."""
        return self._layout

    async def run(self, sink: MediaSink) -> None:
        """Feed `sink` in real time until the file ends, or for ever in a loop. Raises `SourceError`."""
        await self.check()
        reader = _Reader(self, sink, asyncio.get_running_loop())
        sink.connected()
        reader.thread.start()
        try:
            await reader.ended
        finally:
            reader.stop.set()
            await asyncio.shield(asyncio.to_thread(reader.thread.join))


class _Reader:
    """The thread that plays what a source has."""

    def __init__(self, source: FileSource, sink: MediaSink, loop: asyncio.AbstractEventLoop) -> None:
        self._source = source
        self._handover = Handover(sink, loop)
        self._start_s = 0.0
        self.stop = self._handover.stop
        self.ended: asyncio.Future[None] = loop.create_future()
        self.thread = threading.Thread(target=self._run, name=f"file {source.url}", daemon=True)

    def _run(self) -> None:
        error: OnlookerError | None = None
        try:
            self._play()
        except OnlookerError as failure:
            error = failure
        except (av.FFmpegError, OSError, ValueError):
            # The error's own words hold the whole path.
            log.info("reading %s failed", self._source.url, exc_info=True)
            error = SourceError(f"Reading {self._source.url} failed.", action="Try another file, or convert it.")
        self._handover.call(self._finish, error)

    def _finish(self, error: OnlookerError | None) -> None:
        if self.ended.done():
            return
        if error is None:
            self.ended.set_result(None)
        else:
            self.ended.set_exception(error)

    def _play(self) -> None:
        self._start_s = time.monotonic()
        ticks = 0
        while not self.stop.is_set():
            before = ticks
            for path in self._source.files():
                ticks += self._play_one(path, ticks)
                if self.stop.is_set():
                    return
            if not self._source.loop:
                return
            if ticks - before < LOOP_AGAIN_S * CLOCK_HZ:
                raise SourceError("This video is too short to be played in a loop.", action="Play it once.")

    def _play_one(self, path: Path, ticks: int) -> int:
        """From `ticks` on; returns how long it was."""
        layout = self._source.layout(path)
        if layout is None:
            return 0
        with Reading(path, layout) as reading:
            for picture in reading.pictures(self._late_s, ticks):
                if self._wait_until(picture.ticks):
                    break
                self._handover.give(picture)
        return reading.end_ticks

    def _late_s(self, ticks: int) -> float:
        """How long ago the picture at `ticks` should have been shown; negative while there is time."""
        return time.monotonic() - self._start_s - ticks / CLOCK_HZ

    def _wait_until(self, ticks: int) -> bool:
        """Wait for the picture's time; True when the source was stopped meanwhile."""
        late_s = self._late_s(ticks)
        if late_s > STALL_S:
            self._start_s += late_s
        return self.stop.wait(-late_s) if late_s < 0 else self.stop.is_set()
