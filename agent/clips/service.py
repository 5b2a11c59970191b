"""The clips of all streams: recorded, written, kept for as long as there is room, and given away again.

A clip that cannot be written is given up and `/health` says why; nothing else suffers. Its files come first and the
database's row last, so that whatever ends the server leaves either a whole clip or files without a row, which go at
the next start.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from agent.clips import files
from agent.clips.cut import Part
from agent.clips.files import FULL, Line
from agent.clips.promised import Promised
from agent.clips.recorder import Finished, Lengths, StreamClips
from agent.clips.retention import ClipLimits, make_room, retain
from agent.clips.state import ClipError, ClipsState, explained
from agent.store.clips import (
    Clip,
    ClipSettings,
    add_clips,
    clip_ids,
    read_settings,
    remove_clips,
    used_by_clips,
    write_settings,
)
from agent.store.store import EventStore
from stream.errors import LimitReached, MediaError, StoreError
from stream.session import StreamSession
from stream.tasks import begin, end

log = logging.getLogger(__name__)

MOST_WAITING_BYTES = 256 * 1024 * 1024
"""Of compressed pictures that wait for the disk."""
BATCH = 20
"""Clips whose rows are written together where many wait."""
UPKEEP_S = 30.0
RETAIN_EVERY_S = 300.0
DRAIN_S = 10.0
MOST_UNNOTED = 1000
"""Clips whose rows wait for the store; the files of older ones go at the next start."""

T = TypeVar("T")


class Clips:
    """An async context manager; event loop only. `enabled` says for which streams clips are made unless it is chosen
    for one: `feeds` are those that the server reads itself."""

    def __init__(
        self,
        folder: Path,
        store: Callable[[], EventStore],
        line: Line,
        *,
        boot: str,
        enabled: str = "feeds",
        lengths: Lengths | None = None,
        limits: ClipLimits | None = None,
        configured: dict[str, ClipSettings] | None = None,
    ) -> None:
        """`store` gives the open store or raises `StoreError`; `configured` is what the configuration says of single
        streams."""
        self.folder = folder
        self.enabled = enabled
        self.lengths = lengths or Lengths()
        self.limits = limits or ClipLimits()
        self.promised = Promised()
        self._store = store
        self._line = line
        self._boot = boot
        self._configured = configured or {}
        self._chosen: dict[str, ClipSettings] = {}
        self._streams: dict[str, StreamClips] = {}
        self._waiting: asyncio.Queue[Finished] = asyncio.Queue()
        self._waiting_bytes = 0
        self._unnoted: list[tuple[Clip, tuple[str, ...]]] = []
        self._error: ClipError | None = None
        self._given_up = self._written = self._bytes = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="clips")
        self._tasks: list[asyncio.Task[None]] = []
        self._cleaned = False

    async def __aenter__(self) -> Clips:
        await self._in_thread(lambda: files.remove_parts(self.folder))
        await self._attempt(self._begin)
        self._tasks = [
            begin(self._write_all(), "clips"),
            begin(self._keep_up(), "clips upkeep"),
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Write what was being recorded, within some seconds."""
        for stream_id in tuple(self._streams):
            self._streams.pop(stream_id).end()
        try:
            async with asyncio.timeout(DRAIN_S):
                await self._waiting.join()
        except TimeoutError:
            log.warning("%d clips were not written in time", self._waiting.qsize())
        await end(*self._tasks)
        await self._note_late()
        await asyncio.to_thread(self._thread.shutdown)

    # --- streams ------------------------------------------------------------------------------------------------------

    def attach(self, session: StreamSession) -> StreamClips:
        """Make the clips of a stream that was just opened."""
        clips = StreamClips(
            session,
            self.lengths,
            wanted=lambda: self.is_on(session),
            told=self.promised.told,
            hand_on=self._hand_on,
            none_came=self._none_came,
        )
        self._streams[session.id] = clips
        return clips

    def release(self, clips: StreamClips) -> None:
        """The stream is over."""
        clips.end()
        for stream_id, attached in tuple(self._streams.items()):
            if attached is clips:
                del self._streams[stream_id]

    def is_on(self, session: StreamSession) -> bool:
        """Whether clips are made of this stream's events."""
        # Asked of every packet.
        for given in (self._chosen.get(session.id), self._configured.get(session.id)):
            if given is not None and given.enabled is not None:
                return given.enabled
        return self.enabled == "all" or (self.enabled == "feeds" and session.kind != "webrtc")

    def settings(self, stream: str) -> ClipSettings:
        """What was chosen for a stream, over what the configuration says of it."""
        configured = self._configured.get(stream, ClipSettings())
        chosen = self._chosen.get(stream)
        if chosen is None:
            return configured
        return ClipSettings(
            configured.enabled if chosen.enabled is None else chosen.enabled,
            configured.max_age_days if chosen.max_age_days is None else chosen.max_age_days,
            configured.max_gb if chosen.max_gb is None else chosen.max_gb,
        )

    async def choose(self, stream: str, changes: Mapping[str, Any]) -> None:
        """Set fields of the stream's settings, also for after a restart. Raises `StoreError`; then it holds until the
        server ends."""
        chosen = self._chosen[stream] = replace(self._chosen.get(stream, ClipSettings()), **changes)
        await write_settings(self._store(), stream, chosen)

    # --- what there is ------------------------------------------------------------------------------------------------

    def state(self) -> ClipsState:
        recording = sum(clips.recording for clips in self._streams.values()) + self._waiting.qsize()
        return ClipsState(self.folder, self._error, self._given_up, self._written, recording, self._bytes)

    async def settled(self, clip_id: str, within_s: float) -> None:
        """Wait until a clip is written or given up. Raises `LimitReached` where it is still being recorded by then."""
        if not await self.promised.wait(clip_id, within_s):
            action = f"Ask again in a moment: a clip goes on for {self.lengths.after_s:g} s after what it shows."
            raise LimitReached("The clip is still being recorded.", code="busy", action=action)

    def path(self, clip: Clip) -> Path:
        return self.folder / f"{clip.id}{clip.suffix}"

    def annotations_path(self, clip: Clip) -> Path:
        return self.folder / f"{clip.id}{files.ANNOTATIONS}"

    async def remove(self, clip: Clip) -> None:
        """The row, then the files. Raises `StoreError`."""
        await remove_clips(self._store(), [clip.id])
        await self._in_thread(lambda: files.remove_files(self.folder, clip.id))
        await self._count()

    # --- writing ------------------------------------------------------------------------------------------------------

    def _hand_on(self, finished: Finished) -> None:
        size = finished.part.bytes
        if self._waiting_bytes + size > MOST_WAITING_BYTES:
            self._give_up(finished, "The disk is too slow for the clips.", "Use a faster disk, or fewer clips.")
            return
        self._waiting_bytes += size
        self._waiting.put_nowait(finished)

    async def _write_all(self) -> None:
        while True:
            batch = [await self._waiting.get()]
            while len(batch) < BATCH and not self._waiting.empty():
                batch.append(self._waiting.get_nowait())
            try:
                for finished in batch:
                    await self._write(finished)
                await self._note_late()
            finally:
                for finished in batch:
                    self._waiting_bytes -= finished.part.bytes
                    self.promised.settle(finished.part.id)
                    self._waiting.task_done()

    async def _write(self, finished: Finished) -> None:
        for last in (False, True):
            try:
                clip = await self._in_thread(
                    lambda: files.write_clip(self.folder, self._boot, finished, self._line, self.limits.spare_bytes)
                )
            except MediaError as error:
                self._give_up(finished, error.message, "See the log.")
                return
            except OSError as error:
                if error.errno in FULL and not last and await self._made_room(finished.part.bytes):
                    continue
                self._give_up(finished, *explained(error, self.folder))
                return
            break
        keep = tuple(moment.event_id for moment in finished.part.moments if moment.keep)
        self._unnoted.append((clip, keep))
        self._written += 1
        self._well()

    async def _note_late(self) -> None:
        """Write the rows of clips whose files are there."""
        try:
            while noting := self._unnoted[:BATCH]:
                await add_clips(self._store(), noting)
                del self._unnoted[: len(noting)]
                self._bytes += sum(clip.bytes for clip, _ in noting)
        except StoreError as error:
            log.info("a clip waits for the event store: %s", error.message)
            del self._unnoted[:-MOST_UNNOTED]

    async def _made_room(self, wanted_bytes: int) -> bool:
        """Let the oldest go that nobody wanted kept. False where there is none."""
        try:
            gone = await make_room(self._store(), self.limits.spare_bytes + 2 * wanted_bytes, self._free, self._unlink)
        except StoreError:
            return False
        return gone > 0

    def _give_up(self, finished: Finished, message: str, action: str) -> None:
        if self._error is None or self._error.message != message:
            log.warning("stream %s: a clip is given up. %s %s", finished.stream, message, action)
        self._given_up += 1
        self._error = ClipError(message, action=action)
        self._none_came(finished.part)

    def _none_came(self, part: Part) -> None:
        self.promised.break_off(part.id, part.at_home)

    def _well(self) -> None:
        if self._error is not None:
            log.warning("Clips are written again.")
            self._error = None

    # --- upkeep -------------------------------------------------------------------------------------------------------

    async def _keep_up(self) -> None:
        retained_s = float("-inf")
        loop = asyncio.get_running_loop()
        while True:
            if not self._cleaned:
                await self._attempt(self._begin)
            await self._note_late()
            if self._cleaned and loop.time() - retained_s >= RETAIN_EVERY_S:
                retained_s = loop.time()
                await self._attempt(self.retain)
            await asyncio.sleep(UPKEEP_S)

    async def _begin(self) -> None:
        """What was chosen before, and no files without a row."""
        store = self._store()
        self._chosen = await read_settings(store) | self._chosen
        noted = await clip_ids(store)
        present = await self._in_thread(lambda: files.ids_present(self.folder))
        orphans = present - noted - {clip.id for clip, _ in self._unnoted}
        if orphans and not noted:
            # A new database beside old clips: somebody may be mending the old one.
            log.warning(
                "%d clips in %s belong to no event that is known; they are left alone", len(orphans), self.folder
            )
        else:
            for clip_id in orphans:
                await self._unlink(clip_id)
        self._cleaned = True
        await self._count()

    async def retain(self) -> None:
        """Let go of what is too old or too much. Raises `StoreError`."""
        of_streams = {stream: self.settings(stream) for stream in {*self._configured, *self._chosen}}
        await retain(self._store(), self.limits, of_streams, datetime.now(UTC), self._free, self._unlink)
        await self._count()

    async def _count(self) -> None:
        self._bytes = sum((await used_by_clips(self._store())).values())

    async def _attempt(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except StoreError as error:
            log.info("clips wait for the event store: %s", error.message)
        except OSError as error:
            message, action = explained(error, self.folder)
            self._error = ClipError(message, action=action)

    async def _free(self) -> int:
        return await self._in_thread(lambda: files.free_bytes(self.folder))

    async def _unlink(self, clip_id: str) -> None:
        await self._in_thread(lambda: files.remove_files(self.folder, clip_id))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
