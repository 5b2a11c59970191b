"""Decoding into the memory of a device: what it needs, what may fail, and that the picture goes on."""

from __future__ import annotations

from dataclasses import replace

import av
import numpy as np
import pytest

from stream.decode import HARDWARE_FAILURES, SOFTWARE
from stream.hardware import Hardware, tried
from stream.surfaces import CAPACITY, DeviceError, DeviceFrame
from stream.types import Codec, Frame
from tests.barcode import read
from tests.decoding import Decoding
from tests.encoding import encoded_frames
from tests.stand_in_device import StandInDevice, StandInHardware

CODECS: list[Codec] = ["VP8", "H264"]


def fault() -> av.FFmpegError:
    return av.error.ExternalError(-1, "the decoder failed")


@pytest.mark.parametrize("codec", CODECS)
def test_frames_are_on_the_device_and_the_same_as_on_the_host(codec: Codec) -> None:
    kinds: list[type] = []
    ours, theirs = Decoding(hardware=StandInHardware().hardware(), on_frame=lambda f: kinds.append(type(f))), Decoding()
    frames = encoded_frames(codec, range(20))
    for decoding in (ours, theirs):
        decoding.push(frames)
        decoding.thread.close()
    assert set(kinds) == {DeviceFrame}
    assert ours.by[-1].by == "stand-in decoder"
    for mine, other in zip(ours.frames, theirs.frames, strict=True):
        assert (mine.index, mine.pts, mine.colour) == (other.index, other.pts, other.colour)
        assert np.array_equal(mine.y, other.y)
        assert np.array_equal(mine.uv, other.uv)


@pytest.mark.parametrize("seed", range(2))
def test_an_engine_that_reads_late_sees_its_own_picture_though_frames_are_let_go(seed: int) -> None:
    stand_in = StandInHardware(StandInDevice(seed))
    seen: list[int | None] = []

    def step(frame: Frame) -> None:
        """As an engine would: enqueue the work and let go of the frame."""
        assert isinstance(frame, DeviceFrame)
        with stand_in.device.acting("engine"), frame.surface.reading() as there:
            stand_in.device.enqueue(lambda: seen.append(read(there.y)))

    decoding = Decoding(hardware=stand_in.hardware(), on_frame=step)
    decoding.push(encoded_frames("VP8", range(20)))
    decoding.thread.close()
    stand_in.device.drain()
    assert seen == list(range(20))


def test_where_all_frames_are_held_pictures_are_dropped_and_counted_until_one_is_let_go() -> None:
    held: list[Frame] = []
    decoding = Decoding(hardware=StandInHardware().hardware(), on_frame=held.append)
    frames = encoded_frames("H264", range(CAPACITY + 6))
    decoding.push(frames[: CAPACITY + 3])
    assert decoding.drops == {"surfaces": 3}
    held.clear()
    decoding.push(frames[CAPACITY + 3 :])
    decoding.thread.close()
    assert decoding.numbers == [*range(CAPACITY), *range(CAPACITY + 3, CAPACITY + 6)]
    assert decoding.frames[-1].index == CAPACITY + 5


def test_a_context_that_cannot_be_made_leaves_everything_on_the_host() -> None:
    stand_in = StandInHardware()
    stand_in.device.bindable = False
    decoding = Decoding(hardware=stand_in.hardware())
    decoding.push(encoded_frames("VP8", range(5)))
    decoding.thread.close()
    assert decoding.numbers == list(range(5))
    assert stand_in.device.allocated == []
    assert [(one.by, one.note) for one in decoding.by] == [(SOFTWARE, "the context cannot be made")]


@pytest.mark.parametrize("codec", CODECS)
def test_a_decoder_that_fails_in_the_middle_gives_way_to_the_processor_until_the_next_connection(codec: Codec) -> None:
    stand_in, kinds = StandInHardware(), []
    decoding = Decoding(hardware=stand_in.hardware(), on_frame=lambda frame: kinds.append(type(frame)))
    decoding.push(encoded_frames(codec, range(4)))
    stand_in.fails = fault()
    decoding.push(encoded_frames(codec, range(4, 4 + HARDWARE_FAILURES)))
    assert decoding.by[-1].by == "stand-in decoder"
    decoding.push(encoded_frames(codec, range(20, 24)))
    assert decoding.by[-1].by == SOFTWARE
    assert "failed" in (decoding.by[-1].note or "")
    assert decoding.keyframes_asked >= 1
    stand_in.fails = None
    decoding.push(encoded_frames(codec, range(24, 26)))
    assert decoding.by[-1].by == SOFTWARE
    decoding.push(encoded_frames(codec, range(30, 33), epoch=2))
    decoding.thread.close()
    assert decoding.by[-1].by == "stand-in decoder"
    assert decoding.numbers == [0, 1, 2, 3, *range(20, 26), 30, 31, 32]
    assert decoding.drops == {"decode": HARDWARE_FAILURES}
    assert set(kinds) == {DeviceFrame}


