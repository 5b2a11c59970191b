"""K7 `nv12_to_model`: its twin to one unit in the last place of bf16, and torch's way of making the same input."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from kernels.colour import Nv12, nv12_to_bgr
from kernels.cuda import images as launches
from kernels.cuda.launch import Runner
from kernels.reference import images as reference
from kernels.reference.cleaning import bfloat16_to_float32
from tests.kernels import pictures

COLOURS = [("bt601", False), ("bt601", True), ("bt709", False), ("bt709", True)]


def model_input(runner: Runner, frame: Nv12, side: int) -> NDArray[np.uint16]:
    out = np.full((3, side, side), 0x7FC1, np.uint16)
    runner.run(launches.nv12_to_model(frame, out))
    return out


def assert_close(bits: NDArray[np.uint16], values: NDArray[np.float32]) -> None:
    """At most a step of bf16 between 0.5 and 1 apart."""
    assert bits.shape == values.shape
    assert np.abs(bfloat16_to_float32(bits) - values).max(initial=0) <= 2**-8


@pytest.mark.parametrize(("matrix", "full_range"), COLOURS)
def test_is_the_twins(scheduled_runner: Runner, matrix: str, full_range: bool) -> None:
    frame = pictures.nv12(90, 160, 1, matrix=matrix, full_range=full_range)
    assert_close(model_input(scheduled_runner, frame, 126), reference.nv12_to_model(frame, 126))


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (33, 65), (67, 44), (150, 30), (288, 512)])
@pytest.mark.parametrize("side", [1, 17, 64, 130])
def test_odd_sizes_larger_and_smaller(runner: Runner, size: tuple[int, int], side: int) -> None:
    frame = pictures.nv12(*size, seed=side)
    assert_close(model_input(runner, frame, side), reference.nv12_to_model(frame, side))


def test_same_size_is_the_conversion_alone(runner: Runner) -> None:
    frame = pictures.nv12(66, 66, 5)
    rgb = nv12_to_bgr(frame.y, frame.uv)[..., ::-1].astype(np.float32)
    assert np.abs(bfloat16_to_float32(model_input(runner, frame, 66)) - (rgb / 127.5 - 1).transpose(2, 0, 1)).max() < (
        1 / 127.5 + 2**-8  # OpenCV's conversion rounds to a neighbouring level now and then
    )


def test_is_what_opencv_makes_of_the_converted_picture(runner: Runner) -> None:
    frame = pictures.nv12(72, 128, 7)
    bgr = nv12_to_bgr(frame.y, frame.uv).astype(np.float32)
    theirs = cv2.resize(bgr, (100, 100), interpolation=cv2.INTER_LINEAR)[..., ::-1].transpose(2, 0, 1) / 127.5 - 1
    assert np.abs(bfloat16_to_float32(model_input(runner, frame, 100)) - theirs).max() <= 1 / 127.5 + 2**-8


@pytest.mark.parametrize(("matrix", "full_range"), COLOURS)
def test_is_what_torch_makes_of_the_converted_picture(runner: Runner, matrix: str, full_range: bool) -> None:
    frame = pictures.nv12(72, 128, 7, matrix=matrix, full_range=full_range)
    rgb = nv12_to_bgr(frame.y, frame.uv, matrix=frame.matrix, full_range=full_range)[..., ::-1].copy()
    batch = torch.from_numpy(rgb).permute(2, 0, 1)[None].float() / 255
    resized = torch.nn.functional.interpolate(batch, (100, 100), mode="bilinear", align_corners=False)
    theirs = ((resized - 0.5) / 0.5)[0].numpy()
    assert np.abs(bfloat16_to_float32(model_input(runner, frame, 100)) - theirs).max() <= 1 / 127.5 + 2**-8


def test_a_picture_too_large_for_shared_memory_is_refused() -> None:
    frame = Nv12(np.empty((40, 8000), np.uint8), np.empty((20, 4000, 2), np.uint8))
    with pytest.raises(ValueError, match="8000 x 40 is too large"):
        launches.nv12_to_model(frame, np.empty((3, 16, 16), np.uint16))


@pytest.mark.parametrize("size", [(19, 33), (16, 40)])
def test_no_races_and_nothing_outside_of_the_arrays(checked_runner: Runner, size: tuple[int, int]) -> None:
    frame = pictures.nv12(*size, seed=2)
    for side in (18, 23):
        assert_close(model_input(checked_runner, frame, side), reference.nv12_to_model(frame, side))
