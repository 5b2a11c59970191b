"""What is cut out of pictures and encoded: where the picture is, no more than is asked for, and once."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import cv2
import numpy as np
import pytest

from agent import marks, query
from agent.keyframes import NEWEST_COUNT, Keyframes, Shot
from agent.scene import SceneLog
from agent.thumbnails import pictures_of
from agent.types import Moment
from agent.views import MOST_ENCODED, View
from stream.surfaces import CAPACITY, KEPT, DeviceFrame, Planes, SurfacePool
from stream.types import CLOCK_HZ, Frame, Track, TrackUpdate
from tests.kernels.pictures import nv12
from tests.moments import block
from tests.stand_in_device import StandInDevice
from tests.stored import event

START = datetime(2026, 1, 1, tzinfo=UTC)
SIZE = (240, 320)
LARGE = (720, 1280)


class Camera:
    """Frames on a device, or with `on_host` the same ones on the host."""

    def __init__(self, size: tuple[int, int] = SIZE, *, on_host: bool = False, kept: int = KEPT) -> None:
        self.device = StandInDevice()
        self.pool = SurfacePool(self.device, kept=kept)
        self.size, self._on_host = size, on_host
        self.count = 0

    def frame(self) -> Frame:
        self.count += 1
        number = self.count
        made, pts = nv12(*self.size, seed=number), number * CLOCK_HZ // 10
        identity = number, 1, pts, pts, None, number / 10, number / 10
        if self._on_host:
            return Frame(*identity, made.y, made.uv)
        surface = self.pool.fill(Planes(made.y, made.uv))
        assert surface is not None, "there is no room for the next picture"
        return DeviceFrame(*identity, surface=surface)

    def shot(self, *tracks: Track) -> Shot:
        frame = self.frame()
        return Shot(frame, TrackUpdate.of(frame, tracks), self.at)

    @property
    def at(self) -> datetime:
        return START + timedelta(seconds=self.count / 10)


def shows(moment: Moment, number: int) -> bool:
    """Whether it is about the picture `number` of a camera."""
    made = nv12(*SIZE, seed=number)
    right = View(Frame(0, 1, 0, 0, None, 0.0, 0.0, made.y, made.uv))
    assert moment.picture is not None
    return np.array_equal(moment.picture.part(right.whole, max(SIZE)), right.part(right.whole, max(SIZE)))


CUP, DOG = block(3, "cup", (40, 60, 120, 180)), block(5, "dog", (200, 40, 280, 220))


def test_what_is_cut_on_the_device_is_what_the_host_cuts() -> None:
    there, here = Camera().shot(CUP, DOG).moment(), Camera(on_host=True).shot(CUP, DOG).moment()
    assert np.array_equal(marks.crop(there, CUP.box_xyxy_px), marks.crop(here, CUP.box_xyxy_px))
    assert np.array_equal(marks.marked(there, [5])[0], marks.marked(here, [5])[0])
    assert marks.crop_jpeg(there, DOG.box_xyxy_px) == marks.crop_jpeg(here, DOG.box_xyxy_px)


def test_a_description_copies_one_crop_and_no_picture() -> None:
    camera = Camera(LARGE)
    query.describe_messages(CUP, camera.shot(CUP).moment(), SceneLog().snapshot())
    assert camera.device.reads == 0
    assert camera.device.cuts == [(156, 104)], "the box with a little around it"


def test_a_large_picture_comes_at_the_size_that_a_model_takes() -> None:
    camera = Camera((1440, 2560))
    picture, _ = marks.marked(camera.shot().moment())
    assert picture.shape == (720, 1280, 3)
    marks.crop(camera.shot().moment(), (0, 0, 2560, 1440))
    assert (camera.device.reads, camera.device.cuts) == (0, [(720, 1280), (720, 1280)])


def test_the_ring_is_on_the_device_and_takes_no_room_from_what_comes() -> None:
    camera, keyframes = Camera(LARGE), Keyframes()
    for _ in range(10 * (CAPACITY + KEPT)):
        frame = camera.frame()
        keyframes.offer(frame, TrackUpdate.of(frame, (CUP,)), camera.at)
    assert (camera.device.reads, camera.device.cuts) == (0, [])
    assert camera.pool.kept == NEWEST_COUNT
    assert len(camera.device.allocated) <= CAPACITY + KEPT


def test_a_keyframe_copies_its_own_size_and_is_encoded_once_for_all() -> None:
    camera = Camera(LARGE)
    shot = camera.shot(CUP)
    alert = event(frame=shot.frame.ref, track_ids=(3,))
    first, second = shot.keyframe(), shot.keyframe()
    assert first.jpeg is second.jpeg
    pictures_of(alert, shot)
    assert camera.device.reads == 0
    assert camera.device.cuts[0] == (360, 640)
    assert all(max(size) <= 320 for size in camera.device.cuts[1:])
    assert len(camera.device.cuts) == 2


def test_whoever_asks_for_the_same_of_a_picture_is_given_what_was_encoded() -> None:
    camera, keyframes = Camera(), Keyframes()
    frame = camera.frame()
    keyframes.offer(frame, TrackUpdate.of(frame, (CUP, DOG)), camera.at)
    moments = [moment for _ in range(3) for moment in (keyframes.find().moment(), keyframes.find(frame.ref).moment())]
    made: list[tuple[bytes, bytes]] = []

    def ask(moment: Moment) -> None:
        made.append((marks.marked_jpeg(moment, [3])[0], marks.crop_jpeg(moment, CUP.box_xyxy_px)))

    threads = [threading.Thread(target=ask, args=(moment,)) for moment in moments]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 6
    assert len({id(marked) for marked, _ in made}) == len({id(crop) for _, crop in made}) == 1
    assert len(camera.device.cuts) == 2
    marks.marked_jpeg(moments[0], [5])
    assert len(camera.device.cuts) == 3, "other marks are another picture"


def test_only_the_newest_jpegs_of_a_picture_are_kept() -> None:
    view = View(np.zeros((64, 64, 3), np.uint8))
    first = view.encoded("first", lambda: b"first")
    for number in range(MOST_ENCODED):
        view.encoded(number, lambda: b"other")
    assert view.encoded("first", lambda: b"again") == b"again"
    assert first == b"first"


def test_what_a_question_is_about_stays_however_long_the_answer_takes() -> None:
    camera, keyframes = Camera(), Keyframes()
    frame = camera.frame()
    keyframes.offer(frame, TrackUpdate.of(frame, (CUP,)), camera.at)
    asked, number = keyframes.find().moment(), camera.count
    del frame
    for _ in range(100):
        later = camera.frame()
        keyframes.offer(later, TrackUpdate.of(later, (CUP,)), camera.at)
        keyframes.find(), keyframes.showing(later.ref, (3,))
    assert shows(asked, number)
    assert camera.device.reads == 0


def test_what_is_held_beyond_the_devices_room_is_on_the_host() -> None:
    camera, keyframes = Camera(kept=2), Keyframes()
    held = []
    for _ in range(12):
        frame = camera.frame()
        keyframes.offer(frame, TrackUpdate.of(frame, (CUP,)), camera.at)
        held.append(keyframes.find().moment())
    assert camera.device.reads == 10
    assert all(shows(moment, number) for number, moment in enumerate(held, start=1))


@pytest.mark.parametrize("on_host", [True, False])
def test_a_part_is_new_and_may_be_drawn_on(on_host: bool) -> None:
    view = Camera(on_host=on_host).shot().view
    before = view.part(view.whole, 320)
    drawn = view.part(view.whole, 320)
    cv2.rectangle(drawn, (0, 0), (320, 240), (0, 0, 255), cv2.FILLED)
    assert np.array_equal(view.part(view.whole, 320), before)
