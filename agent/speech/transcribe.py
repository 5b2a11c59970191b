"""What turns speech into words: one protocol, and what stands behind it in modules of their own.

`whisper`          faster-whisper in a process of its own, on this machine
`openai_server`    any server with OpenAI's `/v1/audio/transcriptions`
`model_ears`       a language model that hears
"""

from __future__ import annotations

import io
import wave
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from agent.speech.guards import Transcript
from agent.speech.types import F32, SAMPLE_RATE


class Transcriber(Protocol):
    """`name` is shown to people; `languages` are those it knows, ISO 639, None where they are many."""

    languages: tuple[str, ...] | None

    @property
    def name(self) -> str: ...

    async def start(self) -> None:
        """Make it ready. Raises `VoiceError` or `ModelMissing`; may be called again then."""
        ...

    async def transcribe(self, samples: F32, *, languages: Sequence[str] = ()) -> Transcript:
        """What was said in `(n,)` float32 samples at 16 kHz, at most 30 s of them, in one of `languages` if any are
        given.

        Raises `VoiceError`. One at a time: a second call waits for the first. Cancelled by cancelling its task.
        """
        ...

    async def close(self) -> None: ...


def wav_of(samples: F32) -> bytes:
    """`(n,)` float32 samples at 16 kHz as a WAV file of 16-bit PCM."""
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(SAMPLE_RATE)
        written.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return file.getvalue()
