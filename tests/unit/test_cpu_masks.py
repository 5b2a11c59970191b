"""Mask functions against oracles that are too simple to be wrong."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy import ndimage

from kernels import cpu

MASKS = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=24), elements=st.integers(0, 1))
EIGHT = np.ones((3, 3), int)


def clean_by_scipy(mask: NDArray[np.uint8], max_hole: int, max_speck: int) -> NDArray[np.uint8]:
    out = mask != 0
    labels, count = ndimage.label(out, EIGHT)
    areas = [int((labels == i).sum()) for i in range(1, count + 1)]
    for i, area in enumerate(areas, 1):
        if area <= max_speck and area != max(areas):
            out[labels == i] = False
    labels, count = ndimage.label(~out)
    for i in range(1, count + 1):
        ys, xs = np.nonzero(labels == i)
        on_border = ys.min() == 0 or xs.min() == 0 or ys.max() == mask.shape[0] - 1 or xs.max() == mask.shape[1] - 1
        if not on_border and len(ys) <= max_hole:
            out[labels == i] = True
    return out.astype(np.uint8)


def rle_by_loop(mask: NDArray[np.uint8]) -> str:
    """COCO's code, written out from its definition: column-major runs, differences, groups of five bits."""
    runs, last = [0], 0
    for value in mask.T.ravel().tolist():
        if value != last:
            runs.append(0)
            last = value
        runs[-1] += 1
    text = ""
    for i, run in enumerate(runs):
        x = run - runs[i - 2] if i > 2 else run
        while True:
            group, x = x & 0x1F, x >> 5
            more = x != (-1 if group & 0x10 else 0)
            text += chr(48 + (group | 0x20 if more else group))
            if not more:
                break
    return text


@given(MASKS, st.integers(0, 12), st.integers(0, 12))
def test_clean_agrees_with_labelling_by_scipy(mask: NDArray[np.uint8], max_hole: int, max_speck: int) -> None:
    result = cpu.clean(mask, max_hole=max_hole, max_speck=max_speck)
    assert np.array_equal(result, clean_by_scipy(mask, max_hole, max_speck))


def test_clean_keeps_the_largest_part_however_small() -> None:
    mask = np.zeros((9, 9), np.uint8)
    mask[4, 4] = 255
    assert cpu.clean(mask, max_hole=5, max_speck=50).sum() == 1


@given(MASKS)
def test_islands_are_all_parts_but_the_largest(mask: NDArray[np.uint8]) -> None:
    labels, count = ndimage.label(mask, EIGHT)
    parts = [(labels == i).astype(np.uint8) for i in range(1, count + 1)]
    found = cpu.islands(mask)
    assert len(found) == max(0, count - 1)
    rest = [part for part in parts if not any(np.array_equal(part, island) for island in found)]
    assert len(rest) == min(1, count)
    assert all(part.sum() == max(each.sum() for each in parts) for part in rest)


@given(st.data(), hnp.array_shapes(min_dims=2, max_dims=2, max_side=17), st.integers(0, 4), st.integers(0, 4))
def test_iou_agrees_with_set_arithmetic(data: st.DataObject, shape: tuple[int, int], n: int, m: int) -> None:
    a = data.draw(hnp.arrays(np.uint8, (n, *shape), elements=st.integers(0, 1)))
    b = data.draw(hnp.arrays(np.uint8, (m, *shape), elements=st.integers(0, 1)))
    result = cpu.iou(a * 200, b)
    assert result.shape == (n, m)
    assert result.dtype == np.float32
    for i in range(n):
        for j in range(m):
            union = int((a[i] | b[j]).sum())
            assert result[i, j] == pytest.approx(int((a[i] & b[j]).sum()) / union if union else 0.0)


def test_iou_refuses_masks_of_different_sizes() -> None:
    with pytest.raises(ValueError, match="compared"):
        cpu.iou(np.zeros((1, 4, 4), np.uint8), np.zeros((1, 4, 5), np.uint8))


@given(MASKS)
def test_rle_is_the_code_that_coco_defines(mask: NDArray[np.uint8]) -> None:
    text = cpu.rle(mask)
    assert text == rle_by_loop(mask)
    assert np.array_equal(cpu.rle_decode(mask.shape, text), mask)


@given(MASKS, st.tuples(st.integers(0, 9), st.integers(0, 9)), st.tuples(st.integers(0, 9), st.integers(0, 9)))
def test_rle_of_a_window_is_that_of_the_whole(
    window: NDArray[np.uint8], at: tuple[int, int], spare: tuple[int, int]
) -> None:
    whole = np.pad(window, ((at[0], spare[0]), (at[1], spare[1])))
    assert cpu.rle(window, size=whole.shape, at=at) == cpu.rle(whole)


def test_rle_takes_a_threshold_and_an_empty_window() -> None:
    soft = np.array([[0, 127, 128], [255, 10, 200]], np.uint8)
    assert cpu.rle(soft, threshold=128) == cpu.rle((soft >= 128).astype(np.uint8))
    assert cpu.rle(np.zeros((0, 3), np.uint8), size=(5, 4)) == cpu.rle(np.zeros((5, 4), np.uint8))


def test_rle_refuses_a_window_outside() -> None:
    with pytest.raises(ValueError, match="inside"):
        cpu.rle(np.ones((3, 3), np.uint8), size=(4, 4), at=(2, 0))


def test_rle_of_a_known_mask() -> None:
    mask = np.zeros((480, 640), np.uint8)
    mask[100:200, 50:80] = 1
    assert cpu.rle(mask) == rle_by_loop(mask)


@pytest.mark.parametrize(
    ("size", "counts"),
    [((2, 2), ""), ((2, 2), "5"), ((2, 2), "P"), ((2, 2), "\x00"), ((2, 2), "é"), ((0, 2), "0"), ((2, 2), "oooooooo4"),
     ((99999, 99999), "4"), ((2, 2), "4" * 9)],
)  # fmt: skip
def test_a_malformed_code_is_refused(size: tuple[int, int], counts: str) -> None:
    with pytest.raises(ValueError, match=r"run|mask"):
        cpu.rle_decode(size, counts)


@given(MASKS)
def test_stats_agree_with_pixel_lists(mask: NDArray[np.uint8]) -> None:
    ys, xs = np.nonzero(mask)
    result = cpu.stats(mask * 255, threshold=128)
    assert cpu.box(mask) == (result.box_xyxy_px if result else None)
    if not len(ys):
        assert result is None
        return
    assert result is not None
    assert result.area_px == len(ys)
    assert result.box_xyxy_px == (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
    assert result.centroid_xy_px == pytest.approx((xs.mean() + 0.5, ys.mean() + 0.5))


@given(MASKS)
def test_depths_are_near_the_euclidean_distance_to_what_is_off(mask: NDArray[np.uint8]) -> None:
    exact = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    found = cpu.depths(mask)
    assert found.shape == mask.shape
    assert found.dtype == np.float32
    assert (np.abs(found - exact) <= 0.05 * exact + 1e-6).all()
