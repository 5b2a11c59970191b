"""When a lost camera is tried again: soon at first, then later and later, and never all cameras at once."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Backoff:
    """Exponential with jitter: the nth try comes after `first_s · factor^n`, at most `most_s`, times 0.5 to 1.

    `steady_s` is how long a connection must have lasted for the next loss to begin from `first_s` again.
    """

    first_s: float = 0.5
    most_s: float = 30.0
    factor: float = 2.0
    steady_s: float = 10.0
    draw: Callable[[], float] = field(default=random.random, repr=False)
    tries: int = field(default=0, init=False)

    def lost(self, lasted_s: float, *, refused: bool = False) -> float:
        """Seconds until the next try, after a connection that gave pictures for `lasted_s`, 0.0 for none.

        `refused`: the camera does not accept the login; it is left in peace for long, since many lock an account that
        is tried too often.
        """
        if lasted_s >= self.steady_s:
            self.tries = 0
        wait_s = min(self.most_s, self.first_s * self.factor ** min(self.tries, 32))
        if refused:
            wait_s = self.most_s
        self.tries += 1
        return wait_s * (0.5 + 0.5 * self.draw())
