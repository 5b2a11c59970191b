"""Which events are worth asking about: not too old, not too often, not the same thing twice. Pure."""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from agent.types import Event

KEPT_KEYS = 1024

K = TypeVar("K")


class Admission(StrEnum):
    ADMITTED = "admitted"
    STALE = "stale"
    """The event is too long ago for its frames to be worth asking about."""
    DUPLICATE = "duplicate"
    """The same rule has been asked about the same objects."""
    COOLDOWN = "cooldown"
    """The rule has been asked about a moment ago."""


class Gate:
    """Remembers what was admitted, at most `KEPT_KEYS` rules and as many pairs of a rule and its objects."""

    def __init__(self, *, stale_s: float = 10.0, same_s: float = 300.0) -> None:
        self._stale = timedelta(seconds=stale_s)
        self._same = timedelta(seconds=same_s)
        self._by_rule: OrderedDict[str, datetime] = OrderedDict()
        self._by_objects: OrderedDict[tuple[str, frozenset[int]], datetime] = OrderedDict()

    def admit(self, rule: str, event: Event, now: datetime, *, cooldown_s: float = 0.0) -> Admission:
        """Decide on `event`, proposed by `rule` (any name that is the rule's own). What is admitted is remembered.

        The same objects are admitted again for the same rule once `same_s` have passed; `cooldown_s` holds for the
        rule whatever the objects.
        """
        if now - event.at > self._stale:
            return Admission.STALE
        objects = (rule, frozenset(event.track_ids))
        if event.track_ids and self._within(self._by_objects.get(objects), now, self._same):
            return Admission.DUPLICATE
        if self._within(self._by_rule.get(rule), now, timedelta(seconds=cooldown_s)):
            return Admission.COOLDOWN
        _remember(self._by_rule, rule, now)
        _remember(self._by_objects, objects, now)
        return Admission.ADMITTED

    def forget(self, rule: str) -> None:
        """The rule was changed or removed: it starts afresh."""
        self._by_rule.pop(rule, None)
        for key in [key for key in self._by_objects if key[0] == rule]:
            del self._by_objects[key]

    @property
    def kept(self) -> int:
        return len(self._by_rule) + len(self._by_objects)

    @staticmethod
    def _within(before: datetime | None, now: datetime, span: timedelta) -> bool:
        return before is not None and now - before < span


def _remember(kept: OrderedDict[K, datetime], key: K, now: datetime) -> None:
    kept[key] = now
    kept.move_to_end(key)
    if len(kept) > KEPT_KEYS:
        kept.popitem(last=False)
