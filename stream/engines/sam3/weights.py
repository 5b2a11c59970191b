"""SAM 3's weights onto a device: chosen, judged, read. Everything that can be wrong is said before a byte is loaded."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from transformers import Sam3VideoConfig, Sam3VideoModel
from transformers.initialization import no_init_weights

from stream.config import EngineConfig
from stream.engines.sam3.meta_weights import UnknownKeys, convert, is_meta, meta_name
from stream.models.sam3 import (
    NAMES,
    REPOSITORY,
    Found,
    NoSam3,
    Sam3WeightsMissing,
    again,
    check_packages,
    find_here,
    is_repository,
)
from stream.models.sam3_hub import fetch
from stream.models.sam3_memory import SIDES, Room, need, precision

log = logging.getLogger(__name__)

META_LAYER_NORM_EPS = 1e-5
"""What Meta's backbone was trained with; transformers' configuration has 1e-6 unless told."""
_SHOWN = 5
"""Names in a message about many."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What will be loaded, on what, and what there is room for beside it."""

    found: Found
    device: torch.device
    dtype: torch.dtype
    side: int
    room: Room

    @property
    def words(self) -> str:
        """One line for the log, `/health` and the doctor."""
        dtype = str(self.dtype).removeprefix("torch.")
        return f"{self.found.asked} in {dtype} at {self.side} px on {_device_name(self.device)}"


def prepare(config: EngineConfig, cameras: int = 1) -> Prepared:
    """Find the weights (downloading what a repository of the hub lacks here) and check that they fit, with what the
    pictures of so many cameras take.

    Raises `NoSam3` or `Sam3WeightsMissing` with the steps to take. Loads nothing.
    """
    check_packages()
    source = config.sam3 or REPOSITORY
    here = None if is_repository(source) else find_here(source)
    device = choose_device()
    found = here or fetch(source)
    dtype = choose_dtype(device)
    free, _ = torch.cuda.mem_get_info(device)
    room = check_memory(dtype=dtype, side=config.sam3_side, free_bytes=free, cameras=cameras)
    prepared = Prepared(found, device, dtype, config.sam3_side, room)
    log.warning("SAM 3: %s; room for %s.", prepared.words, room.words)
    return prepared


def choose_device() -> torch.device:
    """The first NVIDIA GPU. Raises `NoSam3`."""
    if torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    built = torch.version.cuda is not None
    raise NoSam3(
        "SAM 3 needs an NVIDIA GPU, and torch finds none here.",
        action="Check nvidia-smi, and that the driver is new enough for this torch. Until then: --engine light."
        if built
        else "This torch is built for CPUs: install its CUDA build. Until then: --engine light.",
    )


BFLOAT16_UNITS = ("avx512_bf16", "amx_bf16")
"""Of processors: with either, products in bfloat16 take about half the time of those in float32."""


def choose_dtype(device: torch.device) -> torch.dtype:
    """bfloat16, float16 or float32 by what the card computes in; bfloat16 on a processor that has units for it, else
    float32."""
    if device.type != "cuda":
        able = torch.cpu.get_capabilities()
        return torch.bfloat16 if any(able.get(unit) for unit in BFLOAT16_UNITS) else torch.float32
    dtype: torch.dtype = getattr(torch, precision(torch.cuda.get_device_capability(device)))
    return dtype


def check_memory(*, dtype: torch.dtype, side: int, free_bytes: int, cameras: int = 1) -> Room:
    """What fits into `free_bytes` of a card's memory, where so many cameras are expected.

    Raises `NoSam3` where there is no room to start.
    """
    needed = need(side, dtype.itemsize)
    room = needed.room(free_bytes, cameras)
    if room is not None:
        return room
    smaller = [at for at in SIDES if need(at, dtype.itemsize).total_bytes() <= free_bytes]
    ends = "nvidia-smi shows what uses the card: end it"
    raise NoSam3(
        f"The card has {free_bytes / 1e9:.1f} GB free; SAM 3 at {side} px needs {needed.total_bytes() / 1e9:.1f} GB "
        f"({needed.weights_bytes / 1e9:.1f} weights, {needed.state_bytes / 1e9:.1f} state, the rest to compute in).",
        action=f"1. {ends}. 2. Or take a smaller input: --sam3-side {smaller[0]}."
        if smaller
        else f"{ends}, or use a larger card. Until then: --engine light.",
    )


