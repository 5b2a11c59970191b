"""K6 `roi_crops` against its twin, to one unit in the last place of bf16."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from kernels.colour import Nv12
from kernels.cuda import images as launches
from kernels.cuda.launch import Runner
from kernels.reference import images as reference
from kernels.reference.cleaning import bfloat16_to_float32
from tests.kernels import pictures

HEIGHT, WIDTH = 45, 70
BOXES = np.array(
    [
        [10, 5, 40, 30],
        [0, 0, WIDTH, HEIGHT],
        [-20.5, -3, 20, 12.25],  # over the corner
        [60, 40, 90, 80],
        [200, 200, 260, 230],  # outside
        [-900, -900, -800, -850],
        [30, 30, 30, 40],  # empty
        [50, 40, 20, 10],  # turned round
        [12.3, 7.7, 13.1, 8.2],  # within a pixel
        [np.nan, 0, 10, 10],
        [0, 0, np.inf, 10],
        [-1e8, -1e8, 1e8, 1e8],
        [0, 0, 1, HEIGHT],
    ],
    np.float32,
)
KINDS = ("nv12", "rgb")


def picture(kind: str) -> Any:
    frame = pictures.nv12(HEIGHT, WIDTH, 1, matrix="bt709")
    return frame if kind == "nv12" else pictures.rgb(HEIGHT, WIDTH, 1)


def crops(runner: Runner, frame: Any, boxes: NDArray[np.float32], n_valid: int, side: int, **mask: Any) -> (
    NDArray[np.uint16]
):  # fmt: skip
    out = np.full((len(boxes), 3, side, side), 0x7FC1, np.uint16)
    runner.run(launches.roi_crops(frame, boxes, pictures.count_of(n_valid), out, **mask))
    assert (out[n_valid:] == 0x7FC1).all()
    return out[:n_valid]


def assert_close(bits: NDArray[np.uint16], values: NDArray[np.float32]) -> None:
    assert bits.shape == values.shape
    assert np.abs(bfloat16_to_float32(bits) - values).max(initial=0) <= 2**-8


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", [1, 24, 67])
def test_boxes_anywhere(scheduled_runner: Runner, kind: str, side: int) -> None:
    frame = picture(kind)
    ours = crops(scheduled_runner, frame, BOXES, len(BOXES), side)
    assert_close(ours, reference.roi_crops(frame, BOXES, len(BOXES), side))
    for k in (4, 5, 6, 7, 9, 10):
        assert not ours[k].any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("owner_dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("named", [False, True])
def test_the_background_is_masked(runner: Runner, kind: str, owner_dtype: type, named: bool) -> None:
    frame = picture(kind)
    _, owner = pictures.ellipses(4, 20, 30, HEIGHT, WIDTH, seed=3)
    mask = {"owner": owner.astype(owner_dtype), "ids": np.array([3, 1, 9, 2], np.int32) if named else None}
    boxes = BOXES[[0, 1, 1, 2]]
    assert_close(crops(runner, frame, boxes, 4, 32, **mask), reference.roi_crops(frame, boxes, 4, 32, **mask))


@pytest.mark.parametrize(("count", "n_valid"), [(0, 0), (1, 1), (33, 33), (33, 5), (2, 0)])
def test_only_valid_crops_are_written(runner: Runner, count: int, n_valid: int) -> None:
    frame = picture("nv12")
    corners = np.random.default_rng(count).uniform(-10, 80, (count, 2, 2)).astype(np.float32)
    boxes = np.concatenate([corners.min(1), corners.max(1)], axis=1)
    assert_close(crops(runner, frame, boxes, n_valid, 16), reference.roi_crops(frame, boxes, n_valid, 16))


def test_a_box_of_the_size_of_the_crop_is_the_picture_itself(runner: Runner) -> None:
    frame = pictures.rgb(40, 40)
    ours = crops(runner, frame, np.array([[4, 8, 36, 40]], np.float32), 1, 32)
    exact = frame[8:40, 4:36].transpose(2, 0, 1).astype(np.float32) / 127.5 - 1
    assert np.abs(bfloat16_to_float32(ours)[0] - exact).max() <= 2**-8


def test_is_what_torch_makes_of_the_whole_picture(runner: Runner) -> None:
    frame = pictures.rgb(40, 72, 3)
    whole = crops(runner, frame, np.array([[0, 0, 72, 40]], np.float32), 1, 30)[0]
    batch = torch.from_numpy(frame).permute(2, 0, 1)[None].float() / 127.5 - 1
    theirs = torch.nn.functional.interpolate(batch, (30, 30), mode="bilinear", align_corners=False)[0].numpy()
    assert np.abs(bfloat16_to_float32(whole) - theirs).max() <= 2**-8 + 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_no_races_and_nothing_outside_of_the_arrays(checked_runner: Runner, kind: str) -> None:
    frame: Nv12 | Any = picture(kind)
    _, owner = pictures.ellipses(4, 20, 30, HEIGHT, WIDTH, seed=3)
    boxes = BOXES[[2, 3, 9, 11]]
    mask = {"owner": owner}
    for side in (9, 12):
        assert_close(
            crops(checked_runner, frame, boxes, 3, side, **mask), reference.roi_crops(frame, boxes, 3, side, **mask)
        )
