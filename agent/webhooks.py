"""Alerts to other programs over HTTP: signed, tried again, and kept where they could not be delivered.

The headers are those of the Standard Webhooks specification: `webhook-id` (the event's id, the same at each try),
`webhook-timestamp` (seconds) and `webhook-signature`, `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import heapq
import hmac
import itertools
import logging
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import httpx

from agent.store import outbox
from agent.store.rows import Delivery
from agent.store.store import EventStore
from agent.types import EventFact, Severity
from stream.errors import LimitReached, NotFound, StoreError

log = logging.getLogger(__name__)

MOST_WAITING = 1000
MOST_DEAD = 1000
"""Dead letters held where there is no store to keep them."""
MOST_RETRY_S = 600.0
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers that may be others later."""
SEVERITIES = tuple(Severity)

Encode = Callable[[str, str, EventFact], str]
"""`(boot, stream, fact)` to the JSON that is sent."""


@dataclass(frozen=True, slots=True)
class Sink:
    """Where alerts go. After `retries` tries more than the first, the first of them after `retry_s` and each later
    one after twice as long, a delivery is a dead letter."""

    name: str
    url: str
    secret: bytes | None = None
    min_severity: Severity = Severity.INFO
    retries: int = 6
    retry_s: float = 2.0
    timeout_s: float = 10.0

    def wants(self, severity: Severity) -> bool:
        return SEVERITIES.index(severity) >= SEVERITIES.index(self.min_severity)


