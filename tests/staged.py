"""A scene that a test sets by hand: coloured blocks on grey, and an engine that says exactly where they are."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from kernels.cpu import rle
from stream.types import Frame, Rle, Track, TrackState
from tests.barcode import BarcodeEngine, BarcodeTracker
from tests.server import RunningServer

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


RED = Block(3, "red cup", (220, 30, 30), (40, 60, 120, 180))
BLUE = Block(5, "person", (30, 40, 220), (200, 40, 280, 220))


class StagedStream:
    """A running server whose stream `cam` shows the stage, 9 pictures a second, until the end.

    `vlm` is the address of a language model server; `describe` whether objects are described by themselves; `tables`
    are further tables of the configuration.
    """

    def __init__(
        self,
        folder: Path,
        vlm: str | None = None,
        *,
        describe: bool = False,
        blocks: Iterable[Block] = (RED, BLUE),
        tables: dict[str, Any] | None = None,
    ) -> None:
        self.stage = Stage(list(blocks))
        tables = dict(tables or {}) | ({"vlm": {"url": vlm, "describe": describe}} if vlm else {})
        self.server = RunningServer(folder, tables, engine=StagedEngine(self.stage))
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._play, daemon=True)

    def _play(self) -> None:
        while not self._over.is_set():
            self.source.push(pause_s=0.1)

    def pause(self) -> None:
        """No more pictures."""
        self._over.set()
        self._thread.join(10)

    def __enter__(self) -> Self:
        self.server.__enter__()
        self.source = self.server.open_stream("cam")
        self.source.picture = self.stage.picture
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.pause()
        self.server.__exit__(None, None, None)
