"""The zones and lines of one stream, with their rules, and whether these are armed."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from dataclasses import replace

from agent.rules import RegionRules
from agent.types import XY, ArmedFact, Region, RegionFact, RegionKind, RegionRule, RuleKind
from stream.errors import BadInput, LimitReached, NotFound

MOST_REGIONS = 32
MOST_RULES = 16
"""Of one region."""


class RegionBook:
    """Event loop only. `changed` hears of every change before `publish` tells it to all."""

    def __init__(
        self, changed: Callable[[tuple[Region, ...]], None], publish: Callable[[RegionFact | ArmedFact], object]
    ) -> None:
        self.running = RegionRules()
        self._changed = changed
        self._publish = publish
        self._regions: dict[str, Region] = {}

    def all(self) -> tuple[Region, ...]:
        return tuple(self._regions.values())

    def get(self, region_id: str) -> Region:
        """Raises `NotFound`."""
        try:
            return self._regions[region_id]
        except KeyError:
            raise NotFound("There is no such region.", code="unknown_region") from None

    @property
    def armed(self) -> bool:
        return self.running.armed

    def arm(self, armed: bool) -> None:
        """Whether the rules raise alerts at all."""
        self.running.armed = armed
        self._publish(ArmedFact(armed))

    def put(
        self,
        name: str,
        kind: RegionKind,
        points: Iterable[XY],
        region_id: str | None = None,
        rules: Iterable[RegionRule] | None = None,
    ) -> Region:
        """A new region, or another shape for an old one, which keeps its rules where `rules` is None.

        Raises `BadInput`, `NotFound` or `LimitReached`.
        """
        before = self.get(region_id) if region_id is not None else None
        if before is None and len(self._regions) >= MOST_REGIONS:
            raise LimitReached(f"At most {MOST_REGIONS} regions on a stream.", action="Remove one first.")
        kept = before.rules if before is not None and rules is None else tuple(rules or ())
        region = checked(Region(region_id or uuid.uuid4().hex, name, kind, tuple(points), kept))
        return self._put(region)

    def put_rule(self, region_id: str, rule: RegionRule) -> RegionRule:
        """A new rule of a region, or another one in the place of that with its id. Raises as `put`."""
        region = self.get(region_id)
        known = [old.id for old in region.rules]
        rules = [rule if old.id == rule.id else old for old in region.rules]
        self._put(checked(replace(region, rules=tuple(rules if rule.id in known else [*rules, rule]))))
        return rule

    def rule(self, region_id: str, rule_id: str) -> RegionRule:
        """Raises `NotFound`."""
        for rule in self.get(region_id).rules:
            if rule.id == rule_id:
                return rule
        raise NotFound("There is no such rule.", code="unknown_rule")

    def remove_rule(self, region_id: str, rule_id: str) -> None:
        """Raises `NotFound`."""
        self.rule(region_id, rule_id)
        region = self.get(region_id)
        self._put(replace(region, rules=tuple(rule for rule in region.rules if rule.id != rule_id)))

    def remove(self, region_id: str) -> None:
        """Raises `NotFound`."""
        region = self.get(region_id)
        del self._regions[region_id]
        self._apply()
        self._publish(RegionFact(region, removed=True))

    def restore(self, regions: Iterable[Region], armed: bool) -> None:
        """Take back what the stream had when it was last open."""
        self._regions = {region.id: region for region in regions}
        self._apply()
        for region in self.all():
            self._publish(RegionFact(region))
        if armed is not self.armed:
            self.arm(armed)

    def _put(self, region: Region) -> Region:
        self._regions[region.id] = region
        self._apply()
        self._publish(RegionFact(region))
        return region

    def _apply(self) -> None:
        self.running.replace(self.all())
        self._changed(self.all())


def checked(region: Region) -> Region:
    """The region, if it and its rules go together. Raises `BadInput` or `LimitReached`."""
    if len(region.points) < (3 if region.kind is RegionKind.ZONE else 2):
        raise BadInput("A zone has three corners or more, a line two ends or more.")
    if len(region.rules) > MOST_RULES:
        raise LimitReached(f"At most {MOST_RULES} rules on a region.", action="Remove one first.")
    for rule in region.rules:
        if (rule.kind is RuleKind.CROSS) is not (region.kind is RegionKind.LINE):
            fitting = (
                "cross" if region.kind is RegionKind.LINE else "enter, leave, dwell, loiter, count, left or removed"
            )
            raise BadInput(
                f"A {region.kind.value} has no “{rule.kind.value}”.", action=f"Choose {fitting}, or another region."
            )
    return region
