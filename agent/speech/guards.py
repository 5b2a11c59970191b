"""What is not taken for words: noise, silence, and what transcribers write when there is nothing to write. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from agent.speech.types import F32, SAMPLE_RATE, Ignored

LEAST_S = 0.12
LEAST_SPEECH_S = 0.09
LEAST_DBFS = -55.0
"""Of the loudest fifth of a second."""

NO_SPEECH = 0.6
UNSURE = -0.8
"""An average log probability below this, together with `NO_SPEECH`."""
VERY_UNSURE = -1.3
REPETITIVE = 3.0
"""How much smaller text may become by compression; the same words over and over go far beyond."""
PHANTOM_NO_SPEECH = 0.2
PHANTOM_UNSURE = -0.6
_PHANTOMS = re.compile(
    r"(?:thanks?(?: you)?(?: (?:so|very) much)?(?: for (?:watching|listening|your attention))?|you|bye(?:[ -]?bye)?|"
    r"the end|(?:please )?(?:like and )?subscribe.*|.*\bamara\.org.*|subtitles? by .*|transcribed by .*|"
    r"see you(?: (?:next time|in the next video|later))?|i'?m sorry|okay|oh|so|hmm+|uh+|um+|ah+|mm+|huh|"
    r"we'?ll be right back|music|applause|laughter|silence|blank audio)"
)
_BRACKETED = re.compile(r"[\[(*♪♫][^\])*♪♫]*[\])*♪♫]|[♪♫]+")
_REPEATED = re.compile(r"(\b.{2,60}?\b)(?:[\s,.!?]+\1\b){4,}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was said, as a transcriber has it. What it does not tell is None.

    `language` is ISO 639. `no_speech` is how likely there was none, in [0, 1]; `log_probability` the average of a
    token's; `compression` how many times smaller the text becomes.
    """

    text: str
    language: str | None = None
    no_speech: float | None = None
    log_probability: float | None = None
    compression: float | None = None


def loudest_dbfs(samples: F32) -> float:
    """The level of the loudest fifth of a second of `(n,)` float32 samples in [-1, 1]; -inf for silence."""
    length = SAMPLE_RATE // 5
    if not len(samples):
        return float("-inf")
    padded = np.zeros(-(-len(samples) // length) * length, np.float32)
    padded[: len(samples)] = samples
    power = float(np.square(padded.reshape(-1, length)).mean(axis=1).max())
    return 10 * float(np.log10(power)) if power > 0 else float("-inf")


def before(samples: F32, speech_s: float | None) -> Ignored | None:
    """Why a sound is not worth transcribing; `speech_s` is how much of it is speech, where that is known."""
    if len(samples) < LEAST_S * SAMPLE_RATE or loudest_dbfs(samples) < LEAST_DBFS:
        return Ignored.NOTHING
    if speech_s is not None and speech_s < LEAST_SPEECH_S:
        return Ignored.NOISE
    return None


def after(transcript: Transcript) -> Ignored | None:
    """Why a transcript asks nothing."""
    text = _BRACKETED.sub(" ", transcript.text).strip()
    plain = re.sub(r"[^\w\s'.-]", "", text).strip(" .-").casefold()
    if not any(character.isalnum() for character in plain):
        return Ignored.NOISE if transcript.text.strip() else Ignored.NOTHING
    no_speech = transcript.no_speech or 0.0
    sure = transcript.log_probability if transcript.log_probability is not None else 0.0
    if sure < VERY_UNSURE or (no_speech > NO_SPEECH and sure < UNSURE):
        return Ignored.NOISE
    if (transcript.compression or 0.0) > REPETITIVE or _REPEATED.search(text):
        return Ignored.NOISE
    if _PHANTOMS.fullmatch(plain) and (no_speech > PHANTOM_NO_SPEECH or sure < PHANTOM_UNSURE):
        return Ignored.NOISE
    return None
