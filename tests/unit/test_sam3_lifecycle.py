"""What a frame's evidence makes of a track."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stream.engines.lifecycle import Life
from stream.engines.sam3.lifecycle import Seen, Standing, judge
from stream.engines.sam3.policy import Policy
from stream.types import TrackState

POLICY = Policy()
AGREED = Seen(1, matched=True, unmatched=False)
LOOSE = Seen(1, matched=True, unmatched=True)
MISSED = Seen(1, matched=False, unmatched=True)
DOUBLED = Seen(1, matched=True, unmatched=False, doubled=True)


class Course:
    """A track and the frames that it goes through."""

    def __init__(self, *, sure: bool = False, policy: Policy = POLICY) -> None:
        self.life, self.standing, self.age, self.policy = Life.begin(0.0, sure=sure), Standing.begin(policy), 0, policy

    def goes(self, frames: int, seen: Seen | None, *, present: bool = True, gap_s: float = 1 / 30) -> TrackState:
        for _ in range(frames):
            self.age += 1
            now_s = self.age * gap_s
            self.life, self.standing = judge(self.life, self.standing, present, seen, self.age, now_s, self.policy)
        return self.life.state


def test_three_looks_make_a_track_live() -> None:
    course = Course()
    assert course.life.shown
    assert course.goes(1, AGREED) is TrackState.TENTATIVE
    assert course.goes(5, None) is TrackState.TENTATIVE
    assert course.goes(1, LOOSE) is TrackState.TENTATIVE
    assert course.goes(1, AGREED) is TrackState.LIVE


def test_a_ghost_dies_within_its_probation() -> None:
    course = Course()
    assert course.goes(POLICY.unmatched_most - 1, MISSED) is TrackState.TENTATIVE
    assert course.goes(1, MISSED) is TrackState.GONE


def test_frames_between_looks_count() -> None:
    assert Course().goes(2, Seen(4, matched=False, unmatched=True)) is TrackState.GONE


def test_a_live_track_that_the_detector_gives_up_is_lost_and_comes_back_with_it() -> None:
    course = Course()
    assert course.goes(40, AGREED) is TrackState.LIVE
    assert course.goes(POLICY.keep_alive_most - 1, MISSED) is TrackState.LIVE
    assert course.goes(1, MISSED) is TrackState.LOST
    assert course.goes(3, None) is TrackState.LOST  # its mask alone is not believed
    assert course.goes(1, AGREED) is TrackState.LIVE
    assert course.goes(3, MISSED) is TrackState.LIVE


def test_a_mask_that_comes_and_goes_is_no_loss() -> None:
    course = Course(sure=True)
    for _ in range(20):
        assert course.goes(POLICY.absent_most - 1, None, present=False) is TrackState.LIVE
        assert course.goes(1, None) is TrackState.LIVE


def test_an_object_out_of_sight_is_lost_found_by_its_mask_and_at_last_gone() -> None:
    course = Course(sure=True)
    assert course.goes(POLICY.absent_most, None, present=False) is TrackState.LOST
    assert course.goes(1, None) is TrackState.LIVE
    assert course.goes(POLICY.absent_most, None, present=False) is TrackState.LOST
    assert course.goes(30, None, present=False) is TrackState.LOST
    assert course.goes(int(POLICY.keep_lost_s * 30), None, present=False) is TrackState.GONE


def test_a_tentative_track_without_a_mask_goes() -> None:
    assert Course().goes(POLICY.absent_most, None, present=False) is TrackState.GONE


def test_the_later_of_two_on_one_thing_dies_unless_they_part() -> None:
    course = Course()
    assert course.goes(POLICY.doubled_most - 1, DOUBLED) is TrackState.LIVE
    assert course.goes(1, AGREED) is TrackState.LIVE
    assert course.goes(POLICY.doubled_most, DOUBLED) is TrackState.GONE


def test_what_was_pointed_at_needs_no_detector() -> None:
    course = Course(sure=True)
    assert course.life.state is TrackState.LIVE
    assert course.goes(1000, None) is TrackState.LIVE


@pytest.mark.parametrize("seen", [AGREED, MISSED, DOUBLED, None])
def test_gone_is_the_end(seen: Seen | None) -> None:
    course = Course(sure=True)
    course.life = replace(course.life, state=TrackState.GONE)
    assert course.goes(50, seen) is TrackState.GONE


def test_by_the_choices_of_the_model_no_track_dies() -> None:
    course = Course(policy=POLICY.like_stock())
    assert course.goes(100, MISSED) is TrackState.TENTATIVE
