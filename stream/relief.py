"""What gives way while the machine cannot keep up, and when it is given back: pure functions of measured load.

First the engine does with less, in the order that it offers: detector cadence, then resolution. Then the rate goes
down: no stream is stepped more often than a ceiling, so that the fastest give way first. A level is left again, one at
a time, once the load has been low for a while; where that brings the overload straight back, the next try waits twice
as long.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

CEILINGS_FPS = (24.0, 20.0, 15.0, 12.0, 10.0, 7.5, 5.0, 3.0, 2.0, 1.0)


@dataclass(frozen=True, slots=True)
class Effort:
    """How much work an engine puts into a picture. `looks`: the share of the detector's usual looks that is made;
    `detail`: the share of the usual resolution, by side."""

    looks: float = 1.0
    detail: float = 1.0


FULL = Effort()


@dataclass(frozen=True, slots=True)
class Load:
    """What one window of time was like. `busy`: the share of it that the engine worked; `late`: the share of the
    pictures that were due and were overwritten before their turn; `wanted_fps`: the most pictures a second that any
    stream would have stepped if it could."""

    busy: float
    late: float
    wanted_fps: float


@dataclass(frozen=True, slots=True)
class Limits:
    """`window_s` is one measurement. Overload that lasts `give_windows` of them costs one level; ease that lasts
    `take_windows` gives one back, or, after a level came straight back, twice as many each time, up to
    `take_most`."""

    window_s: float = 1.0
    busy_most: float = 0.85
    late_most: float = 0.10
    busy_ease: float = 0.60
    late_ease: float = 0.02
    give_windows: int = 3
    take_windows: int = 6
    take_most: int = 96
    """Ease that lasted `settled` windows beyond a return makes the next one quick again."""
    settled: int = 30


@dataclass(frozen=True, slots=True)
class Relief:
    """`efforts`: how many of the engine's offers are taken; `ceiling_fps`: None for no ceiling."""

    efforts: int = 0
    ceiling_fps: float | None = None
    over: int = 0
    """Windows of overload in a row."""
    easy: int = 0
    patience: int = 0
    """Windows of ease that the next return waits for; 0 for the usual number."""
    since_return: int | None = None
    """Windows since a level was given back."""

    @property
    def none(self) -> bool:
        return self.efforts == 0 and self.ceiling_fps is None


def after(relief: Relief, load: Load, offers: int, limits: Limits) -> Relief:
    """What holds after one more window. `offers`: how many efforts the engine has below its full one."""
    over = load.busy > limits.busy_most and load.late > limits.late_most
    easy = load.busy < limits.busy_ease and load.late <= limits.late_ease
    since = None if relief.since_return is None else relief.since_return + 1
    patience = relief.patience or limits.take_windows
    if since is not None and since > limits.settled:
        since, patience = None, limits.take_windows
    now = replace(
        relief, over=relief.over + 1 if over else 0, easy=relief.easy + 1 if easy else 0, patience=patience,
        since_return=since,
    )  # fmt: skip
    if now.over >= limits.give_windows:
        return _given(now, load, offers, limits)
    if now.easy >= patience and not now.none:
        return _taken_back(now, load)
    return now


def _given(relief: Relief, load: Load, offers: int, limits: Limits) -> Relief:
    """One level more; where there is none left, the same."""
    patience = relief.patience
    if relief.since_return is not None:
        patience = min(2 * patience, limits.take_most)
    given = replace(relief, over=0, easy=0, patience=patience, since_return=None)
    if relief.efforts < offers:
        return replace(given, efforts=relief.efforts + 1)
    lower = [rate for rate in CEILINGS_FPS if rate < min(load.wanted_fps, relief.ceiling_fps or float("inf"))]
    return replace(given, ceiling_fps=lower[0]) if lower else given


def _taken_back(relief: Relief, load: Load) -> Relief:
    """One level less: the rate first, up to the next ceiling that any stream would reach."""
    back = replace(relief, over=0, easy=0, since_return=0)
    if relief.ceiling_fps is None:
        return replace(back, efforts=relief.efforts - 1)
    higher = [rate for rate in CEILINGS_FPS if relief.ceiling_fps < rate < load.wanted_fps]
    return replace(back, ceiling_fps=higher[-1] if higher else None)


def in_words(relief: Relief, efforts: Sequence[Effort]) -> tuple[str, ...]:
    """What gives way, as it is shown to people; empty where nothing does. `efforts`: the engine's offers."""
    words = []
    effort = efforts[relief.efforts - 1] if relief.efforts else FULL
    if effort.looks < 1:
        words.append(f"The machine is busy: the detector looks {effort.looks:.0%} as often.")
    if effort.detail < 1:
        words.append(f"The machine is busy: tracking at {effort.detail:.0%} of the resolution.")
    if relief.ceiling_fps is not None:
        words.append(f"The machine is busy: at most {relief.ceiling_fps:g} pictures a second are tracked.")
    return tuple(words)
