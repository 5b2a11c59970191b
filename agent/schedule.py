"""Times of the week at which something applies: days and hours in a time zone, across midnight too. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from stream.errors import BadInput

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class Schedule:
    """From `since` to `until` (exclusive) by the clocks of `zone` (an IANA name) on `days`, 0 being Monday.

    Where `until` is not after `since` it lasts into the next day, and its day is the one on which it began; equal
    times mean the whole day. Raises `BadInput` for an unknown zone or no day at all.
    """

    days: frozenset[int] = frozenset(range(7))
    since: time = time(0, 0)
    until: time = time(0, 0)
    zone: str = "UTC"

    def __post_init__(self) -> None:
        if not self.days or not self.days <= set(range(7)):
            raise BadInput("A schedule needs days of the week.", action="Choose at least one day.")
        _zone(self.zone)

    def covers(self, at: datetime) -> bool:
        """Whether `at` (with a zone of its own) is within it."""
        local = at.astimezone(_zone(self.zone))
        now, today = local.time(), local.weekday()
        if self.since < self.until:
            return today in self.days and self.since <= now < self.until
        if now >= self.since:
            return today in self.days
        return now < self.until and (today - 1) % 7 in self.days


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BadInput(f"There is no time zone “{name}”.", action="Name one such as Europe/Berlin or UTC.") from None