def test_a_single_broken_picture_does_not_cost_the_decoder() -> None:
    stand_in = StandInHardware()
    decoding = Decoding(hardware=stand_in.hardware())
    frames = encoded_frames("H264", range(12), keyframes=[8])
    decoding.push(frames[:4])
    decoding.push([replace(frames[4], data=frames[4].data[:5] + b"\xff" * 9)])
    decoding.push(frames[8:])
    decoding.thread.close()
    assert decoding.numbers[-4:] == [8, 9, 10, 11]
    assert len(decoding.by) == 1


def test_a_device_whose_memory_is_full_leaves_pictures_on_the_host() -> None:
    """First the decoder is given up, then, as uploads fail as well, the device."""
    stand_in, kinds = StandInHardware(), []
    decoding = Decoding(hardware=stand_in.hardware(), on_frame=lambda frame: kinds.append(type(frame)))
    decoding.push(encoded_frames("VP8", range(3)))
    stand_in.device.full = True
    decoding.push(encoded_frames("VP8", range(3, 6), keyframes=[3, 4, 5]))
    decoding.push(encoded_frames("VP8", range(6, 9)))
    decoding.thread.close()
    assert decoding.numbers[:3] == [0, 1, 2]
    assert decoding.numbers[-3:] == [6, 7, 8]
    assert kinds[0] is DeviceFrame
    assert kinds[-1] is Frame
    assert "out of memory" in (decoding.by[-1].note or "")


def test_a_decoder_that_cannot_be_opened_or_takes_no_such_stream_is_said_and_pictures_are_uploaded() -> None:
    for stand_in in (StandInHardware(opens=False), StandInHardware(here=False)):
        kinds: list[type] = []
        decoding = Decoding(hardware=stand_in.hardware(), on_frame=lambda f, kinds=kinds: kinds.append(type(f)))
        decoding.push(encoded_frames("VP8", range(3)))
        decoding.thread.close()
        assert decoding.numbers == [0, 1, 2]
        assert set(kinds) == {DeviceFrame}
        assert stand_in.device.reads == 0
        assert decoding.by[-1].by == SOFTWARE
        assert decoding.by[-1].note


def test_a_codec_that_was_refused_at_start_is_not_tried_again() -> None:
    stand_in = StandInHardware()
    hardware = replace(stand_in.hardware(), refused={"VP8": "it gave other pictures"})
    decoding = Decoding(hardware=hardware)
    decoding.push(encoded_frames("VP8", range(2)))
    decoding.push(encoded_frames("H264", range(2, 4)))
    decoding.thread.close()
    assert [(one.codec, one.by, one.note) for one in decoding.by] == [
        ("VP8", SOFTWARE, "it gave other pictures"), ("H264", "stand-in decoder", None),
    ]  # fmt: skip
    assert stand_in.opened == 1


# --- what is tried at start


@pytest.mark.parametrize(
    ("stand_in", "reason"),
    [
        (StandInHardware(opens=False), "no decoder of this kind"),
        (StandInHardware(here=False), "not here"),
        (StandInHardware(holds_back=True), "holds pictures back"),
        (StandInHardware(wrong=True), "other pictures"),
        (StandInHardware(fails=fault()), "failed"),
    ],
)
def test_what_a_decoder_cannot_do_is_known_at_start(stand_in: StandInHardware, reason: str) -> None:
    refused = tried(stand_in.hardware()).refused
    assert set(refused) >= set(CODECS)
    assert all(reason in why for why in refused.values())


def test_a_decoder_that_works_refuses_nothing() -> None:
    assert tried(StandInHardware().hardware()).refused == {}


def test_a_context_that_cannot_be_made_is_known_at_start() -> None:
    stand_in = StandInHardware()
    stand_in.device.bindable = False
    assert set(tried(stand_in.hardware()).refused.values()) == {"the context cannot be made"}


def test_without_a_gpu_there_is_no_hardware_and_the_reason_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from stream.hardware import nvdec

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match="no CUDA GPU"):
        nvdec(0)


def test_ffmpegs_own_refusal_of_a_gpu_is_one_of_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine without a GPU FFmpeg raises errors of several kinds where its decoder is opened."""
    import torch

    from stream.hardware import nvdec

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "none")
    hardware: Hardware = nvdec(0)
    with pytest.raises(DeviceError):
        hardware.open("H264", 1 << 20)
