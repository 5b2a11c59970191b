"""Files play in real time, as browsers can take them; what is wrong with a file is said with what to do."""

from __future__ import annotations

import asyncio
import struct
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from stream.bitstream import NAL_PPS, NAL_SPS, nal_units
from stream.errors import SourceError
from stream.sources import file as file_module
from stream.sources import handover
from stream.sources.demo import demo_source
from stream.sources.demux import Layout, Picture, Reading, inspect
from stream.sources.file import FileSource
from stream.types import CLOCK_HZ
from tests.barcode import write_clip
from tests.peers import Sink, numbers

PLAIN = {"g": "10", "bf": "0", "preset": "ultrafast", "profile": "baseline"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


def clip(folder: Path, name: str, codec: str, *, frames: int = 20, fps: int = 30, **options: str) -> Path:
    path = folder / name
    if not path.exists():
        write_clip(path, codec=codec, size=(320, 240), frames=frames, fps=fps, options=options)
    return path


def plain(folder: Path) -> Path:
    return clip(folder, "plain.mp4", "libx264", **PLAIN)


def read_all(path: Path) -> tuple[list[Picture], int]:
    with Reading(path, inspect(path)) as reading:
        return list(reading.pictures(lambda ticks: 0.0, 0)), reading.end_ticks


@pytest.mark.parametrize(
    ("name", "codec"), [("plain.mp4", "H264"), ("plain.mkv", "H264"), ("plain.ts", "H264"), ("plain.webm", "VP8")]
)
def test_what_browsers_take_is_passed_on_as_it_is(folder: Path, name: str, codec: str) -> None:
    path = clip(folder, name, "libvpx", g="10") if codec == "VP8" else clip(folder, name, "libx264", **PLAIN)
    assert inspect(path) == Layout(codec, None)
    pictures, end = read_all(path)
    assert numbers(pictures[0].codec, [picture.data for picture in pictures]) == list(range(20))
    assert [abs(picture.ticks - 3000 * place) <= 90 for place, picture in enumerate(pictures)] == [True] * 20
    assert abs(end - 60_000) <= 90
    assert [place for place, picture in enumerate(pictures) if picture.keyframe] == [0, 10]
    if codec == "H264":
        for picture in pictures:
            kinds = {kind for kind, _, _ in nal_units(picture.data)}
            assert picture.data.startswith(b"\x00\x00")
            assert picture.keyframe == ({NAL_SPS, NAL_PPS} <= kinds)


@pytest.mark.parametrize(
    ("name", "codec", "options", "because"),
    [
        ("b.mp4", "libx264", {"g": "10", "bf": "2", "preset": "fast"}, "B-frames"),
        ("hevc.mp4", "libx265", {"preset": "ultrafast", "x265-params": "log-level=none"}, "HEVC"),
        ("mjpeg.avi", "mjpeg", {}, "MJPEG"),
        ("mpeg4.mp4", "mpeg4", {}, "MPEG4"),
        ("vp9.webm", "libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}, "VP9"),
        ("sparse.mp4", "libx264", {**PLAIN, "g": "1000"}, "keyframes"),
    ],
)
def test_everything_else_is_transcoded_and_said(
    folder: Path, name: str, codec: str, options: dict[str, str], because: str
) -> None:
    frames = 150 if because == "keyframes" else 40
    path = clip(folder, name, codec, frames=frames, **options)
    layout = inspect(path)
    assert layout.codec is None
    assert layout.note is not None
    assert because in layout.note
    pictures, _ = read_all(path)
    assert {picture.codec for picture in pictures} == {"H264"}
    assert numbers("H264", [picture.data for picture in pictures]) == list(range(frames))
    assert [picture.ticks for picture in pictures] == sorted(picture.ticks for picture in pictures)
    keyframes = [picture.ticks for picture in pictures if picture.keyframe]
    assert keyframes[0] == 0
    assert all(after - before <= CLOCK_HZ + 3000 for before, after in pairwise(keyframes))


def test_high_bit_depth_is_transcoded(folder: Path) -> None:
    path = folder / "ten.mp4"
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("libx264", rate=30, options={"preset": "ultrafast", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p10le"
        grey = av.VideoFrame(64, 64, "yuv420p")
        for plane in grey.planes:
            plane.update(bytes([128]) * plane.buffer_size)
        for _ in range(5):
            out.mux(stream.encode(grey.reformat(format="yuv420p10le")))
        out.mux(stream.encode(None))
    layout = inspect(path)
    assert layout.codec is None
    assert "yuv420p10le" in str(layout.note)
    assert len(read_all(path)[0]) == 5


def test_large_pictures_are_made_smaller_when_they_are_transcoded(folder: Path) -> None:
    path = folder / "large.avi"
    write_clip(path, codec="mjpeg", size=(2560, 1600), frames=2)
    pictures, _ = read_all(path)
    decoder = av.CodecContext.create("h264", "r")
    frames = decoder.decode(av.Packet(pictures[0].data)) + decoder.decode(None)
    assert (frames[0].width, frames[0].height) == (1280, 800)


CORNERS = {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200), "white": (230, 230, 230)}


def recorded_by_a_phone(path: Path, turns_left: int, codec: str = "libx264") -> Path:
    """A clip whose upright picture, 96 wide and 160 tall, has these colours in its corners, clockwise from the left
    top; its sensor lay turned by `turns_left` quarters to the right, and the file's display matrix says so."""
    upright = np.full((160, 96, 3), 120, np.uint8)
    for colour, (rows, columns) in zip(
        CORNERS.values(), [(slice(40), slice(40)), (slice(40), slice(-40, None)), (slice(-40, None), slice(-40, None)),
                           (slice(-40, None), slice(40))], strict=True
    ):  # fmt: skip
        upright[rows, columns] = colour
    stored = np.ascontiguousarray(np.rot90(upright, -turns_left))
    height, width = stored.shape[:2]
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=30, options={"bf": "0", "g": "10"} if codec == "libx264" else {})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for _ in range(12):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(stored, format="rgb24")))
        out.mux(stream.encode(None))
    one = 1 << 16
    matrix = {  # ISO/IEC 14496-12, 8.3.2: a b u c d v x y w
        0: (one, 0, 0, 0, one, 0, 0, 0, 1 << 30),
        1: (0, -one, 0, one, 0, 0, 0, width * one, 1 << 30),
        2: (-one, 0, 0, 0, -one, 0, width * one, height * one, 1 << 30),
        3: (0, one, 0, -one, 0, 0, height * one, 0, 1 << 30),
    }[turns_left]
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 44
    data[place : place + 36] = struct.pack(">9i", *matrix)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
