"""`kernels.images` gives the same on both backends, through the same arguments, where the arguments live."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kernels import images
from kernels.arrays import KernelInputError
from kernels.colour import Nv12
from kernels.cuda.launch import Runner
from kernels.images import Look
from kernels.reference.cleaning import bfloat16_to_float32, float32_to_bfloat16
from tests.kernels import devices, pictures
from tests.kernels.devices import fake_torch  # noqa: F401

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
    assert np.abs(bfloat16_to_float32(cuda) - host).max(initial=0) <= 0.012


def test_models_inputs_are_alike(runner: Runner) -> None:
    frame = pictures.nv12(HEIGHT, WIDTH, 3, matrix="bt709")
    cuda = images.nv12_to_model(frame, side=50, runner=runner)
    assert np.abs(bfloat16_to_float32(cuda) - images.nv12_to_model(frame, side=50)).max() <= 0.02


@pytest.mark.parametrize(("window", "size"), [((0, 0, WIDTH, HEIGHT), (36, 60)), ((11, 5, 90, 71), (47, 31))])
def test_parts_are_alike(runner: Runner, window: images.Window, size: tuple[int, int]) -> None:
    frame = pictures.nv12(HEIGHT, WIDTH, 3, matrix="bt709")
    kept = np.full((*size, 3), pictures.POISON, np.uint8)
    cuda = images.cut_out(frame, window, size=size, out=kept, runner=runner)
    assert cuda is kept
    assert difference(cuda, images.cut_out(frame, window, size=size)) <= 4


def test_an_output_that_is_not_aligned_to_words_is_refused(runner: Runner) -> None:
    out = np.zeros(3 * 8 * 8 + 1, np.uint16)[1:].reshape(3, 8, 8)
    with pytest.raises(KernelInputError, match="does not begin at a multiple of 4 bytes"):
        images.nv12_to_model(pictures.nv12(8, 8), side=8, out=out, runner=runner)
    assert not out.any()


def on_device(picture: Any) -> Any:
    if isinstance(picture, Nv12):
        return Nv12(devices.cuda(picture.y), devices.cuda(picture.uv), picture.matrix, picture.full_range)
    return devices.cuda(picture)


@pytest.mark.usefixtures("fake_torch")
@pytest.mark.parametrize("kind", ["nv12", "rgb"])
def test_tensors_are_composed_on_their_device(runner: Runner, kind: str) -> None:
    logits, owner = pictures.ellipses(COUNT, 30, 40, HEIGHT, WIDTH, seed=1)
    frame, palette = frame_of(kind), pictures.palette_of(COUNT)
    half, look = float32_to_bfloat16(logits), Look(outline_px=2, background="blur")
    made = images.composite(
        on_device(frame), devices.cuda(owner), devices.cuda(palette), logits=devices.cuda(half, dtype="bfloat16"),
        look=look, runner=devices.TensorRunner(runner),
    )  # fmt: skip
    planes = (made.y, made.uv) if isinstance(made, Nv12) else (made,)
    assert all(str(plane.device) == "cuda:0" for plane in planes)
    host = Nv12(made.y.memory, made.uv.memory) if isinstance(made, Nv12) else made.memory
    assert difference(host, images.composite(frame, owner, palette, logits=half, look=look)) <= 2


@pytest.mark.usefixtures("fake_torch")
def test_inputs_of_models_are_bfloat16_tensors(runner: Runner) -> None:
    frame, boxes = pictures.nv12(HEIGHT, WIDTH, 3), np.array([[10, 5, 60, 70]], np.float32)
    tensors = devices.TensorRunner(runner)
    whole = images.nv12_to_model(on_device(frame), side=50, runner=tensors)
    crops = images.roi_crops(on_device(frame), devices.cuda(boxes), side=20, runner=tensors)
    part = images.cut_out(on_device(frame), (10, 5, 60, 70), size=(30, 20), runner=tensors)
    assert str(part.device) == "cuda:0"
    assert difference(part.memory, images.cut_out(frame, (10, 5, 60, 70), size=(30, 20))) <= 4
    for made, host in ((whole, images.nv12_to_model(frame, side=50)), (crops, images.roi_crops(frame, boxes, side=20))):
        assert made.dtype == "torch.bfloat16"
        assert np.abs(bfloat16_to_float32(made.memory) - host).max() <= 0.02


@pytest.mark.usefixtures("fake_torch")
def test_pictures_of_two_places_are_refused() -> None:
    frame, owner, palette = pictures.rgb(8, 8), np.zeros((8, 8), np.uint8), pictures.palette_of(1)
    with pytest.raises(KernelInputError, match="owner is on the host"):
        images.composite(devices.cuda(frame), owner, devices.cuda(palette))
