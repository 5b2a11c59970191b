"""Which clip an event was told to be in, and whether that one is there yet."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable

MOST_KNOWN = 1000


class Promised:
    """Of the newest events and of every clip that is being recorded. Event loop only."""

    def __init__(self) -> None:
        self._due: dict[str, asyncio.Event] = {}
        self._clip_of: OrderedDict[str, str] = OrderedDict()

    def told(self, event_id: str, clip_id: str) -> None:
        """An event was told together with the clip that will show it."""
        self._due.setdefault(clip_id, asyncio.Event())
        self._clip_of[event_id] = clip_id
        if len(self._clip_of) > MOST_KNOWN:
            self._clip_of.popitem(last=False)

    def clip_of(self, event_id: str) -> str | None:
        """The clip of one of the newest events, written or being recorded."""
        return self._clip_of.get(event_id)

    def expected(self, event_id: str) -> str | None:
        """The same while it is being recorded; None where it is written, or was given up."""
        clip_id = self._clip_of.get(event_id)
        return clip_id if clip_id in self._due else None

    async def wait(self, clip_id: str, within_s: float) -> bool:
        """Wait until a clip is written or given up. False where it is still being recorded by then."""
        due = self._due.get(clip_id)
        if due is not None:
            try:
                async with asyncio.timeout(within_s):
                    await due.wait()
            except TimeoutError:
                return False
        return True

    def settle(self, clip_id: str) -> None:
        """It is written, or was given up: nobody waits for it any more."""
        due = self._due.pop(clip_id, None)
        if due is not None:
            due.set()

    def break_off(self, clip_id: str, event_ids: Iterable[str]) -> None:
        """There will be no such clip of these events after all."""
        for event_id in event_ids:
            self._clip_of.pop(event_id, None)
        self.settle(clip_id)
