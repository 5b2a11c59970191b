"""The CPU backend of the kernels on pictures against their NumPy twins, and what the public functions refuse."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from kernels import images
from kernels.colour import Nv12, nv12_to_bgr, nv12_to_rgb, rgb_to_yuv, yuv_to_rgb
from kernels.images import KernelInputError, Look
from kernels.reference import images as reference
from tests.kernels import pictures
from tests.kernels.test_composite import KINDS, MODES, frame_of
from tests.kernels.test_roi_crops import BOXES, HEIGHT, WIDTH, picture

LEVEL = 1 / 127.5


def difference(a: Any, b: Any) -> int:
    if isinstance(a, Nv12):
        return max(difference(a.y, b.y), difference(a.uv, b.uv))
    assert a.shape == b.shape
    return int(np.abs(a.astype(int) - b.astype(int)).max(initial=0))


def compare(frame: Any, owner: Any, logits: Any, palette: Any, n_valid: int, look: Look) -> int:
    """How far the CPU backend is from the twin, in levels."""
    height, width = (frame.y if isinstance(frame, Nv12) else frame).shape[:2]
    behind = None
    if look.background == "image":
        behind = frame_of("nv12" if isinstance(frame, Nv12) else "rgb", height, width, 91)
        if isinstance(frame, Nv12):
            behind = Nv12(behind.y, behind.uv, frame.matrix, frame.full_range)
    quarter = reference.quarter_blur(frame, look) if look.background == "blur" else None
    expected = reference.composite(frame, owner, logits, palette, n_valid, look, behind=behind, quarter=quarter)
    before = pictures.poisoned_like(frame)
    count = pictures.count_of(n_valid)
    result = images.composite(frame, owner, palette, logits=logits, look=look, n_valid=count, behind=behind, out=before)
    return difference(result, expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [(67, 104), (72, 128), (1, 1), (2, 3), (33, 65)])
def test_composite_is_the_twins(mode: str, kind: str, size: tuple[int, int]) -> None:
    logits, owner = pictures.ellipses(5, 36, 48, *size, seed=3)
    bound = 2 if MODES[mode].background == "blur" else 1
    frame, palette = frame_of(kind, *size, size[0]), pictures.palette_of(5)
    assert compare(frame, owner.astype(np.uint8), logits, palette, 5, MODES[mode]) <= bound
    assert compare(frame, owner, None, palette, 3, MODES[mode]) <= bound


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("count", "n_valid"), [(0, 0), (1, 1), (33, 33), (33, 5), (300, 300)])
def test_any_number_of_objects(kind: str, count: int, n_valid: int) -> None:
    logits, owner = pictures.ellipses(count, 24, 24, 50, 60, seed=count)
    assert compare(frame_of(kind, 50, 60), owner, logits, pictures.palette_of(count), n_valid, MODES["outline"]) <= 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("masked", [False, True])
def test_crops_are_the_twins(kind: str, masked: bool) -> None:
    frame = picture(kind)
    owner = pictures.ellipses(13, 20, 30, HEIGHT, WIDTH, seed=3)[1] if masked else None
    for side in (1, 24, 67):
        ours = images.roi_crops(frame, BOXES, side=side, owner=owner)
        assert np.abs(ours - reference.roi_crops(frame, BOXES, len(BOXES), side, owner)).max() <= LEVEL + 1e-5


@pytest.mark.parametrize("size", [(1, 1), (33, 65), (90, 160)])
@pytest.mark.parametrize("side", [17, 126])
@pytest.mark.parametrize("matrix", ["bt601", "bt709"])
def test_a_models_input_is_the_twins(size: tuple[int, int], side: int, matrix: Any) -> None:
    frame = pictures.nv12(*size, seed=side, matrix=matrix)
    ours = images.nv12_to_model(frame, side=side)
    assert ours.dtype == np.float32
    assert np.abs(ours - reference.nv12_to_model(frame, side)).max() <= 2 * LEVEL


@pytest.mark.parametrize("matrix", ["bt601", "bt709"])
@pytest.mark.parametrize("full_range", [False, True])
def test_both_directions_of_a_matrix_are_inverse(matrix: Any, full_range: bool) -> None:
    to, back = rgb_to_yuv(matrix, full_range), yuv_to_rgb(matrix, full_range)
    r, g, b = 200.0, 30.0, 90.0
    weighted = to.k_r * r + to.k_g * g + to.k_b * b
    luma = (weighted * to.gain + to.offset - back.offset) * back.gain
    u, v = (b - weighted) * to.u_b, (r - weighted) * to.v_r
    assert [luma + back.r_v * v, luma - back.g_u * u - back.g_v * v, luma + back.b_u * u] == pytest.approx([r, g, b])


@pytest.mark.parametrize("size", [(200, 200), (33, 51)])
@pytest.mark.parametrize("matrix", ["bt601", "bt709"])
@pytest.mark.parametrize("full_range", [False, True])
def test_opencvs_conversion_is_a_level_off_at_most(size: tuple[int, int], matrix: Any, full_range: bool) -> None:
    frame = pictures.nv12(*size, 1)
    quick = nv12_to_bgr(frame.y, frame.uv, matrix=matrix, full_range=full_range)
    exact = nv12_to_rgb(frame.y, frame.uv, matrix=matrix, full_range=full_range)[..., ::-1]
    assert quick.shape == (*size, 3)
    assert difference(quick, exact) <= 1


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (33, 51), (64, 70)])
def test_parts_of_any_size_are_the_twins(size: tuple[int, int]) -> None:
    drawn = np.random.default_rng(sum(size))
    for number in range(40):
        frame = pictures.nv12(*size, number, matrix=("bt601", "bt709")[number % 2], full_range=number % 4 > 1)
        left, top = (int(drawn.integers(0, side)) for side in size[::-1])
        right, bottom = int(drawn.integers(left, size[1])) + 1, int(drawn.integers(top, size[0])) + 1
        window = left, top, right, bottom
        height, width = int(drawn.integers(1, bottom - top + 1)), int(drawn.integers(1, right - left + 1))
        made = images.cut_out(frame, window, size=(height, width))
        assert difference(made, reference.cut_out(frame, window, height, width)) <= 4


FRAME = pictures.rgb(20, 30)
YUV = pictures.nv12(20, 30)
OWNER = np.zeros((20, 30), np.uint8)
PALETTE = pictures.palette_of(2)
LOGITS = np.zeros((2, 5, 6), np.float32)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: images.composite(FRAME.astype(np.float32), OWNER, PALETTE), "frame is float32, not uint8"),
        (lambda: images.composite(FRAME[..., ::-1], OWNER, PALETTE), "frame is not C-contiguous"),
        (lambda: images.composite(FRAME[0], OWNER, PALETTE), "frame has shape (30, 3), not (any, any, 3)"),
        (lambda: images.composite(FRAME[:0], OWNER[:0], PALETTE), "the height of frame is 0"),
        (lambda: images.composite(Nv12(YUV.y, YUV.uv[:5]), OWNER, PALETTE), "frame.uv has shape (5, 15, 2), not (10"),
        (lambda: images.composite(FRAME, OWNER[:3], PALETTE), "owner has shape (3, 30), not (20, 30)"),
        (lambda: images.composite(FRAME, OWNER.astype(np.int32), PALETTE), "owner is int32, not uint8 or uint16"),
        (lambda: images.composite(FRAME, OWNER, PALETTE[:, :3]), "palette has shape (3, 3), not (any, 4)"),
        (lambda: images.composite(FRAME, OWNER, PALETTE[:0]), "the number of colours is 0"),
        (lambda: images.composite(FRAME, OWNER, PALETTE[:2], logits=LOGITS), "2 objects have logits, the palette has"),
        (lambda: images.composite(FRAME, OWNER, PALETTE, logits=LOGITS[:, :0]), "logits without pixels"),
        (lambda: images.composite(FRAME, OWNER, PALETTE, n_valid=pictures.count_of(3)), "n_valid is 3"),
        (lambda: images.composite(FRAME, OWNER, PALETTE, look=Look(background="image")), "'image' needs `behind`"),
        (lambda: images.composite(FRAME, OWNER, PALETTE, behind=FRAME), "'keep' takes no `behind`"),
        (
            lambda: images.composite(FRAME, OWNER, PALETTE, look=Look(background="image"), behind=YUV),
            "behind and frame are not of one kind",
        ),
        (
            lambda: images.composite(FRAME, OWNER, PALETTE, look=Look(background="image"), behind=FRAME[:9]),
            "behind is of (9, 30), frame of (20, 30)",
        ),
        (lambda: images.composite(FRAME, OWNER, PALETTE, out=FRAME), "share memory"),
        (lambda: images.composite(FRAME, OWNER, PALETTE, out=YUV), "out is NV12, frame is interleaved"),
        (lambda: images.composite(YUV, OWNER, PALETTE, out=FRAME), "out is interleaved, frame is NV12"),
        (lambda: images.composite(FRAME.tolist(), OWNER, PALETTE), "frame is a list"),
        (lambda: images.roi_crops(FRAME, BOXES.astype(np.float64)), "boxes is float64"),
        (lambda: images.roi_crops(FRAME, BOXES, side=0), "side is 0"),
        (lambda: images.roi_crops(FRAME, BOXES, ids=np.zeros(3, np.int32)), "ids has shape (3,), not (13)"),
        (lambda: images.roi_crops(FRAME, BOXES, side=8, out=np.zeros((1, 3, 8, 8), np.float32)), "out has shape"),
        (lambda: images.cut_out(FRAME, (0, 0, 9, 9), size=(9, 9)), "frame is a ndarray, not an Nv12"),
        (lambda: images.cut_out(YUV, (0, 0, 31, 9), size=(9, 9)), "(0, 0, 31, 9) is not in a picture of 30 x 20"),
        (lambda: images.cut_out(YUV, (5, 5, 5, 9), size=(1, 1)), "is not in a picture"),
        (lambda: images.cut_out(YUV, (0, 0, 9, 9), size=(9, 10)), "the width of the result is 10, not from 1 to 9"),
        (lambda: images.nv12_to_model(FRAME), "frame is a ndarray, not an Nv12"),
        (lambda: images.nv12_to_model(YUV, side=8, out=np.zeros((3, 8, 8), np.uint16)), "out is uint16, not float32"),
    ],
)
def test_bad_input_is_refused_in_words(call: Any, message: str) -> None:
    with pytest.raises(KernelInputError, match=re.escape(message)):
        call()


@pytest.mark.parametrize(
    "settings",
    [{"outline_px": 17}, {"feather_px": -1}, {"pixelate_px": 12}, {"background": "gone"}, {"blur_px": 0}],
)
def test_a_look_out_of_range_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"pixels|background"):
        Look(**settings)


def test_nothing_is_written_when_an_argument_is_refused() -> None:
    out = np.full_like(FRAME, 7)
    with pytest.raises(KernelInputError):
        images.composite(FRAME, OWNER, PALETTE, n_valid=pictures.count_of(9), out=out)
    assert (out == 7).all()
