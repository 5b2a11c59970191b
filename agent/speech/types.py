"""What the parts of `agent.speech` hand to each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from agent.orders import Done
from agent.types import AgentError

F32 = NDArray[np.float32]
SAMPLE_RATE = 16_000
"""Of all speech in here: `(n,)` float32 in [-1, 1], mono, on the CPU."""


class SpeechState(StrEnum):
    OFF = "off"
    """There is no microphone session."""
    IDLE = "idle"
    """It is open and nothing is listened to."""
    LISTENING = "listening"
    """An open microphone waits for speech."""
    HEARING = "hearing"
    THINKING = "thinking"
    """An utterance is being turned into words."""


class Ignored(StrEnum):
    """Why an utterance asks nothing."""

    NOTHING = "nothing"
    NOISE = "noise"
    WAKE_WORD = "wake_word"
    """It does not begin with the word that the client wants it to begin with."""
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class VoiceStatus:
    """Whether speech is turned into words, by what, and if not, why; neither while it is still loading."""

    name: str | None = None
    ready: bool = False
    languages: tuple[str, ...] | None = None
    error: AgentError | None = None


@dataclass(frozen=True, slots=True)
class SpeechNews:
    """What a client's microphone session is doing."""

    state: SpeechState
    muted: bool = False
    level: float | None = None
    utterance: int | None = None
    transcript: str | None = None
    final: bool = False
    language: str | None = None
    error: AgentError | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """What became of an utterance. `timings_ms` are counted from the end of speech."""

    utterance: int
    transcript: str
    spoken_s: float
    language: str | None = None
    done: Done | None = None
    ignored: Ignored | None = None
    error: AgentError | None = None
    timings_ms: dict[str, float] = field(default_factory=dict)
