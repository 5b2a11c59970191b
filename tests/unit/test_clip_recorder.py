"""A clip begins at the last keyframe before the wanted moment, is shared by events near each other, and holds them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import cast

import pytest

from agent.clips import recorder as module
from agent.clips.cut import Part
from agent.clips.files import annotation_lines
from agent.clips.recorder import Finished, Lengths, StreamClips
from agent.types import Event, EventKind
from stream.facts import FactLog
from stream.mux import mux
from stream.relay import PacketRelay
from stream.session import StreamSession
from stream.types import Codec, EncodedFrame, FrameRef
from tests.clip_frames import Camera, labels_in, number_of, numbers_in, ref, update_of
from web.clips import clip_line

LENGTHS = Lengths(before_s=1.0, after_s=1.0, longest_s=4.0)


class Stream:
    """What a recorder sees of a stream, and what it makes of it."""

    id = "cam"
    kind = "webrtc"

    def __init__(self, lengths: Lengths = LENGTHS) -> None:
        self.relay = PacketRelay()
        self.facts = FactLog()
        self.on = True
        self.keyframes_asked = 0
        self.finished: list[Finished] = []
        self.told: dict[str, str] = {}
        self.without: list[Part] = []
        self.clips = StreamClips(
            cast(StreamSession, self),
            lengths,
            wanted=lambda: self.on,
            told=lambda event_id, clip_id: self.told.__setitem__(event_id, clip_id),
            hand_on=self.finished.append,
            none_came=self.without.append,
        )

    def request_keyframe(self) -> None:
        self.keyframes_asked += 1

    def show(self, frames: Iterable[EncodedFrame], *, tracked: bool = True) -> None:
        for frame in frames:
            self.relay.push(frame)
            if tracked:
                self.facts.publish_update(update_of(frame))

    def numbers(self, index: int = -1) -> list[int]:
        return [number_of(frame) for frame in self.finished[index].part.frames]


def happened(frame: EncodedFrame, name: str = "a", kind: EventKind = EventKind.ALERT) -> Event:
    return Event(name * 32, kind, "It happened.", (1,), FrameRef(frame.epoch, frame.rtp), frame.pts, datetime.now(UTC))


@pytest.mark.parametrize("codec", ["H264", "VP8"])
async def test_a_clip_holds_the_moment_and_every_line_is_of_its_own_picture(codec: Codec) -> None:
    frames = Camera(codec, group=20).film(150)
    stream = Stream()
    stream.show(frames[:91])
    clip_id = stream.clips.expect(happened(frames[90]))
    assert stream.told == {"a" * 32: clip_id}
    stream.show(frames[91:])
    # One second before number 90 is 60, itself a keyframe; one second after it is 120.
    assert stream.numbers() == list(range(60, 121))
    assert stream.finished[0].part.id == clip_id
    muxed = mux(stream.finished[0].part.frames)
    decoded = numbers_in(muxed.data)
    labels = labels_in(annotation_lines(stream.finished[0], muxed, clip_line))
    assert list(decoded) == list(muxed.pts) == list(labels)
    assert {pts: str(number) for pts, number in decoded.items()} == labels


async def test_it_begins_at_the_keyframe_before_the_wanted_moment() -> None:
    frames = Camera(group=25).film(150)
    stream = Stream()
    stream.show(frames[:91])
    stream.clips.expect(happened(frames[90]))
    stream.show(frames[91:])
    assert stream.numbers()[0] == 50
    assert stream.finished[0].part.at_home == {"a" * 32}


async def test_an_event_that_is_told_late_has_its_own_seconds() -> None:
    frames = Camera(group=10).film(150)
    stream = Stream()
    stream.show(frames)
    assert stream.clips.expect(happened(frames[60])) is not None
    assert stream.numbers() == list(range(30, 91))


async def test_events_near_each_other_share_a_clip_and_lengthen_it() -> None:
    frames = Camera(group=10).film(200)
    stream = Stream()
    stream.show(frames[:61])
    first = stream.clips.expect(happened(frames[60], "a"))
    stream.show(frames[61:81])
    assert stream.clips.expect(happened(frames[80], "b")) == first
    stream.show(frames[81:])
    assert len(stream.finished) == 1
    assert stream.numbers() == list(range(30, 111))
    assert [moment.event_id[0] for moment in stream.finished[0].part.moments] == ["a", "b"]


async def test_a_clip_does_not_grow_for_ever() -> None:
    frames = Camera(group=10).film(330)
    stream = Stream()
    told: list[str | None] = []
    for number, frame in enumerate(frames):
        stream.show([frame])
        if number >= 60 and number % 15 == 0:
            told.append(stream.clips.expect(happened(frame, chr(97 + len(told)))))
    stream.clips.end()
    lengths_s = [finished.part.frames[-1].received_s - finished.part.first_s for finished in stream.finished]
    assert max(lengths_s) <= LENGTHS.longest_s + 0.01
    assert len(set(told)) == len(stream.finished) > 1
    for finished in stream.finished:
        for moment in finished.part.moments:
            assert finished.part.first_s <= moment.at_s - LENGTHS.before_s + 0.001
            assert finished.part.holds(moment.frame)


async def test_another_size_begins_another_file_and_the_event_is_at_home_where_its_picture_is() -> None:
    camera = Camera(group=10)
    frames = camera.film(75)
    camera.size = (320, 240)
    frames += camera.film(60)
    stream = Stream()
    stream.show(frames[:81], tracked=False)
    clip_id = stream.clips.expect(happened(frames[80]))
    stream.show(frames[81:], tracked=False)
    stream.clips.end()
    assert [stream.numbers(0), stream.numbers(1)] == [list(range(50, 75)), list(range(75, 111))]
    before, after = (finished.part for finished in stream.finished)
    assert (before.at_home, after.at_home) == (set(), {"a" * 32})
    assert after.id == clip_id
    assert [mux(part.frames).width for part in (before, after)] == [160, 320]
    assert [moment.event_id for moment in before.moments] == ["a" * 32]


async def test_a_connection_that_comes_back_begins_another_file() -> None:
    camera = Camera(group=10)
    frames = camera.film(60)
    again = Camera(group=10)
    again.epoch = 2
    later = again.film(60, start_s=1002.0)
    stream = Stream()
    stream.show(frames)
    clip_id = stream.clips.expect(happened(frames[59]))
    stream.show(later)
    assert [finished.part.frames[0].epoch for finished in stream.finished] == [1, 2]
    assert stream.finished[0].part.id == clip_id
    assert stream.finished[1].part.frames[-1].received_s <= frames[59].received_s + LENGTHS.after_s


async def test_a_source_that_stops_ends_its_clip_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GRACE_S", 0.0)
    monkeypatch.setattr(module, "SETTLE_S", 0.01)
    frames = [replace(frame, received_s=frame.received_s - 1000) for frame in Camera(group=10).film(40)]
    stream = Stream()
    stream.show(frames, tracked=False)
    stream.clips.expect(happened(frames[39], kind=EventKind.SAVED))
    assert stream.finished == []
    async with asyncio.timeout(10):
        while not stream.finished:
            await asyncio.sleep(0.01)
    assert stream.numbers()[-1] == 39
    assert stream.finished[0].part.moments[0].keep
    stream.clips.end()


async def test_a_camera_that_went_away_leaves_a_clip_of_its_last_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GRACE_S", 0.0)
    frames = [replace(frame, received_s=frame.received_s - 1000) for frame in Camera(group=10).film(100)]
    stream = Stream()
    stream.show(frames)
    gone = replace(happened(frames[0], kind=EventKind.OFFLINE), frame=FrameRef(1, 4_000_000_000))
    assert stream.clips.expect(gone) is not None
    async with asyncio.timeout(10):
        while not stream.finished:
            await asyncio.sleep(0.01)
    assert stream.numbers() == list(range(60, 100))
    assert stream.finished[0].part.at_home == {gone.id}
    stream.clips.end()


async def test_the_last_pictures_wait_for_their_tracks() -> None:
    frames = Camera(group=10).film(100)
    stream = Stream()
    stream.show(frames[:41])
    stream.clips.expect(happened(frames[40]))
    stream.show(frames[41:80], tracked=False)
    assert stream.finished == []
    for frame in frames[41:72]:
        stream.facts.publish_update(update_of(frame))
    assert len(stream.finished) == 1
    part = stream.finished[0].part
    assert [part.updates[frame.pts].tracks[0].label for frame in part.frames] == [str(n) for n in stream.numbers()]


async def test_other_events_have_no_clip() -> None:
    frames = Camera(group=10).film(40)
    stream = Stream()
    stream.show(frames)
    assert stream.clips.expect(happened(frames[39], kind=EventKind.ENTER)) is None
    assert stream.clips.recording == 0


async def test_where_clips_are_off_nothing_is_held() -> None:
    frames = Camera(group=10).film(80)
    stream = Stream()
    stream.show(frames[:40])
    stream.on = False
    stream.show(frames[40:60])
    assert stream.clips.expect(happened(frames[50])) is None
    stream.on = True
    assert stream.clips.expect(happened(frames[39])) is None
    stream.show(frames[60:])
    assert stream.clips.expect(happened(frames[75])) is not None
    assert stream.clips._ring.find(ref(frames[39])) is None
    stream.clips.end()
    assert stream.numbers()[0] == 60


async def test_what_may_no_longer_be_seen_is_not_written() -> None:
    frames = Camera(group=10).film(150)
    stream = Stream()
    stream.show(frames[:61])
    stream.clips.expect(happened(frames[60]))
    stream.relay.restart()
    stream.show(frames[61:])
    stream.clips.end()
    assert stream.finished == []
    assert [part.at_home for part in stream.without] == [{"a" * 32}]


async def test_a_publisher_is_asked_for_a_keyframe_every_four_seconds() -> None:
    stream = Stream()
    stream.show(Camera(group=100_000).film(30 * 13), tracked=False)
    assert stream.keyframes_asked == 3
    stream.kind = "rtsp"
    stream.show(Camera(group=100_000).film(30 * 5), tracked=False)
    assert stream.keyframes_asked == 3
