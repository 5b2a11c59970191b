"""Eight cameras over a yard, for load: 640×360 at 10 pictures a second, encoded once, from files and over RTSP."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import httpx
import psutil

from stream.sources.demo import CLIP
from tests.cameras.clips import NANOSECONDS, RECORD, Clip
from tests.cameras.rtsp import RtspServer, mount
from tests.serve import serving_process

FPS = 10
SIZE = (640, 360)
ELSEWHERE = frozenset({"source", "viewer", "store", "clip"})
"""Stages that drop what was never received, or was not on its way to the engine."""


@dataclass(frozen=True, slots=True)
class Yard:
    """The same pictures as a file and as what the RTSP server plays."""

    file: Path
    clip: Clip


def make_yard(folder: Path) -> Yard:
    """The demo clip, cut to 16:9 and made smaller, without B-frames and with a keyframe a second."""
    file, packed = folder / "yard.mp4", folder / "yard.packed"
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    units: list[bytes] = []
    with av.open(str(CLIP)) as source, av.open(str(file), "w") as out:
        stream = out.add_stream("libx264", rate=FPS)
        for context in (encoder, stream.codec_context):
            context.width, context.height, context.pix_fmt = *SIZE, "yuv420p"
            context.time_base, context.framerate = Fraction(1, FPS), Fraction(FPS)
            context.gop_size, context.thread_count = FPS, 1
            context.options = {"preset": "superfast", "bf": "0", "profile": "baseline", "crf": "26"}
        for number, frame in enumerate(source.decode(video=0)):
            rows = frame.width * SIZE[1] // SIZE[0] // 2 * 2
            top = (frame.height - rows) // 2
            cut = av.VideoFrame.from_ndarray(frame.to_ndarray(format="rgb24")[top : top + rows], format="rgb24")
            small = cut.reformat(*SIZE, format="yuv420p")
            small.pts, small.time_base = number, Fraction(1, FPS)
            units += [bytes(packet) for packet in encoder.encode(small)]
            out.mux(stream.encode(small))
        units += [bytes(packet) for packet in encoder.encode(None)]
        out.mux(stream.encode(None))
    step = NANOSECONDS // FPS
    records = (RECORD.pack(number * step, number * step, len(unit)) + unit for number, unit in enumerate(units))
    packed.write_bytes(b"".join(records))
    return Yard(file, Clip(packed, "H264", len(units) * step))


@contextlib.contextmanager
def cameras(yard: Yard, folder: Path, count: int, *, by_rtsp: int, **values: Any) -> Iterator[list[dict[str, Any]]]:
    """`[[feeds]]` of `count` cameras, the last `by_rtsp` of them over RTSP; `values` hold for all."""
    feeds: list[dict[str, Any]] = [
        {"id": f"yard-{number}", "kind": "file", "path": str(yard.file), **values} for number in range(count - by_rtsp)
    ]
    if not by_rtsp:
        yield feeds
        return
    with RtspServer(folder, {f"/{number}": mount(yard.clip) for number in range(by_rtsp)}) as server:
        feeds += [
            {"id": f"yard-{count - by_rtsp + number}", "url": server.url(f"/{number}"), **values}
            for number in range(by_rtsp)
        ]
        yield feeds


@contextlib.contextmanager
def watched(engine: str, feeds: Sequence[dict[str, Any]], *, short: bool = False) -> Iterator[Watched]:
    """The real server in a process of its own, with these feeds; with `short` it has a short memory."""
    with (
        serving_process(engine, tables={"feeds": list(feeds)}, short=short) as (url, pid),
        httpx.Client(base_url=url) as http,
    ):
        yield Watched(http, psutil.Process(pid), [feed["id"] for feed in feeds])


@dataclass(frozen=True, slots=True)
class Sample:
    """What the server's process held, and what it had done for each feed."""

    at_s: float
    rss_mib: float
    threads: int
    descriptors: int
    tasks: int
    cpu_s: float
    stats: dict[str, dict[str, Any]]

    def counted(self, name: str) -> dict[str, int]:
        return {feed: stats[name] for feed, stats in self.stats.items()}


@dataclass(frozen=True, slots=True)
class Watched:
    http: httpx.Client
    process: psutil.Process
    feeds: list[str]

    def sample(self) -> Sample:
        stats = {feed: self.http.get(f"/v1/streams/{feed}/stats").json() for feed in self.feeds}
        tasks = next(
            int(line.rpartition(" ")[2])
            for line in self.http.get("/metrics").text.splitlines()
            if line.startswith("onlooker_tasks ")
        )
        process = self.process
        return Sample(
            time.monotonic(),
            process.memory_info().rss / 2**20,
            process.num_threads(),
            process.num_fds(),
            tasks,
            sum(process.cpu_times()[:2]),
            stats,
        )

    def until_tracked(self, least: int, within_s: float = 120.0) -> Sample:
        """Wait until each feed has so many tracked pictures."""
        deadline = time.monotonic() + within_s
        while min((sample := self.sample()).counted("tracked").values()) < least:
            assert time.monotonic() < deadline, f"some feed is not tracked: {sample.counted('tracked')}"
            time.sleep(0.5)
        return sample

    def over(self, seconds: float, every_s: float = 2.0) -> list[Sample]:
        """Samples for so long."""
        samples = [self.sample()]
        while samples[-1].at_s - samples[0].at_s < seconds:
            time.sleep(every_s)
            samples.append(self.sample())
        return samples


def shares(samples: Sequence[Sample]) -> dict[str, int]:
    """How many pictures of each feed were tracked between the first and the last sample."""
    first, last = samples[0].counted("tracked"), samples[-1].counted("tracked")
    return {feed: last[feed] - first[feed] for feed in last}


def piling_up(samples: Sequence[Sample]) -> dict[str, list[int]]:
    """What there is more of in every sample of the last third than in any of the one before. Threads of pools come and
    go, within their bounds."""
    third = len(samples) // 3
    counts = {what: [int(getattr(sample, what)) for sample in samples] for what in ("tasks", "descriptors")}
    return {what: count for what, count in counts.items() if min(count[-third:]) > max(count[third:-third])}


def unaccounted(samples: Sequence[Sample]) -> dict[str, int]:
    """Of each feed, pictures that came between the first and the last sample, were not tracked, and are in no count."""

    def left(sample: Sample, feed: str) -> int:
        stats = sample.stats[feed]
        dropped = sum(count for stage, count in stats["drops"].items() if stage not in ELSEWHERE)
        return int(stats["received"] - stats["tracked"] - dropped - sum(stats["skipped"].values()))

    return {feed: left(samples[-1], feed) - left(samples[0], feed) for feed in samples[0].stats}
