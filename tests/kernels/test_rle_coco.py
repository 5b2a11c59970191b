"""`rle_coco` writes the bytes that pycocotools writes, as does its twin."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from pycocotools import mask as coco

from kernels.cuda.launch import Runner
from kernels.cuda.masks import RLE_MAX_WIDTH_PX, rle_coco
from kernels.reference import runlength as twin
from kernels.reference.cleaning import pack_bits
from kernels.reference.upsampling import measure
from tests.kernels.blobs import KINDS, Kind, logits

Masks = NDArray[np.bool_]
POISON = 113


class Codes(NamedTuple):
    text: NDArray[np.uint8]
    length: NDArray[np.int32]

    def string(self, n: int) -> bytes:
        return self.text[n, : self.length[n]].tobytes()


def theirs(mask: Masks) -> bytes:
    return bytes(coco.encode(np.asfortranarray(mask, np.uint8))["counts"])


def run(runner: Runner, masks: Masks, capacity: int, n_valid: int | None = None, *, grow: int = 0) -> Codes:
    """`grow` widens the boxes, as far as the picture goes: the kernel may rely on their holding every pixel only."""
    count, height, width = masks.shape
    valid = count if n_valid is None else n_valid
    stats = measure(masks)
    some = stats[:, 1] > 0
    stats[some, 2:4] = np.maximum(stats[some, 2:4] - grow, 0)
    stats[some, 4:6] = np.minimum(stats[some, 4:6] + grow, (width, height))
    stats[valid:] = 10**6
    codes = Codes(np.full((count, capacity), POISON, np.uint8), np.full(count, POISON, np.int32))
    scratch = np.full((count, capacity), 0xDEADBEEF, np.uint32)
    for launch in rle_coco(pack_bits(masks), stats, np.array([valid], np.int32), scratch, *codes, width):
        runner.run(launch)
    return codes


def check(runner: Runner, masks: Masks, *, grow: int = 0) -> None:
    """All strings against pycocotools, with the capacity of the longest, so that its last byte is the last one."""
    strings = [theirs(mask) for mask in masks]
    codes = run(runner, masks, max(map(len, strings), default=1), grow=grow)
    assert [codes.string(n) for n in range(len(masks))] == strings


def masks(kind: Kind, count: int, height: int, width: int, seed: int = 0) -> Masks:
    return logits(kind, count, height, width, seed) > 0


def corners(height: int, width: int) -> Masks:
    """One pixel in each corner, the whole border, each row and column at it, and the last two columns."""
    made = np.zeros((10, height, width), bool)
    made[0, 0, 0] = made[1, 0, -1] = made[2, -1, 0] = made[3, -1, -1] = True
    made[4, [0, -1]] = made[4, :, [0, -1]] = True
    made[5, 0] = made[6, -1] = made[7, :, 0] = made[8, :, -1] = made[9, :, -2:] = True
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_mask(scheduled_runner: Runner, kind: Kind) -> None:
    check(scheduled_runner, masks(kind, 4, 90, 150, 1))


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 100), (100, 1), (2, 32), (33, 31), (64, 64), (50, 33), (17, 95), (700, 5)], ids=str
)
def test_sizes(runner: Runner, size: tuple[int, int]) -> None:
    check(runner, masks("random", 2, *size, seed=2))
    check(runner, masks("full", 1, *size))
    check(runner, masks("empty", 1, *size))
    check(runner, corners(*size))


def test_boxes_may_be_larger_than_the_mask(runner: Runner) -> None:
    check(runner, masks("smooth", 5, 60, 100, 3), grow=7)
    check(runner, corners(20, 70), grow=100)


def test_right_edges_around_a_word_at_the_bottom(runner: Runner) -> None:
    """A run that reaches the last row ends in the next column, which may be in the next word, or not be there."""
    made = np.zeros((20, 40, 64), bool)
    for n, x in enumerate((31, 32, 33, 63, 64)):
        made[n, 30:, 5:x] = made[5 + n, :, 5:x] = made[10 + n, 30:39, 5:x] = made[15 + n, 39, x - 1] = True
    check(runner, made)


def test_a_picture(runner: Runner) -> None:
    check(runner, np.concatenate([masks("smooth", 2, 720, 1280, 4), masks("edge", 1, 720, 1280, 5)]))


def test_the_widest_picture(runner: Runner) -> None:
    wide = np.zeros((2, 10, RLE_MAX_WIDTH_PX), bool)
    wide[0, 3:, 5:-3] = wide[1, :, ::1000] = True
    check(runner, wide)
    too_wide = np.zeros((1, 1, 513), np.uint32)
    nothing = np.zeros((1, 1), np.uint8)
    with pytest.raises(ValueError, match="1 x 16385"):
        rle_coco(too_wide, None, None, None, nothing, None, RLE_MAX_WIDTH_PX + 1)


@pytest.mark.parametrize("count", [0, 1, 33])
def test_counts(runner: Runner, count: int) -> None:
    check(runner, masks("smooth", count, 40, 64, 6))


@pytest.mark.parametrize("n_valid", [0, 1, 3])
def test_what_is_not_valid_is_neither_read_nor_written(runner: Runner, n_valid: int) -> None:
    made = masks("smooth", 4, 40, 64, 7)
    codes = run(runner, made, 1000, n_valid)
    assert [codes.string(n) for n in range(n_valid)] == [theirs(mask) for mask in made[:n_valid]]
    assert (codes.length[n_valid:] == POISON).all()
    assert (codes.text[n_valid:] == POISON).all()


def check_overflow(runner: Runner, height: int, width: int) -> None:
    """One byte too few, many bytes too few, and more runs than bytes, between masks that fit exactly."""
    smooth, long = (masks(kind, 1, height, width, 8) for kind in ("smooth", "random"))
    made = np.concatenate([smooth, smooth, long, smooth, long])
    made[1, 2, 2] = True
    capacity = len(theirs(made[0]))
    assert capacity < len(theirs(made[1])) < 2 * capacity < len(theirs(made[2]))
    codes = run(runner, made, capacity)
    assert codes.length.tolist() == [capacity, -1, -1, capacity, -1]
    assert codes.string(0) == codes.string(3) == theirs(made[0])
    assert run(runner, made[:2], capacity - 1).length.tolist() == [-1, -1]
    assert run(runner, masks("full", 1, 300, 300), 1).length.tolist() == [-1]


def test_what_does_not_fit_is_reported_and_disturbs_nobody(scheduled_runner: Runner) -> None:
    check_overflow(scheduled_runner, 60, 90)


def test_without_races_or_stray_accesses(checked_runner: Runner) -> None:
    check(checked_runner, np.concatenate([masks("noisy", 2, 30, 70, 10), corners(30, 70)]), grow=2)
    check(checked_runner, masks("random", 1, 40, 33, 11))
    check(checked_runner, masks("random", 1, 6, 1100, 12))  # more columns than threads, and runs than one round writes
    check_overflow(checked_runner, 40, 60)


@given(hnp.arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 70))))
def test_the_twin_writes_what_pycocotools_writes(mask: Masks) -> None:
    assert twin.rle_coco(mask) == theirs(mask)


def test_the_twin_writes_long_runs_as_pycocotools_does() -> None:
    for kind in KINDS:
        for mask in masks(kind, 2, 300, 400, 12):
            assert twin.rle_coco(mask) == theirs(mask)
