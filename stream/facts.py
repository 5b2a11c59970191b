"""Facts of a stream, and how each client gets all of them in order beside the newest state.

Facts (prompts, confirmed and lost tracks, the source's changes, and what the agent adds) are lossless: numbered,
kept for replay, and a client that cannot keep up with them is let go. State (track updates, status) is lossy: a slow
client sees the newest and nothing else.

All of this lives on the event loop's thread.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from stream.errors import LimitReached
from stream.types import Prompt, PromptState, TrackUpdate

KEPT_FACTS = 1000
WAITING_FACTS_LIMIT = 256


@dataclass(frozen=True, slots=True)
class PromptFact:
    """A prompt was added, changed, failed or removed."""

    prompt: Prompt
    state: PromptState
    message: str | None
    track_ids: tuple[int, ...]
    alternatives: tuple[tuple[str, tuple[float, float, float, float]], ...] = ()
    picture_size_px: tuple[int, int] = (1, 1)
    """`(width, height)` of the frame that the prompt's pixel coordinates belong to."""


TrackChange = Literal["confirmed", "lost", "found", "gone", "renamed", "removed", "restored", "described"]


@dataclass(frozen=True, slots=True)
class TrackFact:
    track_id: int
    change: TrackChange
    label: str | None = None


SourceChange = Literal["connected", "lost", "resized", "ended"]


@dataclass(frozen=True, slots=True)
class SourceFact:
    change: SourceChange
    epoch: int
    width: int
    height: int
    codec: str | None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class GapFact:
    """Facts `first` to `last` are too old to replay; the client fetches what it needs again."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Fact:
    """`seq` counts from 1 within the process; `body` is one of the dataclasses above, or one that the agent defines."""

    seq: int
    at: datetime
    body: object


class Subscription:
    """One client's view of a stream."""

    def __init__(self, on_close: Callable[[Subscription], None], *, updates: bool) -> None:
        self._wants_updates = updates
        self._facts: deque[Fact] = deque()
        self._update: TrackUpdate | None = None
        self._wake = asyncio.Event()
        self._on_close = on_close
        self.updates_dropped = 0
        self.ended = False
        self.too_slow = False

    async def next(self) -> tuple[list[Fact], TrackUpdate | None]:
        """Wait for news: all facts since the last call, in order, and the newest update if there is one.

        Both empty means that the stream was closed. Raises `LimitReached` (code `busy`) once more than 256 facts
        wait, which cannot be caught up without loss.
        """
        while not (self._facts or self._update or self.ended):
            self._wake.clear()
            await self._wake.wait()
        if self.too_slow:
            raise LimitReached("Facts came faster than this client reads.", code="busy", action="Reconnect.")
        facts, update = list(self._facts), self._update
        self._facts.clear()
        self._update = None
        return facts, update

    def offer_update(self, update: TrackUpdate) -> None:
        if not self._wants_updates:
            return
        self.updates_dropped += self._update is not None
        self._update = update
        self._wake.set()

    def offer_fact(self, fact: Fact) -> None:
        if len(self._facts) >= WAITING_FACTS_LIMIT:
            self.too_slow = True
        else:
            self._facts.append(fact)
        self._wake.set()

    def end(self) -> None:
        """The stream is gone: wake the reader for the last time."""
        self.ended = True
        self._wake.set()

    def close(self) -> None:
        """Stop listening. Idempotent."""
        self._on_close(self)


class FactLog:
    """The facts of one stream, numbered from `last_seq` + 1 and kept for replay, and the clients that listen."""

    def __init__(self, last_seq: int = 0) -> None:
        self._kept: deque[Fact] = deque(maxlen=KEPT_FACTS)
        self._subscriptions: set[Subscription] = set()
        self._watchers: list[Callable[[TrackUpdate], None]] = []
        self.seq = last_seq

    @property
    def subscribers(self) -> int:
        return len(self._subscriptions)

    def publish(self, body: object) -> Fact:
        """Number `body`, keep it and hand it to every client."""
        self.seq += 1
        fact = Fact(self.seq, datetime.now(UTC), body)
        self._kept.append(fact)
        for subscription in self._subscriptions:
            subscription.offer_fact(fact)
        return fact

    def watch_updates(self, watcher: Callable[[TrackUpdate], None]) -> None:
        """Call `watcher` with every update, none left out, for as long as the stream lives."""
        self._watchers.append(watcher)

    def publish_update(self, update: TrackUpdate) -> None:
        for watcher in self._watchers:
            watcher(update)
        for subscription in self._subscriptions:
            subscription.offer_update(update)

    def subscribe(self, after: int | None = None, *, updates: bool = True) -> Subscription:
        """Listen from now on, or from fact `after` + 1; facts that are no longer kept come as one `GapFact`. Without
        `updates` only facts wake the reader, not every picture."""
        subscription = Subscription(self._subscriptions.discard, updates=updates)
        if after is not None:
            self._replay(subscription, after)
        self._subscriptions.add(subscription)
        return subscription

    def close(self) -> None:
        """Wake every client for the last time."""
        for subscription in list(self._subscriptions):
            subscription.end()

    def _replay(self, subscription: Subscription, after: int) -> None:
        wanted = [fact for fact in self._kept if fact.seq > after][-WAITING_FACTS_LIMIT + 1 :]
        first_kept = wanted[0].seq if wanted else self.seq + 1
        if first_kept > after + 1:
            gap = GapFact(after + 1, first_kept - 1)
            subscription.offer_fact(Fact(first_kept - 1, datetime.now(UTC), gap))
        for fact in wanted:
            subscription.offer_fact(fact)
