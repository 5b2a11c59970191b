"""`clean_masks` gives, bit for bit, what its twin gives, and the twin what SciPy's labelling gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from kernels.cuda.cleaning import MAX_LIMIT, SIDE, clean_masks
from kernels.cuda.launch import Runner
from kernels.reference import cleaning as twin

F32 = NDArray[np.float32]
POISON = 0xDEADBEEF


def blobs(count: int, seed: int, noise: float) -> F32:
    """Ellipses with noise, some of them across the border of the picture."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    logits = np.empty((count, SIDE, SIDE), np.float32)
    for n in range(count):
        cy, cx = rng.uniform(-0.05, 1.05, 2) * SIDE
        a, b = rng.uniform(0.03, 0.4, 2) * SIDE
        logits[n] = np.clip(6 * (1 - ((y - cy) / a) ** 2 - ((x - cx) / b) ** 2), -8, 8)
    return logits + noise * rng.standard_normal(logits.shape, np.float32)


def picture(*boxes: tuple[int, int, int, int], inside: float = 4.0, outside: float = -4.0) -> F32:
    """One picture with boxes x0, y0, x1, y1 filled."""
    logits = np.full((SIDE, SIDE), outside, np.float32)
    for x0, y0, x1, y1 in boxes:
        logits[y0:y1, x0:x1] = inside
    return logits


def spiral() -> F32:
    """One pixel wide, 8-connected, through the whole picture: the longest way for labels to travel."""
    logits = np.full((SIDE, SIDE), -1.0, np.float32)
    low, high = 0, SIDE - 1
    while low < high:
        logits[low, max(low - 2, 0) : high + 1] = 1
        logits[low : high + 1, high] = 1
        logits[high, low : high + 1] = 1
        logits[low + 2 : high + 1, low] = 1
        low, high = low + 2, high - 2
    return logits


def checkerboard() -> F32:
    """Pixels that touch at corners only: one component of each colour."""
    y, x = np.mgrid[:SIDE, :SIDE]
    return np.where((x + y) % 2, 1.0, -1.0).astype(np.float32)


def sizes_around_the_limit(limit: int = 16) -> F32:
    """Specks and holes of limit - 1, limit and limit + 1 pixels at every offset within a word, and at the borders."""
    logits = picture((0, 150, SIDE, SIDE))
    for k, size in enumerate((limit - 1, limit, limit + 1) * 10):
        for top, value in ((4, 4.0), (160, -4.0)):
            logits[top + k % 3 * 8, 9 * k : 9 * k + 8] = value
            logits[top + k % 3 * 8 + 1, 9 * k : 9 * k + size - 8] = value
    logits[0, :limit] = logits[40 : 40 + limit, 0] = logits[44 : 45 + limit, SIDE - 1] = 4
    logits[SIDE - 1, :limit] = logits[200:217, SIDE - 1] = -4
    return logits


