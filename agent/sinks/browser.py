"""Alerts for the pages that are open, whichever stream they show. What no page hears is not kept."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from agent.sinks.base import Letter, Reply, Terms

KEPT = 100
"""Newest alerts, for pages that come back after an interruption."""
MOST_WAITING = 100
OVER = (0, "")


@dataclass(slots=True)
class BrowserSink:
    terms: Terms
    address: str = "pages that are open"
    kind: str = "browser"
    signed: bool = False
    pictured: bool = False
    stored: bool = False
    fault: str | None = None
    _number: int = 0
    _kept: deque[tuple[int, str]] = field(default_factory=lambda: deque(maxlen=KEPT))
    _pages: set[asyncio.Queue[tuple[int, str]]] = field(default_factory=set)

    @property
    def pages(self) -> int:
        """How many listen."""
        return len(self._pages)

    async def run(self, ready: Callable[[], None]) -> None:
        await asyncio.Event().wait()

    async def send(self, letter: Letter) -> Reply:
        self._number += 1
        told = (self._number, letter.delivery.body)
        self._kept.append(told)
        for page in self._pages:
            if page.full():
                page.get_nowait()  # a page that does not read hears of the newest
            page.put_nowait(told)
        return Reply(None, None)

    def leave(self) -> None:
        """The server is going away: no page hears anything more."""
        for page in self._pages:
            while not page.empty():
                page.get_nowait()
            page.put_nowait(OVER)

    async def listen(self, after: int | None, idle_s: float) -> AsyncIterator[tuple[int, str] | None]:
        """`(number, JSON)` of alerts from now on, or of those after number `after`; None after each `idle_s` without.

        A number that was never given stands for the beginning: it is of another life of the server.
        """
        page: asyncio.Queue[tuple[int, str]] = asyncio.Queue(MOST_WAITING)
        self._pages.add(page)
        try:
            if after is not None:
                for told in [told for told in self._kept if told[0] > after or after > self._number]:
                    yield told
            while True:
                try:
                    async with asyncio.timeout(idle_s):
                        told = await page.get()
                except TimeoutError:
                    yield None
                else:
                    if told is OVER:
                        return
                    yield told
        finally:
            self._pages.discard(page)
