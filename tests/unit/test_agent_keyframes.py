"""The pictures of the last minute."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from agent.keyframes import JPEG_MAX_BYTES, Keyframe, Keyframes, Shot
from stream.errors import FrameTooOld, NotFound
from stream.types import CLOCK_HZ, Frame, FrameRef, Track, TrackState, TrackUpdate

START = datetime(2026, 1, 1, tzinfo=UTC)
FIRST_RTP = 2**32 - 5 * CLOCK_HZ
"""The RTP clock wraps five seconds into each test."""


def shot(second: float, *, epoch: int = 1, size: tuple[int, int] = (48, 64), luma: int = 128) -> Shot:
    pts = round(second * CLOCK_HZ)
    rtp = (FIRST_RTP + pts) % 2**32
    y = np.full(size, luma, np.uint8)
    uv = np.full((size[0] // 2, size[1] // 2, 2), 128, np.uint8)
    frame = Frame(round(second * 30), epoch, pts, rtp, None, second, second, y, uv)
    track = Track(1, "cup", 0.9, (1, 2, 3, 4), None, TrackState.LIVE, 1, second)
    return Shot(frame, TrackUpdate.of(frame, (track,)), START + timedelta(seconds=second))


def play(keyframes: Keyframes, seconds: float, fps: int = 10, start_s: float = 0.0) -> None:
    for index in range(round(seconds * fps)):
        item = shot(start_s + index / fps, luma=index % 200)
        due = keyframes.offer(item.frame, item.update, item.at)
        if due is not None:
            keyframes.add(due.keyframe())


def test_without_a_picture_there_is_nothing_to_ask_about() -> None:
    with pytest.raises(NotFound):
        Keyframes().find()


def test_the_newest_frame_is_whole_and_has_its_tracks() -> None:
    keyframes = Keyframes()
    play(keyframes, 2)
    found = keyframes.find()
    assert isinstance(found, Shot)
    assert found.frame.pts == round(1.9 * CLOCK_HZ)
    moment = found.moment()
    assert moment.picture is not None
    assert moment.picture.size == (48, 64)
    assert [track.id for track in moment.tracks] == [1]


def test_a_frame_under_the_pointer_is_found_across_the_wrap_of_its_clock() -> None:
    keyframes = Keyframes()
    play(keyframes, 5.5)
    wanted = shot(4.9).frame.ref
    found = keyframes.find(wanted)
    moment = found.moment()
    assert abs(moment.pts / CLOCK_HZ - 4.9) <= 0.2


@pytest.mark.parametrize("fps", [10, 15, 30])
def test_what_was_just_seen_is_whole_whichever_frame_is_named(fps: int) -> None:
    keyframes = Keyframes()
    play(keyframes, 5, fps)
    for second in np.arange(5 - 1.4, 5 - 0.5 / fps, 1 / fps):
        found = keyframes.find(shot(float(second)).frame.ref)
        assert isinstance(found, Shot), f"a smaller picture for {second:.2f} s"
        assert abs(found.frame.pts / CLOCK_HZ - second) <= 0.12


def test_what_is_known_later_of_a_frame_is_held_with_it() -> None:
    keyframes = Keyframes()
    first = shot(0)
    due = keyframes.offer(first.frame, TrackUpdate.of(first.frame, ()), first.at)
    assert due is not None
    jpeg = due.keyframe()
    assert keyframes.offer(first.frame, first.update, first.at + timedelta(seconds=1)) is None, "the same picture"
    assert [track.id for track in keyframes.find().moment().tracks] == [1]
    keyframes.add(jpeg)
    later = shot(0.1)
    keyframes.offer(later.frame, later.update, later.at)
    found = keyframes.find(first.frame.ref)
    assert isinstance(found, Shot)
    assert [track.id for track in found.update.tracks] == [1]
    assert found.keyframe().jpeg is jpeg.jpeg, "encoded once"
    assert keyframes.newest_jpeg is not None
    assert [track.id for track in keyframes.newest_jpeg.tracks] == [1]


def test_a_frame_of_the_last_minute_is_found_among_the_jpegs() -> None:
    keyframes = Keyframes()
    play(keyframes, 30)
    found = keyframes.find(shot(3.1).frame.ref)
    assert isinstance(found, Keyframe)
    assert abs(found.pts / CLOCK_HZ - 3.1) <= 0.4
    picture = found.moment().picture
    assert picture is not None
    assert picture.size == (48, 64)


@pytest.mark.parametrize("ref", [FrameRef(2, FIRST_RTP), FrameRef(1, (FIRST_RTP + 100 * CLOCK_HZ) % 2**32)])
def test_a_frame_of_another_epoch_or_time_is_too_old(ref: FrameRef) -> None:
    keyframes = Keyframes()
    play(keyframes, 3)
    with pytest.raises(FrameTooOld):
        keyframes.find(ref)


def test_two_jpegs_a_second_for_a_minute_and_no_more() -> None:
    keyframes = Keyframes()
    play(keyframes, 90, fps=5)
    held = list(keyframes.between(START, START + timedelta(seconds=90)))
    assert 119 <= len(held) <= 122
    assert held[0].at >= START + timedelta(seconds=29)
    apart_s = {round((later.at - earlier.at).total_seconds(), 1) for earlier, later in itertools.pairwise(held)}
    assert apart_s == {0.4, 0.6}


def test_the_jpegs_stay_within_their_bytes_however_large() -> None:
    keyframes = Keyframes()
    noise = np.random.default_rng(0).integers(0, 256, (720, 1280), dtype=np.uint8)
    base = shot(0, size=(720, 1280))
    frame = Frame(0, 1, 0, 0, None, 0, 0, noise, base.frame.uv)
    keyframe = Shot(frame, base.update, START).keyframe()
    assert keyframe.width == 1280
    for index in range(200):
        keyframes.add(
            Keyframe(keyframe.frame, index, START + timedelta(seconds=index / 4), 1280, 720, (), keyframe.jpeg)
        )
        assert keyframes.bytes_held <= JPEG_MAX_BYTES
    assert keyframes.bytes_held > JPEG_MAX_BYTES // 2


def test_a_large_picture_is_kept_at_640_pixels() -> None:
    picture = shot(0, size=(720, 1280)).keyframe().moment().picture
    assert picture is not None
    assert picture.size == (360, 640)


def test_what_leaves_is_shown_as_it_was_and_what_comes_as_it_is() -> None:
    keyframes = Keyframes()
    for index in range(20):
        item = shot(index / 10)
        update = item.update if index <= 12 else TrackUpdate.of(item.frame, ())
        due = keyframes.offer(item.frame, update, item.at)
        if due is not None:
            keyframes.add(due.keyframe())
    left, came = shot(1.9).frame.ref, shot(0.6).frame.ref
    before, there = keyframes.showing(left, (1,)), keyframes.showing(came, (1,))
    assert 0.9 <= before.moment().pts / CLOCK_HZ <= 1.2, "the last picture that is held with it"
    assert there.moment().pts / CLOCK_HZ == 0.6
    assert keyframes.showing(left, ()).moment().pts / CLOCK_HZ == 1.9
    assert isinstance(before, Shot)
    keyframes.keep_proof(left, before.keyframe())
    kept = keyframes.proof(left)
    assert isinstance(kept, Keyframe)
    assert kept.pts == before.frame.pts


def test_a_question_about_a_frame_on_which_something_happened_is_about_that_frame_and_whole() -> None:
    keyframes = Keyframes()
    play(keyframes, 2)
    left = shot(1.8).frame.ref
    earlier = keyframes.find(shot(1.0).frame.ref)
    assert isinstance(earlier, Shot)
    keyframes.keep_proof(left, earlier.keyframe())
    asked = keyframes.find(left)
    assert isinstance(asked, Shot)
    assert abs(asked.frame.pts / CLOCK_HZ - 1.8) <= 0.12
    play(keyframes, 70, start_s=2)
    kept = keyframes.find(left)
    assert isinstance(kept, Keyframe), "when nothing else is left of it"
    assert kept.frame == earlier.frame.ref
