"""K5 `composite` and its blurred background against their twins: at most one level of 255 apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kernels.colour import Nv12, size_of
from kernels.cuda import images as launches
from kernels.cuda.launch import Runner
from kernels.look import Look
from kernels.reference import images as reference
from kernels.reference.cleaning import bfloat16_to_float32, float32_to_bfloat16
from tests.kernels import pictures

MODES = {
    "copy": Look(fill=False),
    "colour": Look(),
    "outline": Look(outline_px=2),
    "hairline": Look(fill=False, outline_px=0.5),
    "feather": Look(feather_px=5),
    "pixelate": Look(fill=False, pixelate_px=8),
    "pixelate and feather": Look(pixelate_px=16, feather_px=3, outline_px=1),
    "coarse": Look(fill=False, pixelate_px=32),
    "colour behind": Look(fill=False, background="colour"),
    "image behind": Look(fill=False, background="image", feather_px=2),
    "blur behind": Look(fill=False, background="blur"),
    "all": Look(outline_px=3, feather_px=2, pixelate_px=8, background="blur", blur_px=4),
}
KINDS = ("nv12", "rgb")


def frame_of(kind: str, height: int, width: int, seed: int = 0) -> Any:
    colour = {"matrix": "bt709", "full_range": True} if seed % 2 else {}
    return pictures.nv12(height, width, seed, **colour) if kind == "nv12" else pictures.rgb(height, width, seed)


def composed(
    runner: Runner, frame: Any, owner: Any, logits: Any, palette: NDArray[np.uint8], n_valid: int, look: Look
) -> tuple[Any, Any]:
    """What the kernels make of it, into poisoned outputs, and what the twin does."""
    height, width = size_of(frame)
    behind = frame_of("nv12" if isinstance(frame, Nv12) else "rgb", height, width, 91)
    quarter = None
    if look.background == "blur":
        quarter = np.full((-(-height // 4), -(-width // 4), 4), pictures.POISON, np.uint8)
        runner.run(launches.quarter_blur(frame, look, quarter))
        assert_close(quarter, reference.quarter_blur(frame, look))
    extra = {"behind": behind if look.background == "image" else None, "quarter": quarter}
    out = pictures.poisoned_like(frame)
    count = pictures.count_of(n_valid)
    runner.run(launches.composite(frame, owner, logits, palette, count, look, out, **extra))
    floats = bfloat16_to_float32(logits) if logits is not None and logits.dtype == np.uint16 else logits
    return out, reference.composite(frame, owner, floats, palette, n_valid, look, **extra)


def assert_close(a: Any, b: Any) -> None:
    if isinstance(a, Nv12):
        assert_close(a.y, b.y)
        assert_close(a.uv, b.uv)
        return
    assert a.shape == b.shape
    assert np.abs(a.astype(int) - b.astype(int)).max(initial=0) <= 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", MODES)
def test_every_mode_is_the_twins(scheduled_runner: Runner, mode: str, kind: str) -> None:
    height, width = 67, 104
    logits, owner = pictures.ellipses(5, 36, 48, height, width, seed=3)
    frame, palette = frame_of(kind, height, width, 4), pictures.palette_of(5)
    assert_close(*composed(scheduled_runner, frame, owner.astype(np.uint8), logits, palette, 5, MODES[mode]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (33, 65), (31, 64), (64, 130), (70, 71)])
def test_odd_sizes(runner: Runner, size: tuple[int, int], kind: str) -> None:
    logits, owner = pictures.ellipses(3, 20, 24, *size, seed=size[1])
    frame, palette = frame_of(kind, *size, size[0]), pictures.palette_of(3)
    for mode in ("all", "outline", "image behind", "coarse"):
        assert_close(*composed(runner, frame, owner.astype(np.uint8), logits, palette, 3, MODES[mode]))


@pytest.mark.parametrize("kind", KINDS)
def test_without_logits_edges_are_hard(runner: Runner, kind: str) -> None:
    _, owner = pictures.ellipses(4, 30, 30, 60, 88, seed=8)
    frame, palette = frame_of(kind, 60, 88), pictures.palette_of(4)
    for mode in ("outline", "feather", "all"):
        assert_close(*composed(runner, frame, owner.astype(np.uint8), None, palette, 4, MODES[mode]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("owner_dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("half", [False, True])
def test_every_dtype(runner: Runner, kind: str, owner_dtype: type, half: bool) -> None:
    logits, owner = pictures.ellipses(33, 24, 40, 48, 80, seed=5)
    given: Any = float32_to_bfloat16(logits) if half else logits
    frame, palette = frame_of(kind, 48, 80, 1), pictures.palette_of(33)
    assert_close(*composed(runner, frame, owner.astype(owner_dtype), given, palette, 33, MODES["all"]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("count", "n_valid"), [(0, 0), (1, 1), (4, 2), (33, 0)])
def test_only_valid_objects_show(runner: Runner, kind: str, count: int, n_valid: int) -> None:
    logits, owner = pictures.ellipses(count, 24, 24, 40, 72, seed=count)
    frame, palette = frame_of(kind, 40, 72), pictures.palette_of(count)
    ours, twin = composed(runner, frame, owner.astype(np.uint8), logits, palette, n_valid, MODES["outline"])
    assert_close(ours, twin)
    if n_valid == 0:
        assert_close(ours, frame)


def test_owners_beyond_the_palette_do_not_show(runner: Runner) -> None:
    frame, palette = pictures.rgb(16, 24), pictures.palette_of(2)
    ours, _ = composed(runner, frame, np.full((16, 24), 200, np.uint8), None, palette, 7, MODES["colour"])
    assert np.array_equal(ours, frame)


def test_an_empty_owner_map_copies_and_a_full_one_has_no_outline(runner: Runner) -> None:
    frame, palette = pictures.rgb(33, 70), pictures.palette_of(1)
    ours, _ = composed(runner, frame, np.zeros((33, 70), np.uint8), None, palette, 1, MODES["outline"])
    assert np.array_equal(ours, frame)
    ours, _ = composed(runner, frame, np.ones((33, 70), np.uint8), None, palette, 1, Look(fill=False, outline_px=3))
    assert np.array_equal(ours, frame)


def test_nothing_of_a_pixelated_object_is_left(runner: Runner) -> None:
    """Privacy: inside the object every pixel is its square's mean, whatever the object's shade is."""
    logits, owner = pictures.ellipses(2, 30, 40, 60, 80, seed=2)
    frame, palette = pictures.rgb(60, 80), pictures.palette_of(2)
    look = Look(fill=False, pixelate_px=16, feather_px=8)
    ours, _ = composed(runner, frame, owner.astype(np.uint8), logits, palette, 2, look)
    for y in range(0, 60, 16):
        for x in range(0, 80, 16):
            inside = ours[y : y + 16, x : x + 16][owner[y : y + 16, x : x + 16] > 0]
            assert len(np.unique(inside, axis=0)) <= 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", ["all", "pixelate", "image behind"])
def test_no_races_and_nothing_outside_of_the_arrays(checked_runner: Runner, kind: str, mode: str) -> None:
    height, width = 35, 66
    logits, owner = pictures.ellipses(3, 12, 16, height, width, seed=6)
    frame, palette = frame_of(kind, height, width), pictures.palette_of(3)
    assert_close(*composed(checked_runner, frame, owner.astype(np.uint8), logits, palette, 3, MODES[mode]))


@pytest.mark.parametrize("kind", KINDS)
def test_vector_loads_stay_inside(checked_runner: Runner, kind: str) -> None:
    height, width = 19, 72
    logits, owner = pictures.ellipses(3, 12, 16, height, width, seed=6)
    frame, palette = frame_of(kind, height, width), pictures.palette_of(3)
    assert_close(*composed(checked_runner, frame, owner.astype(np.uint8), logits, palette, 3, MODES["all"]))
