"""Speech for the tests: spoken by espeak-ng, heard by nobody; and how far a transcript is from what was said."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import wave
from functools import lru_cache
from math import gcd

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
RATE = 16_000
VOICES = ("en-us", "en-gb+f3", "en-gb-scotland+m7")
PACE = 145
"""Words a minute: people who speak to a machine are in no hurry."""
_NUMBERS = {
    "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7",
    "eight": "8", "nine": "9", "ten": "10", "eleven": "11", "twelve": "12",
}  # fmt: skip
_SPELLED = {"color": "colour", "ok": "okay", "anybody": "anyone", "everybody": "everyone"}


def spoken(text: str, voice: str = VOICES[0], rate: int = RATE) -> F32:
    """`text` as `(n,)` float32 mono in [-1, 1] at `rate`, with 0.25 s of silence around it."""
    samples = resampled(*_spoken(text, voice), rate)
    quiet = np.zeros(rate // 4, np.float32)
    return np.concatenate([quiet, samples, quiet])


@lru_cache(maxsize=256)
def _spoken(text: str, voice: str) -> tuple[F32, int]:
    program = shutil.which("espeak-ng")
    assert program, "the tests of speech need espeak-ng: apt-get install espeak-ng"
    command = [program, "-v", voice, "-s", str(PACE), "--stdout", text]
    return read_wav(subprocess.run(command, capture_output=True, check=True, timeout=30).stdout)


def read_wav(data: bytes) -> tuple[F32, int]:
    """The samples of a WAV file of 16-bit PCM, channels averaged, and their rate. espeak-ng's says no length."""
    with wave.open(io.BytesIO(data)) as file:
        pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, file.getnchannels())
        return (pcm.mean(axis=1) / 32768).astype(np.float32), file.getframerate()


def resampled(samples: F32, rate: int, wanted: int) -> F32:
    """Band-limited, by SciPy."""
    if rate == wanted:
        return samples
    from scipy.signal import resample_poly

    divisor = gcd(rate, wanted)
    return np.asarray(resample_poly(samples, wanted // divisor, rate // divisor), np.float32)


def words(text: str) -> list[str]:
    """The words of `text` as they count: without case and marks, numbers as figures, one spelling."""
    plain = re.sub(r"#\s*(\d)", r"number \1", text.casefold().replace("’", "'"))
    found = re.findall(r"[a-z0-9äöüßéèàç']+", plain)
    return [_NUMBERS.get(word, _SPELLED.get(word, word)) for word in found]


def errors(said: list[str], heard: list[str]) -> int:
    """Substitutions, insertions and deletions: the Levenshtein distance in words."""
    row = list(range(len(heard) + 1))
    for number, word in enumerate(said, 1):
        before, row[0] = row[0], number
        for place, other in enumerate(heard, 1):
            before, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, before + (word != other))
    return row[-1]
