"""What every kind of sink is: where alerts go, on which terms, and what comes of one try."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Protocol

from pydantic_core import from_json

from agent.sinks.quiet import QuietHours
from agent.sinks.wording import Told, Wording
from agent.store.rows import Delivery
from agent.types import EventKind, Severity

SEVERITIES = tuple(Severity)
TOLD_KINDS = ("alert", "offline", "online", "frozen", "unfrozen")
"""Kinds of events that are told outside."""
RECOVERIES = frozenset({EventKind.ONLINE, EventKind.UNFROZEN})
MOST_RETRY_S = 600.0

Json = dict[str, Any]
Encode = Callable[[Told], Json]
"""An event to what is sent of it; a wording adds `title` and `text`."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What is sent to a sink, and when. After `retries` tries more than the first, the first of them after `retry_s`
    and each later one after twice as long, a delivery is a dead letter. `streams` are patterns of ids; empty is all."""

    name: str
    min_severity: Severity = Severity.INFO
    streams: tuple[str, ...] = ()
    kinds: frozenset[str] = frozenset()
    retries: int = 6
    retry_s: float = 2.0
    timeout_s: float = 10.0
    dedup_s: float = 0.0
    quiet: QuietHours | None = None
    wording: Wording | None = None

    def wants(self, stream: str, kind: EventKind, severity: Severity) -> bool:
        """Who is told that something is wrong is told when it is well again, though that is less severe."""
        if kind in RECOVERIES and severity is Severity.INFO:
            severity = Severity.WARN
        return (
            SEVERITIES.index(severity) >= SEVERITIES.index(self.min_severity)
            and (not self.kinds or kind in self.kinds)
            and self.of_stream(stream)
        )

    def of_stream(self, stream: str) -> bool:
        return not self.streams or any(fnmatchcase(stream, pattern) for pattern in self.streams)


@dataclass(frozen=True, slots=True)
class Letter:
    """A delivery with its picture: a JPEG, None where there is none."""

    delivery: Delivery
    thumb: bytes | None = field(default=None, repr=False)

    @property
    def message(self) -> Json:
        """`{type: alert | summary | test, timestamp, data, title?, text?}`."""
        return message_of(self.delivery)


@dataclass(frozen=True, slots=True)
class Failure:
    """`passing`: it may go better later, no earlier than `after_s` if the receiver said so."""

    message: str
    passing: bool
    after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of one try: the status that was answered, if any; `failure` None where it was taken."""

    status: int | None
    failure: Failure | None
    took_s: float = 0.0


class Sink(Protocol):
    """One kind."""

    @property
    def kind(self) -> str: ...

    @property
    def terms(self) -> Terms: ...

    @property
    def address(self) -> str:
        """For people; holds no secret."""

    @property
    def signed(self) -> bool: ...

    @property
    def pictured(self) -> bool:
        """Whether it wants thumbnails."""

    @property
    def stored(self) -> bool:
        """Whether what waits for it outlives the server."""

    @property
    def fault(self) -> str | None:
        """What is wrong even while nothing is sent."""

    async def run(self, ready: Callable[[], None]) -> None:
        """Keep open what it needs, until cancelled; `ready` whenever it can be sent to again."""

    async def send(self, letter: Letter) -> Reply:
        """Try once; cancelled after the terms' `timeout_s`. Raises nothing that it can say as a `Failure`."""


def message_of(delivery: Delivery) -> Json:
    message: Json = from_json(delivery.body)
    return message


def retry_after(terms: Terms, tries: int, failure: Failure) -> float | None:
    """How long to wait after `tries` tries, the last of which failed; None to give up."""
    if not failure.passing or tries > terms.retries:
        return None
    return max(failure.after_s, min(MOST_RETRY_S, terms.retry_s * 2.0 ** (tries - 1)))
