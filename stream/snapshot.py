"""One frame as a JPEG, with its tracks drawn on it by choice."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

from kernels.cpu import rle_decode
from stream.types import Frame, Track

# Okabe and Ito's palette for colour-blind readers, as BGR, without black; the page uses the same order.
PALETTE_BGR = (
    (0, 159, 230), (233, 180, 86), (115, 158, 0), (66, 228, 240), (178, 114, 0), (0, 94, 213), (167, 121, 204),
)  # fmt: skip
FILL_OPACITY = 0.35
JPEG_QUALITY = 85


def encode_jpeg(frame: Frame, tracks: Iterable[Track] = ()) -> bytes:
    """`frame` as JPEG. Masks are stretched over the picture, filled lightly, outlined, and labelled `#id label`."""
    picture = frame.to_bgr()
    for track in tracks:
        if track.mask is not None:
            _draw(picture, track)
    ok, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not ok:
        raise ValueError("the frame could not be encoded as JPEG")
    return encoded.tobytes()


def _draw(picture: np.ndarray, track: Track) -> None:
    colour = PALETTE_BGR[(track.id - 1) % len(PALETTE_BGR)]
    height, width = picture.shape[:2]
    assert track.mask is not None
    mask = cv2.resize(rle_decode(track.mask.size, track.mask.counts), (width, height), interpolation=cv2.INTER_LINEAR)
    inside = mask > 0
    picture[inside] = (picture[inside] * (1 - FILL_OPACITY) + np.array(colour) * FILL_OPACITY).astype(np.uint8)
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    cv2.drawContours(picture, contours, -1, colour, 2, cv2.LINE_AA)
    x0, y0 = int(track.box_xyxy_px[0]), int(track.box_xyxy_px[1])
    text = f"#{track.id} {track.label}"
    for thickness, ink in ((4, (0, 0, 0)), (1, (255, 255, 255))):
        origin = (max(2, x0), max(14, y0 - 4))
        cv2.putText(picture, text, origin, cv2.FONT_HERSHEY_SIMPLEX, 0.5, ink, thickness, cv2.LINE_AA)
