"""When rules apply: days and hours in a time zone, across midnight, and on the days when clocks are changed."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.schedule import Schedule
from stream.errors import BadInput

MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC))
TIMES = st.builds(time, st.integers(0, 23), st.integers(0, 59))
DAYS = st.frozensets(st.integers(0, 6), min_size=1)


def test_hours_of_a_day_end_before_the_last_one() -> None:
    office = Schedule(frozenset({0, 1, 2, 3, 4}), time(9), time(17))
    friday = datetime(2026, 11, 20, tzinfo=UTC)
    assert [office.covers(friday + timedelta(hours=h)) for h in (8.9, 9, 16.99, 17)] == [False, True, True, False]
    assert not office.covers(friday + timedelta(days=1, hours=12))


def test_a_night_belongs_to_the_day_on_which_it_began() -> None:
    night = Schedule(frozenset({4}), time(22), time(6))
    friday = datetime(2026, 11, 20, tzinfo=UTC)
    hours = {h: night.covers(friday + timedelta(hours=h)) for h in (3, 21, 22, 24, 29, 30, 46)}
    assert hours == {3: False, 21: False, 22: True, 24: True, 29: True, 30: False, 46: False}


def test_clocks_are_those_of_the_zone_in_summer_and_winter() -> None:
    morning = Schedule(since=time(8), until=time(9), zone="Europe/Berlin")
    assert morning.covers(datetime(2026, 7, 1, 6, 30, tzinfo=UTC))
    assert morning.covers(datetime(2026, 12, 1, 7, 30, tzinfo=UTC))
    assert not morning.covers(datetime(2026, 12, 1, 6, 30, tzinfo=UTC))


@pytest.mark.parametrize("wrong", [{"zone": "Mars/Olympus"}, {"zone": "../etc"}, {"days": frozenset()}])
def test_what_is_no_schedule_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(BadInput):
        Schedule(**wrong)  # type: ignore[arg-type]


@given(MOMENTS, TIMES, TIMES, DAYS)
def test_a_schedule_and_its_other_hours_cover_every_moment_once(
    at: datetime, since: time, until: time, days: frozenset[int]
) -> None:
    """Every day from `since` to `until`, and from `until` to `since`: one of them at any time, unless both are all."""
    there, back = Schedule(since=since, until=until), Schedule(since=until, until=since)
    assert there.covers(at) is not back.covers(at) or since == until
    assert not Schedule(days, since, until).covers(at) or there.covers(at)


@given(MOMENTS, TIMES, DAYS)
def test_equal_times_mean_whole_days(at: datetime, since: time, days: frozenset[int]) -> None:
    begun = (at - timedelta(hours=since.hour, minutes=since.minute)).weekday()
    assert Schedule(days, since, since).covers(at) is (begun in days)
