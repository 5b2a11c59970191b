"""Every frame comes out once, as itself, and nothing that comes in ends the thread."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest

from stream.decode import FAILURES_REPORTED, QUEUE_S, DecoderThread
from stream.errors import MediaError
from stream.pictures import colour_of, nv12_planes
from stream.types import Codec, Colour, Frame
from tests.barcode import picture, read
from tests.decoding import Decoding
from tests.encoding import encoded_frames
from tests.stand_in_device import StandInHardware

CODECS: list[Codec] = ["VP8", "H264"]


@pytest.fixture(params=["host", "device"])
def decoding(request: pytest.FixtureRequest) -> Iterator[Decoding]:
    """On the host, and with the stand-in of a GPU, which must do the same."""
    decoding = Decoding(hardware=StandInHardware().hardware() if request.param == "device" else None)
    yield decoding
    decoding.hold.set()
    decoding.thread.close()
    assert "decoder under test" not in [thread.name for thread in threading.enumerate()]


@pytest.mark.parametrize("codec", CODECS)
def test_each_frame_comes_out_at_once_with_its_identity(decoding: Decoding, codec: Codec) -> None:
    frames = [replace(frame, captured_unix_us=7 + frame.pts) for frame in encoded_frames(codec, range(20))]
    decoding.push(frames)
    assert decoding.numbers == list(range(20))
    assert [frame.index for frame in decoding.frames] == list(range(20))
    for sent, got in zip(frames, decoding.frames, strict=True):
        assert (got.epoch, got.pts, got.rtp, got.captured_unix_us, got.received_s) == (
            sent.epoch, sent.pts, sent.rtp, sent.captured_unix_us, sent.received_s,
        )  # fmt: skip
        assert got.decoded_s >= got.received_s
    assert decoding.drops.total() == 0


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("size", [(322, 242), (320, 180)])
def test_planes_are_nv12_contiguous_and_read_only(codec: Codec, size: tuple[int, int]) -> None:
    width, height = size
    decoding = Decoding()
    decoding.push(encoded_frames(codec, range(2), size=size))
    decoding.thread.close()
    frame = decoding.frames[-1]
    assert (frame.width, frame.height) == (width, height)
    assert frame.uv.shape == ((height + 1) // 2, (width + 1) // 2, 2)
    for plane in (frame.y, frame.uv):
        assert plane.flags.c_contiguous
        assert not plane.flags.writeable
    assert np.abs(frame.to_bgr().astype(int) - picture(1, *size)).mean() < 12


@pytest.mark.parametrize("codec", CODECS)
def test_a_kept_picture_stays_as_it_was_while_decoding_goes_on_and_after_its_end(codec: Codec) -> None:
    decoding = Decoding()
    decoding.push(encoded_frames(codec, range(3), size=(640, 360)))
    kept = decoding.frames[1]
    before = kept.y.copy(), kept.uv.copy()
    decoding.push(encoded_frames(codec, range(3, 60), size=(640, 360)))
    decoding.thread.close()
    decoding.frames.clear()
    gc.collect()
    assert np.array_equal(kept.y, before[0])
    assert np.array_equal(kept.uv, before[1])
    assert read(kept.y) == 1


def test_resolution_codec_and_epoch_change_mid_stream(decoding: Decoding) -> None:
    """A decoder is made anew for another codec or epoch; a new size in the same stream just works."""
    parts = [
        encoded_frames("H264", range(3)),
        encoded_frames("H264", range(3, 6), size=(640, 360)),
        encoded_frames("VP8", range(6, 9), size=(320, 180)),
        encoded_frames("VP8", range(9, 12), size=(480, 272)),
        encoded_frames("VP8", range(12, 15), size=(480, 272), epoch=2),
    ]
    decoding.push([frame for part in parts for frame in part])
    assert decoding.numbers == list(range(15))
    assert [frame.width for frame in decoding.frames] == [320] * 3 + [640] * 3 + [320] * 3 + [480] * 6
    assert [frame.index for frame in decoding.frames] == list(range(15))


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize(
    "damage", [lambda data: data[:3], lambda data: bytes(len(data)), lambda data: data[:5] + b"\xff" * 9]
)
def test_garbage_costs_its_frame_and_one_keyframe_request(
    decoding: Decoding, codec: Codec, damage: Callable[[bytes], bytes]
) -> None:
    frames = encoded_frames(codec, range(12), keyframes=[8], at_s=100.0)
    frames[4] = replace(frames[4], data=damage(frames[4].data))
    for frame in frames:
        decoding.thread.push(frame)
    decoding.until(lambda: decoding.numbers[-1:] == [11])
    assert decoding.numbers[:4] == [0, 1, 2, 3]
    assert decoding.numbers[-4:] == [8, 9, 10, 11]
    assert decoding.keyframes_asked <= 1
    assert decoding.errors == []


@pytest.mark.parametrize("codec", CODECS)
def test_a_broken_stream_is_told_once_and_recovers(decoding: Decoding, codec: Codec) -> None:
    good = encoded_frames(codec, range(3), epoch=2)
    start = encoded_frames(codec, range(1))
    broken = replace(start[0], data=b"\x01" * 40, keyframe=False)
    for number in range(FAILURES_REPORTED + 5):
        decoding.push([start[0]] if number == 0 else [replace(broken, pts=number)])
    assert [type(error) for error in decoding.errors] == [MediaError]
    assert decoding.keyframes_asked >= 1
    decoding.push(good)
    assert decoding.numbers[-3:] == [0, 1, 2]


def test_empty_data_never_reaches_the_codec(decoding: Decoding) -> None:
    """An empty packet would drain FFmpeg's decoder, and every later one would fail."""
    frames = encoded_frames("VP8", range(4))
    decoding.push(frames[:2])
    decoding.thread.push(replace(frames[1], data=b""))
    decoding.push(frames[2:])
    assert decoding.numbers == [0, 1, 2, 3]


