"""One assignment over all, ties, and the place prior."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from stream.engines.assignment import assign, is_tie, place_prior, total
from stream.engines.light.appearance import Similarity
from stream.engines.light.gate import Measures
from stream.engines.light.returns import Missing, Place, claims
from stream.engines.light.tuning import TUNING


def best_total(scores: np.ndarray, least: float) -> float:
    """By trying every pairing."""
    n, m = scores.shape
    if n > m:
        return best_total(scores.T, least)
    return max(
        sum(max(float(scores[i, j]) - least, 0.0) for i, j in enumerate(columns))
        for columns in permutations(range(m), n)
    )


@given(
    hnp.arrays(
        np.float64,
        st.tuples(st.integers(1, 5), st.integers(1, 5)),
        elements=st.one_of(st.floats(-2, 2, width=32), st.just(-np.inf)),
    )
)
def test_assign_finds_the_best_total_of_all_pairings(scores: np.ndarray) -> None:
    pairs = assign(scores, 0.0)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
    assert all(scores[i, j] >= 0 for i, j in pairs)
    assert total(scores) == pytest.approx(best_total(scores, 0.0), abs=1e-6)


def test_assign_takes_no_rows_or_columns() -> None:
    assert assign(np.zeros((0, 3)), 0.0) == []
    assert assign(np.zeros((3, 0)), 0.0) == []


def test_two_objects_that_could_be_swapped_tie_and_a_clear_rival_does_not() -> None:
    assert is_tie(np.array([[1.40, 1.38], [1.39, 1.40]]), 0, 0, 0.06)
    assert not is_tie(np.array([[1.40, 1.10], [1.10, 1.40]]), 0, 0, 0.06)
    assert is_tie(np.array([[1.40], [1.38]]), 0, 0, 0.06)
    assert not is_tie(np.array([[1.40]]), 0, 0, 0.06)


def test_the_place_prior_fades_with_time_and_grows_with_distance() -> None:
    near, far = (place_prior(d, 50, 0.2, 100, 1.5) for d in (5, 200))
    assert near < 0.1 < far <= 4
    assert place_prior(200, 50, 1.0, 100, 1.5) < far
    assert place_prior(5000, 50, 2.0, 100, 1.5) == 0


def measures(look: float) -> Measures:
    return Measures(1.0, 0.95, 1.0, Similarity(0.95, (look - 0.95) * 2))


def missing(i: int, x: float, *, away: float = 0.5, held: float = 0.0) -> Missing:
    return Missing(i, (x, 100.0), 60.0, 50.0, away, held)


def test_look_alikes_go_where_their_motion_leads() -> None:
    lost = [missing(1, 100), missing(2, 400)]
    places = [
        Place((410, 100), {1: measures(1.40), 2: measures(1.39)}),
        Place((95, 100), {1: measures(1.39), 2: measures(1.40)}),
    ]
    assert {(c.id, c.place, c.hold) for c in claims(lost, places, TUNING)} == {(1, 1, False), (2, 0, False)}


def test_a_tie_is_held_back_and_then_taken() -> None:
    place = Place((100, 100), {1: measures(1.40), 2: measures(1.40)})
    early = claims([missing(1, 100, away=3), missing(2, 100, away=3)], [place], TUNING)
    late = claims([missing(1, 100, away=3, held=2), missing(2, 100, away=3, held=2)], [place], TUNING)
    assert [c.hold for c in early] == [True]
    assert [c.hold for c in late] == [False]


def test_what_does_not_look_like_it_is_not_taken_up() -> None:
    assert claims([missing(1, 100)], [Place((100, 100), {1: measures(1.0)})], TUNING) == []
    assert claims([missing(1, 100)], [Place((100, 100), {})], TUNING) == []


def test_a_late_return_needs_a_second_hit() -> None:
    place = Place((100, 100), {1: measures(1.45)})
    assert [c.again for c in claims([missing(1, 100, away=0.3)], [place], TUNING)] == [False]
    assert [c.again for c in claims([missing(1, 100, away=9)], [place], TUNING)] == [True]
