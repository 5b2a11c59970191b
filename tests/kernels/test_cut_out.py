"""`cut_out`: its twin exactly, the conversion alone where nothing is made smaller, and means where it is."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from kernels.colour import Nv12, Window, nv12_to_bgr, nv12_to_rgb
from kernels.cuda import images as launches
from kernels.cuda.launch import Runner
from kernels.reference import images as reference
from tests.kernels import pictures

COLOURS = [("bt601", False), ("bt601", True), ("bt709", False), ("bt709", True)]


def cut(runner: Runner, frame: Nv12, window: Window, size: tuple[int, int]) -> NDArray[np.uint8]:
    out = np.full((*size, 3), pictures.POISON, np.uint8)
    runner.run(launches.cut_out(frame, window, out))
    return out


@pytest.mark.parametrize(("matrix", "full_range"), COLOURS)
def test_is_the_twins_to_the_last_bit(scheduled_runner: Runner, matrix: str, full_range: bool) -> None:
    frame = pictures.nv12(90, 160, 1, matrix=matrix, full_range=full_range)
    window = (3, 7, 150, 88)
    assert np.array_equal(cut(scheduled_runner, frame, window, (31, 47)), reference.cut_out(frame, window, 31, 47))


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (33, 65), (45, 70)])
def test_windows_and_results_of_all_sizes(runner: Runner, size: tuple[int, int]) -> None:
    """Odd ones, those at the picture's edge and those of one pixel among them."""
    drawn = np.random.default_rng(sum(size))
    frame = pictures.nv12(*size, seed=2)
    for _ in range(20):
        left, top = (int(drawn.integers(0, side)) for side in size[::-1])
        right, bottom = int(drawn.integers(left, size[1])) + 1, int(drawn.integers(top, size[0])) + 1
        window = left, top, right, bottom
        height, width = int(drawn.integers(1, bottom - top + 1)), int(drawn.integers(1, right - left + 1))
        made = cut(runner, frame, window, (height, width))
        assert np.array_equal(made, reference.cut_out(frame, window, height, width))


def test_at_its_own_size_it_is_the_conversion_alone(runner: Runner) -> None:
    frame = pictures.nv12(41, 66, 5, matrix="bt709")
    bgr = nv12_to_rgb(frame.y, frame.uv, matrix="bt709")[..., ::-1]
    assert np.array_equal(cut(runner, frame, (0, 0, 66, 41), (41, 66)), bgr)
    assert np.array_equal(cut(runner, frame, (5, 3, 60, 40), (37, 55)), bgr[3:40, 5:60])


def test_what_is_made_smaller_is_the_mean_of_the_converted_picture(runner: Runner) -> None:
    """As far as no colour is cut off at black or white."""
    drawn = np.random.default_rng(3)
    frame = Nv12(drawn.integers(90, 160, (48, 64), np.uint8), drawn.integers(110, 146, (24, 32, 2), np.uint8))
    bgr = nv12_to_bgr(frame.y, frame.uv).astype(np.float32)
    means = bgr.reshape(12, 4, 16, 4, 3).mean((1, 3))
    assert np.abs(cut(runner, frame, (0, 0, 64, 48), (12, 16)) - means).max() <= 2.5


def test_a_single_bright_pixel_is_not_missed(runner: Runner) -> None:
    frame = Nv12(np.full((100, 100), 16, np.uint8), np.full((50, 50, 2), 128, np.uint8))
    frame.y[60, 80] = 235
    small = cut(runner, frame, (0, 0, 100, 100), (7, 7))
    assert np.argwhere(small[..., 0] > 0).tolist() == [[4, 5]]


def test_the_largest_sums_fit(runner: Runner) -> None:
    """A picture of the largest width as one result: more than 32 bits hold."""
    frame = Nv12(np.full((1040, 16_384), 255, np.uint8), np.full((520, 8_192, 2), 140, np.uint8))
    frame.y[0, 0] = 0
    one = nv12_to_rgb(frame.y[:1, 1:2], frame.uv[:1, :1])[..., ::-1]
    assert np.array_equal(cut(runner, frame, (0, 0, 16_384, 1040), (1, 1)), one)


@pytest.mark.parametrize("size", [(19, 33), (16, 40)])
def test_no_races_and_nothing_outside_of_the_arrays(checked_runner: Runner, size: tuple[int, int]) -> None:
    frame = pictures.nv12(*size, seed=2)
    for window in ((0, 0, size[1], size[0]), (7, 3, size[1], size[0] - 1)):
        for height, width in ((9, 11), (1, 1), (window[3] - window[1], window[2] - window[0])):
            made = cut(checked_runner, frame, window, (height, width))
            assert np.array_equal(made, reference.cut_out(frame, window, height, width))
