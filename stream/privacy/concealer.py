"""The thread of one stream that hides what must not be seen, and encodes what is left.

Each frame comes with the engine's result for it, is looked at once more by a finder of its own, and leaves with what
that found hidden. A frame that could not be looked at leaves wholly hidden; one that came too fast does not leave.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType, VideoFrame
from av.video.reformatter import ColorRange, Colorspace

from stream.bitstream import is_keyframe
from stream.encode import TICKS, open_encoder
from stream.engines.base import Finder, StepError
from stream.engines.mediaclock import MediaClock
from stream.errors import EngineError, OnlookerError
from stream.privacy import mosaic
from stream.privacy.memory import Memory, head_of, in_unit
from stream.privacy.mosaic import Part
from stream.privacy.settings import Privacy, Target, target_of
from stream.seldom import Seldom
from stream.types import CLOCK_HZ, BoxXyxyPx, EncodedFrame, Frame, TrackUpdate

log = logging.getLogger(__name__)

KEYFRAME_EVERY_S = 2.0
AGAIN_S = 2.0
"""A finder that could not be had is asked for again after this time."""
MOST_WAITING = 64

StepResult = TrackUpdate | StepError
FinderOf = Callable[[Sequence[str]], Finder]
Look = Callable[[Finder, Frame], Sequence[Sequence[BoxXyxyPx]]]


@dataclass(frozen=True, slots=True)
class Shown:
    """What may leave of one frame: the engine's `result` for it, if it was stepped, and the picture with everything
    hidden, None where it was passed over. `encoded` is empty where the picture has left before."""

    result: StepResult | None
    frame: Frame | None = None
    encoded: tuple[EncodedFrame, ...] = ()


class Concealer:
    """Hides by one setting, for its whole life. `offer` and `want_keyframe` may be called from any thread.

    `finder_of` gives what looks for classes; `look` calls it where it may be called. `on_shown` is called on the
    concealer's own thread, in order, once for each offer.
    """

    def __init__(
        self, name: str, privacy: Privacy, finder_of: FinderOf, look: Look, on_shown: Callable[[Concealer, Shown], None]
    ) -> None:
        self.privacy = privacy
        self._since_s = time.monotonic()
        self.problem: OnlookerError | None = None
        """Why everything is hidden at present; may be read from any thread."""
        self._finder_of = finder_of
        self._look = look
        self._on_shown = on_shown
        self._targets = [target_of(each) for each in privacy.classes]
        self._memories = [Memory() for _ in self._targets]
        self._clock = MediaClock()
        """Of what moves: pictures arrive in bursts, which no motion can be told from."""
        self._finder: Finder | None = None
        self._tried_s = float("-inf")
        self._log_now = Seldom()
        self._encoder = _Encoder()
        self._last: tuple[Frame, Frame] | None = None
        self._waiting: deque[tuple[Frame | None, StepResult | None]] = deque(maxlen=MOST_WAITING)
        self._condition = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def offer(self, frame: Frame, result: StepResult | None) -> None:
        """The engine's result for `frame`; None where it was not stepped. Never blocks; the newest frame counts."""
        with self._condition:
            if self._waiting:
                self._waiting[-1] = (None, self._waiting[-1][1])
            self._waiting.append((frame, result))
            self._condition.notify()

    def want_keyframe(self) -> None:
        self._encoder.keyframe_wanted = True

    def close(self, *, wait: bool) -> None:
        """End the thread; with `wait` be sure that it has ended. Idempotent."""
        with self._condition:
            self._closed = True
            self._condition.notify()
        if wait:
            self._thread.join()

    def _run(self) -> None:
        while True:
            with self._condition:
                while not (self._waiting or self._closed):
                    self._condition.wait()
                if self._closed:
                    return
                frame, result = self._waiting.popleft()
            self._on_shown(self, Shown(result) if frame is None else self._shown(frame, result))

    def _shown(self, frame: Frame, result: StepResult | None) -> Shown:
        if self._last is not None and self._last[0] is frame:
            return Shown(result, self._last[1])
        started_s = time.monotonic()
        try:
            covered = mosaic.hidden(frame, self._parts(frame, result), self.privacy.style)
            # What came before has left already, under the same timestamp.
            encoded = self._encoder.encode(covered) if frame.received_s >= self._since_s else ()
        except Exception:
            # A mistake of ours or whatever the encoder raises: nothing of this frame leaves, and the next one is tried.
            if self._log_now():
                log.exception("a picture could not be hidden")
            return Shown(result)
        self._last = frame, covered
        if isinstance(result, TrackUpdate):
            took_ms = round((time.monotonic() - started_s) * 1000, 2)
            result = replace(result, timings_ms=result.timings_ms | {"hide": took_ms})
        return Shown(result, covered, encoded)

    # --- what is hidden

    def _parts(self, frame: Frame, result: StepResult | None) -> list[Part]:
        size, now_s = (frame.width, frame.height), self._clock.advance(frame)
        parts = [mosaic.zone_part(zone.points, *size) for zone in self.privacy.zones]
        if self._targets:
            found = self._found(frame)
            if found is None:
                return [mosaic.whole_part(*size)]
            tracks = result.tracks if isinstance(result, TrackUpdate) else ()
            for index, (target, boxes) in enumerate(zip(self._targets, found, strict=True)):
                memory = self._memories[index]
                units = in_unit(boxes, *size)
                units = [*units, *memory.unseen(units, now_s)]
                parts += [mosaic.box_part(_of(target, box, size), *size) for box in units]
                if not target.head:
                    labels = self._finder.labels[index] if self._finder else frozenset()
                    masks = {t.id: t.mask for t in tracks if t.mask is not None and t.label in labels}
                    parts += [mosaic.mask_part(mask, *size) for mask in memory.masks(masks, now_s)]
        return [part for part in parts if part is not None]

    def _found(self, frame: Frame) -> Sequence[Sequence[BoxXyxyPx]] | None:
        """For each class, what is on this very frame; None where it cannot be told."""
        try:
            finder = self._ready_finder()
            found = self._look(finder, frame)
        except OnlookerError as error:
            self._told(error)
            return None
        except Exception as error:
            # A finder raises what its models do: what could not be looked at is hidden, whatever the reason.
            if self._log_now():
                log.exception("a picture could not be looked at")
            self._told(EngineError(f"Looking failed: {error}"))
            return None
        self.problem = None
        return found

    def _ready_finder(self) -> Finder:
        """Raises the `OnlookerError` for which there is none yet."""
        if self._finder is None:
            now_s = time.monotonic()
            if self.problem is not None and now_s - self._tried_s < AGAIN_S:
                raise self.problem
            self._tried_s = now_s
            self._finder = self._finder_of([target.concept for target in self._targets])
        return self._finder

    def _told(self, error: OnlookerError) -> None:
        if self.problem is None or self.problem.message != error.message:
            log.warning("everything is hidden: %s %s", error.message, error.action)
        self.problem = error


