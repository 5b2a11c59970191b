"""Which speech model is meant: by the name of one that can be fetched, a folder, a package, or a name on the hub."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from agent.speech.whisper import WhisperModel
from stream.errors import BadInput
from stream.models.voice import DEFAULT_SET, VOICE_MODELS, WHISPER_BASE, WHISPER_TINY_EN, VoiceStore

WEIGHTS = "model.bin"
DEEPEST = 3


def find_whisper(name: str | None, store: VoiceStore) -> WhisperModel:
    """Without a name the best that has been fetched. Raises `ModelMissing`, or `BadInput` for a folder without one."""
    if name is None:
        there = [model for model in (WHISPER_BASE, WHISPER_TINY_EN) if store.has(model)]
        chosen = there[0] if there else DEFAULT_SET[-1]
        return WhisperModel(chosen.name, str(store.path(chosen)))
    for model in VOICE_MODELS:
        if name in (model.name, model.name.removeprefix("whisper-")) and model.name.startswith("whisper-"):
            return WhisperModel(model.name, str(store.path(model)))
    folder = Path(name).expanduser()
    if (folder / WEIGHTS).is_file():
        return WhisperModel(folder.name, str(folder))
    if folder.is_dir() or name.startswith(("/", ".", "~")):
        raise BadInput(f"There is no speech model ({WEIGHTS}) in {name}.", action="Correct --voice.")
    inside = _in_package(name)
    return WhisperModel(name, str(inside) if inside is not None else name)


def _in_package(name: str) -> Path | None:
    """The folder of weights in an installed package, which is not imported."""
    module = name.replace("-", "_")
    if not module.isidentifier():
        return None
    spec = importlib.util.find_spec(module)
    for root in (spec.submodule_search_locations or ()) if spec is not None else ():
        for depth in range(DEEPEST):
            for found in sorted(Path(root).glob("/".join(["*"] * depth + [WEIGHTS]))):
                return found.parent
    return None
