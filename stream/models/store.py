"""The folder that holds the models, and what is in it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import platformdirs

from stream.engines.base import Note
from stream.errors import ModelMissing
from stream.models.catalogue import MODELS, Member, Model, Package

FETCH_ACTION = "Run `onlooker models fetch` (once; it needs the network)."


class ModelState(StrEnum):
    READY = "ready"
    UNCONVERTED = "unconverted"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """One model as `onlooker models` lists it. `size_bytes` is 0 until it is ready."""

    name: str
    state: ModelState
    purpose: str
    source: str
    licence: str
    size_bytes: int


def default_root() -> Path:
    """`models/` in `ONLOOKER_CACHE_DIR`, else in the user's cache folder."""
    cache = os.environ.get("ONLOOKER_CACHE_DIR")
    return (Path(cache) if cache else platformdirs.user_cache_path("onlooker", appauthor=False)) / "models"


class ModelStore:
    """A folder of models; it need not exist yet.

    `root/<model>-<key>.onnx` are the files that the engine loads, `root/sources/` what they are made from. Files
    appear whole (written beside, then renamed), so that being there with some content means being complete. A folder
    that was filled on another machine works without a network.
    """

    def __init__(self, root: Path | None = None, models: tuple[Model, ...] = MODELS) -> None:
        self.root = root or default_root()
        self.models = models

    @property
    def ready(self) -> bool:
        return all(self.has(model) for model in self.models)

    def has(self, model: Model) -> bool:
        return _is_filled(self.root / model.file_name)

    def source_path(self, package: Package, member: Member) -> Path:
        """Where a member of a package is kept, whether it is there or not."""
        return self.root / "sources" / package.folder / member.file_name

    def has_source(self, package: Package, member: Member) -> bool:
        path = self.source_path(package, member)
        return _is_filled(path) and path.stat().st_size == member.size_bytes

    def path(self, name: str) -> Path:
        """The file of the model called `name`. Raises `ModelMissing`, or `KeyError` for a name that no model has."""
        model = {model.name: model for model in self.models}[name]
        if not self.has(model):
            raise ModelMissing(f"The model {name} is not in {self.root}.", action=FETCH_ACTION)
        return self.root / model.file_name

    def missing(self) -> tuple[Note, ...]:
        """One note for each purpose that cannot be served, with the way to mend it."""
        purposes = dict.fromkeys(model.purpose for model in self.models if not self.has(model))
        return tuple(
            Note("model_missing", f"A model is missing, so there is no {purpose}.", FETCH_ACTION)
            for purpose in purposes
        )

    def status(self) -> list[ModelStatus]:
        """Every model of the catalogue."""
        return [self._status(model) for model in self.models]

    def _status(self, model: Model) -> ModelStatus:
        path = self.root / model.file_name
        if _is_filled(path):
            state, size = ModelState.READY, path.stat().st_size
        else:
            sources = all(self.has_source(model.package, member) for member in model.members)
            state, size = (ModelState.UNCONVERTED if sources else ModelState.MISSING), 0
        return ModelStatus(model.name, state, model.purpose, f"npm {model.package.spec}", model.licence, size)


def _is_filled(path: Path) -> bool:
    try:
        return path.is_file() and path.stat().st_size > 0
    except OSError:
        return False
