"""Rates are kept on average, nobody starves, and what is stepped is fresh."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from stream.pacing import Pace, in_turn, period_s

RATES = st.floats(0.5, 60)


def taken(pace: Pace, arrivals_s: list[float], every_s: float) -> list[float]:
    out = []
    for at_s in arrivals_s:
        if pace.takes(at_s, every_s):
            pace = pace.after(at_s)
            out.append(at_s)
    return out


@given(RATES, RATES, st.lists(st.floats(-0.3, 0.3), min_size=60, max_size=60))
def test_a_rate_is_kept_on_average_and_never_in_a_burst(source: float, target: float, jitter: list[float]) -> None:
    """Pictures come up to 0.3 of their interval early or late."""
    arrivals = sorted((number + off) / source for number, off in enumerate(jitter))
    steps = taken(Pace(1 / target), arrivals, 1 / source)
    lasted = arrivals[-1] - arrivals[0]
    for first, start_s in enumerate(steps):
        assert all(number + 1 <= (at_s - start_s) * target + 2.6 for number, at_s in enumerate(steps[first:]))
    assert len(steps) >= lasted * min(target, source) * 0.75 - 2


@given(st.integers(1, 6), st.integers(1, 40))
def test_every_nth_picture_where_the_rate_divides_the_sources(times: int, fps: int) -> None:
    arrivals = [number / (times * fps) for number in range(20 * times)]
    assert taken(Pace(1 / fps), arrivals, 1 / (times * fps)) == arrivals[::times]


@given(st.lists(st.floats(0, 100), max_size=50))
def test_without_a_rate_every_picture_is_taken(gaps: list[float]) -> None:
    arrivals = sorted(gaps)
    assert taken(Pace(), arrivals, 0.1) == arrivals


@given(RATES, RATES)
def test_after_a_pause_nothing_is_caught_up(target: float, source: float) -> None:
    pace = Pace(1 / target)
    for at_s in (0.0, 1000.0):
        assert pace.takes(at_s, 1 / source)
        pace = pace.after(at_s)
    assert not pace.takes(1000.0 + 0.4 / target, 1 / source)


@given(st.floats(0.5, 30), st.floats(0.5, 30))
def test_a_new_rate_holds_at_once(before: float, now: float) -> None:
    pace = Pace(1 / before).after(0.0).at(1 / now)
    assert pace.takes(1.001 / now, 0.0)
    assert pace.period_s == 1 / now


@given(st.none() | RATES, st.none() | RATES)
def test_the_lower_of_target_and_ceiling_holds(target: float | None, ceiling: float | None) -> None:
    rates = [rate for rate in (target, ceiling) if rate]
    assert period_s(target, ceiling) == (1 / min(rates) if rates else 0.0)


@settings(max_examples=40)
@given(st.integers(1, 20), st.integers(1, 5), st.data())
def test_nobody_waits_for_more_than_one_round(streams: int, limit: int, data: st.DataObject) -> None:
    """Whoever has a picture is stepped within ceil(n / limit) steps, whatever the others have."""
    served, waits = [0] * streams, [0] * streams
    for step in range(1, 60):
        have = data.draw(st.lists(st.booleans(), min_size=streams, max_size=streams))
        # a picture once there stays, or gives way to a newer one
        ready = [index for index in range(streams) if have[index] or waits[index]]
        chosen = [ready[place] for place in in_turn([served[index] for index in ready], limit)]
        assert len(chosen) == min(limit, len(ready))
        for place, index in enumerate(chosen):
            served[index] = step * limit + place
        for index in ready:
            waits[index] = 0 if index in chosen else waits[index] + 1
        assert max(waits) < -(-streams // limit)


@given(st.integers(2, 16), st.integers(1, 4))
def test_shares_are_fair_where_all_always_have_a_picture(streams: int, limit: int) -> None:
    served, count = [0] * streams, [0] * streams
    for step in range(1, 100):
        for place, index in enumerate(in_turn(served, limit)):
            served[index] = step * limit + place
            count[index] += 1
    assert max(count) - min(count) <= 1
