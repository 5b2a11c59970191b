"""The measures of tracking quality, on cases small enough to work out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.quality import metrics
from tests.quality.metrics import Box, Mask, Record, Seen
from tests.quality.oracle import encode


def block(x0: int, x1: int, height: int = 10, width: int = 40) -> Mask:
    mask = np.zeros((height, width), bool)
    mask[:, x0:x1] = True
    return mask


def seen(index: int, pairs: dict[tuple[int, int], float], visible: dict[int, float], shown: set[int]) -> Seen:
    """A frame where track t follows identity t, with the given IoUs."""
    return Seen(index, visible, dict.fromkeys(shown, 50), {t: t % 10 for t in shown}, pairs, pairs)


def test_masks_are_stretched_over_the_whole_picture() -> None:
    small = np.zeros((2, 4), bool)
    small[0, 1] = True
    large = metrics.decode(encode(small), 4, 8)
    expected = np.zeros((4, 8), bool)
    expected[0:2, 2:4] = True
    assert np.array_equal(large, expected)


def test_comparing_a_frame_gives_iou_and_the_share_that_lies_inside() -> None:
    truth = {1: block(0, 20)}
    result = metrics.compare(3, truth, {1: 1.0}, {7: block(10, 20), 8: block(30, 40), 9: block(0, 0)}, {7: 1})
    assert result.ious == {(1, 7): 0.5}
    assert result.inside == {(1, 7): 1.0}
    assert result.shown == {7: 100, 8: 100}, "an empty mask is no mask"


def test_region_similarity_counts_a_missing_mask_as_zero_and_leaves_out_hidden_frames() -> None:
    record = Record({1: 0})
    for k in range(10):
        record.frames.append(seen(k, {(1, 1): 1.0}, {1: 1.0}, {1}))
    record.frames += [seen(10, {(1, 1): 0.8}, {1: 1.0}, {1}), seen(11, {}, {1: 1.0}, set())]
    record.frames += [seen(12, {(1, 1): 0.1}, {1: 0.1}, {1}), seen(13, {}, {1: 0.0}, set())]
    assert metrics.region_similarity(record, 1) == pytest.approx(0.4)


def test_region_similarity_follows_the_first_id_only() -> None:
    record = Record({1: 0})
    record.frames = [seen(k, {(1, 1): 1.0}, {1: 1.0}, {1}) for k in range(15)]
    record.frames += [seen(k, {(1, 11): 1.0}, {1: 1.0}, {11}) for k in range(15, 20)]
    assert metrics.region_similarity(record, 1) == pytest.approx(0.5)
    assert metrics.id_switches(record) == 1


def test_an_object_that_was_never_found_scores_zero() -> None:
    record = Record({1: 0})
    record.frames = [seen(k, {}, {1: 1.0}, set()) for k in range(20)]
    assert metrics.region_similarity(record, 1) == 0.0
    assert metrics.first_mask_s(record, 1) is None


def test_a_mutual_swap_is_two_switches() -> None:
    record = Record({1: 0, 2: 0})
    straight, crossed = {(1, 1): 0.9, (2, 2): 0.9}, {(1, 2): 0.9, (2, 1): 0.9}
    for k in range(6):
        record.frames.append(seen(k, straight if k < 3 else crossed, {1: 1.0, 2: 1.0}, {1, 2}))
    assert metrics.id_switches(record) == 2


def test_a_match_is_kept_while_it_holds_even_where_another_track_fits_better() -> None:
    assert metrics.match({(1, 1): 0.6, (1, 2): 0.9}, {1: 1}) == {1: 1}
    assert metrics.match({(1, 1): 0.4, (1, 2): 0.9}, {1: 1}) == {1: 2}
    assert metrics.match({(1, 1): 0.4}, {1: 1}) == {}


def test_matching_maximises_the_sum() -> None:
    assert metrics.match({(1, 1): 0.9, (1, 2): 0.8, (2, 1): 0.85}, {}) == {1: 2, 2: 1}


def test_masks_on_frames_without_the_object_are_counted() -> None:
    record = Record({1: 0})
    record.frames = [seen(k, {(1, 1): 1.0}, {1: 1.0}, {1}) for k in range(5)]
    record.frames += [seen(k, {}, {1: 0.0}, {1} if k < 8 else set()) for k in range(5, 15)]
    record.frames += [seen(15, {}, {1: 0.05}, {1})]
    assert metrics.absent_frames(record, 1) == (3, 10)


def test_recovery_is_timed_from_the_frame_on_which_half_is_visible_again() -> None:
    record = Record({1: 0})
    record.frames = [seen(k, {(1, 1): 1.0}, {1: 1.0}, {1}) for k in range(5)]
    record.frames += [seen(k, {}, {1: 0.0}, set()) for k in range(5, 20)]
    record.frames += [seen(k, {}, {1: 0.3}, set()) for k in range(20, 23)]
    record.frames += [seen(k, {(1, 1): 0.7} if k >= 29 else {}, {1: 0.9}, {1}) for k in range(23, 40)]
    assert metrics.recoveries(record, 1) == [pytest.approx(6 / 30)]


def test_recovery_under_another_id_is_none() -> None:
    record = Record({1: 0})
    record.frames = [seen(k, {(1, 1): 1.0}, {1: 1.0}, {1}) for k in range(5)]
    record.frames += [seen(k, {}, {1: 0.0}, set()) for k in range(5, 20)]
    record.frames += [seen(k, {(1, 11): 0.9}, {1: 1.0}, {11}) for k in range(20, 60)]
    assert metrics.recoveries(record, 1) == [None]


def test_two_absences_give_two_recoveries() -> None:
    record = Record({1: 0})
    for k in range(80):
        gone = 10 <= k < 25 or 40 <= k < 60
        record.frames.append(seen(k, {} if gone else {(1, 1): 1.0}, {1: 0.0 if gone else 1.0}, {1}))
    assert metrics.recoveries(record, 1) == [0.0, 0.0]


def test_an_id_on_another_object_is_stolen() -> None:
    record = Record({1: 0})
    record.frames = [seen(k, {(1, 1): 1.0}, {1: 1.0}, {1}) for k in range(5)]
    record.frames += [seen(k, {(2, 1): 0.6}, {1: 0.0, 2: 1.0}, {1}) for k in range(5, 9)]
    assert metrics.stolen_frames(record, 1, 2) == 4


def test_detection_counts_hits_misses_and_false_alarms() -> None:
    a, b, far = (0.0, 0.0, 10.0, 10.0), (20.0, 0.0, 30.0, 10.0), (60.0, 0.0, 70.0, 10.0)
    result = metrics.detection([([Box(1, a), Box(2, b)], [Box(5, a), Box(6, far)])])
    assert (result.truths, result.hits, result.false_alarms) == (2, 1, 1)
    assert result.recall == 0.5
    assert result.precision == 0.5


def test_ignored_truth_is_neither_missed_nor_wrongly_found() -> None:
    a, region = (0.0, 0.0, 10.0, 10.0), (20.0, 0.0, 40.0, 20.0)
    part_of_region = (22.0, 2.0, 30.0, 10.0)
    found = metrics.detection([([Box(1, a), Box(2, region, ignore=True)], [Box(5, a), Box(6, part_of_region)])])
    assert (found.truths, found.hits, found.false_alarms) == (1, 1, 0)
    missed = metrics.detection([([Box(1, a), Box(2, region, ignore=True)], [Box(5, a)])])
    assert missed.recall == 1.0


def test_detection_counts_id_switches() -> None:
    a, b = (0.0, 0.0, 10.0, 10.0), (20.0, 0.0, 30.0, 10.0)
    truth = [Box(1, a), Box(2, b)]
    frames = [(truth, [Box(5, a), Box(6, b)])] * 3 + [(truth, [Box(6, a), Box(5, b)])] * 3
    assert metrics.detection(frames).switches == 2


def test_an_id_that_comes_back_after_a_gap_is_no_switch() -> None:
    a = (0.0, 0.0, 10.0, 10.0)
    frames = [([Box(1, a)], [Box(5, a)]), ([Box(1, a)], []), ([Box(1, a)], [Box(5, a)])]
    assert metrics.detection(frames).switches == 0


def test_boxes_that_only_touch_do_not_overlap() -> None:
    assert metrics.box_iou((0, 0, 10, 10), (10, 0, 20, 10)) == 0.0
    assert metrics.box_iou((0, 0, 10, 10), (5, 0, 15, 10)) == pytest.approx(1 / 3)


def test_nothing_said_has_no_precision() -> None:
    assert math.isnan(metrics.detection([]).precision)
