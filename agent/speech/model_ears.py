"""A language model that hears, as a transcriber; the sound then goes along with the question, too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from agent.backend import Backend
from agent.speech.guards import Transcript
from agent.speech.transcribe import wav_of
from agent.speech.types import F32, SAMPLE_RATE
from stream.errors import ModelServerError, VoiceError

WITHIN_S = 30.0
NOTHING = "(nothing)"
ASK = (
    "Write down word for word what is said in this recording, in its own language, and nothing else. "
    f"Where nobody speaks, write {NOTHING}."
)


@runtime_checkable
class Hears(Protocol):
    """A backend whose model takes sound."""

    def found_hearing(self) -> None: ...

    async def write_down(self, wav: bytes, request: str) -> str: ...


class ModelEars:
    """A `Transcriber`. `backend` is the one that answers now."""

    languages: tuple[str, ...] | None = None

    def __init__(self, backend: Callable[[], Backend]) -> None:
        self._backend = backend

    @property
    def name(self) -> str:
        return self._backend().name

    async def start(self) -> None:
        """Few servers list whether their model hears, so it is tried."""
        backend = self._backend()
        if "audio" in backend.can:
            return
        if not isinstance(backend, Hears):
            raise _deaf()
        time_s = np.arange(SAMPLE_RATE) / SAMPLE_RATE
        tone = (0.2 * np.sin(2 * np.pi * 440 * time_s)).astype(np.float32)
        try:
            async with asyncio.timeout(WITHIN_S):
                await backend.write_down(wav_of(tone), ASK)
        except (TimeoutError, ModelServerError) as error:
            raise _deaf() from error
        backend.found_hearing()

    async def transcribe(self, samples: F32, *, languages: Sequence[str] = ()) -> Transcript:
        backend = self._backend()
        if not isinstance(backend, Hears):
            raise _deaf()
        wav = await asyncio.to_thread(wav_of, samples)
        try:
            async with asyncio.timeout(WITHIN_S):
                text = await backend.write_down(wav, ASK)
        except TimeoutError as error:
            raise VoiceError(f"The language model has not written down what was said in {WITHIN_S:.0f} s.") from error
        except ModelServerError as error:
            raise VoiceError(error.message, action=error.action) from error
        plain = text.strip().strip('"“”')
        return Transcript("" if NOTHING in plain.casefold() else plain, languages[0] if len(languages) == 1 else None)

    async def close(self) -> None:
        pass  # the backend is the agents'


def _deaf() -> VoiceError:
    return VoiceError(
        "The language model does not hear.",
        action="Connect one that does (Gemma 4 E2B, E4B or 12B) with --vlm, or leave --voice out.",
    )
