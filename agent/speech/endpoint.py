"""When an utterance begins and ends, from how likely each window of sound is speech. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from agent.speech.types import SAMPLE_RATE

WINDOW = 512
"""Samples: 32 ms, what the voice activity detector looks at in one piece."""
WINDOW_S = WINDOW / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class EndpointRules:
    """`start_s` of speech begins an utterance, in which it may pause for `dip_s`; `end_s` of silence ends it, and so
    does `cap_s`. `pre_roll_s` before its first speech belongs to it, of the silence after it `post_roll_s`.

    Speech is a probability of `on` or more, silence one below `off`; what is between goes on as it was.
    """

    start_s: float = 0.224
    dip_s: float = 0.096
    end_s: float = 0.608
    cap_s: float = 28.0
    pre_roll_s: float = 0.32
    post_roll_s: float = 0.256
    on: float = 0.5
    off: float = 0.35


class Edge(Enum):
    START = "start"
    END = "end"
    CAP = "cap"
    """The utterance has become too long and ends here, in the middle of speech."""


def windows_in(seconds: float) -> int:
    return max(1, round(seconds / WINDOW_S))


class Endpointer:
    """One window after the other. `start_windows` is how far before `START` its speech began."""

    def __init__(self, rules: EndpointRules | None = None) -> None:
        self.rules = rules or EndpointRules()
        self.reset()

    def reset(self) -> None:
        """Wait for speech."""
        self._speaking = False
        self._speech = 0
        self._silence = 0
        self._span = 0

    @property
    def speaking(self) -> bool:
        return self._speaking

    @property
    def start_windows(self) -> int:
        """Windows from the first speech of an utterance that has begun, or that may be about to."""
        return self._span

    def step(self, probability: float) -> Edge | None:
        """What happens with this window."""
        return self._inside(probability) if self._speaking else self._outside(probability)

    def _outside(self, probability: float) -> Edge | None:
        if probability >= self.rules.on:
            self._speech += 1
            self._silence = 0
        elif self._speech:
            self._silence += 1
            if self._silence > windows_in(self.rules.dip_s):
                self.reset()
                return None
        if not self._speech:
            return None
        self._span += 1
        if self._speech < windows_in(self.rules.start_s):
            return None
        self._speaking, self._silence = True, 0
        return Edge.START

    def _inside(self, probability: float) -> Edge | None:
        self._span += 1
        if probability < self.rules.off:
            self._silence += 1
        elif probability >= self.rules.on:
            self._silence = 0
        if self._silence >= windows_in(self.rules.end_s):
            self.reset()
            return Edge.END
        if self._span >= windows_in(self.rules.cap_s):
            self.reset()
            return Edge.CAP
        return None
