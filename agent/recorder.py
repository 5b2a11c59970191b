"""Writes down what happens in one stream, at whatever pace the disk has.

1. The listener takes the facts worth keeping as they come, and has the pictures of events made in a thread.
2. They wait, up to a bound in number and bytes; beyond it they are lost, which is counted and told.
3. The writer takes all that wait and writes them in one transaction; after a fault it tries again, later and later.

An alert goes on to the sinks once it is written, or at once where it cannot be.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import cv2

from agent.keyframes import Keyframe, Shot
from agent.sinks.base import TOLD_KINDS
from agent.sinks.roster import told_of
from agent.store.faults import RowRefused
from agent.store.rows import Entry
from agent.thumbnails import picture_for, pictures_of
from agent.types import (
    AnswerFact,
    ArmedFact,
    CaptionFact,
    Event,
    EventFact,
    QuestionFact,
    RegionFact,
    WatchFact,
)
from stream.errors import LimitReached, StoreError
from stream.facts import Fact, GapFact

if TYPE_CHECKING:
    from agent.loop import StreamAgent
    from agent.recording import Recording

log = logging.getLogger(__name__)

RECORDED = (EventFact, CaptionFact, QuestionFact, AnswerFact, RegionFact, ArmedFact, WatchFact)
MOST_WAITING = 2000
MOST_WAITING_BYTES = 32 * 1024 * 1024
MOST_PICTURES = 8
"""Whole frames held at once for pictures that are still to be made."""
MOST_PICTURED = 1000
BATCH = 20
"""So few in a transaction that the event loop makes their statements in less than a millisecond."""
RETRY_S = 0.5
MOST_RETRY_S = 15.0
AFTER_END_S = 60.0
"""So long after its stream has ended a recorder goes on trying."""


class Recorder:
    """One stream's. Made and run by `Recording`; event loop only."""

    def __init__(self, agent: StreamAgent, recording: Recording) -> None:
        self.agent = agent
        self._session = agent.session
        self._keyframes = agent.keyframes
        self._recording = recording
        self._subscription = agent.session.facts.subscribe(updates=False)
        self._heard = agent.session.facts.seq
        self._shown: dict[str, Shot | Keyframe] = {}
        self._due: dict[str, asyncio.Event] = {}
        self._pictured: OrderedDict[str, None] = OrderedDict()
        self._waiting: deque[Entry] = deque()
        self._waiting_bytes = 0
        self._wake = asyncio.Event()
        self._ended_s: float | None = None
        self._lost = 0

    @property
    def stream(self) -> str:
        return self._session.id

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def expect(self, event: Event) -> bool:
        """Hold on to the picture of an event that is about to be told. False where there will be none."""
        shown = picture_for(event, self._keyframes) if self._recording.records else None
        if shown is None:
            return False
        held = {id(item) for item in self._shown.values()}
        if len(held | {id(shown)}) > MOST_PICTURES:
            return False
        self._shown[event.id] = shown
        self._due[event.id] = asyncio.Event()
        self._pictured[event.id] = None
        if len(self._pictured) > MOST_PICTURED:
            self._pictured.popitem(last=False)
        return True

    def pictured(self, event_id: str) -> bool:
        """Whether a picture of one of the newest events was promised."""
        return event_id in self._pictured

    def due(self, event_id: str) -> asyncio.Event | None:
        """Set once an event whose picture was promised has been written or lost; None where nothing is due."""
        return self._due.get(event_id)

    async def run(self) -> None:
        """Until the stream has ended and all is written."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._write())
            await self._listen()

    def abandon(self) -> None:
        """Nothing more will be written."""
        self._lose(list(self._waiting))
        self._waiting.clear()
        self._subscription.close()

    # --- listening ------------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        try:
            while True:
                try:
                    facts, _ = await self._subscription.next()
                except LimitReached:
                    # The log still holds what this subscription did not: from there without loss, or with a gap told.
                    self._subscription.close()
                    self._subscription = self._session.facts.subscribe(self._heard, updates=False)
                    continue
                if not facts:
                    return
                await self._take(facts)
        finally:
            self._subscription.close()
            self._ended_s = time.monotonic()
            self._wake.set()

    async def _take(self, facts: list[Fact]) -> None:
        entries: list[Entry] = []
        for fact in facts:
            self._heard = fact.seq
            if isinstance(fact.body, GapFact):
                self._miss(fact.body)
            elif isinstance(fact.body, RECORDED):
                entries.append(self._entry(fact))
        if not entries:
            return
        shown = {event.id: self._picture(event) for event in _events(entries)}
        if any(picture is not None for picture in shown.values()):
            entries = await asyncio.to_thread(_with_pictures, entries, shown)
        for entry in entries:
            self._put(entry)

    def _picture(self, event: Event) -> Shot | Keyframe | None:
        """The one that was held on to; what was missed at first may still be in the ring."""
        if event.id not in self._due:
            return None
        return self._shown.pop(event.id, None) or picture_for(event, self._keyframes)

    def _miss(self, gap: GapFact) -> None:
        """Facts came and went unread. Those that can still be read follow."""
        self._shown.clear()
        self._count(gap.last - gap.first + 1)

    def _entry(self, fact: Fact) -> Entry:
        entry = Entry(fact.body, fact.at)
        if isinstance(fact.body, EventFact) and fact.body.event.kind in TOLD_KINDS:
            told = told_of(self.agent, self._recording.boot, fact.body)
            entry = replace(entry, deliveries=self._recording.sinks.tell(told))
        return entry

    def _put(self, entry: Entry) -> None:
        if not self._recording.records or len(self._waiting) >= MOST_WAITING or self._full(entry):
            self._recording.sinks.send(entry.deliveries)
            self._lose([entry])
            return
        self._waiting.append(entry)
        self._waiting_bytes += entry.size_bytes
        self._wake.set()

    def _full(self, entry: Entry) -> bool:
        return self._waiting_bytes + entry.size_bytes > MOST_WAITING_BYTES

    # --- writing --------------------------------------------------------------------------------------------------

    async def _write(self) -> None:
        while True:
            while self._waiting:
                batch = [self._waiting[n] for n in range(min(BATCH, len(self._waiting)))]
                await self._write_batch(batch)
                for entry in batch:
                    self._waiting.popleft()
                    self._waiting_bytes -= entry.size_bytes
            if self._ended_s is not None:
                return
            await self._wake.wait()
            self._wake.clear()

    async def _write_batch(self, batch: list[Entry]) -> None:
        """Until it is written, or given up on."""
        retry_s = RETRY_S
        while True:
            try:
                await self._recording.write(self.stream, batch)
            except RowRefused as error:
                await self._singly(batch, error)
                return
            except StoreError:
                batch = self._sent_on(batch)
                if not self._recording.records or self._too_late():
                    self._lose(batch)
                    return
                await asyncio.sleep(retry_s)
                retry_s = min(retry_s * 2, MOST_RETRY_S)
            else:
                self._sent_on(batch)
                self._settle(batch)
                return

    async def _singly(self, batch: list[Entry], error: RowRefused) -> None:
        """One of these cannot be written: the others can."""
        if len(batch) == 1:
            log.warning("stream %s: %s", self.stream, error.message)
            self._lose(self._sent_on(batch))
            return
        for entry in batch:
            await self._write_batch([entry])

    def _sent_on(self, batch: list[Entry]) -> list[Entry]:
        """Hand alerts over to the sinks, and return the entries without what has been handed over."""
        for entry in batch:
            self._recording.sinks.send(entry.deliveries)
        return [replace(entry, deliveries=()) if entry.deliveries else entry for entry in batch]

    def _too_late(self) -> bool:
        return self._ended_s is not None and time.monotonic() - self._ended_s > AFTER_END_S

    def _lose(self, entries: list[Entry]) -> None:
        self._settle(entries)
        if self._recording.records:
            self._count(len(entries))

    def _count(self, lost: int) -> None:
        if lost:
            self._session.dropped("store", lost)
            self._recording.lose(self.stream, lost)

    def _settle(self, entries: Iterable[Entry]) -> None:
        for event in _events(entries):
            due = self._due.pop(event.id, None)
            if due is not None:
                due.set()


def _events(entries: Iterable[Entry]) -> list[Event]:
    return [entry.body.event for entry in entries if isinstance(entry.body, EventFact)]


def _with_pictures(entries: list[Entry], shown: dict[str, Shot | Keyframe | None]) -> list[Entry]:
    """The same with the pictures of their events. Runs in a thread."""
    return [_with_picture(entry, shown) for entry in entries]


def _with_picture(entry: Entry, shown: dict[str, Shot | Keyframe | None]) -> Entry:
    if not isinstance(entry.body, EventFact):
        return entry
    event = entry.body.event
    picture = shown.get(event.id)
    if picture is None:
        return entry
    try:
        thumb, frame = pictures_of(event, picture)
    except (ValueError, cv2.error) as error:
        log.warning("no picture of event %s: %s", event.id, error)
        return entry
    return replace(entry, thumb=thumb, frame=frame)
