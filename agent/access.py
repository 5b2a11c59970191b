"""Who saw what, written down as it happens; nobody who looks waits for it."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from agent.recording import Recording
from agent.store import private
from agent.store.private import Access
from stream.errors import StoreError
from stream.tasks import begin, end

log = logging.getLogger(__name__)

WRITE_EVERY_S = 1.0
MOST_WAITING = 10_000
MOST_VIEWERS = 1024


class AccessLog:
    """An async context manager; event loop only. Where the store is away, the newest entries wait for it."""

    def __init__(self, recording: Recording, max_age: timedelta, *, write_every_s: float = WRITE_EVERY_S) -> None:
        self._recording = recording
        self._max_age = max_age
        self._write_every_s = write_every_s
        self._waiting: deque[Access] = deque(maxlen=MOST_WAITING)
        self._viewers: dict[str, Access] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> AccessLog:
        self._task = begin(self._run(), "access log")
        return self

    async def __aexit__(self, *_: object) -> None:
        await end(self._task)
        await self._write()

    def note(self, entry: Access) -> None:
        """Write `entry` down soon. Never blocks."""
        self._waiting.append(entry)
        self._wake.set()

    def opened(self, entry: Access, session: str) -> None:
        """A viewer began to watch; `closed` is told of the same one."""
        self.note(entry)
        if len(self._viewers) < MOST_VIEWERS:
            self._viewers[session] = entry

    def closed(self, session: str) -> None:
        entry = self._viewers.pop(session, None)
        if entry is not None:
            self.note(replace(entry, at=datetime.now(UTC), action="view_end"))

    async def entries(
        self, *, stream: str | None, since: datetime | None, before: int | None, limit: int
    ) -> Sequence[Access]:
        """Newest first, those that wait to be written among them. Raises `StoreError`."""
        await self._write()
        return await private.seen(self._recording.store, stream=stream, since=since, before=before, limit=limit)

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            await asyncio.sleep(self._write_every_s)
            self._wake.clear()
            await self._write()

    async def _write(self) -> None:
        batch = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if not batch:
            return
        try:
            await private.note(self._recording.store, batch, datetime.now(UTC) - self._max_age)
        except StoreError as error:
            log.debug("who saw what waits: %s", error.message)
            room = MOST_WAITING - len(self._waiting)
            self._waiting.extendleft(reversed(batch[max(0, len(batch) - room) :]))
            self._wake.set()
