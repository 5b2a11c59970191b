"""What gives way, in which order, and that it comes back, without to and fro."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from stream.relief import CEILINGS_FPS, Effort, Limits, Load, Relief, after, in_words

LIMITS = Limits()
OFFERS = (Effort(looks=0.5), Effort(looks=0.5, detail=0.8))
OVER, EASY, WORKING = Load(1.0, 0.5, 30.0), Load(0.3, 0.0, 30.0), Load(0.8, 0.0, 30.0)
LOADS = st.builds(Load, st.floats(0, 1), st.floats(0, 1), st.floats(0, 60))


def level(relief: Relief) -> tuple[int, float]:
    """Grows with what gives way."""
    return relief.efforts, -(relief.ceiling_fps or 1000.0)


def run(relief: Relief, load: Load, windows: int, offers: int = 2) -> Relief:
    for _ in range(windows):
        relief = after(relief, load, offers, LIMITS)
    return relief


def test_cadence_then_resolution_then_rate_and_back_the_other_way() -> None:
    relief, seen = Relief(), []
    for _ in range(5):
        relief = run(relief, OVER, LIMITS.give_windows)
        seen.append((relief.efforts, relief.ceiling_fps))
    assert seen == [(1, None), (2, None), (2, 24.0), (2, 20.0), (2, 15.0)]
    back = []
    while not relief.none:
        relief = run(relief, EASY, LIMITS.take_windows)
        back.append((relief.efforts, relief.ceiling_fps))
    assert back == [(2, 20.0), (2, 24.0), (2, None), (1, None), (0, None)]


def test_an_engine_that_can_do_with_nothing_less_gives_way_by_rate_alone() -> None:
    assert run(Relief(), OVER, LIMITS.give_windows, offers=0).ceiling_fps == 24.0


def test_a_ceiling_that_nobody_would_reach_is_passed_over() -> None:
    relief = run(Relief(efforts=2), Load(1.0, 0.5, 11.0), LIMITS.give_windows)
    assert relief.ceiling_fps == 10.0
    assert run(relief, Load(0.3, 0.0, 11.0), LIMITS.take_windows).ceiling_fps is None


def test_a_short_overload_costs_nothing() -> None:
    relief = run(Relief(), OVER, LIMITS.give_windows - 1)
    assert run(run(relief, WORKING, 1), OVER, LIMITS.give_windows - 1).none


def test_what_was_given_back_too_soon_waits_twice_as_long() -> None:
    relief, waits = run(Relief(), OVER, LIMITS.give_windows), []
    for _ in range(3):
        count = 0
        while not relief.none:
            relief, count = run(relief, EASY, 1), count + 1
        waits.append(count)
        relief = run(relief, OVER, LIMITS.give_windows)
    assert waits == [6, 12, 24]


def test_after_a_long_time_without_trouble_a_return_is_quick_again() -> None:
    relief = run(Relief(efforts=1, patience=48), EASY, 48)
    assert relief.none
    relief = run(relief, WORKING, LIMITS.settled + 1)
    relief = run(relief, OVER, LIMITS.give_windows)
    assert run(relief, EASY, LIMITS.take_windows).none


@given(st.lists(LOADS, max_size=300), st.integers(0, 4))
def test_levels_change_one_at_a_time_and_never_both_ways_within_the_shortest_wait(
    loads: list[Load], offers: int
) -> None:
    relief, changes = Relief(), []
    for number, load in enumerate(loads):
        now = after(relief, load, offers, LIMITS)
        assert 0 <= now.efforts <= offers
        assert now.ceiling_fps is None or (now.ceiling_fps in CEILINGS_FPS and now.efforts == offers)
        if level(now) != level(relief):
            assert (now.efforts != relief.efforts) != (now.ceiling_fps != relief.ceiling_fps)
            changes.append((number, level(now) > level(relief)))
        relief = now
    for (first, _), (second, gives) in pairwise(changes):
        assert second - first >= (LIMITS.give_windows if gives else LIMITS.take_windows)


@given(st.floats(0.5, 60), st.integers(0, 4), st.floats(1.1, 30.0))
def test_it_settles_below_what_the_machine_can_do(capacity_fps: float, offers: int, wanted_fps: float) -> None:
    """A machine that does so many pictures a second: the drops end, unless even the lowest ceiling is too much."""
    relief, late = Relief(), 0.0
    for _ in range(200):
        fps = min(wanted_fps, relief.ceiling_fps or wanted_fps)
        late = max(0.0, 1 - capacity_fps / fps)
        relief = after(relief, Load(min(1.0, fps / capacity_fps), late, wanted_fps), offers, LIMITS)
    assert late <= LIMITS.late_most or relief.ceiling_fps == CEILINGS_FPS[-1]


@given(st.lists(LOADS, max_size=100))
def test_ease_always_brings_everything_back(loads: list[Load]) -> None:
    relief = Relief()
    for load in loads:
        relief = after(relief, load, 2, LIMITS)
    assert run(relief, EASY, 12 * LIMITS.take_most + LIMITS.settled).none


def test_it_is_said_in_words() -> None:
    assert in_words(Relief(), OFFERS) == ()
    assert in_words(Relief(2, 12.0), OFFERS) == (
        "The machine is busy: the detector looks 50% as often.",
        "The machine is busy: tracking at 80% of the resolution.",
        "The machine is busy: at most 12 pictures a second are tracked.",
    )
