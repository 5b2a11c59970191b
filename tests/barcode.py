"""A number that survives a camera, a codec and a canvas: drawn into a picture, read back, and told by an engine.

The top rows of the picture hold 16 blocks, black or white, and below them their inverse, so that a reading which is
not certain is known as such.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import av
import numpy as np
from numpy.typing import NDArray

from kernels.cpu import rle
from stream.engines.base import Note, StepError, Tracker
from stream.types import Frame, Prompt, PromptChange, PromptKind, PromptState, Rle, Track, TrackState, TrackUpdate

BITS = 16
ROWS = 64 / 720
"""Height of the code, both rows, as a share of the picture."""
CONTRAST = 50
U8 = NDArray[np.uint8]


def draw(luma: U8, number: int) -> None:
    """Write `number` (mod 2^16) into the top rows of `luma`, `(H, W)` uint8."""
    height, width = luma.shape
    half = max(2, round(height * ROWS / 2))
    for bit in range(BITS):
        left, right = bit * width // BITS, (bit + 1) * width // BITS
        on = bool(number >> bit & 1)
        luma[:half, left:right] = 235 if on else 16
        luma[half : 2 * half, left:right] = 16 if on else 235


def read(luma: U8) -> int | None:
    """The number in the top rows of `luma`, or None where any bit is uncertain."""
    height, width = luma.shape
    upper, lower = int(height * ROWS / 4), int(height * ROWS * 3 / 4)
    columns = ((np.arange(BITS) + 0.5) * width / BITS).astype(int)
    difference = luma[upper, columns].astype(int) - luma[lower, columns].astype(int)
    if (np.abs(difference) < CONTRAST).any():
        return None
    return int((1 << np.flatnonzero(difference > 0)).sum())


def picture(number: int, width: int, height: int) -> U8:
    """A moving picture with `number` in it: `(H, W, 3)` uint8 RGB."""
    rows, columns = np.mgrid[:height, :width]
    luma = ((rows + columns + number * 6) % 200 // 2 + 70).astype(np.uint8)
    left = int((width * 0.7) * (0.5 + 0.5 * np.sin(number / 15)))
    luma[height // 3 : height * 2 // 3, left : left + width // 6] = 225
    draw(luma, number)
    return np.repeat(luma[..., None], 3, axis=2)


def write_clip(
    path: Path, *, codec: str, size: tuple[int, int], frames: int, fps: int = 30, options: dict[str, str] | None = None
) -> None:
    """A clip whose frame `i` carries the number `i`. `codec` is an FFmpeg encoder; the suffix chooses the container."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=fps, options=options or {})
        stream.width, stream.height = size
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.bit_rate = 4_000_000
        if codec == "mjpeg":
            stream.codec_context.qmin, stream.codec_context.qmax = 2, 4
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(number, *size), format="rgb24")
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


class BarcodeTracker:
    """Says what number it sees; keeps prompts as tracks so that a click can be answered without a model."""

    busy = False

    def __init__(self, first_track_id: int) -> None:
        self.first_track_id = first_track_id
        self.prompts: dict[int, Prompt] = {}
        self.removed: set[int] = set()
        self.steps = 0
        self.closed = False

    def add_prompt(self, prompt: Prompt) -> PromptChange:
        self.prompts[prompt.id] = prompt
        return PromptChange(prompt.id, PromptState.ACTIVE)

    def remove_prompt(self, prompt_id: int) -> None:
        self.prompts.pop(prompt_id, None)

    def restore_prompt(self, prompt: Prompt) -> None:
        self.prompts[prompt.id] = prompt

    def remove_track(self, track_id: int) -> None:
        self.removed.add(track_id)

    def restore_track(self, track_id: int) -> None:
        self.removed.discard(track_id)

    def close(self) -> None:
        self.closed = True

    def tracks(self, frame: Frame) -> tuple[Track, ...]:
        number = read(frame.y)
        label = "unreadable" if number is None else str(number)
        width, height = frame.width, frame.height
        box = (width * 0.25, height * 0.5, width * 0.75, height * 0.9)
        tracks = [self._track(self.first_track_id, label, box, None)]
        for prompt in self.prompts.values():
            tracks.append(self._track(self.first_track_id + prompt.id, prompt.text or "thing", box, prompt.id))
        return tuple(track for track in tracks if track.id not in self.removed)

    @staticmethod
    def _track(track_id: int, label: str, box: tuple[float, float, float, float], prompt_id: int | None) -> Track:
        return Track(track_id, label, 1.0, box, LOWER_HALF, TrackState.LIVE, prompt_id, 0.0)


def _lower_half() -> Rle:
    mask = np.zeros((36, 64), np.uint8)
    mask[18:32, 16:48] = 1
    return Rle((36, 64), rle(mask))


LOWER_HALF = _lower_half()


class BarcodeEngine:
    """An engine that costs nothing and can be checked: one track labelled with the number in the picture."""

    name = "barcode"
    device = "cpu"
    kinds = frozenset(PromptKind)
    words = ("person", "cup")
    notes: tuple[Note, ...] = ()
    counters: Mapping[str, int] = MappingProxyType({})

    def __init__(self, *, step_s: float = 0.0, max_batch: int = 4) -> None:
        self.step_s = step_s
        self.max_batch = max_batch
        self.closed = False

    def open_tracker(self, first_track_id: int = 1) -> BarcodeTracker:
        return BarcodeTracker(first_track_id)

    def step(self, batch: Sequence[tuple[Tracker, Frame]]) -> list[TrackUpdate | StepError]:
        if self.step_s:
            time.sleep(self.step_s)
        updates: list[TrackUpdate | StepError] = []
        for tracker, frame in batch:
            assert isinstance(tracker, BarcodeTracker)
            tracker.steps += 1
            updates.append(TrackUpdate.of(frame, tracker.tracks(frame)))
        return updates

    def close(self) -> None:
        self.closed = True
