"""Which engine runs."""

from __future__ import annotations

from stream.config import Config
from stream.engines.base import Engine
from stream.engines.light.engine import LightEngine
from stream.errors import EngineError
from stream.models.store import ModelStore


class NoSam3(EngineError):
    retryable = False
    default_action = (
        "1. Use a machine with a CUDA GPU. 2. Install a version of Onlooker that has the sam3 engine. "
        "3. Point engine.models_dir at the weights. Until then: --engine light, which needs no GPU."
    )


def make_store(config: Config) -> ModelStore:
    return ModelStore(config.engine.models_dir)


def check_engine(config: Config) -> None:
    """Raises `EngineError` for an engine that this machine cannot run."""
    if config.engine.name == "sam3":
        raise NoSam3("The sam3 engine is not part of this version.")


def make_engine(config: Config, store: ModelStore) -> Engine:
    """The engine that `engine.name` asks for; `auto` is light. Raises `EngineError`."""
    check_engine(config)
    return LightEngine(store)
