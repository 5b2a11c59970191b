"""The store of a server and the recorders of its streams. What is live goes on where there is no store.

A store that cannot be opened is tried again, unless its file is damaged. What streams were given (regions, watches)
is held in memory too, so that a stream has it back at once when it opens again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from agent.recorder import Recorder
from agent.sinks.dispatch import Dispatcher
from agent.store.faults import RowRefused
from agent.store.retention import Limits, retain
from agent.store.rows import Entry
from agent.store.store import EventStore, Kept
from agent.types import ArmedFact
from stream.errors import StoreError
from stream.tasks import begin, end

if TYPE_CHECKING:
    from agent.loop import StreamAgent

log = logging.getLogger(__name__)

OPEN_AGAIN_S = 15.0
RETAIN_EVERY_S = 600.0
DRAIN_S = 5.0
REMEMBERED_STREAMS = 1000


@dataclass(frozen=True, slots=True)
class StoreState:
    """`where` is for people; `error` is what is wrong now; `lost` counts facts since the start, `losing` those since
    the last write that succeeded."""

    where: str
    error: StoreError | None
    lost: int
    losing: int
    waiting: int


class Recording:
    """An async context manager; event loop only."""

    def __init__(
        self,
        open_store: Callable[[], Awaitable[EventStore]],
        *,
        boot: str,
        where: str,
        limits: Limits,
        sinks: Dispatcher,
        open_again_s: float = OPEN_AGAIN_S,
    ) -> None:
        self.boot = boot
        self.sinks = sinks
        self._open_store = open_store
        self._open_again_s = open_again_s
        self._where = where
        self._limits = limits
        self._store: EventStore | None = None
        self._error: StoreError | None = None
        self._lost = 0
        self._losing = 0
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._recorders: dict[asyncio.Task[None], Recorder] = {}
        self._upkeep: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Recording:
        await self.sinks.start()
        await self._open()
        self._upkeep = begin(self._keep_up(), "event store")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Write what still waits, within a few seconds."""
        await end(self._upkeep)
        if self._recorders:
            await asyncio.wait(self._recorders, timeout=DRAIN_S)
        for task, recorder in tuple(self._recorders.items()):
            await end(task)
            recorder.abandon()
        # Before the store, in which they note how far they came.
        await self.sinks.close()
        if self._store is not None:
            await self._store.close()

    @property
    def store(self) -> EventStore:
        """The open store. Raises `StoreError`."""
        if self._store is None:
            raise self._error or StoreError("The event store is not open.")
        return self._store

    @property
    def records(self) -> bool:
        """Whether there is a store, or may be one again."""
        return self._store is not None or (self._error is not None and self._error.retryable)

    def state(self) -> StoreState:
        waiting = sum(recorder.waiting for recorder in self._recorders.values())
        return StoreState(self._where, self._error, self._lost, self._losing, waiting)

    def attach(self, agent: StreamAgent) -> Recorder:
        """Write down what happens in a stream that was just opened, and give it back what it had."""
        recorder = Recorder(agent, self)
        task = asyncio.create_task(recorder.run(), name=f"recorder {agent.session.id}")
        self._recorders[task] = recorder
        task.add_done_callback(self._ended)
        kept = self._kept.pop(agent.session.id, None)
        if kept is not None:
            agent.restore(kept.regions, kept.watches, kept.armed)
        return recorder

    def release(self, agent: StreamAgent) -> None:
        """Remember what a stream that ends was given."""
        self._kept[agent.session.id] = Kept(agent.regions, tuple(agent.watches.all()), agent.zones.armed)
        while len(self._kept) > REMEMBERED_STREAMS:
            self._kept.popitem(last=False)

    async def arm(self, armed: bool) -> None:
        """Arm or disarm the rules of all streams that are not open. Raises `StoreError`."""
        entry = Entry(ArmedFact(armed), datetime.now(UTC))
        for stream, kept in self._kept.items():
            if kept.armed is not armed:
                self._kept[stream] = replace(kept, armed=armed)
                await self.write(stream, [entry])

    async def write(self, stream: str, entries: list[Entry]) -> None:
        """Raises `StoreError`, which `/health` shows until a write succeeds."""
        try:
            await self.store.write(self.boot, stream, entries)
        except StoreError as error:
            if not isinstance(error, RowRefused):
                self._fault(error)
            raise
        self._well()

    def lose(self, stream: str, count: int) -> None:
        if self._lost == 0:
            log.warning("stream %s: %d facts could not be stored; /health counts what is lost", stream, count)
        self._lost += count
        self._losing += count

    async def settled(self, event_id: str, within_s: float) -> None:
        """Wait until an event that is on its way to the store has arrived there."""
        for recorder in self._recorders.values():
            due = recorder.due(event_id)
            if due is not None:
                try:
                    async with asyncio.timeout(within_s):
                        await due.wait()
                except TimeoutError:
                    pass
                return

    # --- the store ------------------------------------------------------------------------------------------------

    async def _open(self) -> None:
        store: EventStore | None = None
        try:
            store = await self._open_store()
            kept = await store.kept()
            await self.sinks.resume(store)
        except StoreError as error:
            self._fault(error)
            if store is not None:
                await store.close()
            return
        self._store = store
        self._well()
        opened = {recorder.stream: recorder.agent for recorder in self._recorders.values()}
        for stream, given in kept.items():
            agent = opened.get(stream)
            if agent is None:
                self._kept.setdefault(stream, given)
            elif not agent.regions and not agent.watches.all():
                # It was opened while there was no store, and nobody has given it anything since.
                agent.restore(given.regions, given.watches, given.armed)

    async def _keep_up(self) -> None:
        while self._store is None:
            if not self.records:
                return
            await asyncio.sleep(self._open_again_s)
            await self._open()
        try:
            await self._store.check()
        except StoreError as error:
            self._fault(error)
        while True:
            try:
                now = datetime.now(UTC)
                await self._store.touch({recorder.stream for recorder in self._recorders.values()}, now)
                await retain(self._store, self._limits, now)
            except StoreError as error:
                self._fault(error)
            await asyncio.sleep(RETAIN_EVERY_S)

    def _fault(self, error: StoreError) -> None:
        if self._error is None or self._error.message != error.message:
            log.warning("%s %s", error.message, error.action)
        self._error = error

    def _well(self) -> None:
        self._losing = 0
        if self._error is not None and self._error.retryable:
            log.warning("The event store %s works again.", self._where)
            self._error = None

    def _ended(self, task: asyncio.Task[None]) -> None:
        recorder = self._recorders.pop(task, None)
        if recorder is not None and not task.cancelled() and task.exception() is not None:
            log.error("the recorder of stream %s failed", recorder.stream, exc_info=task.exception())
            recorder.abandon()
            self._error = StoreError(
                f"Stream {recorder.stream} is no longer recorded.", action="See the log, and open the stream again."
            )
