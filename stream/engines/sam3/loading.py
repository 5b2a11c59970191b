"""The sam3 engine from its weights: found, judged, loaded and made ready, all before it is asked for anything."""

from __future__ import annotations

import logging

from stream.config import EngineConfig
from stream.engines.sam3.concepts import Concepts
from stream.engines.sam3.engine import CAPACITY, MOST_STREAMS, Sam3Engine
from stream.engines.sam3.graphs import runner_for
from stream.engines.sam3.network import Network
from stream.engines.sam3.policy import Policy
from stream.engines.sam3.weights import Prepared, load_model, prepare

log = logging.getLogger(__name__)


def load(config: EngineConfig) -> Sam3Engine:
    """Raises `NoSam3` or `Sam3WeightsMissing` with the steps to take. Takes seconds, and with compiling minutes."""
    prepared = prepare(config)
    engine = _made(prepared, compiled=config.sam3_compile)
    if prepared.device.type == "cuda":
        engine.warm_up(streams=1 if config.sam3_compile else MOST_STREAMS)
    return engine


def _made(prepared: Prepared, *, compiled: bool) -> Sam3Engine:
    model = load_model(prepared.found, device=prepared.device, dtype=prepared.dtype, side=prepared.side)
    runner = runner_for(prepared.device, compiled=compiled)
    network = Network(
        model, device=prepared.device, dtype=prepared.dtype, side=prepared.side, runner=runner
    )  # fmt: skip
    return Sam3Engine.of(
        network,
        Concepts.of(prepared.found, length=network.shape.text),
        capacity=max(1, min(CAPACITY, prepared.objects)),
        policy=Policy.of(model.config),
        where=prepared.words,
    )