@pytest.mark.parametrize("turns_left", [0, 1, 2, 3])
def test_what_a_phone_recorded_upright_or_upside_down_is_shown_upright(
    tmp_path: Path, turns_left: int, codec: str
) -> None:
    path = recorded_by_a_phone(tmp_path / "phone.mp4", turns_left, codec)
    layout = inspect(path)
    assert layout.quarter_turns == turns_left
    pictures, _ = read_all(path)
    decoder = av.CodecContext.create("h264", "r")
    shown = [frame for picture in pictures for frame in decoder.decode(av.Packet(picture.data))]
    rgb = shown[-1].to_ndarray(format="rgb24").astype(int)
    assert rgb.shape == (160, 96, 3)
    places = [(15, 15), (15, -15), (-15, -15), (-15, 15)]
    for (name, colour), place in zip(CORNERS.items(), places, strict=True):
        assert np.abs(rgb[place] - colour).max() < 40, name
    assert (layout.note is None) == (turns_left == 0 and codec == "libx264")
    if turns_left and codec == "libx264":
        assert layout.note is not None
        assert "turned" in layout.note


def test_pictures_that_are_late_are_left_out_before_they_are_encoded(folder: Path) -> None:
    path = clip(folder, "mjpeg.avi", "mjpeg", frames=40)
    with Reading(path, inspect(path)) as reading:
        late = reading.pictures(lambda ticks: 0.5 if 30_000 <= ticks < 60_000 else 0.0, 0)
        kept = [picture.ticks for picture in late]
    assert kept == [3000 * place for place in range(40) if not 10 <= place < 20]


def test_a_damaged_file_costs_its_damaged_pictures(folder: Path) -> None:
    data = bytearray(clip(folder, "mpeg4.mp4", "mpeg4", frames=40).read_bytes())
    start = data.index(b"mdat") + 12_000
    data[start : start + 3000] = b"\xff" * 3000
    path = folder / "damaged.mp4"
    path.write_bytes(data)
    pictures, _ = read_all(path)
    assert len(pictures) >= 30


