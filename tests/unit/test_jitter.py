"""Frames come out complete, in order, once, and as soon as they are complete, whatever the network does."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.jitter import ASK_AGAIN_S, GIVE_UP_S, LEAST_REQUESTS, Assembled, FrameAssembler, Packet
from stream.types import Codec

VP8_KEY = b"\x10\x02\x00\x9d\x01\x2a\x40\x01\xf0\x00"
VP8_DELTA = b"\x11\x02\x00"
H264_KEY = b"\x00\x00\x00\x01\x67\x42\x00\x00\x00\x01\x68\xce\x00\x00\x00\x01\x65\x88"
H264_DELTA = b"\x00\x00\x00\x01\x41\x9a"
MS = 0.001


@dataclass(frozen=True)
class Sent:
    data: bytes
    keyframe: bool
    timestamp: int
    packets: tuple[Packet, ...]


def first_bytes(codec: Codec, keyframe: bool) -> bytes:
    if codec == "VP8":
        return VP8_KEY if keyframe else VP8_DELTA
    return H264_KEY if keyframe else H264_DELTA


def send(
    codec: Codec,
    shapes: list[tuple[bool, int, bool, int]],
    *,
    seq: int = 0,
    timestamp: int = 0,
) -> list[Sent]:
    """Frames of `(keyframe, packets, with marker, padding packets after it)`."""
    frames = []
    for number, (keyframe, count, marked, padding) in enumerate(shapes):
        pieces = [first_bytes(codec, keyframe) + bytes([0x80 + number % 64])]
        pieces += [bytes([0x80 + number % 64, 0xC0 + place % 32] * 3) for place in range(1, count)]
        packets = []
        for place, piece in enumerate(pieces):
            packets.append(Packet(seq, timestamp, marked and place == count - 1, codec, piece))
            seq = (seq + 1) & 0xFFFF
        for _ in range(padding):
            packets.append(Packet(seq, timestamp, False, codec, b""))
            seq = (seq + 1) & 0xFFFF
        frames.append(Sent(b"".join(pieces), keyframe, timestamp, tuple(packets)))
        timestamp = (timestamp + 3000) & 0xFFFFFFFF
    return frames


def all_packets(frames: list[Sent]) -> list[Packet]:
    return [packet for frame in frames for packet in frame.packets]


def push_all(assembler: FrameAssembler, packets: list[Packet], at_s: float = 0.0) -> list[Assembled]:
    return [frame for packet in packets for frame in assembler.push(packet, at_s)]


codecs: st.SearchStrategy[Codec] = st.sampled_from(["VP8", "H264"])
shapes = st.lists(
    st.tuples(
        st.booleans(), st.integers(1, 6), st.sampled_from([True] * 9 + [False]), st.sampled_from([0, 0, 0, 1, 3])
    ),
    min_size=1,
    max_size=30,
)


@settings(max_examples=300)
@given(
    codec=codecs,
    shapes=shapes,
    seq=st.integers(0, 0xFFFF),
    timestamp=st.integers(0, 0xFFFFFFFF),
    data=st.data(),
)
def test_whatever_arrives_in_the_end_comes_out_in_order(
    codec: Codec, shapes: list[tuple[bool, int, bool, int]], seq: int, timestamp: int, data: st.DataObject
) -> None:
    """Loss with retransmission, reordering and duplicates within 250 ms change nothing in what comes out."""
    frames = send(codec, [(True, *shapes[0][1:]), *shapes[1:]], seq=seq, timestamp=timestamp)
    first, *rest = all_packets(frames)
    delays = st.lists(st.integers(0, 250), min_size=1, max_size=2)
    arrivals = [(0.0, 0, first)]
    for place, packet in enumerate(rest, 1):
        arrivals += [(place * MS + delay * MS, place, packet) for delay in data.draw(delays)]
    assembler, got = FrameAssembler(), []
    for now_s, _, packet in sorted(arrivals, key=lambda arrival: arrival[:2]):
        got += assembler.push(packet, now_s)
        got += assembler.expire(now_s)
        assembler.missing(now_s)
    sent = [(frame.timestamp, frame.keyframe, frame.data) for frame in frames]
    if not shapes[-1][2] and len(got) == len(sent) - 1:
        sent.pop()  # nothing has come after the last frame that could end it in place of its marker
    assert [(frame.timestamp, frame.keyframe, frame.data) for frame in got] == sent
    assert not assembler.has_missing


@settings(max_examples=300)
@given(codec=codecs, shapes=shapes, seq=st.integers(0, 0xFFFF), data=st.data())
def test_what_comes_out_can_always_be_decoded(
    codec: Codec, shapes: list[tuple[bool, int, bool, int]], seq: int, data: st.DataObject
) -> None:
    """With packets that never come, frames are whole, in order, and none follows a lost one except a keyframe."""
    frames = send(codec, shapes, seq=seq)
    packets = all_packets(frames)
    lost = data.draw(st.sets(st.integers(0, len(packets) - 1), max_size=len(packets) // 2))
    assembler, got, now_s = FrameAssembler(capacity=64), [], 0.0
    for place, packet in enumerate(packets):
        now_s = place * 20 * MS
        if place not in lost:
            got += assembler.push(packet, now_s)
        got += assembler.expire(now_s)
        assert assembler.waiting <= 64
    by_timestamp = {frame.timestamp: place for place, frame in enumerate(frames)}
    places = [by_timestamp[frame.timestamp] for frame in got]
    assert all(frame.data == frames[place].data for frame, place in zip(got, places, strict=True))
    assert not got or got[0].keyframe
    for before, after in pairwise(places):
        assert after == before + 1 or (after > before and frames[after].keyframe)


@settings(max_examples=200)
@given(
    packets=st.lists(
        st.tuples(
            st.integers(0, 0xFFFF) | st.integers(0, 40),
            st.integers(0, 3),
            st.booleans(),
            st.sampled_from([b"", VP8_KEY, VP8_DELTA, b"\x80"]),
        ),
        max_size=200,
    )
)
def test_nothing_makes_it_grow_or_give_out_an_empty_frame(packets: list[tuple[int, int, bool, bytes]]) -> None:
    """Any packets at all: a bounded number is held, no frame is empty, and it never raises."""
    assembler = FrameAssembler(capacity=32)
    for place, (seq, timestamp, marker, payload) in enumerate(packets):
        got = assembler.push(Packet(seq, timestamp, marker, "VP8", payload), place * 5 * MS)
        got += assembler.expire(place * 5 * MS)
        assert all(frame.data for frame in got)
        assert assembler.waiting <= 32
        assert len(assembler.missing(place * 5 * MS)) <= 32


@pytest.mark.parametrize("codec", ["VP8", "H264"])
def test_a_frame_leaves_with_its_marker(codec: Codec) -> None:
    """The next frame's first packet is not waited for."""
    (frame,) = send(codec, [(True, 3, True, 0)])
    assembler = FrameAssembler()
    assert push_all(assembler, list(frame.packets[:2])) == []
    assert push_all(assembler, [frame.packets[2]]) == [Assembled(codec, 0, True, frame.data)]


