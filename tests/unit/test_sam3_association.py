"""Matching detections with tracks, suppression and re-entry, as pure functions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stream.engines.sam3.association import Detected, Matches, Tracks, associate, best_new, returns, suppressed
from stream.engines.sam3.policy import Policy

POLICY = Policy()


def tracks(*prompts: int, born: list[int] | None = None, empty: list[bool] | None = None, pointed: int = 0) -> Tracks:
    """Tracks of these prompts; the last `pointed` of them were pointed at."""
    count = len(prompts)
    return Tracks(
        np.array(prompts, np.int64),
        np.array(born or range(count), np.int64),
        np.array(empty or [False] * count, np.bool_),
        np.arange(count) >= count - pointed,
    )


def match(
    score: list[float], prompt: list[int], iou: list[list[float]], against: Tracks, policy: Policy = POLICY
) -> Matches:
    overlap = np.array(iou, np.float32).reshape(len(score), len(against.prompt))
    return associate(Detected(np.array(score, np.float32), np.array(prompt, np.int64), overlap), against, policy)


def test_a_detection_on_no_track_is_new_from_the_threshold_on() -> None:
    found = match([0.9, 0.6, 0.9], [1, 1, 1], [[0.05], [0.0], [0.1]], tracks(1))
    assert found.new == (0,)
    assert found.matched.tolist() == [True]
    assert found.unmatched.tolist() == [True]  # 0.1 is a match, and too loose to keep the track alive


def test_where_nothing_is_tracked_yet_the_threshold_for_new_objects_holds_too() -> None:
    assert match([0.9, 0.6], [1, 1], [[], []], tracks()).new == (0,)
    assert match([0.9, 0.6], [1, 1], [[], []], tracks(), POLICY.like_stock()).new == (0, 1)


def test_prompts_do_not_mix() -> None:
    found = match([0.9], [2], [[0.95]], tracks(1))
    assert found.new == (0,)
    assert found.matched.tolist() == [False]


def test_nothing_new_begins_on_an_object_that_was_pointed_at() -> None:
    found = match([0.9, 0.9], [2, 2], [[0.6], [0.4]], tracks(1, pointed=1))
    assert found.new == (1,)
    assert not found.matched.any()
    assert not found.unmatched.any()


def test_a_track_without_a_mask_is_not_unmatched() -> None:
    found = match([], [], [], tracks(1, 1, empty=[False, True]))
    assert found.unmatched.tolist() == [True, False]


def test_a_sure_detection_confirms_the_track_that_it_is_best_on() -> None:
    found = match([0.85, 0.7, 0.9], [1, 1, 1], [[0.3, 0.9, 0], [0.9, 0, 0], [0.7, 0, 0]], tracks(1, 1, 1))
    assert found.confirmed == {1: 0}


def test_of_two_tracks_on_one_detection_the_later_is_the_double() -> None:
    found = match([0.9], [1], [[0.6, 0.7, 0.3]], tracks(1, 1, 1, born=[9, 4, 1]))
    assert found.doubles == ((1, 0),)


def test_of_two_that_overlap_the_one_hidden_more_recently_gives_way() -> None:
    iou = np.array([[1, 0.8, 0.8], [0.8, 1, 0.1], [0.8, 0.1, 1]], np.float32)
    prompt = np.array([1, 1, 2])
    assert suppressed(iou, prompt, np.array([7, 5, 9]), POLICY).tolist() == [True, False, False]
    # Never hidden before: nobody has to give way to it.
    assert not suppressed(iou, prompt, np.array([7, -1, 9]), POLICY).any()


@pytest.mark.parametrize("seed", range(20))
def test_suppression_is_that_of_the_model(seed: int) -> None:
    from tests.tiny_sam3 import tiny_model

    drawn = np.random.default_rng(seed)
    masks = drawn.random((6, 4, 4)) > 0.2
    flat = masks.reshape(6, -1).astype(np.float32)
    both = flat @ flat.T
    iou = both / (flat.sum(1)[:, None] + flat.sum(1)[None] - both)
    hidden = drawn.integers(-1, 4, 6)
    model = _model(tiny_model)
    theirs = model._get_objects_to_suppress_based_on_most_recently_occluded(
        torch.from_numpy(masks), torch.from_numpy(hidden), list(range(6))
    )
    ours = suppressed(iou.astype(np.float32), np.ones(6, np.int64), hidden, POLICY)
    assert ours.tolist() == theirs.tolist()


@pytest.mark.parametrize("seed", range(20))
def test_matching_is_that_of_the_model(seed: int) -> None:
    """With its choice of policy: the same new, unmatched and confirmed ones, from masks."""
    from tests.tiny_sam3 import tiny_model

    drawn = np.random.default_rng(seed)
    detections, seen = drawn.integers(0, 5), drawn.integers(0, 5)
    det, trk = _boxes(drawn, detections), _boxes(drawn, seen)
    score = drawn.uniform(0.5, 1, detections).astype(np.float32)
    det_prompt, trk_prompt = drawn.integers(0, 2, detections), drawn.integers(0, 2, seen)
    new, unmatched, matched, confirmed, empty = _model(tiny_model)._associate_det_trk(
        torch.from_numpy(det), torch.from_numpy(score), torch.from_numpy(trk), list(range(seen)),
        torch.from_numpy(det_prompt), torch.from_numpy(trk_prompt),
    )  # fmt: skip
    a, b = (det > 0).reshape(detections, 256), (trk > 0).reshape(seen, 256)
    union = (a[:, None] | b[None]).sum(2)
    iou = ((a[:, None] & b[None]).sum(2) / np.maximum(union, 1)).astype(np.float32)
    ours = associate(
        Detected(score, det_prompt, iou),
        Tracks(trk_prompt, np.zeros(seen, np.int64), ~b.any(1), np.zeros(seen, np.bool_)),
        POLICY.like_stock(),
    )
    assert list(ours.new) == new
    assert np.flatnonzero(ours.unmatched).tolist() == unmatched
    assert set(np.flatnonzero(ours.matched)) == {track for tracks in matched.values() for track in tracks}
    assert dict(ours.confirmed) == confirmed
    assert np.flatnonzero(~b.any(1)).tolist() == empty


def test_a_lost_object_is_the_new_one_that_is_most_like_it() -> None:
    likeness = np.array([[0.95, 0.8], [0.7, 0.9]], np.float32)
    allowed = np.ones((2, 2), np.bool_)
    assert returns(likeness, allowed, POLICY) == {0: 0, 1: 1}
    assert returns(likeness, np.array([[False, True], [True, False]]), POLICY) == {0: 1}
    assert returns(np.full((1, 1), np.nan, np.float32), allowed[:1, :1], POLICY) == {}


def test_a_new_object_that_may_be_either_of_two_lost_ones_stays_new() -> None:
    assert returns(np.array([[0.9, 0.89]], np.float32), np.ones((1, 2), np.bool_), POLICY) == {}


def test_where_there_is_no_room_the_best_are_taken() -> None:
    score = np.array([0.7, 0.9, 0.8], np.float32)
    assert best_new((0, 1, 2), score, 2) == ((1, 2), 1)
    assert best_new((0, 1, 2), score, 0) == ((), 3)


_MODELS: list[object] = []


def _model(make: object) -> object:
    """One model for all; only its thresholds are used."""
    if not _MODELS:
        _MODELS.append(make())  # type: ignore[operator]
    return _MODELS[0]


def _boxes(drawn: np.random.Generator, count: int) -> np.ndarray:
    """Logits `(count, 16, 16)` of boxes, some of them empty."""
    masks = np.full((count, 16, 16), -5, np.float32)
    for mask in masks:
        if drawn.random() > 0.2:
            x, y = drawn.integers(0, 6, 2)
            w, h = drawn.integers(6, 10, 2)
            mask[y : y + h, x : x + w] = 5
    return masks
