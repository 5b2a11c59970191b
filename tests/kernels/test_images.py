"""`kernels.images` gives the same on both backends, through the same arguments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kernels import images
from kernels.arrays import KernelInputError
from kernels.colour import Nv12
from kernels.cuda.launch import Runner
from kernels.images import Look
from kernels.reference.images import from_bf16_bits
from tests.kernels import pictures

HEIGHT, WIDTH, COUNT = 72, 120, 6


def frame_of(kind: str, seed: int = 0) -> Any:
    return pictures.nv12(HEIGHT, WIDTH, seed) if kind == "nv12" else pictures.rgb(HEIGHT, WIDTH, seed)


def difference(a: Any, b: Any) -> int:
    if isinstance(a, Nv12):
        return max(difference(a.y, b.y), difference(a.uv, b.uv))
    assert a.shape == b.shape
    return int(np.abs(a.astype(int) - b.astype(int)).max())


@pytest.mark.parametrize("kind", ["nv12", "rgb"])
@pytest.mark.parametrize(
    "look",
    [Look(outline_px=2, feather_px=3), Look(pixelate_px=16, background="blur"), Look(fill=False, background="image")],
)
def test_pictures_are_composed_alike(runner: Runner, kind: str, look: Look) -> None:
    logits, owner = pictures.ellipses(COUNT, 30, 40, HEIGHT, WIDTH, seed=1)
    frame = frame_of(kind)
    settings: dict[str, Any] = {"logits": logits, "look": look, "n_valid": pictures.count_of(COUNT - 1)}
    if look.background == "image":
        settings["behind"] = frame_of(kind, 1)
    palette = pictures.palette_of(COUNT)
    kept = pictures.poisoned_like(frame)
    cuda = images.composite(frame, owner, palette, **settings, out=kept, runner=runner)
    assert (cuda.y if isinstance(kept, Nv12) else cuda) is (kept.y if isinstance(kept, Nv12) else kept)
    assert difference(cuda, images.composite(frame, owner, palette, **settings)) <= (
        2 if look.background == "blur" else 1
    )


@pytest.mark.parametrize("kind", ["nv12", "rgb"])
@pytest.mark.parametrize("count", [0, 5])
def test_crops_are_alike(runner: Runner, kind: str, count: int) -> None:
    boxes = np.array([[x, x / 2, 3 * x + 9, x + 30] for x in range(0, 25 * count, 25)], np.float32).reshape(-1, 4)
    _, owner = pictures.ellipses(COUNT, 30, 40, HEIGHT, WIDTH, seed=1)
    frame = frame_of(kind)
    cuda = images.roi_crops(frame, boxes, side=20, owner=owner, runner=runner)
    assert cuda.dtype == np.uint16
    host = images.roi_crops(frame, boxes, side=20, owner=owner)
    assert np.abs(from_bf16_bits(cuda) - host).max(initial=0) <= 0.012


def test_models_inputs_are_alike(runner: Runner) -> None:
    frame = pictures.nv12(HEIGHT, WIDTH, 3, matrix="bt709")
    cuda = images.nv12_to_model(frame, side=50, runner=runner)
    assert np.abs(from_bf16_bits(cuda) - images.nv12_to_model(frame, side=50)).max() <= 0.02


def test_an_output_that_is_not_aligned_to_words_is_refused(runner: Runner) -> None:
    out = np.zeros(3 * 8 * 8 + 1, np.uint16)[1:].reshape(3, 8, 8)
    with pytest.raises(KernelInputError, match="does not begin at a multiple of 4 bytes"):
        images.nv12_to_model(pictures.nv12(8, 8), side=8, out=out, runner=runner)
    assert not out.any()
