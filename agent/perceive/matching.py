"""Which events a rule is about."""

from __future__ import annotations

import operator
from collections.abc import Callable

from agent.labels import stands_for
from agent.types import Event, EventKind, Rule

COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
NEAR_S = 1.0
"""Who only passes by does not come near."""


def matches(rule: Rule, event: Event) -> bool:
    """Whether `event` is what `rule` waits for."""
    if event.kind is not rule.kind or (rule.region_id is not None and rule.region_id != event.region_id):
        return False
    if rule.kind is EventKind.COUNT:
        wanted = 1.0 if rule.value is None else rule.value
        return event.value is not None and COMPARE[rule.op or ">="](event.value, wanted)
    if rule.kind in (EventKind.DWELL, EventKind.TICK):
        if event.value != rule.seconds:
            return False
    elif rule.kind is EventKind.PROXIMITY:
        if event.value != max(NEAR_S, rule.seconds):
            return False
    elif rule.value is not None and rule.value != event.value:
        return False
    return labels_match(rule, event.labels)


def labels_match(rule: Rule, labels: tuple[str, ...]) -> bool:
    """Whether objects with these labels are among those that `rule` is about; its two labels need two objects."""
    if rule.near_label is None:
        return rule.label is None or any(stands_for(rule.label, label) for label in labels)
    for i, label in enumerate(labels):
        others = labels[:i] + labels[i + 1 :]
        first = rule.label is None or stands_for(rule.label, label)
        if first and any(stands_for(rule.near_label, other) for other in others):
            return True
    return False
