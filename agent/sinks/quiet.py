"""Quiet hours of a sink, and what is told of them afterwards. Pure, but for the machine's own time zone."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time
from pathlib import Path
from typing import Any, Literal

from agent.schedule import DAYS, Schedule
from agent.types import Severity
from stream.errors import BadInput

_HOURS = re.compile(
    r"(?:(?P<days>[a-z]{3}(?:[-,][a-z]{3})*)\s+)?(?P<since>\d\d?:\d\d)\s*[-\u2013]\s*(?P<until>\d\d?:\d\d)"
)
MOST_LISTED = 50


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Times at which nothing is told. `critical`: critical alerts are told all the same; `then`: whether the others
    are summed up afterwards or dropped."""

    hours: tuple[Schedule, ...]
    critical: bool = True
    then: Literal["sum", "drop"] = "sum"

    def covers(self, at: datetime) -> bool:
        return any(hours.covers(at) for hours in self.hours)

    def holds(self, severity: Severity, at: datetime) -> bool:
        """Whether what happened at `at` is not told at once."""
        return self.covers(at) and not (self.critical and severity is Severity.CRITICAL)


def parse_hours(text: str, zone: str) -> Schedule:
    """`22:00-07:00`, or with days `mon-fri 22:00-07:00`, `sat,sun 23:00-09:00`; a night belongs to the day on which it
    begins. Raises `BadInput`."""
    found = _HOURS.fullmatch(text.strip().lower())
    try:
        if found is None:
            raise ValueError
        since, until = (time.fromisoformat(found[name].rjust(5, "0")) for name in ("since", "until"))
        days = _days(found["days"])
    except ValueError:
        message = f"“{text[:40]}” are no quiet hours."
        raise BadInput(message, action="Write them as 22:00-07:00 or mon-fri 22:00-07:00.") from None
    return Schedule(days, since, until, zone)


def _days(text: str | None) -> frozenset[int]:
    if text is None:
        return frozenset(range(7))
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        begin, end = DAYS.index(first), DAYS.index(last or first)
        found.update((begin + step) % 7 for step in range((end - begin) % 7 + 1))
    return frozenset(found)


def local_zone() -> str:
    """The IANA name of this machine's time zone; UTC where it cannot be told."""
    named = os.environ.get("TZ", "").lstrip(":")
    candidates = [named] if named else []
    try:
        candidates.append(str(Path("/etc/localtime").readlink()).partition("zoneinfo/")[2])
    except OSError:
        candidates.append("")
    for name in candidates:
        try:
            Schedule(zone=name)
        except BadInput:
            continue
        return name
    return "UTC"


def summary(sink: str, messages: Sequence[dict[str, Any]], now: str) -> dict[str, Any]:
    """What is told of `messages`, the alerts of quiet hours, oldest first, in one message."""
    events = [
        {"stream": message["data"]["stream"]}
        | {key: message["data"]["event"].get(key) for key in ("id", "kind", "severity", "text", "at")}
        for message in messages
    ]
    streams = Counter(str(event["stream"]) for event in events)
    counted = ", ".join(f"{stream} {count}" for stream, count in streams.most_common())
    lines = [str(message.get("title") or message["data"]["event"]["text"]) for message in messages[:MOST_LISTED]]
    left = len(messages) - len(lines)
    times = [str(event["at"])[11:16] for event in events[:MOST_LISTED]]
    listed = [f"{at} UTC  {line}" for at, line in zip(times, lines, strict=True)]
    return {
        "type": "summary",
        "timestamp": now,
        "data": {"sink": sink, "count": len(events), "streams": dict(streams), "events": events[:MOST_LISTED]},
        "title": f"{len(events)} alerts in quiet hours",
        "text": "\n".join([f"While it was quiet: {counted}.", "", *listed, *([f"… and {left} more"] if left else [])]),
    }
