"""An engine for the page's tests: whatever is asked for appears as a disc or ellipse where it was asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from kernels.cpu import rle
from stream.engines.base import Note, StepError, Tracker
from stream.errors import UnknownWord
from stream.types import (
    BoxXyxyPx,
    Frame,
    Point,
    Prompt,
    PromptChange,
    PromptKind,
    PromptState,
    Rle,
    Track,
    TrackState,
    TrackUpdate,
)

GRID = (180, 320)
RADIUS = 0.09
"""Of the picture's height."""
LOWEST = 0.9
"""What is clicked below this leaves after a second."""
STAYS_S = 1.0
WORDS = ("person", "cup", "dog", "bicycle", "car", "chair")


def ellipse(x: float, y: float, half_width: float, half_height: float, hole: tuple[float, float] | None = None) -> Rle:
    """The mask of an ellipse; all in [0, 1] of the picture. `hole` is the centre of a disc cut out of it."""
    rows, columns = (np.mgrid[: GRID[0], : GRID[1]] + 0.5) / np.array(GRID)[:, None, None]
    mask: NDArray[np.bool_] = ((columns - x) / half_width) ** 2 + ((rows - y) / half_height) ** 2 <= 1
    if hole is not None:
        mask &= ((columns - hole[0]) * 16 / 9) ** 2 + (rows - hole[1]) ** 2 > (RADIUS / 2) ** 2
    return Rle(GRID, rle(mask.astype(np.uint8)))


class Thing:
    """One followed disc; a text prompt's one swings from side to side."""

    def __init__(self, track_id: int, prompt: Prompt, label: str, since_pts: int) -> None:
        self.track_id = track_id
        self.prompt_id = prompt.id
        self.label = label
        self.since_pts = since_pts
        self.box: BoxXyxyPx | None = prompt.box_xyxy_px
        self.points = list(prompt.points)
        self.swings = prompt.kind is PromptKind.TEXT
        self.leaves = False

    def track(self, frame: Frame) -> Track:
        width, height = frame.width, frame.height
        half_width, half_height = RADIUS * height / width, RADIUS
        self.leaves = bool(self.points) and self.points[0].y_px > LOWEST * height
        x, y, hole = 0.5, 0.45, None
        if self.box is not None:
            x0, y0, x1, y1 = self.box
            x, y = (x0 + x1) / 2 / width, (y0 + y1) / 2 / height
            half_width, half_height = (x1 - x0) / 2 / width, (y1 - y0) / 2 / height
        for point in self.points:
            if not point.positive:
                hole = (point.x_px / width, point.y_px / height)
        if self.box is None and self.points:
            x, y = self.points[0].x_px / width, self.points[0].y_px / height
        if self.swings:
            x += 0.25 * math.sin(frame.index / 20)
            half_width, half_height = 0.09, 0.3
        px = (
            (x - half_width) * width,
            (y - half_height) * height,
            (x + half_width) * width,
            (y + half_height) * height,
        )
        box = (max(0.0, px[0]), max(0.0, px[1]), min(float(width), px[2]), min(float(height), px[3]))
        mask = ellipse(x, y, half_width, half_height, hole)
        age_s = (frame.pts - self.since_pts) / 90_000
        if self.leaves and age_s > STAYS_S:
            return Track(self.track_id, self.label, 0.0, box, None, TrackState.LOST, self.prompt_id, age_s)
        return Track(self.track_id, self.label, 0.9, box, mask, TrackState.LIVE, self.prompt_id, max(0.0, age_s))


class ClickTracker:
    busy = False

    def __init__(self, first_track_id: int) -> None:
        self._next_id = first_track_id
        self._things: dict[int, Thing] = {}
        self._removed: dict[int, Thing] = {}
        self._pts = 0

    def add_prompt(self, prompt: Prompt) -> PromptChange:
        thing = self._things.get(prompt.track_id) if prompt.track_id is not None else None
        if thing is None:
            if prompt.text is not None and prompt.text not in WORDS:
                raise UnknownWord(prompt.text, WORDS[:3])
            thing = Thing(self._next_id, prompt, prompt.text or "thing", self._pts)
            self._things[thing.track_id] = thing
            self._next_id += 1
        else:
            thing.points += prompt.points
            thing.box = prompt.box_xyxy_px or thing.box
        return PromptChange(prompt.id, PromptState.ACTIVE, None, (thing.track_id,), self._choices(prompt.points))

    @staticmethod
    def _choices(points: tuple[Point, ...]) -> tuple[tuple[str, BoxXyxyPx], ...]:
        """A click in the picture's left tenth may mean two things."""
        if len(points) != 1 or points[0].x_px > 64:
            return ()
        x, y = points[0].x_px, points[0].y_px
        return (
            ("whole", (0.0, max(0.0, y - 90), x + 120, y + 90)),
            ("part", (max(0.0, x - 20), y - 20, x + 20, y + 20)),
        )

    def remove_prompt(self, prompt_id: int) -> None:
        for track_id in [thing.track_id for thing in self._things.values() if thing.prompt_id == prompt_id]:
            self.remove_track(track_id)

    def restore_prompt(self, prompt: Prompt) -> None:
        for track_id in [thing.track_id for thing in self._removed.values() if thing.prompt_id == prompt.id]:
            self.restore_track(track_id)

    def remove_track(self, track_id: int) -> None:
        if track_id in self._things:
            self._removed[track_id] = self._things.pop(track_id)

    def restore_track(self, track_id: int) -> None:
        if track_id in self._removed:
            self._things[track_id] = self._removed.pop(track_id)

    def close(self) -> None:
        self._things.clear()

    def step(self, frame: Frame) -> TrackUpdate:
        self._pts = frame.pts
        things = sorted(self._things.values(), key=lambda thing: thing.track_id)
        return TrackUpdate.of(frame, tuple(thing.track(frame) for thing in things))


class ClickEngine:
    name = "click"
    device = "cpu"
    kinds = frozenset({PromptKind.TEXT, PromptKind.POINTS, PromptKind.BOX})
    words = WORDS
    max_batch = 4
    counters: Mapping[str, int] = MappingProxyType({})

    def __init__(self) -> None:
        self.notes: tuple[Note, ...] = ()

    def open_tracker(self, first_track_id: int = 1) -> ClickTracker:
        return ClickTracker(first_track_id)

    def step(self, batch: Sequence[tuple[Tracker, Frame]]) -> list[TrackUpdate | StepError]:
        updates: list[TrackUpdate | StepError] = []
        for tracker, frame in batch:
            assert isinstance(tracker, ClickTracker)
            updates.append(tracker.step(frame))
        return updates

    def close(self) -> None:
        """It holds nothing."""
