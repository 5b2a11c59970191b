"""Where an object stands, though the lower part of its mask is lost for a while.

A tracker's mask may lose an object's legs to a shadow, or to what stands before it, and the box's lower side jumps up.
Its height tells: it is shorter than a moment ago, and its top went on as before while its lower side did not. Then it
stands where its usual height reaches down from its top. What shrinks slowly goes away, and what sinks crouches.
"""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from agent.types import XY, BoxXyxy

KEPT = timedelta(seconds=5.0)
APART = timedelta(seconds=0.1)
GAP = timedelta(seconds=1.0)
"""After so long out of sight nothing is known."""

# Chosen on the tuning split of the composed scenes (`tests/quality/sets.py`, "plain", seeds 0 to 7): of the light
# engine's boxes 40 % as many stand more than 5 % of the picture's height from the truth as without this; at most 57 %
# with `SUDDEN` from 0.3 to 0.6 s and `SHORT` from 0.75 to 0.85.
SUDDEN = timedelta(seconds=0.4)
"""What takes much longer than this is no loss."""
SHORT = 0.8
"""A part is lost where the height is less than this share of what it was."""
CLEAR = 2.0
"""One side must have gone so many times farther astray than the other, or the mask is another one altogether."""
BACK = 0.85
"""It is back where the height is this share of the usual one."""
USUAL = 0.75
"""The usual height is this quantile of the last: what was lost for less than three quarters of `KEPT` does not count,
nor what was seen too tall for less than a quarter."""


class _Look(NamedTuple):
    at: datetime
    top: float
    foot: float
    height: float


class Standing:
    """One object's. Bounded by `KEPT` over `APART`."""

    __slots__ = ("_looks", "_lost")

    def __init__(self) -> None:
        self._looks: deque[_Look] = deque()
        self._lost: Literal["head", "foot"] | None = None

    def see(self, box: BoxXyxy, at: datetime) -> XY:
        """The point in [0, 1] of the picture where an object with this box stands. In order of time."""
        x0, top, x1, bottom = box
        looks = self._looks
        if looks and not timedelta() <= at - looks[-1].at <= GAP:
            looks.clear()
            self._lost = None
        while looks and at - looks[0].at > KEPT:
            looks.popleft()
        usual = self._usual()
        if bottom - top >= BACK * usual:
            self._lost = None
        elif self._lost is None:
            self._lost = self._part_lost(at, top, bottom, usual)
        elif self._lost == "foot" and self._astray(at, top, bottom)[0] > (1 - SHORT) * usual:
            looks.clear()
            self._lost, usual = None, 0.0
        foot = max(bottom, top + usual) if self._lost == "foot" else bottom
        if not looks or at - looks[-1].at >= APART:
            looks.append(_Look(at, top, foot, bottom - top))
        return (x0 + x1) / 2, foot

    def _usual(self) -> float:
        heights = sorted(look.height for look in self._looks)
        return heights[int(USUAL * (len(heights) - 1))] if heights else 0.0

    def _part_lost(self, at: datetime, top: float, bottom: float, usual: float) -> Literal["head", "foot"] | None:
        """Which part was lost just now, if any: the one whose side did not go on as before."""
        before = self._before(at)
        height, was = bottom - top, before.foot - before.top
        if height >= SHORT * was or abs(height - was) < abs(usual - was):
            return None
        sunk, risen = self._astray(at, top, bottom)
        if risen > CLEAR * sunk:
            return "foot"
        return "head" if sunk > CLEAR * risen else None

    def _astray(self, at: datetime, top: float, bottom: float) -> tuple[float, float]:
        """How far the upper and the lower side are from where they would be, had they gone on as before."""
        before = self._before(at)
        earlier = self._before(before.at)
        way_s = (before.at - earlier.at).total_seconds()
        ahead = (at - before.at).total_seconds() / way_s if way_s else 0.0
        sunk = abs(top - before.top - ahead * (before.top - earlier.top))
        return sunk, abs(bottom - before.foot - ahead * (before.foot - earlier.foot))

    def _before(self, at: datetime) -> _Look:
        """The newest look that is at least `SUDDEN` older, or the oldest."""
        return next((look for look in reversed(self._looks) if at - look.at >= SUDDEN), self._looks[0])
