"""Pictures of events: what is cut out, from which frame, and how large it may be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from agent.keyframes import JPEG_LONG_SIDE_PX, Keyframes, Shot
from agent.thumbnails import picture_for, pictures_of, thumbnail
from agent.types import Evidence
from agent.views import View
from kernels.cpu import rle
from stream.types import Frame, FrameRef, Rle, Track, TrackState, TrackUpdate
from tests.stored import event

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
U8 = NDArray[np.uint8]


def frame(number: int, grey: int = 90, *, size: tuple[int, int] = (320, 240)) -> Frame:
    """A picture of one grey, `number` tenths of a second after the first."""
    width, height = size
    y = np.full((height, width), grey, np.uint8)
    uv = np.full((height // 2, width // 2, 2), 128, np.uint8)
    return Frame(number, 1, number * 9000, (number * 9000 - 45_000) % 2**32, None, 0.0, 0.0, y, uv)


def offered(keyframes: Keyframes, number: int, grey: int, *, seen: bool, size: tuple[int, int] = (320, 240)) -> Frame:
    picture = frame(number, grey, size=size)
    mask = Rle((240, 320), rle(np.ones((10, 10), np.uint8), size=(240, 320), at=(0, 0)))
    state = TrackState.LIVE if seen else TrackState.LOST
    track = Track(3, "cup", 1.0, (32.0, 24.0, 64.0, 48.0), mask if seen else None, state, 1, 1.0)
    at = NOON + timedelta(seconds=number / 10)
    shot = keyframes.offer(picture, TrackUpdate.of(picture, (track,)), at)
    if shot is not None:
        keyframes.add(shot.keyframe())
    return picture


def decoded(jpeg: bytes) -> U8:
    return np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), np.uint8)


@pytest.mark.parametrize(
    ("size", "boxes", "wanted"),
    [
        ((320, 240), [], (320, 240)),
        ((1920, 1080), [], (320, 180)),
        ((1080, 1920), [], (180, 320)),
        ((1920, 1080), [(0.4, 0.4, 0.6, 0.6)], (320, 180)),
        ((1920, 1080), [(0.5, 0.5, 0.5, 0.5)], (320, 180)),
        ((320, 240), [(0.0, 0.0, 0.01, 0.01)], (80, 60)),
        ((320, 240), [(-0.5, 0.2, 2.0, 0.4)], (320, 82)),
        ((2, 2), [(0.9, 0.9, 1.0, 1.0)], (1, 1)),
    ],
)
def test_a_thumbnail_is_small_and_in_the_picture(
    size: tuple[int, int], boxes: list[tuple[float, float, float, float]], wanted: tuple[int, int]
) -> None:
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    height, width = decoded(thumbnail(View(picture), boxes)).shape[:2]
    assert abs(width - wanted[0]) <= 1
    assert abs(height - wanted[1]) <= 1
    assert max(width, height) <= 320


def test_it_shows_all_of_the_objects_and_a_little_around_them() -> None:
    picture = np.zeros((400, 400, 3), np.uint8)
    picture[100:140, 100:140] = 255
    picture[200:240, 220:260] = 255
    shown = decoded(thumbnail(View(picture), [(0.25, 0.25, 0.35, 0.35), (0.55, 0.5, 0.65, 0.6)]))
    white = np.argwhere(shown[..., 0] > 128)
    assert abs(int((shown[..., 0] > 128).sum()) - 2 * 40 * 40 * (shown.shape[1] / 272) ** 2) < 400
    assert white.min() > 20
    assert (white.max(axis=0) < np.array(shown.shape[:2]) - 20).all()


def test_the_frame_is_the_one_on_which_the_object_shows() -> None:
    keyframes = Keyframes()
    pictures = [offered(keyframes, number, 10 * number, seen=number in (8, 9, 10)) for number in range(21)]

    def shown(number: int) -> int:
        told = event(frame=pictures[number].ref)
        found = picture_for(told, keyframes)
        assert found is not None
        ref = found.frame.ref if isinstance(found, Shot) else found.frame
        return next(picture.index for picture in pictures if picture.ref == ref)

    assert shown(9) in (8, 10), "the nearest that is held"
    assert shown(20) == 10, "it has left: the last that shows it"
    assert shown(1) in (8, 10), "it is just coming: the first that shows it"


def test_one_that_never_shows_has_the_picture_of_its_frame() -> None:
    keyframes = Keyframes()
    picture = offered(keyframes, 0, 50, seen=False)
    found = picture_for(event(frame=picture.ref, track_ids=(99,)), keyframes)
    assert isinstance(found, Shot)
    thumb, whole = pictures_of(event(frame=picture.ref, track_ids=(99,)), found)
    assert abs(int(decoded(thumb).mean()) - 40) < 8
    assert whole is None


def test_there_is_none_where_no_frame_is_held() -> None:
    keyframes = Keyframes()
    assert picture_for(event(), keyframes) is None
    offered(keyframes, 0, 50, seen=False)
    assert picture_for(event(frame=FrameRef(7, 0), track_ids=(99,)), keyframes) is None


def test_an_alert_keeps_its_whole_frame() -> None:
    keyframes = Keyframes()
    picture = offered(keyframes, 0, 50, seen=True, size=(1280, 720))
    alert = event(frame=FrameRef(1, 1), evidence=Evidence("a cup?", "rules", picture.ref))
    for held in (Shot(picture, TrackUpdate.of(picture, ()), NOON), next(keyframes.between(NOON, NOON))):
        thumb, whole = pictures_of(alert, held)
        assert whole is not None
        assert decoded(whole).shape == (JPEG_LONG_SIDE_PX * 9 // 16, JPEG_LONG_SIDE_PX, 3)
        assert max(decoded(thumb).shape) <= 320