def run(
    runner: Runner, logits: NDArray[Any], previous: NDArray[np.uint32] | None = None, *, n_valid: int | None = None,
    with_logits: bool = True, **rule: Any,
) -> tuple[NDArray[np.uint32], NDArray[np.int32], F32 | None]:  # fmt: skip
    count = len(logits)
    bits = np.full((count, SIDE, SIDE // 32), POISON, np.uint32)
    stats = np.full((count, 8), -7, np.int32)
    out = np.full(logits.shape, np.nan, np.float32) if with_logits else None
    valid = np.array([count if n_valid is None else n_valid], np.int32)
    for launch in clean_masks(logits, previous, valid, bits, stats, out, **rule):
        runner.run(launch)
    return bits, stats, out


def check(
    runner: Runner, logits: NDArray[Any], previous: NDArray[np.uint32] | None = None, **rule: Any
) -> tuple[NDArray[np.uint32], NDArray[np.int32], F32 | None]:
    """Run and compare everything with the twin."""
    got = run(runner, logits, previous, **rule)
    floats = twin.bfloat16_to_float32(logits) if logits.dtype == np.uint16 else logits
    bits, stats, corrected = twin.clean_masks(floats, previous, **rule)
    assert np.array_equal(got[0], bits)
    assert np.array_equal(got[1], stats)
    assert got[2] is not None
    assert np.array_equal(got[2].view(np.uint32), corrected.view(np.uint32))
    return got


def check_sizes(runner: Runner) -> None:
    """Components around the limits, at every edge, across words, and of a size that 15 bits do not hold."""
    edges = picture((0, 0, 3, 50), (280, 5, SIDE, 9), (100, 0, 140, 2), (90, 280, 130, SIDE))
    large = picture((10, 10, 266, 138), (10, 138, 15, 139), (280, 280, 284, 284))
    check(runner, np.stack([sizes_around_the_limit(), edges, large]))


def check_noise(runner: Runner) -> None:
    """Thousands of components, with what was on before, for both dtypes."""
    logits = blobs(2, 11, 3.0)
    previous = twin.pack_bits(blobs(2, 12, 1.0) > 0)
    rule = {"hysteresis": 0.75, "delta": 0.5, "max_hole": 9, "max_speck": 30}
    check(runner, logits, previous, **rule)
    check(runner, twin.float32_to_bfloat16(logits), previous, **rule)


def check_races(runner: Runner) -> None:
    """Small enough for the race checker: two pictures, everything that is optional."""
    logits = np.stack([blobs(1, 41, 2.5)[0], sizes_around_the_limit()])
    logits[0, ::3, ::4] = 0
    check(runner, logits, twin.pack_bits(blobs(2, 42, 1.0) > 0), hysteresis=0.5)


def check_small_masks(runner: Runner) -> None:
    """With all foreground in specks the limit is half of the area, so that a tiny object does not vanish."""
    logits = np.stack([picture((10, 10, 13, 12)), picture((10, 10, 12, 12), (50, 50, 54, 53)), picture((7, 9, 8, 10))])
    _, stats, _ = check(runner, logits)
    assert stats[:, 1].tolist() == [6, 12, 1]
    assert stats[1, 2:6].tolist() == [50, 50, 54, 53]


def check_n_valid(runner: Runner, n_valid: int = 2) -> None:
    """From `n_valid` on everything stays as it was."""
    logits = blobs(3, 5, 1.0)
    bits, stats, out = run(runner, logits, n_valid=n_valid)
    want = twin.clean_masks(logits[:n_valid], None)
    assert out is not None
    assert np.array_equal(bits[:n_valid], want[0])
    assert np.array_equal(stats[:n_valid], want[1])
    assert np.array_equal(out[:n_valid], want[2])
    assert (bits[n_valid:] == POISON).all()
    assert (stats[n_valid:] == -7).all()
    assert np.isnan(out[n_valid:]).all()


def test_the_twin_agrees_with_scipy() -> None:
    logits = np.concatenate([blobs(3, 1, 2.5), [sizes_around_the_limit(), checkerboard(), spiral()]])
    structure = np.ones((3, 3), int)
    for mask in logits > 0:
        labels, count = ndimage.label(mask, structure)
        ours = twin.label(mask)
        pairs = {(int(a), int(b)) for a, b in zip(labels[mask], ours[mask], strict=True)}
        assert len(pairs) == count == len(np.unique(ours[mask]))
        sizes = np.bincount(labels.ravel())
        assert np.array_equal(twin.small_components(mask, 16), mask & (sizes[labels] <= 16))


def test_sizes(scheduled_runner: Runner) -> None:
    check_sizes(scheduled_runner)


def test_shapes(runner: Runner) -> None:
    """Empty, full, full but for the corners, the longest component, and pixels that touch at corners."""
    full_but_corners = -picture((0, 0, 1, 1), (287, 0, 288, 1), (0, 287, 1, 288), (287, 287, 288, 288))
    full = picture(inside=1, outside=2)
    check(runner, np.stack([picture(), full, full_but_corners, spiral(), -spiral(), checkerboard()]))


def test_noise(scheduled_runner: Runner) -> None:
    check_noise(scheduled_runner)


def test_smooth_masks_are_left_as_they_are(runner: Runner) -> None:
    logits = blobs(2, 3, 0.0)
    bits, stats, out = check(runner, logits)
    assert np.array_equal(bits, twin.pack_bits(logits > 0))
    assert np.array_equal(stats[:, 0], stats[:, 1])
    assert np.array_equal(out, logits)


@pytest.mark.parametrize("count", [0, 1, 33])
def test_number_of_objects(runner: Runner, count: int) -> None:
    check(runner, blobs(count, 20 + count, 0.8))


@pytest.mark.parametrize("n_valid", [0, 2, 3])
def test_n_valid(runner: Runner, n_valid: int) -> None:
    check_n_valid(runner, n_valid)


@pytest.mark.parametrize("rule", [{"max_hole": 0, "max_speck": 0}, {"max_hole": MAX_LIMIT, "max_speck": MAX_LIMIT}])
def test_the_ends_of_the_limits(runner: Runner, rule: dict[str, int]) -> None:
    check(runner, np.concatenate([blobs(1, 9, 2.0), [sizes_around_the_limit(), checkerboard()]]), **rule)


def test_limits_beyond_the_counters_are_refused() -> None:
    nothing = np.zeros((1, SIDE, SIDE), np.float32)
    with pytest.raises(ValueError, match=f"from 0 to {MAX_LIMIT}"):
        clean_masks(nothing, None, None, None, None, None, max_hole=MAX_LIMIT + 1)


def test_small_masks(runner: Runner) -> None:
    check_small_masks(runner)


def test_values_at_the_thresholds(runner: Runner) -> None:
    """Zero is off, the hysteresis itself is off, infinities count, and a NaN is background."""
    logits = np.full((1, SIDE, SIDE), -9, np.float32)
    logits[0, 100:140, 100:140] = 5
    logits[0, 110, 100:140] = np.resize([0.0, -0.5, np.nextafter(np.float32(-0.5), 0), np.inf, np.nan, -0.0], 40)
    logits[0, 0, :40] = [np.inf, -np.inf] * 20
    previous = twin.pack_bits(np.ones((1, SIDE, SIDE), bool))
    check(runner, logits, previous, hysteresis=0.5, max_hole=0)
    check(runner, logits, previous, hysteresis=0.5)


def test_previous_masks_may_be_overwritten_in_place(runner: Runner) -> None:
    logits = blobs(2, 31, 1.0)
    previous = twin.pack_bits(blobs(2, 32, 1.0) > 0)
    want = twin.clean_masks(logits, previous, hysteresis=1.0)
    stats = np.full((2, 8), -7, np.int32)
    launches = clean_masks(logits, previous, np.array([2], np.int32), previous, stats, None, hysteresis=1.0)
    for launch in launches:
        runner.run(launch)
    assert np.array_equal(previous, want[0])
    assert np.array_equal(stats, want[1])


def test_checked(checked_runner: Runner) -> None:
    check_races(checked_runner)


def test_checked_bfloat16_without_logits(checked_runner: Runner) -> None:
    logits = twin.float32_to_bfloat16(blobs(1, 43, 1.0))
    bits, stats, _ = run(checked_runner, logits, with_logits=False)
    want = twin.clean_masks(twin.bfloat16_to_float32(logits), None)
    assert np.array_equal(bits, want[0])
    assert np.array_equal(stats, want[1])


def test_bfloat16_rounds_to_nearest_even() -> None:
    values = np.array([1.0, 1.00390625, 1.01171875, -1.00390625, 3e38, np.inf, np.nan, 0.1], np.float32)
    back = twin.bfloat16_to_float32(twin.float32_to_bfloat16(values))
    want = np.array([1.0, 1.0, 1.015625, -1.0, 2.9908e38, np.inf, np.nan, 0.10009765625], np.float32)
    assert np.allclose(back, want, rtol=1e-2, equal_nan=True)
    assert np.array_equal(back[:4], want[:4])
