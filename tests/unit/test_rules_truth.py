"""Rules on composed walks: what is told is what happened, by object and to within half a second."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest

from agent.rules.history import TrackHistory
from agent.types import RuleKind
from tests.rule_scenes import Happening, RuleScene, fire, happened, make_scene, matched, rules_of

SEEDS = range(20)
KINDS = (RuleKind.ENTER, RuleKind.LEAVE, RuleKind.CROSS, RuleKind.DWELL, RuleKind.COUNT)


@cache
def scenes() -> tuple[RuleScene, ...]:
    return tuple(make_scene(seed) for seed in SEEDS)


def of_kind(happenings: list[Happening], kind: RuleKind) -> list[Happening]:
    return [happening for happening in happenings if happening.kind is kind]


@cache
def played() -> tuple[tuple[list[Happening], list[Happening]], ...]:
    """What happens and what is told, for each scene."""
    return tuple(
        (scene.truth(), [happened(firing) for firing in fire(rules_of(scene), scene.updates())]) for scene in scenes()
    )


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_told_from_true_tracks_is_what_happened(kind: RuleKind) -> None:
    true = told = same = 0
    for truth, said in played():
        truth, said = of_kind(truth, kind), of_kind(said, kind)
        true, told, same = true + len(truth), told + len(said), same + matched(truth, said)
    assert true >= 50, "too little happens to judge by"
    assert same / told >= 0.99, f"precision: {same} of {told}"
    assert same / true >= 0.99, f"recall: {same} of {true}"


def test_the_truth_is_not_what_any_firing_would_match() -> None:
    """The matching notices what is late, of another object, or told twice."""
    truth, _ = played()[0]
    late = [Happening(h.kind, h.ids, h.t + 0.6, h.how) for h in truth]
    other = [Happening(h.kind, frozenset({99}), h.t, h.how) for h in truth]
    assert matched(truth, truth) == len(truth)
    assert matched(truth, [*truth, *truth]) == len(truth)
    assert matched(truth, other) == 0
    assert matched(truth, late) < 0.2 * len(truth)


def test_the_last_hour_tells_what_was_told_live() -> None:
    """Five looks a second to a few pixels are enough."""
    for scene, (_, said) in zip(scenes()[:4], played(), strict=False):
        history = TrackHistory()
        for update, at in scene.updates(30.0):
            history.add(update, at)
        again = [happened(firing) for firing in fire(rules_of(scene), history.snapshot().updates())]
        assert matched(said, again) >= 0.97 * max(len(said), len(again)), Counter(h.kind for h in again)
