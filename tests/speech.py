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
VOICES = ("en-us", "en-gb", "en-us+f4")
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


def noises(seconds_each: float, seed: int = 7) -> dict[str, F32]:
    """What is no speech, as `(n,)` float32 at 16 kHz: silence, hiss, rumble, a hum, keys, and music of two kinds."""
    chance = np.random.default_rng(seed)
    count = round(seconds_each * RATE)
    time_s = np.arange(count) / RATE
    white = chance.standard_normal(count).astype(np.float32)
    spectrum = np.fft.rfft(white)
    rumble = np.fft.irfft(spectrum / np.maximum(1, np.arange(len(spectrum)) / 50), count)
    hum = sum(np.sin(2 * np.pi * 50 * n * time_s) / n for n in range(1, 8))
    keys = np.zeros(count)
    for start in np.cumsum(chance.uniform(0.08, 0.5, round(seconds_each * 4))):
        place = round(start * RATE)
        length = min(400, max(0, count - place))
        keys[place : place + length] += chance.standard_normal(length) * np.exp(-np.arange(length) / 60)
    return {
        name: (level * sound / max(1e-9, np.abs(sound).max())).astype(np.float32)
        for name, sound, level in (
            ("silence", np.zeros(count), 0.0),
            ("hiss", white, 0.3),
            ("rumble", rumble, 0.5),
            ("hum", hum, 0.4),
            ("keys", keys, 0.6),
            ("chords", _chords(time_s, chance), 0.5),
            ("melody with drums", _melody(time_s, chance), 0.6),
        )
    }


def _chords(time_s: NDArray[np.float64], chance: np.random.Generator) -> NDArray[np.float64]:
    """Slow chords of many overtones, each swelling and dying away."""
    sound = np.zeros_like(time_s)
    for start in np.arange(0, time_s[-1], 2.0):
        inside = (time_s >= start) & (time_s < start + 2)
        local = time_s[inside] - start
        root = 110 * 2 ** (chance.integers(0, 12) / 12)
        for ratio in (1, 1.25, 1.5, 2):
            for n in range(1, 6):
                sound[inside] += np.sin(2 * np.pi * root * ratio * n * local) * np.sin(np.pi * local / 2) / n**1.5
    return sound


def _melody(time_s: NDArray[np.float64], chance: np.random.Generator) -> NDArray[np.float64]:
    """Notes with vibrato, five a second over two octaves, and a drum on every second one."""
    step_s = 0.2
    notes = 220 * 2 ** (chance.integers(0, 24, round(time_s[-1] / step_s) + 2) / 12)
    number = (time_s / step_s).astype(int)
    local = time_s - number * step_s
    phase = 2 * np.pi * np.cumsum(notes[number] * (1 + 0.01 * np.sin(2 * np.pi * 6 * time_s))) / RATE
    tune = (np.sin(phase) + 0.5 * np.sin(2 * phase) + 0.25 * np.sin(3 * phase)) * np.exp(-4 * local)
    drum = chance.standard_normal(len(time_s)) * np.exp(-30 * local) * (number % 2 == 0)
    return np.asarray(tune + drum)
