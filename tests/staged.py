"""A scene that a test sets by hand: coloured blocks on grey, and an engine that says exactly where they are."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kernels.cpu import rle
from stream.types import Frame, Rle, Track, TrackState
from tests.barcode import BarcodeEngine, BarcodeTracker

U8 = NDArray[np.uint8]
SIZE = (320, 240)
GREY = 90


@dataclass(frozen=True, slots=True)
class Block:
    """An object: `box_xyxy_px` in whole pixels of a 320×240 picture, `rgb` its colour."""

    id: int
    label: str
    rgb: tuple[int, int, int]
    box_xyxy_px: tuple[int, int, int, int]


@dataclass(slots=True)
class Stage:
    """What is in the picture, from the next picture on."""

    blocks: list[Block] = field(default_factory=list)

    def picture(self, _number: int) -> U8:
        """`(240, 320, 3)` uint8 RGB."""
        picture = np.full((SIZE[1], SIZE[0], 3), GREY, np.uint8)
        for block in self.blocks:
            x0, y0, x1, y1 = block.box_xyxy_px
            picture[y0:y1, x0:x1] = block.rgb
        return picture


class StagedTracker(BarcodeTracker):
    stage: Stage

    def tracks(self, frame: Frame) -> tuple[Track, ...]:
        found = []
        for block in self.stage.blocks:
            x0, y0, x1, y1 = block.box_xyxy_px
            mask = Rle((240, 320), rle(np.ones((y1 - y0, x1 - x0), np.uint8), size=(240, 320), at=(y0, x0)))
            box = (float(x0), float(y0), float(x1), float(y1))
            found.append(Track(block.id, block.label, 0.9, box, mask, TrackState.LIVE, 1, frame.pts / 90_000 + 2))
        return tuple(track for track in found if track.id not in self.removed)


class StagedEngine(BarcodeEngine):
    """Tracks the blocks of `stage`."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.stage = stage

    def open_tracker(self, first_track_id: int = 1) -> StagedTracker:
        tracker = StagedTracker(first_track_id)
        tracker.stage = self.stage
        return tracker
