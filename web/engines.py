"""Which engine runs. torch is imported only where the sam3 engine may."""

from __future__ import annotations

import logging
from dataclasses import replace

from stream.config import Config
from stream.engines.base import Engine, OnGpu
from stream.engines.light.engine import LightEngine
from stream.hardware import Hardware, nvdec, tried
from stream.models.sam3 import REPOSITORY, NoSam3, check_packages, is_repository
from stream.models.sam3_hub import find, here
from stream.models.store import ModelStore
from stream.pictures import DECODERS
from stream.surfaces import DeviceError

log = logging.getLogger(__name__)


def make_store(config: Config) -> ModelStore:
    return ModelStore(config.engine.models_dir)


def check_engine(config: Config) -> None:
    """Raises `EngineError` for an engine that cannot run here, as far as that is known without loading anything."""
    if config.engine.asks_for_sam3:
        check_packages()
        source = config.engine.sam3 or REPOSITORY
        if not is_repository(source):
            find(source)


def make_engine(config: Config, store: ModelStore) -> Engine:
    """The engine that `engine.name` asks for; `auto` is sam3 where its weights are named, or where they and a CUDA GPU
    are there, else light. Loads the weights. Raises `EngineError`."""
    check_engine(config)
    if not (config.engine.asks_for_sam3 or (config.engine.name == "auto" and _sam3_is_here())):
        return LightEngine(store)
    from stream.engines.sam3.loading import load

    cameras = len(config.feeds)
    if config.engine.asks_for_sam3:
        return load(config.engine, cameras)
    try:
        return load(config.engine, cameras)
    except NoSam3 as error:
        log.warning("SAM 3 is here and cannot be used: %s %s Following with the light engine.", error, error.action)
        return LightEngine(store)


def make_hardware(config: Config, engine: Engine) -> Hardware | None:
    """The GPU that the engine runs on, as a place for frames, its decoder tried; None where there is none."""
    gpu = engine.gpu if isinstance(engine, OnGpu) else None
    if gpu is None:
        return None
    try:
        made = nvdec(gpu)
    except DeviceError as error:
        log.warning("frames are decoded to the processor's memory: %s", error)
        return None
    if config.engine.decoder == "software":
        return replace(made, refused=dict.fromkeys(DECODERS, "the configuration says so (engine.decoder)"))
    return tried(made)


def _sam3_is_here() -> bool:
    """Whether the released weights and a CUDA GPU are on this machine."""
    try:
        check_packages()
    except NoSam3:
        return False
    if here(REPOSITORY) is None:
        return False
    import torch

    return torch.cuda.is_available()
