"""Which events are worth asking about: not too old, not the same thing twice. Pure."""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime, timedelta
from enum import StrEnum

from agent.types import Event

KEPT_KEYS = 1024


class Admission(StrEnum):
    ADMITTED = "admitted"
    STALE = "stale"
    """The event is too long ago for its frames to be worth asking about."""
    DUPLICATE = "duplicate"
    """The same rule has been asked about the same objects."""


class Gate:
    """Remembers what was admitted, at most `KEPT_KEYS` pairs of a rule and its objects."""

    def __init__(self, *, stale_s: float = 10.0, same_s: float = 300.0) -> None:
        self._stale = timedelta(seconds=stale_s)
        self._same = timedelta(seconds=same_s)
        self._admitted: OrderedDict[tuple[str, frozenset[int]], datetime] = OrderedDict()

    def admit(self, rule: str, event: Event, now: datetime) -> Admission:
        """Decide on `event`, proposed by `rule` (any name that is the rule's own). What is admitted is remembered.

        The same objects are admitted again for the same rule once `same_s` have passed.
        """
        if now - event.at > self._stale:
            return Admission.STALE
        objects = (rule, frozenset(event.track_ids))
        before = self._admitted.get(objects)
        if event.track_ids and before is not None and now - before < self._same:
            return Admission.DUPLICATE
        self._admitted[objects] = now
        self._admitted.move_to_end(objects)
        if len(self._admitted) > KEPT_KEYS:
            self._admitted.popitem(last=False)
        return Admission.ADMITTED

    def forget(self, rule: str) -> None:
        """The rule was changed or removed: it starts afresh."""
        for key in [key for key in self._admitted if key[0] == rule]:
            del self._admitted[key]

    @property
    def kept(self) -> int:
        return len(self._admitted)