def test_a_frame_without_marker_leaves_with_the_next_timestamp() -> None:
    first, second = send("VP8", [(True, 2, False, 0), (False, 1, True, 0)])
    assembler = FrameAssembler()
    assert push_all(assembler, list(first.packets)) == []
    assert [frame.data for frame in push_all(assembler, list(second.packets))] == [first.data, second.data]


def test_padding_after_the_marker_is_no_frame() -> None:
    frames = send("VP8", [(True, 2, True, 3), (False, 1, True, 2)])
    got = push_all(FrameAssembler(), all_packets(frames))
    assert [frame.data for frame in got] == [frame.data for frame in frames]


def test_a_filled_gap_lets_all_complete_frames_go_at_once() -> None:
    frames = send("VP8", [(True, 2, True, 0), (False, 1, True, 0), (False, 2, True, 0)])
    packets = all_packets(frames)
    assembler = FrameAssembler()
    assert push_all(assembler, [packets[0], *packets[2:]]) == []
    assert len(assembler.push(packets[1], 0.0)) == 3


def test_missing_packets_are_asked_for_every_40_ms() -> None:
    packets = all_packets(send("VP8", [(True, 6, True, 0)], seq=0xFFFE))
    assembler = FrameAssembler()
    push_all(assembler, [packets[0], packets[4]])
    assert assembler.missing(0.0) == []  # the receiver asks at once by itself
    assert assembler.missing(ASK_AGAIN_S) == [0xFFFF, 0, 1]
    assert assembler.missing(ASK_AGAIN_S + MS) == []
    assembler.push(packets[2], ASK_AGAIN_S + MS)
    assert assembler.missing(2 * ASK_AGAIN_S + MS) == [0xFFFF, 1]


def ask(assembler: FrameAssembler, until_s: float) -> None:
    """Ask for what is missing as often as it takes before it may be given up."""
    for place in reversed(range(LEAST_REQUESTS - 1)):
        assembler.missing(until_s - place * (ASK_AGAIN_S + MS))


