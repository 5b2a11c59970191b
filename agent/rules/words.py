"""Rules in plain words."""

from __future__ import annotations

from agent.perceive.regions import the
from agent.rules.stays import length
from agent.types import Direction, Region, RegionRule, RuleKind

_COMPARED = {">": "more than", ">=": "at least", "<": "fewer than", "<=": "at most", "==": "exactly", "!=": "not"}
_WAYS = {Direction.FORWARD: " with the arrow", Direction.BACKWARD: " against the arrow", None: ""}


def rule_words(rule: RegionRule, region: Region) -> str:
    """`"person stays in the Driveway for 30 s"` and the like."""
    who, where, lasting = rule.label or "anything", the(region), length(rule.seconds)
    match rule.kind:
        case RuleKind.ENTER:
            return f"{who} enters {where}"
        case RuleKind.LEAVE:
            return f"{who} leaves {where}"
        case RuleKind.CROSS:
            return f"{who} crosses {where}{_WAYS[rule.direction]}"
        case RuleKind.DWELL:
            return f"{who} stays in {where} for {lasting}"
        case RuleKind.LOITER:
            return f"{who} is about {where} for {lasting}"
        case RuleKind.COUNT:
            held = f" for {lasting}" if rule.seconds else ""
            return f"{_COMPARED[rule.op]} {rule.value:g} {rule.label or 'objects'} in {where}{held}"
        case RuleKind.LEFT:
            return f"{rule.label or 'a thing'} is left in {where} for {lasting}"
        case RuleKind.REMOVED:
            return f"{rule.label or 'a thing'} is taken from {where}"
