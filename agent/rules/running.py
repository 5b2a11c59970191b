"""All rules of a stream's regions at work: armed or not, within their schedules, with rests between alerts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from agent.perceive.regions import Observed
from agent.perceive.state import Step
from agent.rules.firing import Firing, Place
from agent.rules.stays import Counting, Dwelling, Loitering, Passing
from agent.rules.things import LeftBehind, TakenAway
from agent.types import Region, RegionRule, RuleKind, Severity

MOST_RESTING = 4096


class Judge(Protocol):
    """What decides one rule."""

    @property
    def kept(self) -> int: ...

    def step(self, place: Place, observed: Observed) -> Iterator[Firing]: ...


JUDGES: dict[RuleKind, type[Judge]] = {
    RuleKind.ENTER: Passing,
    RuleKind.LEAVE: Passing,
    RuleKind.CROSS: Passing,
    RuleKind.DWELL: Dwelling,
    RuleKind.LOITER: Loitering,
    RuleKind.COUNT: Counting,
    RuleKind.LEFT: LeftBehind,
    RuleKind.REMOVED: TakenAway,
}


@dataclass(slots=True)
class _Running:
    region: Region
    rule: RegionRule
    judge: Judge
    on_since: datetime | None = None


class RegionRules:
    """Memory is bounded by rules times objects, and by `MOST_RESTING`.

    A rule that is switched on while what it waits for is the case already (somebody has been there for as long as it
    asks) fires at once; what only happened before does not count.
    """

    def __init__(self, regions: Iterable[Region] = (), *, armed: bool = True) -> None:
        self.armed = armed
        self._running: dict[str, _Running] = {}
        self._rests: dict[tuple[str, int | None], datetime] = {}
        self.replace(regions)

    @property
    def kept(self) -> int:
        """How many things are remembered."""
        return len(self._rests) + sum(running.judge.kept for running in self._running.values())

    @property
    def waits(self) -> bool:
        """Whether any rule may fire, now or at another time of day."""
        return self.armed and any(running.rule.enabled for running in self._running.values())

    def replace(self, regions: Iterable[Region]) -> None:
        """Other regions from now on; what is known of rules that ask for the same as before is kept."""
        before, self._running = self._running, {}
        for region in regions:
            for rule in region.rules:
                known = before.get(rule.id)
                if known is not None and _asked(known.region, known.rule) == _asked(region, rule):
                    self._running[rule.id] = replace(known, region=region, rule=rule)
                else:
                    self._running[rule.id] = _Running(region, rule, JUDGES[rule.kind]())
        self._rests = {key: at for key, at in self._rests.items() if key[0] in self._running}

    def step(self, observed: Observed) -> list[Firing]:
        """What fires with an update, oldest first."""
        fired = []
        for running in self._running.values():
            rule = running.rule
            on = self.armed and rule.enabled and (rule.schedule is None or rule.schedule.covers(observed.step.at))
            running.on_since = (running.on_since or observed.step.at) if on else None
            place = Place(running.region, rule, running.on_since)
            fired += [firing for firing in running.judge.step(place, observed) if not self._resting(firing)]
        self._let_rest(observed.step)
        return sorted(fired, key=lambda firing: firing.at)

    def _resting(self, firing: Firing) -> bool:
        rule = firing.rule
        key = rule.id, None if rule.kind is RuleKind.COUNT else firing.track_ids[0]
        before = self._rests.get(key)
        if before is not None and firing.at - before < timedelta(seconds=rule.cooldown_s):
            return True
        self._rests.pop(key, None)
        self._rests[key] = firing.at
        return False

    def _let_rest(self, step: Step) -> None:
        """Forget who has rested for long enough, oldest first."""
        over = [key for key, at in self._rests.items() if self._over(key, at, step)]
        for key in [*over, *list(self._rests)[: max(0, len(self._rests) - len(over) - MOST_RESTING)]]:
            self._rests.pop(key, None)

    def _over(self, key: tuple[str, int | None], at: datetime, step: Step) -> bool:
        """Whether nothing more can be told that is dated back into the rest: of a count, and of who is in sight, that
        is never sure."""
        rule_id, track_id = key
        if track_id is None or track_id in step.presences:
            return False
        rule = self._running[rule_id].rule
        return step.at - at > timedelta(seconds=rule.cooldown_s + rule.seconds)


def _asked(region: Region, rule: RegionRule) -> tuple[object, ...]:
    """All that decides whether a rule's judge may go on with what it knows."""
    same = replace(rule, enabled=True, sound=False, severity=Severity.WARN, cooldown_s=0.0, schedule=None)
    return region.id, region.points, same
