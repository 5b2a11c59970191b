"""A composed scene with something private in it, and whether any of it can be seen in a picture.

The private thing is a fine checkerboard in two saturated colours that nothing else has. The number of the frame is in
its top rows, so that a picture which comes out anywhere tells which truth belongs to it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from kernels.cpu import rle
from stream.encode import open_encoder
from stream.engines.base import StepError, Tracker
from stream.errors import EngineError, UnknownWord
from stream.sources.base import Received
from stream.types import BoxXyxyPx, Frame, Rle, Track, TrackState, TrackUpdate
from tests.barcode import BarcodeEngine, BarcodeTracker, draw, read
from tests.server import PushedSource, RunningServer

U8 = NDArray[np.uint8]
Box = tuple[int, int, int, int]
Truth = Callable[[int], Sequence[Box]]

COLOURS = ((255, 0, 255), (0, 255, 0))
CHECK_PX = 6
NEAR = 110
"""A pixel within this distance of one of the colours, in RGB, shows the thing."""
MOST_SHOWN = 0.02
"""Share of a thing's pixels that may be near its colours by chance; of one that is not hidden it is over 0.5."""
SIZE = (320, 240)


def picture(number: int, truth: Truth, size: tuple[int, int] = SIZE) -> U8:
    """Frame `number`: `(height, width, 3)` uint8 RGB."""
    width, height = size
    rows, columns = np.mgrid[:height, :width]
    grey = ((rows + 2 * columns + number * 3) % 120 // 2 + 80).astype(np.uint8)
    shown = np.repeat(grey[..., None], 3, axis=2)
    check = ((rows // CHECK_PX + columns // CHECK_PX) % 2).astype(int)
    for x0, y0, x1, y1 in truth(number):
        shown[y0:y1, x0:x1] = np.array(COLOURS, np.uint8)[check[y0:y1, x0:x1]]
    luma = np.zeros((height, width), np.uint8)
    draw(luma, number)
    top = luma.any(axis=1)
    shown[top] = luma[top][..., None]
    return shown


def shown_share(rgb: U8, box: Box) -> float:
    """The share of `box` in `(H, W, 3)` uint8 RGB in which the thing's colours can be seen; 0 where it is outside."""
    x0, y0, x1, y1 = box
    part = rgb[max(0, y0) : y1, max(0, x0) : x1].astype(int)
    if not part.size:
        return 0.0
    far = [np.linalg.norm(part - np.array(colour), axis=2) for colour in COLOURS]
    return float((np.minimum(*far) < NEAR).mean())


def number_of(rgb: U8) -> int | None:
    return read(np.ascontiguousarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)))


class PrivateSource(PushedSource):
    """Pushes the scene; `size` may change between pictures."""

    def __init__(self, server: RunningServer, truth: Truth) -> None:
        super().__init__(server)
        self.truth = truth
        self.size = SIZE
        self._opened: tuple[Any, tuple[int, int]] | None = None

    def _next(self) -> Received:
        number = self._count
        self._count += 1
        fresh = self._opened is None or self._opened[1] != self.size
        if self._opened is None or fresh:
            encoder = open_encoder(*self.size)
            encoder.options = {**encoder.options, "crf": "12"}
            self._opened = encoder, self.size
        frame = av.VideoFrame.from_ndarray(picture(number, self.truth, self.size), format="rgb24").reformat(
            format="yuv420p"
        )
        frame.pts = number * 3000
        if number % 15 == 0:
            frame.pict_type = av.video.frame.PictureType.I
        (packet,) = self._opened[0].encode(frame)
        return Received("H264", bytes(packet), packet.is_keyframe, number * 3000, None, time.monotonic())


class TruthTracker(BarcodeTracker):
    truth: Truth

    def tracks(self, frame: Frame) -> tuple[Track, ...]:
        """The things as tracks of a prompt, for tests of the overlay."""
        number = read(frame.y)
        if number is None or not self.prompts:
            return ()
        prompt_id = next(iter(self.prompts))
        size = (frame.height, frame.width)
        return tuple(
            Track(
                index + 1,
                "person",
                1.0,
                (x0, y0, x1, y1),
                _mask(size, (x0, y0, x1, y1)),
                TrackState.LIVE,
                prompt_id,
                1.0,
            )
            for index, (x0, y0, x1, y1) in enumerate(self.truth(number))
        )


def _mask(size: tuple[int, int], box: Box) -> Rle:
    x0, y0, x1, y1 = box
    return Rle(size, rle(np.ones((y1 - y0, x1 - x0), np.uint8), size=size, at=(y0, x0)))


class TruthFinder:
    """Sees the things where they are, and only where they can be seen."""

    on_engine = False

    def __init__(self, engine: TruthEngine, concepts: Sequence[str]) -> None:
        self.labels = tuple(frozenset({concept}) for concept in concepts)
        self._engine = engine

    def find(self, frame: Frame) -> list[list[BoxXyxyPx]]:
        number = read(frame.y)
        assert number is not None, "the finder was not given the frame as it is"
        self._engine.looked.append(number)
        if number in self._engine.blind:
            raise EngineError("The finder failed.")
        missed = number in self._engine.missed
        boxes = [] if missed else [tuple(map(float, box)) for box in self._engine.truth(number)]
        return [list(boxes) for _ in self.labels]  # type: ignore[misc]


class TruthEngine(BarcodeEngine):
    """Knows the truth of each frame. `failing`: frames on which its step fails; `blind`: on which its finder does;
    `missed`: on which the finder sees nothing though there is something."""

    def __init__(self, truth: Truth) -> None:
        super().__init__()
        self.truth = truth
        self.failing: frozenset[int] = frozenset()
        self.blind: frozenset[int] = frozenset()
        self.missed: frozenset[int] = frozenset()
        self.looked: list[int] = []

    def open_tracker(self, first_track_id: int = 1) -> TruthTracker:
        tracker = TruthTracker(first_track_id)
        tracker.truth = self.truth
        return tracker

    def finder(self, concepts: Sequence[str]) -> TruthFinder:
        for concept in concepts:
            if concept not in self.words:
                raise UnknownWord(concept, self.words)
        return TruthFinder(self, concepts)

    def step(self, batch: Sequence[tuple[Tracker, Frame]]) -> list[TrackUpdate | StepError]:
        results = super().step(batch)
        return [
            StepError(EngineError("The step failed.")) if read(frame.y) in self.failing else result
            for (_, frame), result in zip(batch, results, strict=True)
        ]


def open_private(server: RunningServer, stream_id: str, truth: Truth) -> PrivateSource:
    """A stream of the scene that lives until it is closed, fed by hand."""
    source = PrivateSource(server, truth)
    server.call(lambda: server.state.hub.open(source, stream_id=stream_id))
    assert source.ready.wait(10)
    return source


class Watcher:
    """Decodes what a viewer gets, and holds each picture against the truth."""

    def __init__(self) -> None:
        self._decoder = av.CodecContext.create("h264", "r")
        self._decoder.thread_count = 1
        self._decoder.flags |= av.codec.context.Flags.low_delay

    def pictures(self, compressed: Sequence[bytes]) -> list[U8]:
        """RGB pictures of what came, in order; what cannot be decoded counts as not seen."""
        out = []
        for data in compressed:
            try:
                frames = self._decoder.decode(av.Packet(data))
            except av.error.InvalidDataError:
                continue
            out += [frame.to_ndarray(format="rgb24") for frame in frames]
        return out


def leaks(pictures: Sequence[U8], truth: Truth) -> dict[int, float]:
    """For each picture by its number, the largest share of a thing that it shows. A picture without a readable number
    is wholly hidden, and held against nothing."""
    found = {}
    for rgb in pictures:
        number = number_of(rgb)
        if number is not None:
            found[number] = max((shown_share(rgb, box) for box in truth(number)), default=0.0)
        else:
            assert shown_share(rgb, (0, 0, rgb.shape[1], rgb.shape[0])) < MOST_SHOWN
    return found
