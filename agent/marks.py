"""Pictures for the model: the frame with numbered objects on it, and clean crops of single ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.types import Moment
from agent.views import View
from kernels import cpu
from kernels.images import Window
from stream.snapshot import to_jpeg
from stream.types import Track

U8 = NDArray[np.uint8]
MOST_MARKS = 12
LONG_SIDE_PX = 1280
CROP_PAD = 0.15
CROP_MIN_PX = 64
JPEG_QUALITY = 88
_INK = ((0, 0, 0), (255, 255, 255))


def visible(moment: Moment) -> tuple[Track, ...]:
    """The tracks that can be seen on the frame, largest first."""
    seen = [track for track in moment.tracks if track.mask is not None]
    return tuple(sorted(seen, key=lambda track: -_area(track)))


def marked(moment: Moment, ids: Iterable[int] = ()) -> tuple[U8, tuple[int, ...]]:
    """The frame with a thin contour round at most 12 objects and each one's number in its middle, those of `ids`
    first, then the largest; and the numbers that were drawn, in that order.

    Returns `(h, w, 3)` uint8 BGR, its long side at most 1280 px. Raises `ValueError` where the moment has no picture.
    """
    tracks = _chosen(moment, ids)
    return _drawn(moment, tracks), tuple(track.id for track in tracks)


def marked_jpeg(moment: Moment, ids: Iterable[int] = ()) -> tuple[bytes, tuple[int, ...]]:
    """The same as a JPEG, drawn and encoded once for all who ask for these marks on this picture."""
    tracks = _chosen(moment, ids)
    key = "marked", tuple((track.id, track.mask) for track in tracks)
    made = _view(moment).encoded(key, lambda: to_jpeg(_drawn(moment, tracks), JPEG_QUALITY))
    return made, tuple(track.id for track in tracks)


def crop(moment: Moment, box_xyxy_px: Sequence[float]) -> U8:
    """What is inside of a box (in pixels of the decoded frame) and a little around it, unmarked.

    Returns `(h, w, 3)` uint8 BGR, at least 64 px each way where the frame is, and its long side at most 1280. Raises
    `ValueError` without a picture.
    """
    return _view(moment).part(_window(moment, box_xyxy_px), LONG_SIDE_PX)


def crop_jpeg(moment: Moment, box_xyxy_px: Sequence[float]) -> bytes:
    """The same as a JPEG, cut and encoded once for all who ask for it."""
    return _view(moment).jpeg(_window(moment, box_xyxy_px), LONG_SIDE_PX, JPEG_QUALITY)


def _view(moment: Moment) -> View:
    if moment.picture is None:
        raise ValueError("the moment has no picture")
    return moment.picture


def _window(moment: Moment, box_xyxy_px: Sequence[float]) -> Window:
    height, width = _view(moment).size
    sx, sy = width / moment.width, height / moment.height
    x0, y0, x1, y1 = box_xyxy_px[0] * sx, box_xyxy_px[1] * sy, box_xyxy_px[2] * sx, box_xyxy_px[3] * sy
    left, right = _padded(x0, x1, width)
    top, bottom = _padded(y0, y1, height)
    return left, top, right, bottom


def _chosen(moment: Moment, ids: Iterable[int]) -> list[Track]:
    wanted = set(ids)
    return sorted(visible(moment), key=lambda track: track.id not in wanted)[:MOST_MARKS]


def _drawn(moment: Moment, tracks: Sequence[Track]) -> U8:
    view = _view(moment)
    picture = view.part(view.whole, LONG_SIDE_PX)
    for track in tracks:
        _contour(picture, track)
    for track in tracks:
        _number(picture, track, picture.shape[1] / moment.width)
    return picture


def _contour(picture: U8, track: Track) -> None:
    mask = _mask(track, picture.shape[:2])
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    for thickness, ink in zip((3, 1), _INK, strict=True):
        cv2.drawContours(picture, contours, -1, ink, thickness, cv2.LINE_AA)


def _number(picture: U8, track: Track, scale: float) -> None:
    """White on black at the point of the mask that is farthest from its border."""
    mask = _mask(track, picture.shape[:2])
    _, _, _, (x, y) = cv2.minMaxLoc(cpu.depths(mask))
    size = max(0.45, min(1.0, 0.6 * scale * picture.shape[1] / LONG_SIDE_PX + 0.3))
    text = str(track.id)
    (width, height), baseline = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 2)
    left = int(np.clip(x - width // 2, 2, max(2, picture.shape[1] - width - 2)))
    bottom = int(np.clip(y + height // 2, height + 2, max(height + 2, picture.shape[0] - baseline - 2)))
    cv2.rectangle(picture, (left - 3, bottom - height - 4), (left + width + 2, bottom + 4), (0, 0, 0), cv2.FILLED)
    cv2.putText(picture, text, (left, bottom), cv2.FONT_HERSHEY_SIMPLEX, size, (255, 255, 255), 2, cv2.LINE_AA)


def _mask(track: Track, size: tuple[int, ...]) -> U8:
    assert track.mask is not None
    mask = cpu.rle_decode(track.mask.size, track.mask.counts)
    return np.asarray(cv2.resize(mask, (size[1], size[0]), interpolation=cv2.INTER_NEAREST), np.uint8)


def _area(track: Track) -> float:
    x0, y0, x1, y1 = track.box_xyxy_px
    return (x1 - x0) * (y1 - y0)


def _padded(low: float, high: float, limit: int) -> tuple[int, int]:
    pad = max((high - low) * CROP_PAD, (CROP_MIN_PX - (high - low)) / 2)
    first, last = max(0, int(low - pad)), min(limit, int(np.ceil(high + pad)))
    return (first, last) if last > first else (max(0, min(first, limit - 1)), max(1, min(limit, first + 1)))
