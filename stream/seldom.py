"""For the log of what may fail with every picture."""

from __future__ import annotations

import time


class Seldom:
    """True at the first call, and then once in `every_s` at most: a traceback thirty times a second helps nobody."""

    def __init__(self, every_s: float = 1.0) -> None:
        self._every_s = every_s
        self._last_s = float("-inf")

    def __call__(self) -> bool:
        now_s = time.monotonic()
        if now_s - self._last_s < self._every_s:
            return False
        self._last_s = now_s
        return True