class _Encoder:
    """Covered frames as H.264; begins anew with each epoch and size."""

    def __init__(self) -> None:
        self.keyframe_wanted = False
        self._context: VideoCodecContext | None = None
        self._opened: tuple[int, int, int] | None = None
        self._ticks = 0
        self._keyframe_ticks = 0

    def encode(self, frame: Frame) -> tuple[EncodedFrame, ...]:
        width, height = frame.width & ~1, frame.height & ~1
        if width < 2 or height < 2:
            return ()
        fresh = self._context is None or self._opened != (frame.epoch, width, height)
        if self._context is None or fresh:
            self._context = _opened(frame, width, height)
            self._opened, self._ticks = (frame.epoch, width, height), frame.pts - 1
        self._ticks = max(self._ticks + 1, frame.pts)
        wanted = fresh or self.keyframe_wanted or self._ticks - self._keyframe_ticks >= KEYFRAME_EVERY_S * CLOCK_HZ
        picture = _picture(frame, width, height)
        picture.pts, picture.time_base = self._ticks, TICKS
        picture.pict_type = PictureType.I if wanted else PictureType.NONE
        if wanted:
            self.keyframe_wanted, self._keyframe_ticks = False, self._ticks
        made = [bytes(packet) for packet in self._context.encode(picture)]
        return tuple(
            EncodedFrame(
                "H264", data, is_keyframe("H264", data), frame.epoch, frame.pts, frame.rtp, frame.captured_unix_us,
                frame.received_s,
            )
            for data in made
        )  # fmt: skip


def _opened(frame: Frame, width: int, height: int) -> VideoCodecContext:
    encoder = open_encoder(width, height)
    encoder.color_range = ColorRange.JPEG if frame.colour.full_range else ColorRange.MPEG
    encoder.colorspace = Colorspace.ITU709 if frame.colour.matrix == "bt709" else Colorspace.ITU601
    return encoder


def _picture(frame: Frame, width: int, height: int) -> VideoFrame:
    """NV12 as the encoder's `yuv420p`."""
    picture = VideoFrame(width, height, "yuv420p")
    for plane, samples in zip(picture.planes, (frame.y, frame.uv[..., 0], frame.uv[..., 1]), strict=True):
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        rows[: plane.height, : plane.width] = samples[: plane.height, : plane.width]
    return picture


def _of(target: Target, box: tuple[float, float, float, float], size: tuple[int, int]) -> tuple[float, ...]:
    return head_of(box, size[0] / size[1]) if target.head else box
