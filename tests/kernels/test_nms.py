"""`score_order` and `nms` give what their twins give, and the twin of `nms` what the rule says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kernels.cuda.launch import Runner
from kernels.cuda.masks import NMS_LIMIT, nms, score_order
from kernels.reference import overlap as twin
from kernels.reference.cleaning import F32, I32

SPECIAL = np.array([0.0, -0.0, np.nan, np.inf, -np.inf, 1e-45, -1e-45, 0.5, 0.5, -2.0], np.float32)


def overlaps(count: int, seed: int) -> tuple[F32, F32]:
    """A symmetric matrix with ones on the diagonal, about a third of it above a half; scores with ties."""
    random = np.random.default_rng(seed)
    iou = (random.random((count, count)) ** 2).astype(np.float32)
    iou = np.maximum(iou, iou.T)
    np.fill_diagonal(iou, 1)
    return iou, (random.integers(0, max(count, 2), count) / 8).astype(np.float32)


def run_order(runner: Runner, scores: F32, n_valid: int | None = None) -> I32:
    order = np.full(len(scores), -7, np.int32)
    for launch in score_order(scores, np.array([len(scores) if n_valid is None else n_valid], np.int32), order):
        runner.run(launch)
    return order


def run_nms(runner: Runner, iou: F32, scores: F32, threshold: float, n_valid: int | None = None) -> NDArray[np.uint8]:
    keep = np.full(len(scores), 113, np.uint8)
    valid = np.array([len(scores) if n_valid is None else n_valid], np.int32)
    for launch in nms(iou, scores, valid, keep, threshold):
        runner.run(launch)
    return keep


def check(runner: Runner, iou: F32, scores: F32, threshold: float = 0.5) -> NDArray[np.uint8]:
    keep = run_nms(runner, iou, scores, threshold)
    assert np.array_equal(keep, twin.nms(iou, scores, threshold))
    return keep


@pytest.mark.parametrize("count", [0, 1, 2, 31, 32, 33, 100, 300])
def test_counts(runner: Runner, count: int) -> None:
    iou, scores = overlaps(count, count)
    assert np.array_equal(run_order(runner, scores), twin.score_order(scores))
    check(runner, iou, scores)


def test_schedules(scheduled_runner: Runner) -> None:
    iou, scores = overlaps(70, 1)
    for threshold in (0.0, 0.3, 0.9, 1.0):
        check(scheduled_runner, iou, scores, threshold)


def test_as_many_as_there_may_be(runner: Runner) -> None:
    iou, scores = overlaps(NMS_LIMIT, 2)
    check(runner, iou, scores, 0.8)
    with pytest.raises(ValueError, match="at most 512 objects, not 513"):
        nms(np.zeros((513, 513), np.float32), np.zeros(513, np.float32), None, None, 0.5)


def test_scores_of_every_kind(runner: Runner) -> None:
    scores = np.random.default_rng(3).permutation(np.repeat(SPECIAL, 4))
    iou, _ = overlaps(len(scores), 4)
    assert np.array_equal(run_order(runner, scores), twin.score_order(scores))
    check(runner, iou, scores, 0.4)
    iou[::3] = np.nan  # overlaps nothing
    check(runner, iou, scores, 0.4)


@pytest.mark.parametrize("n_valid", [0, 1, 32, 39])
def test_what_is_not_valid_is_neither_read_nor_written(runner: Runner, n_valid: int) -> None:
    iou, scores = overlaps(40, 5)
    iou[n_valid:] = iou[:, n_valid:] = scores[n_valid:] = 9
    order, keep = run_order(runner, scores, n_valid), run_nms(runner, iou, scores, 0.5, n_valid)
    some: Any = slice(n_valid)
    assert np.array_equal(order[some], twin.score_order(scores[some]))
    assert np.array_equal(keep[some], twin.nms(iou[some, some], scores[some], 0.5))
    assert (order[n_valid:] == -7).all()
    assert (keep[n_valid:] == 113).all()


def test_what_is_suppressed_suppresses_nothing(runner: Runner) -> None:
    """A chain: the first overlaps the second, the second the third, which stays. The threshold itself is allowed."""
    iou = np.eye(4, dtype=np.float32)
    iou[0, 1] = iou[1, 0] = iou[1, 2] = iou[2, 1] = 0.75
    iou[0, 3] = iou[3, 0] = 0.5
    assert check(runner, iou, np.array([4, 3, 2, 1], np.float32)).tolist() == [1, 0, 1, 1]
    assert check(runner, iou, np.array([3, 4, 2, 1], np.float32)).tolist() == [0, 1, 0, 1]
    assert check(runner, iou, np.array([3, 3, 3, 3], np.float32)).tolist() == [1, 0, 1, 1]


def test_without_races_or_stray_accesses(checked_runner: Runner) -> None:
    iou, scores = overlaps(45, 6)
    assert np.array_equal(run_order(checked_runner, scores, 40)[:40], twin.score_order(scores[:40]))
    check(checked_runner, iou, scores)
