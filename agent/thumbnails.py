"""Pictures of events, small enough to keep: what happened cut out of the frame on which it shows best."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from agent.geometry import unit_box
from agent.keyframes import Keyframe, Keyframes, Shot
from agent.types import BoxXyxy, Event
from agent.views import View
from stream.errors import FrameTooOld, NotFound

LONG_SIDE_PX = 320
JPEG_QUALITY = 80
PAD = 0.35
"""Of the objects' size, on each side: enough to see where they are."""
LEAST_SIDE = 0.25
"""Of the picture's own sides: a crop is no smaller."""


def picture_for(event: Event, keyframes: Keyframes) -> Shot | Keyframe | None:
    """The held frame that shows the event's objects: its own, or the nearest to it on which they are in sight."""
    try:
        if event.evidence is not None:
            return keyframes.find(event.evidence.frame)
        return keyframes.showing(event.frame, event.track_ids)
    except (NotFound, FrameTooOld):
        return None


def pictures_of(event: Event, shown: Shot | Keyframe) -> tuple[bytes, bytes | None]:
    """`(thumb, frame)`: a JPEG of the event's objects and, for an alert, one of the whole frame. Takes milliseconds:
    not for the event loop. Raises `ValueError` or `cv2.error`."""
    moment = shown.moment()
    assert moment.picture is not None
    shown_tracks = [track for track in moment.tracks if track.id in event.track_ids]
    boxes = [unit_box(track.box_xyxy_px, moment.width, moment.height) for track in shown_tracks]
    thumb = thumbnail(moment.picture, boxes or event.boxes_xyxy)
    if event.evidence is None:
        return thumb, None
    return thumb, shown.jpeg if isinstance(shown, Keyframe) else shown.keyframe().jpeg


def thumbnail(picture: View, boxes_xyxy: Iterable[BoxXyxy]) -> bytes:
    """What is around `boxes_xyxy` (in [0, 1]; the whole picture where there are none), as a JPEG of at most 320 px.
    Raises `ValueError` where it cannot be encoded."""
    height, width = picture.size
    boxes = np.array(list(boxes_xyxy) or [(0.0, 0.0, 1.0, 1.0)], np.float64)
    left, right = _span(boxes[:, 0].min(), boxes[:, 2].max(), width)
    top, bottom = _span(boxes[:, 1].min(), boxes[:, 3].max(), height)
    return picture.jpeg((left, top, right, bottom), LONG_SIDE_PX, JPEG_QUALITY)


def _span(low: float, high: float, length_px: int) -> tuple[int, int]:
    """The pixels from `low` to `high` (in [0, 1]) with some around them, moved into the picture."""
    low, high = min(max(low, 0.0), 1.0), min(max(high, 0.0), 1.0)
    size = min(1.0, max((high - low) * (1 + 2 * PAD), LEAST_SIDE))
    start = min(max((low + high - size) / 2, 0.0), 1.0 - size)
    first = min(round(start * length_px), length_px - 1)
    return first, max(first + 1, min(length_px, round((start + size) * length_px)))