@pytest.mark.parametrize("content", [None, b"", b"not a video at all", b"#EXTM3U\nhttp://127.0.0.1:1/x.ts\n"])
async def test_a_file_that_is_no_video_is_refused_in_words(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "secret-folder" / "film.mp4"
    path.parent.mkdir()
    if content is not None:
        path.write_bytes(content)
    sink = Sink()
    with pytest.raises(SourceError, match=r"film\.mp4") as refused:
        await FileSource(path, loop=False).run(sink)
    assert "secret-folder" not in refused.value.message
    assert refused.value.action
    assert sink.connects == 0


async def test_a_file_without_video_and_a_folder_are_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame("s16", "mono", 800)
        frame.sample_rate = 8000
        out.mux(stream.encode(frame))
    with pytest.raises(SourceError, match="has no video"):
        await FileSource(path, loop=False).check()
    with pytest.raises(SourceError):
        await FileSource(tmp_path, loop=False).check()


async def test_it_plays_at_its_own_pace_and_ends(folder: Path) -> None:
    sink, started_s = Sink(), time.monotonic()
    await FileSource(plain(folder), loop=False).run(sink)
    took_s = time.monotonic() - started_s
    received = sink.received
    assert numbers("H264", [r.data for r in received]) == list(range(20))
    assert [r.rtp for r in received] == [3000 * place for place in range(20)]
    assert {r.captured_unix_us for r in received} == {None}
    assert sink.connects == 1
    assert took_s >= 19 / 30
    assert all(r.received_s - started_s >= r.rtp / CLOCK_HZ for r in received)


async def test_a_loop_goes_on_where_it_was(folder: Path) -> None:
    sink, source = Sink(), FileSource(plain(folder), loop=True)
    run = asyncio.create_task(source.run(sink))
    await sink.until(45)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    received = sink.received[:45]
    assert [r.rtp for r in received] == [3000 * place for place in range(45)]
    assert [place for place, r in enumerate(received) if r.keyframe] == [0, 10, 20, 30, 40]
    assert sink.connects == 1
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("file")]


async def test_a_file_too_short_to_loop_says_so(folder: Path) -> None:
    path = clip(folder, "short.mp4", "libx264", frames=3, **PLAIN)
    with pytest.raises(SourceError, match="too short"):
        await FileSource(path, loop=True).run(Sink())


async def test_a_busy_event_loop_costs_pictures_up_to_a_keyframe_and_no_delay(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handover, "MAX_IN_FLIGHT", 4)
    sink, source = Sink(), FileSource(plain(folder), loop=True)
    run = asyncio.create_task(source.run(sink))
    await sink.until(3)
    time.sleep(0.6)  # noqa: ASYNC251
    await sink.until(len(sink.received) + 20)
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)
    dropped = sink.drops["source"]
    places = [r.rtp // 3000 for r in sink.received]
    (jump,) = [place for place, (before, after) in enumerate(pairwise(places), 1) if after != before + 1]
    assert places[jump] - places[jump - 1] - 1 == dropped
    assert sink.received[jump].keyframe


async def test_the_reader_goes_on_from_where_it_is_after_a_long_stall(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that slept does not play its backlog at top speed."""
    clock_s = 0.0
    monkeypatch.setattr(file_module.time, "monotonic", lambda stock=time.monotonic: stock() + clock_s)
    sink, source = Sink(), FileSource(plain(folder), loop=True)
    run = asyncio.create_task(source.run(sink))
    await sink.until(3)
    clock_s = 100.0
    await sink.until(15)
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)
    assert [r.rtp // 3000 for r in sink.received] == list(range(len(sink.received)))
    assert len(sink.received) < 40


async def test_the_name_is_shown_and_the_path_is_not(folder: Path) -> None:
    source = FileSource(plain(folder), loop=False)
    assert (source.kind, source.url, source.note, source.heard_s) == ("file", "plain.mp4", None, None)
    assert FileSource(plain(folder), loop=False, shown_as="Hall").url == "Hall"
    transcoded = FileSource(clip(folder, "mjpeg.avi", "mjpeg", frames=40), loop=False)
    await transcoded.check()
    assert transcoded.note is not None
    assert "MJPEG" in transcoded.note


def test_the_demo_clip_is_what_it_says() -> None:
    source = demo_source()
    assert (source.kind, source.loop) == ("demo", True)
    assert source.url is not None
    assert "/" not in source.url
    assert inspect(source.path) == Layout("H264", None)
    assert source.path.stat().st_size <= 2_500_000
    pictures, end = read_all(source.path)
    assert end / CLOCK_HZ == pytest.approx(26.7)
    assert [place for place, picture in enumerate(pictures) if picture.keyframe] == list(range(0, 267, 10))
    with av.open(str(source.path)) as container:
        context = container.streams.video[0].codec_context
        assert (context.width, context.height, context.profile) == (768, 576, "Constrained Baseline")
