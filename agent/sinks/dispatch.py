"""The queue that all sinks share: what is told to whom, when it is tried again, and what becomes of the rest.

Each sink has a task of its own, which sends one delivery at a time; a sink that is slow holds up no other.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial

from pydantic_core import to_json

from agent.sinks.base import Encode, Failure, Letter, Reply, Sink, message_of, retry_after
from agent.sinks.quiet import summary
from agent.sinks.repeats import Repeats
from agent.sinks.wording import Told
from agent.store import outbox
from agent.store.rows import Delivery
from agent.store.store import EventStore
from agent.types import Severity
from stream.errors import LimitReached, NotFound, StoreError
from stream.tasks import begin, end

log = logging.getLogger(__name__)

MOST_WAITING = 1000
MOST_DEAD = 1000
"""Dead letters held where there is no store to keep them."""
MOST_HELD = 10_000
"""Alerts of quiet hours that wait to be summed up."""
QUIET_CHECK_S = 20.0


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class SinkState:
    sink: Sink
    repeats: Repeats
    delivered: int = 0
    dead: int = 0
    repeated: int = 0
    """Not told, since the same was told a moment ago."""
    hushed: int = 0
    """Dropped, since the hours were quiet."""
    error: str | None = None
    """Why the last try failed; None after one that did not."""
    sending: bool = False
    queue: list[tuple[float, int, Delivery]] = field(default_factory=list)
    held: list[Delivery] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)
    """Deliveries that a person asked for: no hour is too quiet for them."""
    letters: deque[Delivery] = field(default_factory=lambda: deque(maxlen=MOST_DEAD))
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def name(self) -> str:
        return self.sink.terms.name

    @property
    def fault(self) -> str | None:
        return self.sink.fault or self.error

    def quiet(self, at: datetime) -> bool:
        hours = self.sink.terms.quiet
        return hours is not None and hours.covers(at)


class Dispatcher:
    """All sinks of a server. Event loop only."""

    def __init__(self, sinks: Sequence[Sink], encode: Encode, *, now: Callable[[], datetime] = _now) -> None:
        self.store: EventStore | None = None
        self._encode = encode
        self._now = now
        self._states = {sink.terms.name: SinkState(sink, Repeats(sink.terms.dedup_s)) for sink in sinks}
        self._tasks: list[asyncio.Task[None]] = []
        self._order = itertools.count()

    async def start(self) -> None:
        for state in self._states.values():
            self._tasks.append(begin(state.sink.run(partial(self._hurry, state)), f"sink {state.name}"))
            self._tasks.append(begin(self._run(state), f"queue of sink {state.name}"))
        await asyncio.sleep(0)  # a sink begins before anything is sent

    async def close(self) -> None:
        await end(*self._tasks)

    def states(self) -> list[SinkState]:
        return list(self._states.values())

    def deliveries(self, told: Told) -> tuple[Delivery, ...]:
        """What is to be sent of an event, one for each sink that wants it."""
        event = told.fact.event
        found: list[Delivery] = []
        for state in self._states.values():
            terms = state.sink.terms
            if not terms.wants(told.stream, event.kind, event.severity):
                continue
            if state.repeats.repeats(told.stream, event):
                state.repeated += 1
                continue
            message = self._encode(told)
            if terms.wording is not None:
                message["title"], message["text"] = terms.wording.of(told)
            body = to_json(message).decode()
            found.append(Delivery(uuid.uuid4().hex, terms.name, event.id, body, event.at))
        return tuple(found)

    def tell(self, told: Told) -> tuple[Delivery, ...]:
        """What is to be sent of an event once it is stored; what outlives nothing is sent at once."""
        deliveries = self.deliveries(told)
        kept = {one.id for one in deliveries if self._states[one.sink].sink.stored}
        self.send([one for one in deliveries if one.id not in kept])
        return tuple(one for one in deliveries if one.id in kept)

    def send(self, deliveries: Sequence[Delivery], most: int = MOST_WAITING) -> None:
        """Have them delivered from now on."""
        for delivery in deliveries:
            state = self._states.get(delivery.sink)
            if state is None:
                continue  # of a sink that is no longer configured
            if len(state.queue) >= most:
                state.letters.append(replace(delivery, error="Too many others waited."))
                state.dead += 1
                continue
            self._push(state, delivery, time.monotonic())

    async def resume(self, store: EventStore) -> None:
        """Keep what is on its way in `store` from now on, and deliver what was left there. Raises `StoreError`."""
        self.send(await outbox.pending(store), MOST_HELD)
        self.store = store

    async def dead_letters(self, name: str) -> list[Delivery]:
        """What could not be delivered, newest first. Raises `NotFound` or `StoreError`."""
        state = self._state(name)
        kept = await outbox.dead_letters(self.store, name) if self.store is not None else []
        return sorted([*state.letters, *kept], key=lambda letter: letter.at, reverse=True)

    async def retry(self, name: str, letter_id: str | None = None) -> int:
        """Deliver one dead letter, or all of them, as if it were for the first time; returns how many wait now.

        Raises `NotFound`, `LimitReached` or `StoreError`.
        """
        state = self._state(name)
        letters = [letter for letter in await self.dead_letters(name) if letter_id in (None, letter.id)]
        if letter_id is not None and not letters:
            raise NotFound("There is no such dead letter.", code="not_found", action="It may have been delivered.")
        if len(letters) > MOST_WAITING - len(state.queue):
            raise LimitReached("Too many others wait for this sink.", action="Wait until they are delivered.")
        waiting = 0
        for letter in reversed(letters):
            again = replace(letter, tries=0, error=None)
            if letter in state.letters:
                state.letters.remove(letter)
            elif self.store is not None and not await outbox.failed(self.store, again, dead=False):
                continue  # too old by now
            state.asked.add(again.id)
            self.send((again,))
            waiting += 1
        return waiting

    async def test(self, name: str, body: str) -> Reply:
        """Send `body` once, as an alert is sent. Raises `NotFound`."""
        state = self._state(name)
        number = uuid.uuid4().hex
        reply = await self._try(state.sink, Letter(Delivery(number, name, number, body, self._now())))
        state.error = reply.failure.message if reply.failure is not None else None
        return reply

    def _state(self, name: str) -> SinkState:
        state = self._states.get(name)
        if state is None:
            raise NotFound(f"There is no sink “{name[:63]}”.", code="not_found")
        return state

    # --- one sink's queue -----------------------------------------------------------------------------------------

    def _push(self, state: SinkState, delivery: Delivery, due_s: float) -> None:
        heapq.heappush(state.queue, (due_s, next(self._order), delivery))
        state.wake.set()

    def _hurry(self, state: SinkState) -> None:
        """It can be sent to again: what waits for its next try is tried now."""
        state.queue = [(0.0, order, delivery) for _, order, delivery in state.queue]
        heapq.heapify(state.queue)
        state.wake.set()

    async def _run(self, state: SinkState) -> None:
        while True:
            wait_s = state.queue[0][0] - time.monotonic() if state.queue else None
            if wait_s is None or wait_s > 0:
                if state.held and not state.quiet(self._now()):
                    await self._sum_up(state)
                    continue
                if state.held:
                    wait_s = min(wait_s or QUIET_CHECK_S, QUIET_CHECK_S)
                state.wake.clear()
                try:
                    async with asyncio.timeout(wait_s):
                        await state.wake.wait()
                except TimeoutError:
                    pass
                continue
            _, _, delivery = heapq.heappop(state.queue)
            if await self._hushed(state, delivery):
                continue
            state.sending = True
            letter = Letter(delivery, await self._picture(state, delivery))
            reply = await self._try(state.sink, letter)
            await self._note(state, delivery, reply.failure)
            state.sending = False

    async def _hushed(self, state: SinkState, delivery: Delivery) -> bool:
        """Whether it is not sent now, or never, since it happened in quiet hours."""
        quiet = state.sink.terms.quiet
        if quiet is None or delivery.tries or delivery.id in state.asked:
            return False
        message = message_of(delivery)
        if message["type"] != "alert":
            return False
        if not quiet.holds(Severity(message["data"]["event"]["severity"]), delivery.at):
            return False
        if quiet.then == "sum" and len(state.held) < MOST_HELD:
            state.held.append(delivery)
        else:
            state.hushed += 1
            await self._keep(delivery, dead=None)
        return True

    async def _sum_up(self, state: SinkState) -> None:
        """Tell in one message what happened in quiet hours; a single alert as it is."""
        held, state.held = state.held, []
        if len(held) == 1:
            state.asked.add(held[0].id)
            self._push(state, held[0], 0.0)
            return
        held.sort(key=lambda delivery: delivery.at)
        now = self._now()
        message = summary(state.name, [message_of(delivery) for delivery in held], f"{now:%Y-%m-%dT%H:%M:%SZ}")
        told = Delivery(uuid.uuid4().hex, state.name, uuid.uuid4().hex, to_json(message).decode(), now)
        if self.store is not None and state.sink.stored:
            try:
                await outbox.replaced(self.store, [delivery.id for delivery in held], told)
            except StoreError as error:
                log.warning("%s", error.message)
        self._push(state, told, 0.0)

    async def _picture(self, state: SinkState, delivery: Delivery) -> bytes | None:
        if self.store is None or not state.sink.pictured:
            return None
        try:
            return await self.store.picture(delivery.event_id)
        except StoreError as error:
            log.warning("%s", error.message)
            return None

    async def _note(self, state: SinkState, delivery: Delivery, failure: Failure | None) -> None:
        if failure is None:
            state.asked.discard(delivery.id)
            await self._keep(delivery, dead=None)
            state.delivered, state.error = state.delivered + 1, None
            return
        state.error = failure.message
        delivery = replace(delivery, tries=delivery.tries + 1, error=failure.message)
        retry_s = retry_after(state.sink.terms, delivery.tries, failure)
        if retry_s is not None:
            self._push(state, delivery, time.monotonic() + retry_s)
            await self._keep(delivery, dead=False)
            return
        log.warning("an alert could not be delivered to %s: %s", state.name, failure.message)
        state.asked.discard(delivery.id)
        if not await self._keep(delivery, dead=True):
            state.letters.append(delivery)
        state.dead += 1  # only now: who sees the count can ask for the letter

    async def _keep(self, delivery: Delivery, *, dead: bool | None) -> bool:
        """Note in the store how it went; None for well. False where it could not be noted."""
        if self.store is None or not self._states[delivery.sink].sink.stored:
            return False
        try:
            if dead is None:
                await outbox.delivered(self.store, delivery)
                return True
            return await outbox.failed(self.store, delivery, dead=dead)
        except StoreError as error:
            log.warning("%s", error.message)
            return False

    async def _try(self, sink: Sink, letter: Letter) -> Reply:
        begun_s = time.monotonic()
        try:
            async with asyncio.timeout(sink.terms.timeout_s):
                reply = await sink.send(letter)
        except TimeoutError:
            message = sink.fault or f"It did not answer within {sink.terms.timeout_s:g} s."
            reply = Reply(None, Failure(message, passing=True))
        except Exception:
            # A sink says what it knows as a `Failure`: anything else is a mistake in it, met by one delivery. It must
            # not end the queue, in which the others wait.
            log.exception("an alert could not be sent to %s", sink.terms.name)
            reply = Reply(None, Failure("Something went wrong while it was sent; the log says what.", passing=False))
        return replace(reply, took_s=time.monotonic() - begun_s)
