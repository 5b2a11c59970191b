"""How long the parts of an engine's step take, for whoever measures; nothing at all otherwise."""

from __future__ import annotations

import contextlib
import importlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

from stream.engines.base import StepError
from stream.types import TrackUpdate


@runtime_checkable
class Timed(Protocol):
    """What an engine has besides, that can say how long the parts of a step take. Engine thread only."""

    def measure(self, on: bool) -> None:
        """Put the parts' milliseconds into `TrackUpdate.timings_ms` from the next step on, or not. On a GPU a step
        that is measured waits for its end."""
        ...


class StageClock:
    """Encloses parts of a step. On a GPU (`cuda`) times are between events on the current stream: what the device
    takes, not the thread that feeds it."""

    def __init__(self, *, cuda: bool = False) -> None:
        self.on = False
        self._cuda: Any = importlib.import_module("torch").cuda if cuda else None
        self._parts: list[tuple[str, Any, Any]] = []

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count what is enclosed as `name`; parts of one name are added."""
        if not self.on:
            yield
            return
        begun = self._now()
        try:
            yield
        finally:
            self._parts.append((name, begun, self._now()))

    def take(self) -> dict[str, float]:
        """Milliseconds since the last call, by part; empty where nothing is measured. Waits for the device."""
        parts, self._parts = self._parts, []
        if parts and self._cuda is not None:
            parts[-1][2].synchronize()
        taken: dict[str, float] = {}
        for name, begun, ended in parts:
            ms = (ended - begun) * 1000 if self._cuda is None else begun.elapsed_time(ended)
            taken[name] = taken.get(name, 0.0) + ms
        return taken

    def _now(self) -> Any:
        if self._cuda is None:
            return time.perf_counter()
        event = self._cuda.Event(enable_timing=True)
        event.record()
        return event


def timed(results: Sequence[TrackUpdate | StepError], taken: dict[str, float]) -> list[TrackUpdate | StepError]:
    """The results with the parts' times, which are those of the whole step, in each."""
    if not taken:
        return list(results)
    return [
        replace(result, timings_ms={**result.timings_ms, **taken}) if isinstance(result, TrackUpdate) else result
        for result in results
    ]
