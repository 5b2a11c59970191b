"""Media time does not wrap; rates and percentiles are those of the newest events."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stream.clock import RTP_MODULUS, RateMeter, RollingPercentiles, RtpUnwrapper


@given(
    start=st.integers(0, RTP_MODULUS - 1), steps=st.lists(st.integers(-(2**31) + 1, 2**31 - 1), min_size=1, max_size=50)
)
def test_unwrapping_restores_every_step_of_less_than_half_the_range(start: int, steps: list[int]) -> None:
    unwrapper = RtpUnwrapper()
    assert unwrapper.unwrap(start) == 0
    true = start
    for step in steps:
        true += step
        assert unwrapper.unwrap(true % RTP_MODULUS) == true - start


def test_the_rate_forgets_what_is_older_than_its_window() -> None:
    meter = RateMeter(window_s=2.0)
    for i in range(61):
        meter.tick(i / 30)
    assert abs(meter.rate(2.0) - 30) < 0.5
    assert meter.rate(10.0) == 0.0


def test_percentiles_are_those_of_the_newest_values() -> None:
    values = RollingPercentiles(size=100)
    assert values.at(50) == 0.0
    for i in range(1000):
        values.add(float(i))
    assert values.at(0) == 900
    assert values.at(50) == 950
    assert values.at(100) == 999
