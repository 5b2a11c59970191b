"""The functions of `kernels.masks` give the same through the CUDA kernels and through the CPU backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kernels import masks
from kernels.association import block_bytes
from kernels.cuda.launch import Launch, Runner
from kernels.reference.cleaning import float32_to_bfloat16
from tests.kernels.blobs import KINDS, Kind, logits

SIZE = (72, 100)


def fields(made: Any) -> list[NDArray[Any] | None]:
    return list(made) if isinstance(made, tuple) else [made]


def same_on_both(runner: Runner, call: Callable[[Runner | None], Any], own: tuple[str, ...] = ()) -> Any:
    """Calls with the runner and without; all but the kernels' `own` memory has to be the same."""
    cuda, cpu = call(runner), call(None)
    left_out = [made._fields.index(name) for made in (cuda,) for name in own]
    for i, (a, b) in enumerate(zip(fields(cuda), fields(cpu), strict=True)):
        if i not in left_out:
            assert (a is None) == (b is None)
            np.testing.assert_array_equal(a, b)
    return cpu


@pytest.mark.parametrize("count", [0, 1, 3])
def test_clean_masks(runner: Runner, count: int) -> None:
    values = logits("noisy", count, 288, 288)
    before = masks.clean_masks(logits("crowded", count, 288, 288, seed=1)).bits
    same_on_both(runner, lambda r: masks.clean_masks(values, previous=before, hysteresis=0.6, delta=0.4, runner=r))
    half = float32_to_bfloat16(values)
    same_on_both(runner, lambda r: masks.clean_masks(half, max_hole=40, max_speck=5, with_logits=False, runner=r))


def test_masks_of_the_frame_before_may_be_overwritten(runner: Runner) -> None:
    values = logits("noisy", 2, 288, 288)

    def overwritten(r: Runner | None) -> masks.CleanMasks:
        before = masks.clean_masks(logits("crowded", 2, 288, 288, seed=1))
        return masks.clean_masks(values, previous=before.bits, hysteresis=0.6, out=before, runner=r)

    same_on_both(runner, overwritten)


@pytest.mark.parametrize("count", [0, 1, 33])
@pytest.mark.parametrize("kind", KINDS)
def test_from_owners_to_codes(runner: Runner, kind: Kind, count: int) -> None:
    cleaned = masks.clean_masks(logits(kind, count, 40, 50, seed=3))
    scores = np.random.default_rng(0).random(count, np.float32)
    order = same_on_both(runner, lambda r: masks.score_order(scores, runner=r))
    group = np.arange(count, dtype=np.int32) % 3
    made = same_on_both(
        runner,
        lambda r: masks.upsample_owner(
            cleaned.logits, cleaned.stats, order, SIZE, group=group, groups=2 if count else 1, with_bits=True, runner=r
        ),
        own=("workspace",),
    )
    overlap = same_on_both(runner, lambda r: masks.iou(made.bits, made.bits, made.stats, made.stats, runner=r))
    same_on_both(runner, lambda r: masks.nms(overlap, scores, threshold=0.3, runner=r))
    codes = [masks.rle_coco(made.bits, made.stats, SIZE[1], capacity=300, runner=r) for r in (runner, None)]
    assert masks.rle_strings(codes[0]) == masks.rle_strings(codes[1])
    np.testing.assert_array_equal(codes[0].length, codes[1].length)
    block = np.zeros(block_bytes(count, count, 200 * count) // 4, np.uint32)
    same_on_both(
        runner,
        lambda r: masks.assoc_pack(
            overlap,
            scores,
            cleaned.stats,
            video=made,
            codes=codes[0],
            capacity=block.nbytes,
            out=block.copy(),
            runner=r,
        ),
    )


def test_outputs_are_used_again_and_only_valid_ones_written(runner: Runner) -> None:
    cleaned = masks.clean_masks(logits("smooth", 5, 40, 50))
    order, n_valid = np.arange(5, dtype=np.int32), np.array([3], np.int32)

    def upsampled(out: masks.OwnerMap | None, r: Runner | None) -> masks.OwnerMap:
        return masks.upsample_owner(
            cleaned.logits, cleaned.stats, order, SIZE, n_valid=n_valid, with_bits=True, out=out, runner=r
        )

    first = upsampled(None, runner)
    for array in (first.owner, first.bits, first.stats, first.moments):
        array.fill(77)
    second, wanted = upsampled(first, runner), upsampled(None, None)
    np.testing.assert_array_equal(second.owner, wanted.owner)
    for before, again, want in zip(first[1:4], second[1:4], wanted[1:4], strict=True):
        assert again is before
        np.testing.assert_array_equal(again[:3], want[:3])
        assert (again[3:] == 77).all()


def test_nothing_is_launched_for_no_objects() -> None:
    class Refuses:
        def run(self, launch: Launch) -> None:
            raise AssertionError(launch.kernel)

    bits, stats, scores = np.zeros((0, 5, 2), np.uint32), np.zeros((0, 8), np.int32), np.zeros(0, np.float32)
    refuses = Refuses()
    assert masks.clean_masks(np.zeros((0, 288, 288), np.float32), runner=refuses).bits.shape == (0, 288, 9)
    assert masks.iou(bits, bits, stats, stats, runner=refuses).shape == (0, 0)
    assert masks.score_order(scores, runner=refuses).shape == (0,)
    assert masks.nms(np.zeros((0, 0), np.float32), scores, runner=refuses).shape == (0,)
    assert masks.rle_strings(masks.rle_coco(bits, stats, 40, runner=refuses)) == []
