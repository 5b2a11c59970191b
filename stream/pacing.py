"""Who is stepped next, and how often: pure functions of times and rates.

Each stream may have a rate of its own, and all share a ceiling while the machine cannot keep up. Of those that have a
picture and are due, the ones served longest ago go first, so that with n streams and batches of b nobody waits for
more than ceil(n / b) steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self


@dataclass(frozen=True, slots=True)
class Pace:
    """One stream's rhythm. `period_s`: seconds between two steps, 0 for every picture; `due_s`: when the next one is,
    on the clock of the pictures' arrival."""

    period_s: float = 0.0
    due_s: float = float("-inf")

    def at(self, period_s: float) -> Self:
        """The same rhythm with another period. What was due later than one new period is due then."""
        if period_s == self.period_s:
            return self
        return replace(self, period_s=period_s, due_s=self.due_s - max(0.0, self.period_s - period_s))

    def takes(self, at_s: float, every_s: float) -> bool:
        """Whether a picture that came at `at_s` is stepped, where one comes every `every_s`: the one nearest to when
        it is due."""
        return self.period_s <= 0 or at_s >= self.due_s - min(every_s, self.period_s) / 2

    def after(self, at_s: float) -> Self:
        """The rhythm once that picture is taken. One that is late does not shorten the time to the next by more than
        its lateness, so that the mean rate is kept and nothing is caught up in a burst."""
        base = self.due_s if abs(at_s - self.due_s) < self.period_s else at_s
        return replace(self, due_s=base + self.period_s)


def period_s(target_fps: float | None, ceiling_fps: float | None) -> float:
    """Seconds between two steps at the lower of two rates in pictures a second; 0 where neither is set."""
    rates = [rate for rate in (target_fps, ceiling_fps) if rate is not None and rate > 0]
    return 1 / min(rates) if rates else 0.0


def in_turn(served: Sequence[int], limit: int) -> list[int]:
    """Which of several that have a picture go into the next batch of at most `limit`. `served`: for each, when it
    was last served, 0 for never, counted over all that are served, so that no two have the same. Returns indices, those
    that waited longest first."""
    return sorted(range(len(served)), key=lambda index: served[index])[: max(0, limit)]
