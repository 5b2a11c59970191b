"""A one-item mailbox between threads: writers never wait, the reader always gets the newest value."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class LatestSlot(Generic[T]):
    """Hand the newest value from any thread to one reader.

    A value that is overwritten before it is taken counts as a drop and is let go at once. `on_put` is called after
    each put, on the writer's thread and outside the lock, to wake whoever reads.
    """

    def __init__(self, on_put: Callable[[], None] | None = None) -> None:
        self._lock = threading.Lock()
        self._value: T | None = None
        self._on_put = on_put
        self.puts = 0
        self.drops = 0

    def put(self, value: T) -> None:
        """Replace the held value. Never blocks."""
        with self._lock:
            self.puts += 1
            self.drops += self._value is not None
            self._value = value
        if self._on_put is not None:
            self._on_put()

    def take(self) -> T | None:
        """The newest value, or None when there is none; the slot is empty afterwards."""
        with self._lock:
            value, self._value = self._value, None
            return value

    @property
    def full(self) -> bool:
        return self._value is not None
