"""The sam3 engine from its weights: found, judged, loaded and made ready, all before it is asked for anything."""

from __future__ import annotations

import torch

from stream.config import EngineConfig
from stream.engines.sam3.concepts import Concepts
from stream.engines.sam3.engine import Sam3Engine
from stream.engines.sam3.graphs import runner_for
from stream.engines.sam3.network import Network
from stream.engines.sam3.policy import Policy
from stream.engines.sam3.weights import choose_dtype, load_model, prepare
from stream.models.sam3 import REPOSITORY, Found, NoSam3, check_packages, is_repository
from stream.models.sam3_hub import find, here
from stream.models.sam3_memory import OBJECTS, PICTURES, SIDES, Room

STEPS = (
    "1. Use a machine with a CUDA GPU, where the weights are fetched at the first start. "
    f"2. Or bring them here, to try it on the processor, which takes seconds for a picture: hf download {REPOSITORY}. "
    "3. Until then: --engine light, which needs no GPU."
)


def load(config: EngineConfig, cameras: int = 1) -> Sam3Engine:
    """`cameras`: how many are expected; on a small card their pictures leave less room for objects.

    Raises `NoSam3` or `Sam3WeightsMissing` with the steps to take. Takes seconds, and with compiling minutes.

    Where there is no CUDA GPU, only an engine that is asked for by name is loaded, on the processor.
    """
    if config.name == "sam3" and not torch.cuda.is_available():
        return _on_processor(config)
    prepared = prepare(config, cameras)
    engine = _made(
        prepared.found, prepared.device, prepared.dtype, prepared.side, room=prepared.room, where=prepared.words,
        compiled=config.sam3_compile, lower=config.sam3_lower_sides != "never",
    )  # fmt: skip
    engine.warm_up(streams=1 if config.sam3_compile else None, all_sides=config.sam3_lower_sides == "start")
    return engine


def _on_processor(config: EngineConfig) -> Sam3Engine:
    check_packages()
    source = config.sam3 or REPOSITORY
    found = here(source) if is_repository(source) else find(source)
    if found is None:
        # Gigabytes are not fetched for what hardly anybody wants.
        raise NoSam3("SAM 3 needs an NVIDIA GPU, and torch finds none here.", action=STEPS)
    default = EngineConfig.model_fields["sam3_side"].default
    # By default the side of the weights, which for the released ones is the default.
    side = None if config.sam3_side == default else config.sam3_side
    device = torch.device("cpu")
    dtype = choose_dtype(device)
    where = f"{found.asked} in {str(dtype).removeprefix('torch.')} on the processor"
    return _made(
        found, device, dtype, side, room=Room(OBJECTS, PICTURES), where=where, compiled=False,
        lower=config.sam3_lower_sides != "never",
    )  # fmt: skip


def _made(
    found: Found, device: torch.device, dtype: torch.dtype, side: int | None, *, room: Room, where: str,
    compiled: bool, lower: bool,
) -> Sam3Engine:  # fmt: skip
    model = load_model(found, device=device, dtype=dtype, side=side)
    network = Network(model, device=device, dtype=dtype, side=side, runner=runner_for(device, compiled=compiled))
    return Sam3Engine.of(
        network,
        Concepts.of(found, length=network.shape.text),
        capacity=min(OBJECTS, room.objects),
        policy=Policy.of(model.config),
        where=where,
        pictures=room.pictures,
        sides=SIDES if lower else (),
    )