@torch.no_grad()
def load_model(found: Found, *, device: torch.device, dtype: torch.dtype, side: int | None = None) -> Sam3VideoModel:
    """The model in `dtype` on `device`, ready to be used, for pictures of `side` pixels (the checkpoint's own if None).

    Files are mapped, not read into memory; each tensor goes straight to its place. Raises `Sam3WeightsMissing` where
    a parameter is missing, unknown or of another shape, with its name.
    """
    config = _config(found, side)
    with no_init_weights():  # pages that nobody touches cost no memory; buffers are computed as ever
        model = Sam3VideoModel(config)
    with _opened(found) as given:
        _check_names(found, given, model.state_dict())
        placed = {name: tensor.to(device=device, dtype=dtype) for name, tensor in given.items()}
        model.load_state_dict(placed, assign=True)
    return model.to(device).eval().requires_grad_(False)


def _config(found: Found, side: int | None) -> Sam3VideoConfig:
    if found.config is None:
        config = Sam3VideoConfig()
        config.detector_config.vision_config.backbone_config.layer_norm_eps = META_LAYER_NORM_EPS
    else:
        config = Sam3VideoConfig.from_pretrained(found.config.parent)
    if side is not None and side != config.image_size:
        config.image_size = side
        config.low_res_mask_size = 4 * side // config.tracker_config.prompt_encoder_config.patch_size
    return config


@contextmanager
def _opened(found: Found) -> Iterator[dict[str, Tensor]]:
    """Every tensor under transformers' names, still in the mapped files."""
    with ExitStack() as stack:
        yield _meta(found) if found.form == "meta" else _safetensors(found, stack)


def _safetensors(found: Found, stack: ExitStack) -> dict[str, Tensor]:
    given: dict[str, Tensor] = {}
    for path in found.files:
        try:
            file = stack.enter_context(safe_open(path, framework="pt", device="cpu"))
        except (SafetensorError, OSError) as error:
            raise Sam3WeightsMissing(f"{path} cannot be read: {error}.", action=again(found.folder)) from error
        given.update({_plain(name): file.get_tensor(name) for name in file.keys()})  # noqa: SIM118 - no mapping
    return given


def _plain(name: str) -> str:
    """transformers 5.21 to 5.23 writes the tracker's prefix twice where it saves a model itself."""
    return name.replace("tracker_model.tracker_model.", "tracker_model.", 1)


def _meta(found: Found) -> dict[str, Tensor]:
    path = found.files[0]
    try:
        checkpoint = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError, ValueError) as error:
        raise Sam3WeightsMissing(
            f"{path} cannot be read as weights: {_first_line(error)}", action=_meta_again(path)
        ) from error
    if isinstance(checkpoint, dict) and isinstance(checkpoint.get("model"), dict):
        checkpoint = checkpoint["model"]
    if not isinstance(checkpoint, dict) or not is_meta(map(str, checkpoint)):
        raise NoSam3(f"{path} holds no SAM 3: there is no detector and no tracker in it.", action=NAMES)
    try:
        return convert(checkpoint)
    except UnknownKeys as error:
        raise NoSam3(
            f"{path} is not the SAM 3 that is known here: it also has {_listed(error.names)}.", action=NAMES
        ) from error


def _check_names(found: Found, given: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    shown = meta_name if found.form == "meta" else str
    where = found.files[0] if len(found.files) == 1 else found.folder
    missing = sorted({shown(name) for name in wanted if name not in given})
    if missing:
        raise Sam3WeightsMissing(f"{where} lacks {_listed(missing)}.", action=_again(found))
    unknown = sorted(name for name in given if name not in wanted)
    if unknown:
        raise NoSam3(f"{where} is not the SAM 3 that is known here: it also has {_listed(unknown)}.", action=NAMES)
    for name, tensor in given.items():
        if tensor.shape != wanted[name].shape:
            raise NoSam3(
                f"{where} is not the SAM 3 that its configuration describes: {shown(name)} is "
                f"{tuple(tensor.shape)}, not {tuple(wanted[name].shape)}.",
                action=NAMES,
            )


def _again(found: Found) -> str:
    return _meta_again(found.files[0]) if found.form == "meta" else again(found.folder)


def _meta_again(path: Path) -> str:
    return f"Download it again: hf download {REPOSITORY} {path.name} --local-dir {path.parent}"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", maxsplit=1)[0][:200]


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "the CPU"