@pytest.mark.parametrize("codec", CODECS)
def test_a_picture_that_is_too_large_is_refused_in_words(codec: Codec) -> None:
    decoding = Decoding(max_pixels=320 * 240)
    large = encoded_frames(codec, range(3), size=(640, 480))
    small = encoded_frames(codec, range(3, 6), epoch=2)
    decoding.push(large + small)
    decoding.thread.close()
    assert decoding.numbers == [3, 4, 5]
    assert decoding.drops["decode"] == 3
    assert ["640×480" in error.message for error in decoding.errors] == [True]


def test_an_8k_picture_is_refused_in_words_and_a_larger_one_takes_no_memory() -> None:
    decoding = Decoding()
    large = encoded_frames("H264", range(1), size=(7680, 4320))
    decoding.push(large)
    assert ["7680×4320" in error.message for error in decoding.errors] == [True]
    decoding.push(large)
    decoding.thread.close()
    assert len(decoding.errors) == 1
    assert decoding.drops == {"decode": 2}
    limited = Decoding(max_pixels=7680 * 4320 // 5)
    limited.push(large)
    limited.push(encoded_frames("H264", range(3), epoch=2))
    limited.thread.close()
    assert limited.errors == []
    assert limited.drops == {"decode": 1}
    assert limited.numbers == [0, 1, 2]


def test_a_picture_of_no_size_is_refused_in_words(decoding: Decoding) -> None:
    key = encoded_frames("VP8", range(1))[0]
    decoding.push([replace(key, data=key.data[:6] + bytes(4) + key.data[10:])])
    assert [type(error) for error in decoding.errors] == [MediaError]
    assert "size" in decoding.errors[0].message


def test_a_slow_decoder_drops_up_to_a_keyframe_and_counts(decoding: Decoding) -> None:
    frames = encoded_frames("H264", range(30), keyframes=[24], at_s=100.0)
    frames = [replace(frame, received_s=100 + place * 0.033) for place, frame in enumerate(frames)]
    decoding.hold.clear()
    decoding.thread.push(frames[0])
    decoding.until(lambda: not decoding.thread._queue)
    for frame in frames[1:]:
        decoding.thread.push(frame)
        waiting = list(decoding.thread._queue)
        assert not waiting or waiting[-1].received_s - waiting[0].received_s <= QUEUE_S
    decoding.hold.set()
    decoding.until(lambda: decoding.numbers[-1:] == [29])
    assert decoding.numbers[0] == 0
    assert decoding.numbers[1] == 24
    assert decoding.drops["decode_queue"] == 30 - len(decoding.frames)
    assert decoding.keyframes_asked <= 1


@pytest.mark.logs_errors
def test_a_callback_that_raises_does_not_end_the_thread(caplog: pytest.LogCaptureFixture) -> None:
    got: list[int] = []

    def take(frame: Frame) -> None:
        got.append(frame.index)
        if frame.index == 0:
            raise RuntimeError("a bug elsewhere")

    nothing = lambda *_: None  # noqa: E731
    thread = DecoderThread("raising", on_frame=take, request_keyframe=nothing, on_drop=nothing, on_error=nothing)
    for frame in encoded_frames("VP8", range(3), at_s=100.0):
        thread.push(frame)
    deadline_s = time.monotonic() + 10
    while got != [0, 1, 2]:
        assert time.monotonic() < deadline_s
        time.sleep(0.001)
    thread.close()
    assert "a bug elsewhere" in caplog.text


def test_close_is_idempotent_and_later_frames_are_ignored() -> None:
    decoding = Decoding()
    decoding.thread.close()
    decoding.thread.close()
    decoding.thread.push(encoded_frames("VP8", range(1))[0])
    assert decoding.frames == []


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ({}, Colour("bt601", False)),
        ({"colorspace": 1, "color_range": 1}, Colour("bt709", False)),
        ({"colorspace": 6, "color_range": 2}, Colour("bt601", True)),
    ],
)
def test_colour_tags_are_honoured(tag: dict[str, int], expected: Colour) -> None:
    frame = av.VideoFrame(16, 16, "yuv420p")
    for name, value in tag.items():
        setattr(frame, name, value)
    assert colour_of(frame) == expected


@pytest.mark.parametrize("pixels", ["yuv420p", "yuvj420p", "nv12", "yuv422p", "yuv444p", "yuvj444p"])
def test_other_pixel_formats_become_nv12_without_a_change_of_range(pixels: str) -> None:
    """Full-range samples stay full range, whatever the format says in its name."""
    frame = av.VideoFrame(32, 16, pixels)
    frame.pts, frame.time_base = 0, Fraction(1, 90000)
    for number, plane in enumerate(frame.planes):
        plane.update(bytes([250 if number == 0 else 100]) * plane.buffer_size)
    y, uv = nv12_planes(frame)
    assert (y.shape, uv.shape) == ((16, 32), (8, 16, 2))
    assert abs(int(y.mean()) - 250) <= 1
    assert abs(int(uv.mean()) - 100) <= 1