def test_what_could_not_be_asked_for_is_not_given_up() -> None:
    """A receiver that the machine held up has not yet read what was sent to it."""
    frames = send("VP8", [(True, 1, True, 0), (False, 2, True, 0)])
    assembler = FrameAssembler()
    lost, late = frames[1].packets
    push_all(assembler, [*frames[0].packets, late])
    assert assembler.expire(10 * GIVE_UP_S) == []
    assert not assembler.needs_keyframe
    assert [frame.data for frame in assembler.push(lost, 10 * GIVE_UP_S)] == [frames[1].data]


def test_giving_up_withholds_frames_until_a_keyframe() -> None:
    frames = send("VP8", [(True, 1, True, 0), (False, 3, True, 0), (False, 1, True, 0), (True, 2, True, 0)])
    assembler = FrameAssembler()
    assert len(push_all(assembler, list(frames[0].packets))) == 1
    lost, *others = frames[1].packets
    assert push_all(assembler, [*others, *frames[2].packets], 0.1) == []
    ask(assembler, 0.1 + GIVE_UP_S - MS)
    assert assembler.expire(0.1 + GIVE_UP_S - MS) == []
    assert assembler.expire(0.1 + GIVE_UP_S) == []
    assert assembler.needs_keyframe
    assert assembler.withheld == 2
    assert push_all(assembler, [lost], 0.5) == []
    assert [frame.data for frame in push_all(assembler, list(frames[3].packets), 0.5)] == [frames[3].data]
    assert not assembler.needs_keyframe


def test_giving_up_goes_on_at_a_keyframe_that_is_there_already() -> None:
    frames = send("H264", [(True, 1, True, 0), (False, 2, True, 0), (True, 2, True, 0), (False, 1, True, 0)])
    assembler = FrameAssembler()
    held = [frames[1].packets[0], *frames[2].packets, *frames[3].packets]
    assert len(push_all(assembler, [*frames[0].packets, *held])) == 1
    ask(assembler, GIVE_UP_S)
    assert [frame.data for frame in assembler.expire(GIVE_UP_S)] == [frames[2].data, frames[3].data]


def test_a_keyframe_whose_beginning_was_lost_is_not_taken_for_one() -> None:
    """The second slice of an H.264 keyframe looks like a keyframe of its own."""
    first, broken = send("H264", [(True, 1, True, 0), (True, 3, True, 0)])
    slices = [Packet(p.seq, p.timestamp, p.marker, "H264", b"\x00\x00\x00\x01\x65\x80") for p in broken.packets]
    assembler = FrameAssembler()
    push_all(assembler, [*first.packets, *slices[1:]])
    ask(assembler, GIVE_UP_S)
    assert assembler.expire(GIVE_UP_S) == []
    assert assembler.needs_keyframe


def test_more_packets_than_fit_cost_frames_and_not_memory() -> None:
    frames = send("VP8", [(True, 1, True, 0), (False, 2, True, 0), *[(False, 2, True, 0)] * 20, (True, 2, True, 0)])
    packets = all_packets(frames)
    assembler = FrameAssembler(capacity=16)
    got = push_all(assembler, [packets[0], *packets[2:]])
    assert [frame.data for frame in got] == [frames[0].data, frames[-1].data]


def test_a_sender_that_starts_again_elsewhere_is_followed() -> None:
    """A jump of the sequence numbers is believed after two packets in a row."""
    before = send("VP8", [(True, 1, True, 0)], seq=100)
    after = send("VP8", [(True, 3, True, 0), (False, 1, True, 0)], seq=30000, timestamp=5)
    stray = send("VP8", [(False, 1, True, 0)], seq=50000)
    assembler = FrameAssembler()
    assert len(push_all(assembler, all_packets(before + stray))) == 1
    got = push_all(assembler, all_packets(after) + all_packets(send("VP8", [(True, 1, True, 0)], seq=30004)))
    assert [frame.keyframe for frame in got] == [True]
    assert not assembler.needs_keyframe


def test_markers_on_every_packet_are_seen_through() -> None:
    """A sender that marks each packet instead of each frame is understood from its second packet on."""
    frames = send("VP8", [(True, 3, False, 0), (False, 2, False, 0), (True, 2, False, 0), (False, 2, False, 0)] * 2)
    marked = [Packet(p.seq, p.timestamp, True, p.codec, p.data) for p in all_packets(frames)]
    got = push_all(FrameAssembler(), marked)
    assert [frame.data for frame in got[1:]] == [frame.data for frame in frames[2:-1]]
