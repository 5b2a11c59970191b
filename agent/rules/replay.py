"""What a rule would have raised an alert for: the live code over what was recorded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from agent.perceive.presences import Presences
from agent.perceive.regions import Observed, Regions
from agent.rules.firing import Firing
from agent.rules.running import RegionRules
from agent.types import Region, RegionRule
from stream.types import TrackUpdate


def replay(
    region: Region, rule: RegionRule, updates: Iterable[tuple[TrackUpdate, datetime]], most: int
) -> tuple[list[Firing], int]:
    """The newest `most` firings, oldest first, and how many there were. As though the rule had been armed."""
    region = replace(region, rules=(replace(rule, enabled=True),))
    presences, regions, rules = Presences(), Regions((region,)), RegionRules((region,))
    fired: list[Firing] = []
    count = 0
    for update, at in updates:
        step, changes = presences.step(update, at)
        new = rules.step(Observed(step, regions.step(step, changes), regions))
        count += len(new)
        fired = [*fired, *new][-most:] if new else fired
    return sorted(fired, key=lambda firing: firing.at), count