@dataclass(slots=True)
class SinkState:
    sink: Sink
    delivered: int = 0
    dead: int = 0
    error: str | None = None
    """Why the last try failed; None after one that did not."""
    queue: list[tuple[float, int, Delivery]] = field(default_factory=list)
    letters: deque[Delivery] = field(default_factory=lambda: deque(maxlen=MOST_DEAD))
    wake: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class Failure:
    """`passing`: it may go better later, no earlier than `after_s` if the receiver said so."""

    message: str
    passing: bool
    after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of one try: the status of the answer, None where there was none; `failure` None where it was taken."""

    status: int | None
    failure: Failure | None
    took_s: float


class Webhooks:
    """All sinks of a server. Event loop only."""

    def __init__(self, sinks: Sequence[Sink], encode: Encode) -> None:
        self.store: EventStore | None = None
        self._encode = encode
        self._states = {sink.name: SinkState(sink) for sink in sinks}
        self._tasks: list[asyncio.Task[None]] = []
        self._order = itertools.count()
        self._client: httpx.AsyncClient | None = None

    async def start(self) -> None:
        if self._states:
            # No redirects: an address that the operator did not name is never called.
            self._client = httpx.AsyncClient(follow_redirects=False)
        for state in self._states.values():
            self._tasks.append(asyncio.create_task(self._run(state), name=f"sink {state.sink.name}"))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()

    def states(self) -> list[SinkState]:
        return list(self._states.values())

    def deliveries(self, boot: str, stream: str, fact: EventFact) -> tuple[Delivery, ...]:
        """What is to be sent of an alert, one for each sink that wants it."""
        event = fact.event
        wanting = [state.sink.name for state in self._states.values() if state.sink.wants(event.severity)]
        if not wanting:
            return ()
        body = self._encode(boot, stream, fact)
        return tuple(Delivery(uuid.uuid4().hex, name, event.id, body, event.at) for name in wanting)

    def send(self, deliveries: Sequence[Delivery]) -> None:
        """Have them delivered from now on."""
        for delivery in deliveries:
            state = self._states.get(delivery.sink)
            if state is None:
                continue  # of a sink that is no longer configured
            if len(state.queue) >= MOST_WAITING:
                state.letters.append(replace(delivery, error="Too many others waited."))
                state.dead += 1
                continue
            heapq.heappush(state.queue, (time.monotonic(), next(self._order), delivery))
            state.wake.set()

    async def resume(self, store: EventStore) -> None:
        """Keep what is on its way in `store` from now on, and deliver what was left there. Raises `StoreError`."""
        self.send(await outbox.pending(store))
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
            self.send((again,))
            waiting += 1
        return waiting

    async def test(self, name: str, body: str) -> Reply:
        """Send `body`, once and signed as an alert is. Raises `NotFound`."""
        state = self._state(name)
        number = uuid.uuid4().hex
        reply = await self._post(state.sink, Delivery(number, name, number, body, datetime.now(UTC)))
        state.error = reply.failure.message if reply.failure is not None else None
        return reply

    def _state(self, name: str) -> SinkState:
        state = self._states.get(name)
        if state is None:
            raise NotFound(f"There is no sink “{name[:63]}”.", code="not_found")
        return state

    async def _run(self, state: SinkState) -> None:
        while True:
            wait_s = state.queue[0][0] - time.monotonic() if state.queue else None
            if wait_s is None or wait_s > 0:
                state.wake.clear()
                try:
                    async with asyncio.timeout(wait_s):
                        await state.wake.wait()
                except TimeoutError:
                    pass
                continue
            _, _, delivery = heapq.heappop(state.queue)
            reply = await self._post(state.sink, delivery)
            await self._note(state, delivery, reply.failure)

    async def _note(self, state: SinkState, delivery: Delivery, failure: Failure | None) -> None:
        if failure is None:
            await self._keep(delivery, dead=None)
            state.delivered, state.error = state.delivered + 1, None
            return
        state.error = failure.message
        delivery = replace(delivery, tries=delivery.tries + 1, error=failure.message)
        retry_s = retry_after(state.sink, delivery.tries, failure)
        if retry_s is not None:
            heapq.heappush(state.queue, (time.monotonic() + retry_s, next(self._order), delivery))
            await self._keep(delivery, dead=False)
            return
        log.warning("an alert could not be delivered to %s: %s", state.sink.name, failure.message)
        if not await self._keep(delivery, dead=True):
            state.letters.append(delivery)
        state.dead += 1  # only now: who sees the count can ask for the letter

    async def _keep(self, delivery: Delivery, *, dead: bool | None) -> bool:
        """Note in the store how it went; None for well. False where it could not be noted."""
        if self.store is None:
            return False
        try:
            if dead is None:
                await outbox.delivered(self.store, delivery)
                return True
            return await outbox.failed(self.store, delivery, dead=dead)
        except StoreError as error:
            log.warning("%s", error.message)
            return False

    async def _post(self, sink: Sink, delivery: Delivery) -> Reply:
        assert self._client is not None
        begun_s = time.monotonic()
        status: int | None = None
        body = delivery.body.encode()
        headers = {"content-type": "application/json", "user-agent": "onlooker", **signed(sink, delivery, time.time())}
        try:
            async with asyncio.timeout(sink.timeout_s):
                # The answer's body is nobody's business and may be endless.
                async with self._client.stream("POST", sink.url, content=body, headers=headers) as response:
                    status = response.status_code
                    failure = failure_of(status, response.headers.get("retry-after"))
        except TimeoutError:
            failure = Failure(f"It did not answer within {sink.timeout_s:g} s.", passing=True)
        except httpx.HTTPError as error:
            failure = Failure(f"It cannot be reached ({str(error) or type(error).__name__}).", passing=True)
        return Reply(status, failure, time.monotonic() - begun_s)


def failure_of(status: int, after: str | None) -> Failure | None:
    """What an answer means; None for one that takes the alert."""
    if 200 <= status < 300:
        return None
    after_s = float(after) if after is not None and after.isascii() and after.isdigit() else 0.0
    return Failure(f"It answered {status}.", status in PASSING, min(after_s, MOST_RETRY_S))


def retry_after(sink: Sink, tries: int, failure: Failure) -> float | None:
    """How long to wait after `tries` tries, the last of which failed; None to give up."""
    if not failure.passing or tries > sink.retries:
        return None
    return max(failure.after_s, min(MOST_RETRY_S, sink.retry_s * 2.0 ** (tries - 1)))


def signed(sink: Sink, delivery: Delivery, now_s: float) -> dict[str, str]:
    """The headers that name and sign a delivery."""
    headers = {"webhook-id": delivery.event_id, "webhook-timestamp": str(int(now_s))}
    if sink.secret is not None:
        content = f"{delivery.event_id}.{int(now_s)}.{delivery.body}".encode()
        digest = hmac.new(sink.secret, content, hashlib.sha256).digest()
        headers["webhook-signature"] = "v1," + base64.b64encode(digest).decode()
    return headers


def secret_of(text: str) -> bytes:
    """The key in a secret file: base64 after `whsec_`, as the specification writes it, or else the text itself.
    Raises `ValueError` for an empty or broken one."""
    text = text.strip()
    if text.startswith("whsec_"):
        try:
            key = base64.b64decode(text.removeprefix("whsec_"), validate=True)
        except binascii.Error as error:
            raise ValueError("what follows whsec_ is not base64") from error
    else:
        key = text.encode()
    if not key:
        raise ValueError("it is empty")
    return key
