"""`kernels.images` on torch tensors and CuPy arrays of a GPU: as the CPU backend, without waiting, and in a graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kernels import images
from kernels.arrays import KernelInputError
from kernels.colour import nv12_to_bgr
from kernels.images import Look, Nv12
from kernels.reference.cleaning import bfloat16_to_float32
from tests.kernels import pictures

torch = pytest.importorskip("torch")
cupy = pytest.importorskip("cupy")
pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

COUNT, SIDE = 9, 1008
LOOKS = {
    "outlined": (Look(outline_px=2, feather_px=3), 1),
    "pixelated": (Look(fill=False, pixelate_px=16), 1),
    "blurred": (Look(background="blur"), 2),
}


def torch_array(array: NDArray[Any]) -> Any:
    return torch.from_numpy(array).cuda()


def to_device(name: str, array: NDArray[Any]) -> Any:
    return torch_array(array) if name == "torch" else cupy.asarray(array)


def to_host(array: Any) -> NDArray[Any]:
    if hasattr(array, "get"):
        return np.asarray(array.get())
    return np.asarray((array.float() if array.dtype == torch.bfloat16 else array).cpu().numpy())


def picture_to(name: str, picture: Any) -> Any:
    if isinstance(picture, Nv12):
        return Nv12(to_device(name, picture.y), to_device(name, picture.uv), picture.matrix, picture.full_range)
    return to_device(name, picture)


def planes(picture: Any) -> tuple[Any, ...]:
    return (picture.y, picture.uv) if isinstance(picture, Nv12) else (picture,)


def near(gpu: Any, cpu: Any, levels: int) -> None:
    for a, b in zip(planes(gpu), planes(cpu), strict=True):
        assert np.abs(to_host(a).astype(int) - b.astype(int)).max() <= levels


def frame_of(kind: str, size: tuple[int, int], seed: int = 0) -> Any:
    return pictures.nv12(*size, seed, matrix="bt709") if kind == "nv12" else pictures.rgb(*size, seed)


@pytest.mark.parametrize("name", ["torch", "cupy"])
@pytest.mark.parametrize("kind", ["nv12", "rgb"])
@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("size", [(1080, 1920), (719, 1277)])
def test_pictures_are_composed_as_on_the_cpu(name: str, kind: str, look: str, size: tuple[int, int]) -> None:
    logits, owner = pictures.ellipses(COUNT, 288, 288, *size, seed=1)
    frame, palette = frame_of(kind, size), pictures.palette_of(COUNT)
    settings, levels = LOOKS[look]
    gpu = images.composite(
        picture_to(name, frame), to_device(name, owner), to_device(name, palette),
        logits=to_device(name, logits), look=settings,
    )  # fmt: skip
    near(gpu, images.composite(frame, owner, palette, logits=logits, look=settings), levels)


@pytest.mark.parametrize("name", ["torch", "cupy"])
@pytest.mark.parametrize("size", [(720, 1280), (1080, 1920), (481, 641)])
def test_models_inputs_are_those_of_the_cpu(name: str, size: tuple[int, int]) -> None:
    frame = pictures.nv12(*size, 3)
    made = to_host(images.nv12_to_model(picture_to(name, frame)))
    values = bfloat16_to_float32(made) if made.dtype == np.uint16 else made
    assert np.abs(values - images.nv12_to_model(frame)).max() <= 0.02


def test_models_inputs_are_what_torch_makes_on_the_gpu() -> None:
    frame = pictures.nv12(720, 1280, 5)
    made = images.nv12_to_model(picture_to("torch", frame))
    rgb = torch_array(nv12_to_bgr(frame.y, frame.uv)[..., ::-1].copy())
    resized = torch.nn.functional.interpolate(
        rgb.permute(2, 0, 1)[None].float() / 255, (SIDE, SIDE), mode="bilinear", align_corners=False
    )
    assert (made.float() - ((resized - 0.5) / 0.5)[0]).abs().max().item() <= 0.02


@pytest.mark.parametrize("name", ["torch", "cupy"])
@pytest.mark.parametrize("kind", ["nv12", "rgb"])
def test_crops_are_those_of_the_cpu(name: str, kind: str) -> None:
    size = (720, 1280)
    _, owner = pictures.ellipses(COUNT, 288, 288, *size, seed=1)
    corners = np.random.default_rng(2).uniform(-50, 1000, (COUNT, 2, 2)).astype(np.float32)
    boxes, frame = np.concatenate([corners.min(1), corners.max(1)], axis=1), frame_of(kind, size)
    made = to_host(
        images.roi_crops(picture_to(name, frame), to_device(name, boxes), owner=to_device(name, owner), side=224)
    )
    values = bfloat16_to_float32(made) if made.dtype == np.uint16 else made
    assert np.abs(values - images.roi_crops(frame, boxes, owner=owner, side=224)).max() <= 0.012


@pytest.mark.parametrize("name", ["torch", "cupy"])
@pytest.mark.parametrize(
    ("window", "size"),
    [((0, 0, 1280, 720), (360, 640)), ((101, 33, 741, 699), (666, 640)), ((7, 5, 1279, 719), (64, 36))],
)
def test_parts_are_those_of_the_cpu(name: str, window: images.Window, size: tuple[int, int]) -> None:
    frame = pictures.nv12(720, 1280, 4, matrix="bt709")
    near(images.cut_out(picture_to(name, frame), window, size=size), images.cut_out(frame, window, size=size), 4)


def test_a_second_call_waits_for_nothing_and_a_graph_takes_other_pictures() -> None:
    size = (720, 1280)
    logits, owner = pictures.ellipses(COUNT, 288, 288, *size, seed=1)
    palette, look = pictures.palette_of(COUNT), Look(outline_px=2, background="blur")
    frame = picture_to("torch", pictures.nv12(*size, 0))
    given = [torch_array(each) for each in (owner, palette)]
    settings: dict[str, Any] = {
        "logits": torch_array(logits), "look": look, "n_valid": torch_array(pictures.count_of(COUNT)),
        "workspace": torch.empty((180, 320, 4), dtype=torch.uint8, device="cuda"),
    }  # fmt: skip
    out = images.composite(frame, *given, **settings)
    model = images.nv12_to_model(frame)
    torch.cuda.synchronize()
    before = torch.cuda.memory_stats()["allocation.all.allocated"]
    torch.cuda.set_sync_debug_mode("error")
    try:
        images.composite(frame, *given, **settings, out=out)
        images.nv12_to_model(frame, out=model)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert torch.cuda.memory_stats()["allocation.all.allocated"] == before
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        images.composite(frame, *given, **settings, out=out)
        images.nv12_to_model(frame, out=model)
    other = pictures.nv12(*size, 7)
    frame.y.copy_(torch.from_numpy(other.y))
    frame.uv.copy_(torch.from_numpy(other.uv))
    settings["n_valid"].fill_(4)
    graph.replay()
    torch.cuda.synchronize()
    host = {"logits": logits, "look": look, "n_valid": pictures.count_of(4)}
    near(out, images.composite(other, owner, palette, **host), 2)
    assert np.abs(to_host(model) - images.nv12_to_model(other)).max() <= 0.02


def test_pictures_of_two_places_are_refused() -> None:
    frame, owner, palette = pictures.rgb(8, 8), np.zeros((8, 8), np.uint8), pictures.palette_of(1)
    with pytest.raises(KernelInputError, match="owner is on the host"):
        images.composite(torch_array(frame), owner, torch_array(palette))
