"""Compressed pictures become files that any player takes, each picture at its own time, none encoded again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from stream.errors import MediaError
from stream.mux import mux, picture_times, presentation_times
from stream.ring import PacketRing, format_of
from stream.types import Codec
from tests.clip_frames import Camera, number_of, numbers_in, ref


@pytest.mark.parametrize("codec", ["H264", "VP8"])
def test_each_picture_is_in_the_file_at_its_own_time(codec: Codec, tmp_path: Path) -> None:
    frames = Camera(codec).film(45)
    muxed = mux(frames)
    assert muxed.data.count(frames[7].data[16:80]) == 1  # the very bytes that came
    assert (muxed.width, muxed.height) == (160, 120)
    expected = dict(zip(muxed.pts, (number_of(frame) for frame in frames), strict=True))
    assert numbers_in(muxed.data) == expected
    path = tmp_path / f"clip{muxed.container.suffix}"
    path.write_bytes(muxed.data)
    assert picture_times(path) == [pytest.approx(pts / muxed.container.clock_hz) for pts in muxed.pts]
    assert muxed.duration_s == pytest.approx(45 / 30, abs=0.002)


def test_times_begin_at_zero_and_never_stand_still() -> None:
    frames = Camera("VP8").film(4)
    odd = [frames[0], replace(frames[1], pts=30), replace(frames[2], pts=10), replace(frames[3], pts=9000)]
    assert presentation_times(odd) == (0, 1, 2, 100)


def test_what_cannot_be_packed_is_an_error_with_words() -> None:
    (frame,) = Camera().film(1)
    with pytest.raises(MediaError, match="cannot be packed"):
        mux([replace(frame, data=b"\0\0\1\x65 no picture")])


def test_a_file_that_is_none_has_no_times(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"not a video")
    with pytest.raises(MediaError, match=r"clip\.mp4"):
        picture_times(path)


# --- the ring --------------------------------------------------------------------------------------------------------


def test_a_ring_begins_with_a_keyframe_and_keeps_whole_groups() -> None:
    camera = Camera(group=10)
    ring = PacketRing(1.0, 1 << 30)
    frames = camera.film(95)
    assert all(ring.push(frame) is None for frame in frames[5:10])
    for frame in frames[10:]:
        assert ring.push(frame) is not None
    held = [number_of(item.frame) for item in ring.since(float("-inf"))]
    # The last is number 94: one second before it is 64, in the group that begins at 60.
    assert held == list(range(60, 95))
    assert [number_of(item.frame) for item in ring.since(frames[75].received_s)] == list(range(70, 95))
    assert number_of(ring.since(frames[80].received_s)[0].frame) == 80
    assert ring.find(ref(frames[77])) == frames[77]
    assert ring.find(ref(frames[12])) is None
    assert ring.newest_s == frames[94].received_s


def test_a_ring_is_bounded_by_bytes_and_lets_the_oldest_groups_go() -> None:
    frames = Camera(group=10).film(60)
    room = sum(len(frame.data) for frame in frames[25:])
    ring = PacketRing(1000.0, room)
    for frame in frames:
        ring.push(frame)
        assert ring.bytes <= room
    assert number_of(ring.since(0.0)[0].frame) == 30


def test_a_group_that_is_too_large_is_let_go_of_and_the_next_one_taken() -> None:
    frames = Camera(group=20).film(25)
    ring = PacketRing(1000.0, sum(len(frame.data) for frame in frames[:15]))
    taken = [ring.push(frame) is not None for frame in frames]
    assert len(ring.since(0.0)) == 5
    assert taken[16:20] == [False] * 4
    assert all(taken[20:])


def test_another_size_codec_or_epoch_is_another_format() -> None:
    camera = Camera()
    (first,) = camera.film(1)
    camera.size = (320, 240)
    (smaller,) = camera.film(1)
    (vp8,) = Camera("VP8").film(1)
    (small_vp8,) = Camera("VP8", size=(320, 240)).film(1)
    formats = {format_of(frame) for frame in (first, smaller, vp8, small_vp8, replace(first, epoch=2))}
    assert len(formats) == 5
    again = Camera(group=2).film(3)
    assert format_of(again[0]) == format_of(again[2])


def test_a_ring_forgets_and_begins_again_with_a_keyframe() -> None:
    frames = Camera(group=10).film(15)
    ring = PacketRing(1000.0, 1 << 30)
    for frame in frames[:5]:
        ring.push(frame)
    ring.clear()
    assert (len(ring), ring.bytes, ring.since(0.0)) == (0, 0, [])
    assert ring.push(frames[5]) is None
    assert ring.push(frames[10]) is not None
