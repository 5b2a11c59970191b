"""Lifecycle and gate, as pure functions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stream.engines import lifecycle
from stream.engines.lifecycle import Life
from stream.engines.light import gate
from stream.engines.light.appearance import Similarity
from stream.engines.light.gate import Measures, Verdict
from stream.engines.light.tuning import TUNING
from stream.types import TrackState

GOOD = Measures(0.9, 0.95, 1.0, Similarity(0.97, 0.93))


def test_a_pointed_object_is_live_at_once_and_a_detected_one_is_tentative() -> None:
    assert Life.begin(1.0, sure=True).state is TrackState.LIVE
    assert Life.begin(1.0, sure=False).state is TrackState.TENTATIVE


def test_a_second_hit_confirms() -> None:
    life = lifecycle.hit(Life.begin(1.0, sure=False), 1.4)
    assert life.state is TrackState.LIVE
    assert life.since_s == 1.4
    assert life.born_s == 1.0


def test_a_tentative_object_goes_when_it_is_lost_or_never_confirmed() -> None:
    life = Life.begin(0.0, sure=False)
    assert lifecycle.lose(life, 0.5).state is TrackState.GONE
    assert lifecycle.pass_time(life, TUNING.tentative_s - 0.1, TUNING).state is TrackState.TENTATIVE
    assert lifecycle.pass_time(life, TUNING.tentative_s + 0.1, TUNING).state is TrackState.GONE


def test_a_lost_object_is_kept_for_thirty_seconds_and_can_be_found() -> None:
    lost = lifecycle.lose(Life.begin(0.0, sure=True), 5.0)
    assert lost.state is TrackState.LOST
    assert lifecycle.pass_time(lost, 35.0, TUNING).state is TrackState.LOST
    assert lifecycle.find(lost, 34.0).state is TrackState.LIVE
    assert lifecycle.pass_time(lost, 5.0 + TUNING.keep_lost_s + 0.1, TUNING).state is TrackState.GONE


def test_gone_is_the_end() -> None:
    gone = lifecycle.pass_time(lifecycle.lose(Life.begin(0.0, sure=True), 0.0), 99.0, TUNING)
    for change in (lifecycle.find, lifecycle.lose, lifecycle.hit):
        assert change(gone, 100.0).state is TrackState.GONE


@pytest.mark.parametrize(
    ("measures", "rejects", "verdict"),
    [
        (GOOD, 0, Verdict.ACCEPT),
        (replace(GOOD, fit=0.4), 0, Verdict.ACCEPT),
        (replace(GOOD, fit=0.4, quality=0.5), 0, Verdict.REJECT),
        (replace(GOOD, fit=0.4, area=3.0), 0, Verdict.REJECT),
        (replace(GOOD, fit=0.1), 0, Verdict.REJECT),
        (replace(GOOD, fit=0.1), TUNING.rejects_most - 1, Verdict.LOSE),
        (replace(GOOD, similarity=Similarity(0.7, 0.7)), 0, Verdict.REJECT),
        (replace(GOOD, similarity=Similarity(0.7, 0.7)), 1, Verdict.LOSE),
        (replace(GOOD, similarity=Similarity(0.3, 0.2)), 0, Verdict.LOSE),
        (replace(GOOD, intrusion=0.5), 0, Verdict.REJECT),
    ],
)
def test_the_gate(measures: Measures, rejects: int, verdict: Verdict) -> None:
    assert gate.judge_refresh(measures, rejects, TUNING) is verdict


def test_a_return_needs_looks_quality_and_size() -> None:
    assert gate.may_return(GOOD, 1.0, TUNING)
    assert not gate.may_return(replace(GOOD, quality=0.3), 1.0, TUNING)
    assert not gate.may_return(replace(GOOD, area=9.0), 1.0, TUNING)
    assert not gate.may_return(replace(GOOD, similarity=Similarity(0.7, 1.0)), 1.0, TUNING)
    assert not gate.may_return(replace(GOOD, similarity=Similarity(1.0, 0.8)), 0.0, TUNING)


def test_what_moves_by_itself_may_return_though_its_features_differ() -> None:
    half_in_view = replace(GOOD, similarity=Similarity(1.0, 0.8))
    assert gate.may_return(replace(half_in_view, moving=0.9), 3.0, TUNING)
    assert not gate.may_return(replace(half_in_view, moving=0.1), 3.0, TUNING)


def test_a_long_absence_asks_for_more() -> None:
    barely = replace(GOOD, similarity=Similarity(0.82, 0.90))
    assert gate.may_return(barely, 0.0, TUNING)
    assert not gate.may_return(barely, 20.0, TUNING)


def test_a_mask_that_stands_still_where_its_object_went_on_is_stuck() -> None:
    slipped = replace(GOOD, similarity=Similarity(0.86, 0.77), moving=0.0)
    assert gate.is_stuck(slipped, 0.9, TUNING)
    assert not gate.is_stuck(slipped, 0.1, TUNING), "it stood before"
    assert not gate.is_stuck(replace(slipped, moving=0.9), 0.9, TUNING), "it moves on"
    assert not gate.is_stuck(replace(slipped, moving=None), 0.9, TUNING), "there is no one background"
    assert not gate.is_stuck(replace(GOOD, moving=0.0), 0.9, TUNING), "it stopped"


def test_an_object_is_covered_only_where_colours_and_pixels_agree_on_it() -> None:
    assert gate.is_covered(0.1, 0.1, TUNING)
    assert not gate.is_covered(0.9, 0.1, TUNING)
    assert not gate.is_covered(0.1, 0.9, TUNING)


def test_what_changed_much_or_took_from_a_neighbour_is_not_learnt() -> None:
    assert gate.learns(GOOD, TUNING)
    assert not gate.learns(replace(GOOD, intrusion=0.1), TUNING)
    assert not gate.learns(replace(GOOD, fit=0.5), TUNING)


def test_trouble_makes_a_refresh_urgent() -> None:
    calm = gate.urgency(0.3, 1.0, 0.0, False)
    assert gate.urgency(0.3, 0.4, 0.0, False) > calm
    assert gate.urgency(0.3, 1.0, 5.0, False) > calm
    assert gate.urgency(0.3, 1.0, 0.0, True) > calm
    assert gate.urgency(0.6, 1.0, 0.0, False) > calm
