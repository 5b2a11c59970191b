"""`upsample_owner` gives, bit for bit, what its twin gives, and the twin what torch's interpolation gives."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from kernels.cuda.launch import Runner
from kernels.cuda.masks import upsample_owner, workspace_words
from kernels.reference import upsampling as twin
from kernels.reference.cleaning import F32, I32, U32, bfloat16_to_float32, bounding_box, float32_to_bfloat16
from tests.kernels.blobs import KINDS, Kind, logits

POISON = 113


class Made(NamedTuple):
    owner: NDArray[Any]
    bits: U32 | None
    stats: I32
    moments: NDArray[np.uint64]
    workspace: U32


def low_stats(low: F32) -> I32:
    """Only the boxes, which is all that the kernel may look at."""
    stats = np.full((len(low), 8), -9, np.int32)
    for n, one in enumerate(low):
        stats[n, 2:6] = bounding_box(one > 0)
    return stats


def shuffled(count: int, seed: int = 3) -> I32:
    return np.random.default_rng(seed).permutation(count).astype(np.int32)


def outputs(count: int, size: tuple[int, int], groups: int = 1, *, wide: bool = False, with_bits: bool = True) -> Made:
    height, width = size
    return Made(
        np.full((groups, height, width), POISON, np.uint16 if wide else np.uint8),
        np.full((count, height, -(-width // 32)), POISON, np.uint32) if with_bits else None,
        np.full((count, 8), POISON, np.int32),
        np.full((count, 2), POISON, np.uint64),
        np.zeros(workspace_words(count), np.uint32),
    )


def check(
    runner: Runner, low: NDArray[Any], size: tuple[int, int], *, order: I32 | None = None, group: I32 | None = None,
    groups: int = 1, n_valid: int | None = None, wide: bool = False, with_bits: bool = True, made: Made | None = None,
) -> Made:  # fmt: skip
    """Run and compare everything with the twin. What is not valid is poisoned, in the input too."""
    floats = bfloat16_to_float32(low) if low.dtype == np.uint16 else low
    count, valid = len(low), len(low) if n_valid is None else n_valid
    order = shuffled(valid) if order is None else order
    made = outputs(count, size, groups, wide=wide, with_bits=with_bits) if made is None else made
    boxes, full_order = low_stats(floats), np.full(count, 10**6, np.int32)
    boxes[valid:] = 10**6
    full_order[:valid] = order
    for launch in upsample_owner(low, boxes, full_order, group, np.array([valid], np.int32), *made):
        runner.run(launch)
    some_groups = None if group is None else group[:valid]
    owner, bits, stats, moments = twin.upsample_owner(floats[:valid], order, *size, some_groups, groups)
    assert np.array_equal(made.owner, owner)
    assert np.array_equal(made.stats[:valid], stats)
    assert np.array_equal(made.moments[:valid], moments)
    assert (made.stats[valid:] == POISON).all()
    assert (made.moments[valid:] == POISON).all()
    assert not made.workspace.any()
    if made.bits is not None:
        assert np.array_equal(made.bits[:valid], bits)
        assert (made.bits[valid:] == POISON).all()
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_mask(scheduled_runner: Runner, kind: Kind) -> None:
    check(scheduled_runner, logits(kind, 4, 48, 48, seed=2), (40, 200))


@pytest.mark.parametrize(
    ("low_size", "size"),
    [
        ((1, 1), (1, 1)),
        ((1, 7), (33, 31)),
        ((9, 1), (17, 129)),
        ((24, 40), (24, 40)),  # nothing to interpolate
        ((31, 45), (47, 257)),
        ((90, 70), (33, 65)),  # fewer pixels than samples
        ((150, 300), (17, 33)),  # every pixel row from two samples of its own
        ((12, 12), (400, 130)),  # many pixel rows from one pair of samples
    ],
    ids=str,
)
def test_sizes(runner: Runner, low_size: tuple[int, int], size: tuple[int, int]) -> None:
    check(runner, logits("smooth", 3, *low_size, seed=1), size)
    check(runner, logits("random", 2, *low_size, seed=1), size, with_bits=False)


def test_the_size_of_the_decoder_on_a_picture(runner: Runner) -> None:
    check(runner, logits("noisy", 2, 288, 288, seed=7), (180, 320))


def test_bfloat16(runner: Runner) -> None:
    check(runner, float32_to_bfloat16(logits("noisy", 3, 40, 40, seed=4)), (65, 96))
    check(runner, float32_to_bfloat16(logits("edge", 3, 40, 40, seed=4)), (65, 97), wide=True)


@pytest.mark.parametrize("count", [0, 1, 33])
def test_counts(runner: Runner, count: int) -> None:
    check(runner, logits("crowded", count, 16, 24, seed=5), (33, 161))


def test_more_objects_than_a_byte_can_name(runner: Runner) -> None:
    low = logits("smooth", 300, 12, 12, seed=6)
    made = check(runner, low, (24, 40), wide=True)
    assert made.owner.max() > 256
    with pytest.raises(ValueError, match="300 objects do not fit"):
        upsample_owner(low, None, None, None, None, *outputs(300, (24, 40)))


@pytest.mark.parametrize("n_valid", [0, 2, 5])
def test_what_is_not_valid_is_neither_read_nor_written(runner: Runner, n_valid: int) -> None:
    low = logits("crowded", 5, 20, 20, seed=8)
    low[n_valid:] = np.nan
    check(runner, low, (40, 140), n_valid=n_valid)


def test_the_first_in_the_order_owns_the_pixel(runner: Runner) -> None:
    low = np.ones((3, 4, 4), np.float32)
    low[2] = -1
    made = check(runner, low, (20, 40), order=np.array([2, 1, 0], np.int32))
    assert (made.owner == 2).all()


def test_one_strong_sample_reaches_its_pixels_on_both_sides_of_a_tile(runner: Runner) -> None:
    """Objects of one column or one row each, at every place: culling by boxes must not lose their rims."""
    low = np.full((24 + 12, 12, 24), -1e-3, np.float32)
    for x in range(24):
        low[x, :, x] = 1e3
    for y in range(12):
        low[24 + y, y] = 1e3
    check(runner, low, (35, 300))
    check(runner, low, (170, 141))


def test_indices_that_name_nobody_are_passed_over(runner: Runner) -> None:
    low = np.ones((4, 6, 6), np.float32)
    made = outputs(4, (20, 40), with_bits=False)
    order = np.array([-1, 3, 10**6, 1], np.int32)
    for launch in upsample_owner(low, low_stats(low), order, None, np.array([3], np.int32), *made):
        runner.run(launch)
    assert not made.owner.any()
    assert not made.stats[:3].any()
    assert not made.workspace.any()


def test_each_group_has_a_map_and_others_none(scheduled_runner: Runner) -> None:
    low = logits("crowded", 7, 30, 30, seed=9)
    group = np.array([0, 2, 1, -1, 0, 3, 2], np.int32)
    made = check(scheduled_runner, low, (45, 150), group=group, groups=3)
    assert not np.isin(made.owner, (4, 6)).any()
    assert (made.stats[[3, 5], 1] > 0).all()


def test_a_second_launch_with_the_same_arrays(runner: Runner) -> None:
    made = check(runner, logits("smooth", 4, 30, 30, seed=10), (45, 150))
    check(runner, logits("edge", 4, 30, 30, seed=11), (45, 150), made=made)


def test_logits_that_round_to_nothing_or_are_not_finite(runner: Runner) -> None:
    random = np.random.default_rng(12)
    values = np.array([1e-45, -1e-45, 1e-38, 0.0, -0.0, 3e38, -3e38, np.inf, -np.inf, np.nan, 1, -1], np.float32)
    with np.errstate(invalid="ignore", over="ignore"):
        check(runner, random.choice(values, (4, 20, 20)), (50, 70))
        check(runner, random.choice(values[[0, 2, 5, 7, 10]], (4, 20, 20)), (50, 70))


def test_without_races_or_stray_accesses(checked_runner: Runner) -> None:
    low = logits("crowded", 10, 9, 14, seed=13)
    check(checked_runner, low, (19, 133), group=np.arange(10, dtype=np.int32) % 3, groups=2, n_valid=9)
    check(checked_runner, float32_to_bfloat16(low), (17, 64), wide=True, with_bits=False)
    check(checked_runner, logits("crowded", 26, 6, 8, seed=13), (11, 45))  # several batches in one tile
    check(checked_runner, logits("smooth", 270, 3, 3, seed=14), (3, 5), wide=True)  # two rounds of listing


@pytest.mark.parametrize("kind", ["random", "smooth", "noisy"])
@pytest.mark.parametrize("size", [(720, 1280), (95, 77), (1080, 1920)], ids=str)
def test_the_twin_interpolates_as_torch_does(kind: Kind, size: tuple[int, int]) -> None:
    """Positions are the same; torch's vector code may sum in another order, so that values are a few roundings apart
    and signs may differ where a value is almost 0."""
    low = logits(kind, 1, 288, 288, seed=14)
    theirs = torch.nn.functional.interpolate(torch.from_numpy(low)[None], size, mode="bilinear")[0, 0].numpy()
    ours = twin.bilinear(low[0], *size)
    bound = 4 * np.finfo(np.float32).eps * np.abs(low).max()
    assert np.abs(ours - theirs).max() <= bound
    assert np.abs(theirs[(ours > 0) != (theirs > 0)]).max(initial=0) <= bound
