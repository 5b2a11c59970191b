"""One frame as a JPEG, with its tracks drawn on it by choice."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from kernels.cpu import box, rle_decode
from kernels.images import Look, composite
from kernels.masks import upsample_owner
from stream.types import Frame, Rle, Track

# Okabe and Ito's palette for colour-blind readers, as BGR, without black; the page uses the same order.
PALETTE_BGR = (
    (0, 159, 230), (233, 180, 86), (115, 158, 0), (66, 228, 240), (178, 114, 0), (0, 94, 213), (167, 121, 204),
)  # fmt: skip
FILL_OPACITY = 0.35
LOOK = Look(outline_px=3)
SMOOTHING = 1.2  # of a mask's edge, in pixels of the mask
JPEG_QUALITY = 85

U8 = NDArray[np.uint8]


def encode_jpeg(frame: Frame, tracks: Sequence[Track] = ()) -> bytes:
    """`frame` as JPEG. Masks are stretched over the picture, filled lightly, outlined, and labelled `#id label`; where
    they overlap the smaller one is in front."""
    picture = frame.to_bgr()
    masked = [(track, track.mask) for track in tracks if track.mask is not None]
    if masked:
        picture = _with_masks(picture, masked)
    for track, _ in masked:
        _label(picture, track)
    return to_jpeg(picture, JPEG_QUALITY)


def to_jpeg(picture: U8, quality: int) -> bytes:
    """A `(h, w, 3)` uint8 BGR picture as JPEG of `quality` 0..100. Raises `ValueError` where it cannot be encoded."""
    ok, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not ok:
        raise ValueError("the picture could not be encoded as JPEG")
    return encoded.tobytes()


def _with_masks(picture: U8, masked: Sequence[tuple[Track, Rle]]) -> U8:
    grid = max((mask.size for _, mask in masked), key=lambda size: size[0] * size[1])
    planes = [_on_grid(rle_decode(mask.size, mask.counts), grid) for _, mask in masked]
    order = np.argsort([np.count_nonzero(plane) for plane in planes], kind="stable").astype(np.int32)
    logits = np.empty((len(planes), *grid), np.float32)
    stats = np.zeros((len(planes), 8), np.int32)
    for plane, depth, row in zip(planes, logits, stats, strict=True):
        depth[:] = _depth(plane)
        row[2:6] = box((depth > 0).view(np.uint8)) or (0, 0, 0, 0)
    height, width = picture.shape[:2]
    owner = upsample_owner(logits, stats, order, (height, width)).owner[0]
    palette = np.zeros((len(planes) + 1, 4), np.uint8)
    for row, (track, _) in zip(palette[1:], masked, strict=True):
        row[:] = (*PALETTE_BGR[(track.id - 1) % len(PALETTE_BGR)], round(FILL_OPACITY * 255))
    return np.asarray(composite(picture, owner, palette, logits=logits, look=LOOK), np.uint8)


def _on_grid(mask: U8, grid: tuple[int, int]) -> U8:
    if mask.shape == grid:
        return mask
    return np.asarray(cv2.resize(mask, grid[::-1], interpolation=cv2.INTER_NEAREST), np.uint8)


def _depth(mask: U8) -> NDArray[np.float32]:
    """How deep inside the mask each pixel is, negative outside, smoothed: what gives a binary mask an even edge."""
    inside, outside = (cv2.distanceTransform(part, cv2.DIST_L2, 3) for part in (mask, 1 - mask))
    # With nothing to be distant from, OpenCV's distances are huge.
    depth = np.where(mask > 0, np.minimum(inside, 1e4) - 0.5, 0.5 - np.minimum(outside, 1e4))
    return np.asarray(cv2.GaussianBlur(depth.astype(np.float32), (0, 0), SMOOTHING), np.float32)


def _label(picture: U8, track: Track) -> None:
    text = f"#{track.id} {track.label}"
    origin = (max(2, int(track.box_xyxy_px[0])), max(14, int(track.box_xyxy_px[1]) - 4))
    for thickness, ink in ((4, (0, 0, 0)), (1, (255, 255, 255))):
        cv2.putText(picture, text, origin, cv2.FONT_HERSHEY_SIMPLEX, 0.5, ink, thickness, cv2.LINE_AA)
