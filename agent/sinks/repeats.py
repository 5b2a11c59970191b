"""The same thing is told once: same stream, same rule, same object, within a time. Pure."""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime, timedelta

from agent.types import Event, EventKind

MOST_KEYS = 4096
Key = tuple[str, str, int | None]


class Repeats:
    """What one sink was told lately. Only alerts repeat: that a camera is back is news each time."""

    def __init__(self, within_s: float) -> None:
        self._within = timedelta(seconds=within_s)
        self._told: OrderedDict[Key, datetime] = OrderedDict()

    def repeats(self, stream: str, event: Event) -> bool:
        """Whether all objects of an alert were told by the same rule within the time; else they count as told now."""
        if not self._within or event.kind is not EventKind.ALERT:
            return False
        rule = event.watch_id or event.rule_id or event.text
        objects: tuple[int | None, ...] = event.track_ids or (None,)
        keys: list[Key] = [(stream, rule, track_id) for track_id in objects]
        before = [self._told.get(key) for key in keys]
        if all(at is not None and event.at - at < self._within for at in before):
            return True
        for key in keys:
            self._told[key] = event.at
            self._told.move_to_end(key)
        while len(self._told) > MOST_KEYS:
            self._told.popitem(last=False)
        return False
