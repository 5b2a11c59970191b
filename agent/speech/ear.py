"""One microphone: which of its sound is an utterance, by a key that is held or by what sounds like speech. Pure but
for the detector that it is given."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from agent.speech.endpoint import WINDOW, WINDOW_S, Edge, Endpointer, EndpointRules, windows_in
from agent.speech.types import F32, SpeechState

TAIL_S = 0.2
"""Heard on after the key is released: what was said before it is still on its way then."""
FLOOR_DBFS = -60.0
LEVEL_FALL = 0.75


class Detector(Protocol):
    def reset(self) -> None: ...

    def probability(self, window: F32) -> float: ...


@dataclass(frozen=True, slots=True)
class Begun:
    utterance: int


@dataclass(frozen=True, slots=True)
class Spoken:
    """An utterance that has ended: `(n,)` float32 samples. `speech_s` of it sounds like speech, None where no
    detector has listened; `silence_s` had gone by since the end of speech, or of the key. `held`: by the key."""

    utterance: int
    samples: F32
    speech_s: float | None
    silence_s: float
    held: bool


@dataclass(frozen=True, slots=True)
class Dropped:
    """An utterance that was thrown away before its end."""

    utterance: int
    spoken_s: float


Happening = Begun | Spoken | Dropped


class Ear:
    """Fed with samples and keys in the order in which they come; tells what happens. Without a detector only the key
    makes utterances, which are numbered on from `utterance`."""

    def __init__(self, detector: Detector | None, rules: EndpointRules | None = None, *, utterance: int = 0) -> None:
        self._detector = detector
        self._endpointer = Endpointer(rules)
        self._rules = self._endpointer.rules
        before_s = self._rules.pre_roll_s + 4 * self._rules.start_s + self._rules.dip_s
        self._recent: deque[F32] = deque(maxlen=windows_in(before_s))
        self._rest = np.zeros(0, np.float32)
        self._clip: list[F32] | None = None
        self._speech = 0
        self._held = False
        self._tail: int | None = None
        self.utterance = utterance
        self.level = 0.0
        self.open = False
        self.muted = False

    @property
    def state(self) -> SpeechState:
        if self._clip is not None:
            return SpeechState.HEARING
        return SpeechState.LISTENING if self.open and not self.muted else SpeechState.IDLE

    @property
    def ending(self) -> bool:
        """Whether the key is released and only its tail is still heard."""
        return self._tail is not None

    def set(self, *, open: bool, muted: bool) -> list[Happening]:
        """An utterance that the new settings would not have begun is dropped."""
        self.open, self.muted = open and self._detector is not None, muted
        if self.muted or (not self.open and not self._held and self._tail is None):
            return self.cancel()
        return []

    def press(self) -> list[Happening]:
        """The key goes down; an utterance that is going on by itself is held open from here."""
        if self.muted or self._held:
            return []
        happenings = self.finish() if self._tail is not None else []
        self._held = True
        if self._clip is not None:
            return happenings
        if not self.open:
            self._forget()
        return [*happenings, self._begin([])]

    def release(self) -> list[Happening]:
        """The key goes up; the utterance ends when its tail has come."""
        if self._held:
            self._held = False
            self._tail = windows_in(TAIL_S)
        return []

    def finish(self) -> list[Happening]:
        """End an utterance whose tail does not come."""
        return [self._end(TAIL_S)] if self._tail is not None and self._clip is not None else []

    def cancel(self) -> list[Happening]:
        """Throw away what is being heard."""
        clip, self._clip = self._clip, None
        self._held, self._tail = False, None
        self._forget()
        return [] if clip is None else [Dropped(self.utterance, len(clip) * WINDOW_S)]

    def feed(self, samples: F32) -> list[Happening]:
        """The next `(n,)` float32 samples at 16 kHz."""
        if self.muted or (self._clip is None and not self.open):
            self.level = 0.0
            self._forget()
            return []
        self._rest = np.concatenate([self._rest, samples])
        happenings: list[Happening] = []
        whole = len(self._rest) // WINDOW
        windows, self._rest = self._rest[: whole * WINDOW].reshape(whole, WINDOW), self._rest[whole * WINDOW :]
        for window in windows:
            happenings += self._step(window)
        return happenings

    def _step(self, window: F32) -> list[Happening]:
        self.level = max(LEVEL_FALL * self.level, _level(window))
        probability = self._detector.probability(window) if self._detector is not None else None
        if self._clip is None:
            return self._wait(window, probability) if self.open and probability is not None else []
        self._clip.append(window)
        if probability is not None and probability >= self._rules.on:
            self._speech += 1
        if self._held or self._tail is not None:
            return self._hold()
        edge = self._endpointer.step(probability or 0.0)
        if edge is Edge.END:
            spare = windows_in(self._rules.end_s) - windows_in(self._rules.post_roll_s)
            del self._clip[len(self._clip) - spare :]
            return [self._end(self._rules.end_s)]
        return [self._end(0.0)] if edge is Edge.CAP else []

    def _wait(self, window: F32, probability: float) -> list[Happening]:
        self._recent.append(window)
        if self._endpointer.step(probability) is not Edge.START:
            return []
        kept = self._endpointer.start_windows + windows_in(self._rules.pre_roll_s)
        begun = self._begin(list(self._recent)[-kept:])
        self._speech = windows_in(self._rules.start_s)
        return [begun]

    def _hold(self) -> list[Happening]:
        assert self._clip is not None
        if self._tail is not None:
            self._tail -= 1
            if self._tail <= 0:
                return [self._end(TAIL_S)]
        return [self._end(0.0)] if len(self._clip) >= windows_in(self._rules.cap_s) else []

    def _begin(self, clip: list[F32]) -> Begun:
        self.utterance += 1
        self._clip, self._speech = clip, 0
        return Begun(self.utterance)

    def _end(self, silence_s: float) -> Spoken:
        assert self._clip is not None
        samples = np.concatenate(self._clip) if self._clip else np.zeros(0, np.float32)
        speech_s = self._speech * WINDOW_S if self._detector is not None else None
        held = self._held or self._tail is not None
        self._clip = None
        self._held, self._tail = False, None
        self._recent.clear()
        self._endpointer.reset()
        return Spoken(self.utterance, samples, speech_s, silence_s, held)

    def _forget(self) -> None:
        if len(self._rest) or self._recent:
            self._rest = np.zeros(0, np.float32)
            self._recent.clear()
        self._endpointer.reset()
        if self._detector is not None:
            self._detector.reset()


def _level(window: F32) -> float:
    power = float(np.square(window).mean())
    return min(1.0, max(0.0, 1 - 10 * float(np.log10(power)) / FLOOR_DBFS)) if power > 0 else 0.0
