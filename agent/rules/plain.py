"""Rules as plain values, for the store and the wire, and back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time
from typing import Any

from agent.schedule import DAYS, Schedule
from agent.types import Direction, RegionRule, RuleKind, Severity
from stream.errors import BadInput

USUAL_SECONDS = {RuleKind.DWELL: 10.0, RuleKind.LOITER: 60.0, RuleKind.LEFT: 30.0, RuleKind.REMOVED: 10.0}
"""How long, where nobody said."""
_FILTERS = ("label", "min_area", "max_area", "min_speed", "max_speed")


def rule_plain(rule: RegionRule) -> dict[str, Any]:
    """JSON without what is None."""
    plain: dict[str, Any] = {"id": rule.id, "kind": rule.kind.value, "seconds": rule.seconds}
    plain |= {name: value for name in _FILTERS if (value := getattr(rule, name)) is not None}
    if rule.kind is RuleKind.COUNT:
        plain |= {"op": rule.op, "value": rule.value}
    if rule.direction is not None:
        plain["direction"] = rule.direction.value
    if rule.schedule is not None:
        plain["schedule"] = _schedule_plain(rule.schedule)
    return plain | {
        "severity": rule.severity.value,
        "cooldown_s": rule.cooldown_s,
        "enabled": rule.enabled,
        "sound": rule.sound,
    }


def rule_of(plain: Mapping[str, Any]) -> RegionRule:
    """Raises `BadInput` for a schedule or limits that cannot be."""
    kind = RuleKind(plain["kind"])
    seconds = plain.get("seconds")
    direction, schedule = plain.get("direction"), plain.get("schedule")
    rule = RegionRule(
        id=plain["id"],
        kind=kind,
        seconds=USUAL_SECONDS.get(kind, 0.0) if seconds is None else float(seconds),
        op=plain.get("op") or ">=",
        value=1.0 if plain.get("value") is None else float(plain["value"]),
        direction=Direction(direction) if direction else None,
        schedule=_schedule(schedule) if schedule else None,
        severity=Severity(plain.get("severity", "warn")),
        cooldown_s=float(plain.get("cooldown_s", 30.0)),
        enabled=bool(plain.get("enabled", True)),
        sound=bool(plain.get("sound", False)),
        **{name: plain.get(name) for name in _FILTERS},
    )
    for least, most in ((rule.min_area, rule.max_area), (rule.min_speed, rule.max_speed)):
        if least is not None and most is not None and least > most:
            raise BadInput("Nothing can be over the one limit and under the other.", action="Exchange the two limits.")
    return rule


def _schedule_plain(schedule: Schedule) -> dict[str, Any]:
    return {
        "days": [DAYS[day] for day in sorted(schedule.days)],
        "since": schedule.since.strftime("%H:%M"),
        "until": schedule.until.strftime("%H:%M"),
        "zone": schedule.zone,
    }


def _schedule(plain: Mapping[str, Any]) -> Schedule:
    days = frozenset(DAYS.index(day) for day in plain["days"])
    return Schedule(days, time.fromisoformat(plain["since"]), time.fromisoformat(plain["until"]), plain["zone"])
