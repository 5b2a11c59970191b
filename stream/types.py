"""The values that pass between the stages.

Three clocks, told apart by suffix: `pts`/`rtp` are media time (90 kHz ticks), `_s`/`_ms` monotonic durations or
instants, `_at` wall clock. Boxes are `(x0, y0, x1, y1)`, half-open, in pixels of the decoded frame.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from kernels.images import Window

CLOCK_HZ = 90_000
"""Ticks a second of `pts` and `rtp`."""

Codec = Literal["VP8", "H264"]
BoxXyxyPx = tuple[float, float, float, float]
U8 = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class FrameRef:
    """Names one frame of a stream: the epoch it belongs to and its publisher's RTP timestamp (u32)."""

    epoch: int
    rtp: int


@dataclass(frozen=True, slots=True)
class EncodedFrame:
    """One compressed picture, complete, in decoding order.

    `data` is a VP8 frame or an H.264 access unit in Annex B form (parameter sets before each IDR).
    `pts` is unwrapped and starts at 0 in each epoch. `captured_unix_us` is the sender's own wall clock, a key for
    the page that sent the frame, never compared with ours; None until it is known. `received_s` is `time.monotonic()`
    when the last packet came.
    """

    codec: Codec
    data: bytes
    keyframe: bool
    epoch: int
    pts: int
    rtp: int
    captured_unix_us: int | None
    received_s: float


@dataclass(frozen=True, slots=True)
class Colour:
    """How YUV maps to RGB. Untagged video is taken as limited-range BT.601."""

    matrix: Literal["bt601", "bt709"] = "bt601"
    full_range: bool = False


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded picture in NV12.

    `y` is `(height, width)` uint8, `uv` is `(ceil(height/2), ceil(width/2), 2)` uint8, both in host memory and never
    written to; of a `DeviceFrame` they are copied there when they are first asked for. `index` counts decoded frames
    since the stream opened and never resets. `decoded_s` is `time.monotonic()` after decoding.
    """

    index: int
    epoch: int
    pts: int
    rtp: int
    captured_unix_us: int | None
    received_s: float
    decoded_s: float
    y: U8
    uv: U8
    colour: Colour = Colour()

    @property
    def ref(self) -> FrameRef:
        return FrameRef(self.epoch, self.rtp)

    @property
    def width(self) -> int:
        return int(self.y.shape[1])

    @property
    def height(self) -> int:
        return int(self.y.shape[0])

    def kept(self) -> Frame:
        """The same, for whoever holds it for longer than a moment: of frames elsewhere a stream has few. May copy it to
        the host."""
        return self

    def cut(self, window: Window, size: tuple[int, int]) -> U8:
        """What is in `window` (left, top, right, bottom, in whole pixels) as `(*size, 3)` uint8 BGR, as large or
        smaller. Of a frame elsewhere it is made there, and only that is copied; the calling thread waits for it."""
        from kernels.images import Nv12, cut_out

        picture = Nv12(self.y, self.uv, self.colour.matrix, self.colour.full_range)
        return np.asarray(cut_out(picture, window, size=size), np.uint8)

    def to_bgr(self) -> U8:
        """`(height, width, 3)` uint8, BGR. Converts at each call: keep the result where it is used twice."""
        from kernels.cpu import nv12_to_bgr

        return nv12_to_bgr(self.y, self.uv, matrix=self.colour.matrix, full_range=self.colour.full_range)


class PromptKind(StrEnum):
    TEXT = "text"
    POINTS = "points"
    BOX = "box"
    EXEMPLAR = "exemplar"
    MASK = "mask"


@dataclass(frozen=True, slots=True)
class Point:
    """A click in pixels of the frame that the prompt names."""

    x_px: float
    y_px: float
    positive: bool = True


@dataclass(frozen=True, slots=True)
class Rle:
    """A binary mask as COCO's compressed run-length encoding, stretched over the whole picture.

    `size` is `(height, width)` of the mask grid; `counts` is the ASCII string that pycocotools reads.
    """

    size: tuple[int, int]
    counts: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a user asked to be followed.

    `frame` is the frame under the pointer when the prompt was made; None means the newest. `track_id` names the track
    that the prompt refines, if any. Coordinates are pixels of that frame.
    """

    id: int
    kind: PromptKind
    text: str | None = None
    points: tuple[Point, ...] = ()
    box_xyxy_px: BoxXyxyPx | None = None
    mask: Rle | None = None
    positive: bool = True
    track_id: int | None = None
    frame: FrameRef | None = None


class PromptState(StrEnum):
    PENDING = "pending"
    ACTIVE = "active"
    FAILED = "failed"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class PromptChange:
    """A prompt's new state, with words for the user where it failed or was narrowed.

    `alternatives` are boxes that the user may have meant instead: for a click inside a detected object, the whole
    object (`("whole", box)`) or the part that was taken (`("part", box)`).
    """

    prompt_id: int
    state: PromptState
    message: str | None = None
    track_ids: tuple[int, ...] = ()
    alternatives: tuple[tuple[str, BoxXyxyPx], ...] = ()


class TrackState(StrEnum):
    TENTATIVE = "tentative"
    LIVE = "live"
    LOST = "lost"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Track:
    """One followed object on one frame. `id` is never reused within a stream; `age_s` counts media time since birth.

    A lost track keeps the box where it was last seen and has no mask.
    """

    id: int
    label: str
    score: float
    box_xyxy_px: BoxXyxyPx
    mask: Rle | None
    state: TrackState
    prompt_id: int | None
    age_s: float


@dataclass(frozen=True, slots=True)
class TrackUpdate:
    """All that an engine says of one frame of one stream."""

    epoch: int
    index: int
    pts: int
    rtp: int
    captured_unix_us: int | None
    width: int
    height: int
    tracks: tuple[Track, ...]
    prompt_changes: tuple[PromptChange, ...] = ()
    timings_ms: dict[str, float] = field(default_factory=dict)

    @staticmethod
    def of(frame: Frame, tracks: tuple[Track, ...], prompt_changes: tuple[PromptChange, ...] = ()) -> TrackUpdate:
        """An update that carries `frame`'s identity."""
        return TrackUpdate(
            frame.epoch, frame.index, frame.pts, frame.rtp, frame.captured_unix_us, frame.width, frame.height,
            tracks, prompt_changes,
        )  # fmt: skip
