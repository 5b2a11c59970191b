"""Snapshots: the picture alone, and with masks on it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from kernels.cpu import rle
from stream.snapshot import PALETTE_BGR, encode_jpeg
from stream.types import Frame, Rle, Track, TrackState

HEIGHT, WIDTH = 240, 320
GREY = 120


def frame() -> Frame:
    y, uv = np.full((HEIGHT, WIDTH), GREY, np.uint8), np.full((HEIGHT // 2, WIDTH // 2, 2), 128, np.uint8)
    return Frame(0, 0, 0, 0, None, 0.0, 0.0, y, uv)


def track(id_: int, mask: NDArray[np.uint8] | None) -> Track:
    code = None if mask is None else Rle((mask.shape[0], mask.shape[1]), rle(mask))
    return Track(id_, "cup", 0.9, (200.0, 230.0, 240.0, 239.0), code, TrackState.LIVE, None, 1.0)


def rectangle(y0: int, y1: int, x0: int, x1: int, size: tuple[int, int] = (120, 160)) -> NDArray[np.uint8]:
    mask = np.zeros(size, np.uint8)
    mask[y0:y1, x0:x1] = 1
    return mask


def picture(*tracks: Track) -> NDArray[np.int64]:
    decoded = cv2.imdecode(np.frombuffer(encode_jpeg(frame(), tracks), np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape == (HEIGHT, WIDTH, 3)
    return decoded.astype(np.int64)


def near(pixel: NDArray[np.int64], colour: NDArray[np.float64], tolerance: int = 14) -> bool:
    return bool(np.abs(pixel - colour).max() <= tolerance)


def tinted(id_: int) -> NDArray[np.float64]:
    grey = picture()[0, 0]
    return grey + 0.35 * (np.array(PALETTE_BGR[id_ - 1]) - grey)


def test_without_masks_it_is_the_picture() -> None:
    plain = picture()
    assert np.ptp(plain) <= 2
    assert np.array_equal(picture(track(1, None)), plain)


def test_a_mask_is_filled_lightly_and_outlined_where_it_ends() -> None:
    marked = picture(track(1, rectangle(30, 90, 40, 100)))
    assert near(marked[120, 140], tinted(1))
    assert near(marked[120, 82], np.array(PALETTE_BGR[0]), 60)
    assert near(marked[120, 70], picture()[0, 0])
    assert near(marked[20, 20], picture()[0, 0])


def test_the_smaller_of_two_is_in_front_whatever_the_order() -> None:
    small, large = rectangle(50, 70, 60, 80), rectangle(20, 100, 20, 120)
    for tracks in ((track(1, small), track(2, large)), (track(2, large), track(1, small))):
        marked = picture(*tracks)
        assert near(marked[120, 140], tinted(1))
        assert near(marked[120, 70], tinted(2))


def test_masks_of_different_sizes_cover_the_same_picture() -> None:
    marked = picture(track(1, rectangle(30, 90, 0, 60)), track(2, rectangle(15, 45, 50, 80, (60, 80))))
    assert near(marked[120, 60], tinted(1))
    assert near(marked[120, 260], tinted(2))


def test_empty_full_and_tiny_masks_do_no_harm() -> None:
    empty, full, dot = rectangle(0, 0, 0, 0), rectangle(0, 120, 0, 160), rectangle(10, 11, 10, 11)
    plain = picture()
    assert np.abs(picture(track(1, empty))[:200] - plain[:200]).max() <= 2
    assert near(picture(track(1, full))[100, 100], tinted(1))
    assert near(picture(track(1, dot))[100, 100], plain[0, 0])


def test_ids_beyond_the_palette_begin_it_again() -> None:
    marked = picture(track(len(PALETTE_BGR) + 1, rectangle(30, 90, 40, 100)))
    assert near(marked[120, 140], tinted(1))
