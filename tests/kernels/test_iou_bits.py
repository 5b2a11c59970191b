"""`iou_bits` gives, bit for bit, what its twin gives, and the twin what pycocotools gives."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools import mask as coco

from kernels.cuda.launch import Runner
from kernels.cuda.masks import iou_bits
from kernels.reference import overlap as twin
from kernels.reference.cleaning import F32, pack_bits
from kernels.reference.upsampling import measure
from tests.kernels.blobs import KINDS, Kind, logits

Masks = NDArray[np.bool_]


def run(runner: Runner, a: Masks, b: Masks, n_a: int | None = None, n_b: int | None = None, *, grow: int = 0) -> F32:
    """`grow` widens the boxes, as far as the picture goes: the kernel may rely on their holding every pixel only."""
    counts = [np.array([len(m) if n is None else n], np.int32) for m, n in ((a, n_a), (b, n_b))]
    stats = [measure(a), measure(b)]
    for s, n in zip(stats, counts, strict=True):
        some = s[:, 1] > 0
        s[some, 2:4] = np.maximum(s[some, 2:4] - grow, 0)
        s[some, 4:6] = np.minimum(s[some, 4:6] + grow, (a.shape[2], a.shape[1]))
        s[n[0] :] = 10**6
    iou = np.full((len(a), len(b)), -7, np.float32)
    for launch in iou_bits(pack_bits(a), pack_bits(b), stats[0], stats[1], counts[0], counts[1], iou):
        runner.run(launch)
    return iou


def check(runner: Runner, a: Masks, b: Masks, *, grow: int = 0) -> F32:
    iou = run(runner, a, b, grow=grow)
    assert np.array_equal(iou, twin.iou_bits(pack_bits(a), pack_bits(b)))
    return iou


def masks(kind: Kind, count: int, height: int, width: int, seed: int = 0) -> Masks:
    return logits(kind, count, height, width, seed) > 0


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_mask(scheduled_runner: Runner, kind: Kind) -> None:
    check(scheduled_runner, masks(kind, 6, 60, 100, 1), masks("smooth", 5, 60, 100, 2))


@pytest.mark.parametrize("size", [(1, 1), (1, 33), (70, 1), (31, 32), (17, 1000), (288, 288)], ids=str)
def test_sizes(runner: Runner, size: tuple[int, int]) -> None:
    check(runner, masks("noisy", 3, *size, seed=3), masks("edge", 2, *size, seed=4), grow=5)


@pytest.mark.parametrize(("n", "m"), [(0, 0), (0, 3), (1, 1), (33, 1), (4, 33), (33, 33)])
def test_counts(runner: Runner, n: int, m: int) -> None:
    check(runner, masks("smooth", n, 24, 40, 5), masks("crowded", m, 24, 40, 6))


@pytest.mark.parametrize(("n", "m"), [(0, 4), (5, 0), (3, 2), (4, 5)])
def test_what_is_not_valid_is_neither_read_nor_written(runner: Runner, n: int, m: int) -> None:
    a, b = masks("crowded", 6, 40, 50, 7), masks("crowded", 7, 40, 50, 8)
    iou = run(runner, a, b, n, m)
    assert np.array_equal(iou[:n, :m], twin.iou_bits(pack_bits(a[:n]), pack_bits(b[:m])))
    assert (iou[n:] == -7).all()
    assert (iou[:, m:] == -7).all()


def test_masks_far_apart_and_masks_in_the_same_place(runner: Runner) -> None:
    """Boxes that meet in four different places, one for each pair of a tile's diagonal, and one empty mask."""
    a = np.zeros((5, 64, 128), bool)
    a[0, :9, :9] = a[1, 50:, 120:] = a[2, 30, 40] = a[3, 5:8, 90:99] = True
    b = a.copy()
    b[0, 8, 8] = False
    iou = check(runner, a, b)
    assert np.array_equal(np.diag(iou), np.array([80 / 81, 1, 1, 1, 0], np.float32))
    assert np.count_nonzero(iou) == 4
    check(runner, a[::-1].copy(), b[1:])


def test_boxes_tall_and_narrower_than_the_picture(runner: Runner) -> None:
    a, b = (np.zeros((3, 400, 200), bool) for _ in range(2))
    a[:, 10:390, 40:100] = masks("random", 3, 380, 60, 14)
    b[:, 5:350, 50:120] = masks("random", 3, 345, 70, 15)
    check(runner, a, b)


def test_the_same_masks_against_themselves(runner: Runner) -> None:
    a = masks("noisy", 5, 50, 70, 9)
    bits, stats, count = pack_bits(a), measure(a), np.array([5], np.int32)
    iou = np.full((5, 5), -7, np.float32)
    for launch in iou_bits(bits, bits, stats, stats, count, count, iou):
        runner.run(launch)
    assert np.array_equal(iou, twin.iou_bits(bits, bits))


def test_without_races_or_stray_accesses(checked_runner: Runner) -> None:
    check(checked_runner, masks("crowded", 5, 20, 70, 10), masks("random", 6, 20, 70, 11))


def test_the_twin_gives_what_pycocotools_gives() -> None:
    a, b = masks("crowded", 4, 70, 90, 12), masks("noisy", 6, 70, 90, 13)
    a[2] = False
    codes = [[coco.encode(np.asfortranarray(m, np.uint8)) for m in some] for some in (a, b)]
    theirs = coco.iou(*codes, [False] * len(b))
    assert np.array_equal(twin.iou_bits(pack_bits(a), pack_bits(b)), theirs.astype(np.float32))
