"""Which objects a rule is about: by kind, size and speed."""

from __future__ import annotations

import math
from collections.abc import Iterator

from agent import geometry
from agent.labels import BEINGS, class_of, stands_for
from agent.perceive.state import Presence, Step
from agent.types import BoxXyxy, RegionRule, RuleKind

THINGS = frozenset({RuleKind.LEFT, RuleKind.REMOVED})
"""Kinds of rules that are about what does not move of its own accord, unless they name a label."""


def meant(rule: RegionRule, step: Step) -> Iterator[Presence]:
    """Objects in sight that the rule is about."""
    for presence in step.presences.values():
        if presence.in_sight and is_meant(rule, presence, presence.last.box, step.aspect):
            yield presence


def is_meant(rule: RegionRule, presence: Presence, box: BoxXyxy, aspect: float) -> bool:
    """Whether the rule is about such an object, with `box` as its size and at its present speed."""
    return (
        is_named(rule, presence.label)
        and _within(geometry.area(box), rule.min_area, rule.max_area)
        and (rule.min_speed is rule.max_speed is None or _fast(rule, presence, aspect))
    )


def is_named(rule: RegionRule, label: str) -> bool:
    if rule.label is None:
        return rule.kind not in THINGS or class_of(label) not in BEINGS
    return stands_for(rule.label, label)


def _fast(rule: RegionRule, presence: Presence, aspect: float) -> bool:
    vx, vy = presence.velocity
    return _within(math.hypot(vx * aspect, vy), rule.min_speed, rule.max_speed)


def _within(value: float, least: float | None, most: float | None) -> bool:
    return (least is None or value >= least) and (most is None or value <= most)
