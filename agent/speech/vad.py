"""Silero's voice activity detector, run by onnxruntime: how likely a window of sound is speech."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from agent.speech.endpoint import WINDOW
from agent.speech.types import F32
from stream.errors import ModelMissing
from stream.models.voice import FETCH_VOICE, VAD, VAD_FILE, VoiceStore

CONTEXT = 64
"""Samples of the window before that the model sees again."""
_STATE = 128


def find_vad(store: VoiceStore) -> Path:
    """The model in the folder of models, else the one inside an installed faster-whisper. Raises `ModelMissing`."""
    spec = importlib.util.find_spec("faster_whisper")
    inside = [Path(spec.origin).parent / "assets" / VAD_FILE] if spec is not None and spec.origin else []
    for path in (store.folder(VAD) / VAD_FILE, *inside):
        if path.is_file():
            return path
    raise ModelMissing("The voice activity detector is missing.", action=FETCH_VOICE)


class VadModel:
    """The weights, shared by all microphones. Raises `ModelMissing` where the file is no such model."""

    def __init__(self, path: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.inter_op_num_threads = options.intra_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 4
        try:
            self._session: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises a class of its own for each kind of damage
            raise ModelMissing("The voice activity detector is damaged.", action=FETCH_VOICE) from error

    def run(self, window: F32, hidden: F32, cell: F32) -> tuple[float, F32, F32]:
        probability, hidden, cell = self._session.run(None, {"input": window, "h": hidden, "c": cell})
        return float(probability[0]), hidden, cell


class Vad:
    """The state of one microphone."""

    def __init__(self, model: VadModel) -> None:
        self._model = model
        self._input = np.zeros((1, CONTEXT + WINDOW), np.float32)
        self.reset()

    def reset(self) -> None:
        """Forget what was heard before."""
        self._hidden = np.zeros((1, 1, _STATE), np.float32)
        self._cell = np.zeros((1, 1, _STATE), np.float32)
        self._input[:] = 0

    def probability(self, window: F32) -> float:
        """Of `(512,)` float32 samples at 16 kHz in [-1, 1], the next ones; in [0, 1]. Takes a fraction of a
        millisecond."""
        self._input[0, :CONTEXT] = self._input[0, -CONTEXT:]
        self._input[0, CONTEXT:] = window
        probability, self._hidden, self._cell = self._model.run(self._input, self._hidden, self._cell)
        return probability
