"""Where an object stands while its box loses a part, and while it does not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.perceive.standing import KEPT, Standing
from agent.types import BoxXyxy, Region, RegionKind, RegionRule, RuleKind
from stream.types import Track
from tests.composed_tracks import at, track, update
from tests.rule_scenes import fire

Sides = Callable[[float], tuple[float, float]]
"""Top and bottom of a box by second."""


def feet(sides: Sides, until: float = 8.0, *, fps: float = 10.0) -> dict[float, tuple[float, float]]:
    """Where it stands and its box's lower side, by second."""
    standing, found = Standing(), {}
    for k in range(round(until * fps)):
        t = k / fps
        top, bottom = sides(t)
        found[round(t, 3)] = standing.see((0.2, top, 0.4, bottom), at(t))[1], bottom
    return found


@pytest.mark.parametrize("fps", [5.0, 10.0, 30.0])
@pytest.mark.parametrize("loss_s", [0.3, 1.5, 3.0])
@pytest.mark.parametrize("speed", [0.0, 0.04, -0.04])
def test_who_loses_the_lower_third_for_a_while_stands_where_he_stood(fps: float, loss_s: float, speed: float) -> None:
    def sides(t: float) -> tuple[float, float]:
        top = 0.3 + speed * t
        return top, top + (0.2 if 3 <= t < 3 + loss_s else 0.3)

    found = feet(sides, fps=fps)
    assert all(abs(foot - (0.6 + speed * t)) < 1e-4 for t, (foot, _) in found.items())


@pytest.mark.parametrize(
    "sides",
    [
        pytest.param(lambda t: (0.2, 0.8 - 0.05 * t), id="goes away"),
        pytest.param(lambda t: (0.2 - 0.02 * t, 0.4 + 0.05 * t), id="comes near"),
        pytest.param(lambda t: (0.2 if t < 3 else 0.35, 0.6), id="crouches"),
        pytest.param(lambda t: (0.2 if not 3 < t < 4 else 0.35, 0.6), id="has its head hidden"),
        pytest.param(lambda t: (0.2, 0.9) if t < 3 else (0.4, 0.7), id="was shown with what is around it"),
        pytest.param(lambda t: (0.2 if t < 3 else 0.5, 0.6 if t < 3 else 0.9), id="jumps"),
    ],
)
def test_who_changes_otherwise_stands_on_the_lower_side_of_the_box(sides: Sides) -> None:
    assert all(foot == bottom for foot, bottom in feet(sides).values())


def test_a_mask_that_was_another_one_for_a_moment_is_none_of_its_parts() -> None:
    """Too large at first, larger still for an instant, and then what it should be."""

    def sides(t: float) -> tuple[float, float]:
        return (0.2, 0.6) if t < 3 else (0.18, 0.75) if t < 3.4 else (0.22, 0.6) if t < 3.8 else (0.42, 0.6)

    assert all(foot == bottom for foot, bottom in feet(sides).values())


def test_what_stays_shorter_is_believed_in_the_end() -> None:
    found = feet(lambda t: (0.3, 0.6 if t < 3 else 0.5), until=3 + KEPT.total_seconds() + 1)
    assert found[4.0][0] == 0.6
    assert found[8.9][0] == 0.5


def test_after_a_time_out_of_sight_nothing_is_known_of_before() -> None:
    standing = Standing()
    for k in range(30):
        standing.see((0.2, 0.3, 0.4, 0.6), at(k / 10))
    assert standing.see((0.2, 0.3, 0.4, 0.5), at(3.5))[1] == 0.6
    assert standing.see((0.2, 0.3, 0.4, 0.5), at(5.0))[1] == 0.5


@given(st.lists(st.tuples(st.floats(0, 0.5), st.floats(0.02, 0.5)), max_size=60))
def test_nobody_stands_above_the_box_and_who_trembles_stands_on_it(looks: list[tuple[float, float]]) -> None:
    wild, calm = Standing(), Standing()
    for k, (top, height) in enumerate(looks):
        assert wild.see((0.2, top, 0.4, top + height), at(k / 10))[1] >= top + height
        box: BoxXyxy = (0.2, top, 0.4, top + 0.3 + height / 10)
        assert calm.see(box, at(k / 10)) == pytest.approx((0.3, box[3]))


def test_a_lost_lower_part_enters_and_leaves_no_zone() -> None:
    def tracks(t: float) -> list[Track]:
        return [track(1, (0.2, 0.3, 0.4, 0.5 if 3 <= t < 4.5 else 0.6)), track(2, (0.6, 0.3, 0.8, 0.6))]

    upper = ((0.0, 0.0), (1.0, 0.0), (1.0, 0.55), (0.0, 0.55))
    lower = ((0.0, 0.55), (1.0, 0.55), (1.0, 1.0), (0.0, 1.0))
    zones = [
        Region(f"{n}" * 32, f"zone {n}", RegionKind.ZONE, shape, (RegionRule(f"{n + 2}" * 32, kind, cooldown_s=0),))
        for n, (shape, kind) in enumerate([(upper, RuleKind.ENTER), (lower, RuleKind.LEAVE)])
    ]
    assert fire(zones, ((update(k / 10, tracks(k / 10)), at(k / 10)) for k in range(80))) == []
