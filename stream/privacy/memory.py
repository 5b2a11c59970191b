"""What was seen a moment ago stays hidden for a while: detectors miss things, and things come back. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream.engines.assignment import assign
from stream.types import Rle

KEPT_S = 1.0
NEAR = 0.75
"""Of the larger side: two boxes whose middles are nearer than this, from frame to frame, are one thing."""
SWELL_PER_S = 0.6
"""Of its size, by which the hidden place of something unseen grows: nobody knows where it went."""
MOST_TRACES = 128

UnitBox = tuple[float, float, float, float]
"""Corners in [0, 1] of the picture, so that a change of its size changes nothing."""


@dataclass(frozen=True, slots=True)
class Trace:
    """A thing where it was last seen. `velocity` is of its middle, in pictures a second."""

    box: UnitBox
    seen_s: float
    velocity: tuple[float, float] = (0.0, 0.0)

    def at(self, now_s: float) -> UnitBox:
        """The place where it may be: from where it was to where its motion leads, grown with time."""
        age_s = max(0.0, now_s - self.seen_s)
        x0, y0, x1, y1 = self.box
        dx, dy = self.velocity[0] * age_s, self.velocity[1] * age_s
        swell_x, swell_y = (SWELL_PER_S * age_s * side for side in (x1 - x0, y1 - y0))
        return (
            max(0.0, min(x0, x0 + dx) - swell_x), max(0.0, min(y0, y0 + dy) - swell_y),
            min(1.0, max(x1, x1 + dx) + swell_x), min(1.0, max(y1, y1 + dy) + swell_y),
        )  # fmt: skip


class Memory:
    """Of one stream and one kind of thing; bounded by the number of things that a second shows."""

    def __init__(self, kept_s: float = KEPT_S) -> None:
        self._kept_s = kept_s
        self._traces: list[Trace] = []
        self._masks: dict[int, tuple[Rle, float]] = {}

    def unseen(self, found: Sequence[UnitBox], now_s: float) -> list[UnitBox]:
        """Take what was found on this frame; returns the places of what was seen up to a second ago and is not."""
        pairs = dict(assign(_nearness(self._traces, found, now_s), 0.0))
        matched = {column: self._traces[row] for row, column in pairs.items()}
        missing = [
            trace for row, trace in enumerate(self._traces) if row not in pairs and now_s - trace.seen_s <= self._kept_s
        ]
        seen = [_seen(box, matched.get(column), now_s) for column, box in enumerate(found)]
        self._traces = [*seen, *missing][:MOST_TRACES]
        return [trace.at(now_s) for trace in missing]

    def masks(self, shown: Mapping[int, Rle], now_s: float) -> list[Rle]:
        """The masks of tracks to hide, by track id: those of this frame, and the last ones of tracks that have none."""
        kept = {key: held for key, held in self._masks.items() if now_s - held[1] <= self._kept_s}
        self._masks = {**kept, **{key: (mask, now_s) for key, mask in shown.items()}}
        return [mask for mask, _ in self._masks.values()]


def head_of(box: UnitBox, aspect: float) -> UnitBox:
    """The upper part of a person's box, generously; all of one that lies or is cut off. `aspect`: width by height of
    the picture."""
    x0, y0, x1, y1 = box
    high, wide = y1 - y0, (x1 - x0) * aspect
    cut = y1 > 0.97
    if wide > high:
        return box
    return x0, y0, x1, min(y1, y0 + max(0.35 * high, (1.3 if cut else 0.8) * wide))


def _seen(box: UnitBox, before: Trace | None, now_s: float) -> Trace:
    elapsed = now_s - before.seen_s if before is not None else 0.0
    if before is None or elapsed <= 0:
        return Trace(box, now_s, before.velocity if before is not None else (0.0, 0.0))
    (x, y), (u, v) = _middle(box), _middle(before.box)
    return Trace(box, now_s, ((x - u) / elapsed, (y - v) / elapsed))


def _nearness(traces: Sequence[Trace], found: Sequence[UnitBox], now_s: float) -> NDArray[np.float64]:
    """How near each thing's expected place is to each box, 0..1; `-inf` where they cannot be the same."""
    scores = np.full((len(traces), len(found)), -np.inf)
    for row, trace in enumerate(traces):
        age_s = now_s - trace.seen_s
        (u, v), (p, q) = _middle(trace.box), trace.velocity
        for column, box in enumerate(found):
            x, y = _middle(box)
            reach = NEAR * max(_side(box), _side(trace.box))
            gone = min(
                max(abs(x - u), abs(y - v)),
                max(abs(x - u - p * age_s), abs(y - v - q * age_s)),
            )
            if gone < reach:
                scores[row, column] = 1 - gone / reach
    return scores


def _middle(box: UnitBox) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _side(box: UnitBox) -> float:
    return max(box[2] - box[0], box[3] - box[1])


def in_unit(boxes: Iterable[tuple[float, float, float, float]], width: int, height: int) -> list[UnitBox]:
    """Boxes in pixels of a picture as shares of it."""
    return [(x0 / width, y0 / height, x1 / width, y1 / height) for x0, y0, x1, y1 in boxes]
