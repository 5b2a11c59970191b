"""What NVDEC does here, question by question; each answers by itself.

python -m tests.gpu.decoding [--json FILE]
"""

from __future__ import annotations

import argparse
import ctypes
import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np

from stream.decode import DecoderThread
from stream.hardware import MAX_PIXELS, Hardware, nvdec, sample, tried
from stream.pictures import DECODERS, PyAvDecoder, nv12_planes
from stream.surfaces import DeviceFrame, Planes, SurfacePool
from stream.types import Codec, Colour, EncodedFrame, Frame
from tests.barcode import read
from tests.encoding import encoded_frames

CODECS: list[Codec] = ["H264", "VP8"]
Json = dict[str, Any]


def in_thread(work: Callable[[], Any]) -> Any:
    """On a thread of its own, as a decoder's: what it returned, or the error in words."""
    made: list[Any] = []

    def run() -> None:
        try:
            made.append(work())
        except Exception as error:  # noqa: BLE001 - the answer
            made.append(f"{type(error).__name__}: {error}")

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return made[0]


def library() -> Json:
    """Whether NVDEC's library is there."""
    listed = subprocess.run(["ldconfig", "-p"], capture_output=True, text=True, check=False).stdout
    try:
        ctypes.CDLL("libnvcuvid.so.1")
        loads = True
    except OSError as error:
        loads = str(error)
    return {"ldconfig": [line.strip() for line in listed.splitlines() if "nvcuvid" in line], "loads": loads}


def contexts(hardware: Hardware) -> Json:
    """Which options of FFmpeg's device work after torch has made its context."""
    ways = {
        "current_ctx": {"primary_ctx": "0", "current_ctx": "1"}, "primary_ctx": {"primary_ctx": "1"},
        "own context": {"primary_ctx": "0"},
    }  # fmt: skip

    def open_with(options: dict[str, str]) -> str:
        hardware.device.bind()
        from av.codec.hwaccel import HWAccel

        hwaccel = HWAccel("cuda", is_hw_owned=True, options=dict(options), allow_software_fallback=True)
        pictures = PyAvDecoder("H264", MAX_PIXELS, hwaccel).decode(av.Packet(sample("H264")))
        return pictures[0].format.name if pictures else "nothing came out"

    return {name: in_thread(lambda options=options: open_with(options)) for name, options in ways.items()}


def capsules(hardware: Hardware) -> Json:
    """How a picture's planes get to torch."""
    import torch

    def take() -> Json:
        hardware.device.bind()
        picture = hardware.open("H264", MAX_PIXELS).decode(av.Packet(sample("H264")))[0]
        plane = picture.planes[0]
        straight = in_thread(lambda: str(torch.from_dlpack(plane).shape))
        tensor = torch.from_dlpack(plane.__dlpack__())
        return {"from_dlpack(plane)": straight, "capsule": list(tensor.shape), "strides": list(tensor.stride())}

    return {"answer": in_thread(take)}


def delay(hardware: Hardware) -> Json:
    """Packets that went in until the first picture came out, and pictures of 30."""

    def count(codec: Codec) -> Json:
        hardware.device.bind()
        decoder = hardware.open(codec, MAX_PIXELS)
        came = [len(decoder.decode(av.Packet(frame.data))) for frame in encoded_frames(codec, range(30))]
        first = next((number for number, many in enumerate(came) if many), None)
        return {"held_back": first, "pictures": sum(came)}

    return {codec: in_thread(lambda codec=codec: count(codec)) for codec in CODECS}


class Stream:
    """A decoder thread on the device, and what came of it."""

    def __init__(self, hardware: Hardware, on_frame: Callable[[Frame], None] = lambda frame: None) -> None:
        self.numbers: list[int | None] = []
        self.drops: dict[str, int] = {}
        self.kinds: set[str] = set()
        self.decode_ms: list[float] = []
        self._on_frame = on_frame
        self.thread = DecoderThread(
            "decoder", on_frame=self._take, request_keyframe=lambda: None, on_drop=self._drop,
            on_error=lambda error: None, hardware=hardware,
        )  # fmt: skip

    def _take(self, frame: Frame) -> None:
        self.decode_ms.append((frame.decoded_s - frame.received_s) * 1000)
        self.kinds.add(type(frame).__name__)
        self._on_frame(frame)
        self.numbers.append(read(frame.y))

    def _drop(self, stage: str, count: int) -> None:
        self.drops[stage] = self.drops.get(stage, 0) + count

    def push(self, frames: list[EncodedFrame], seconds: float = 20.0) -> None:
        for frame in frames:
            seen = len(self.numbers) + sum(self.drops.values())
            self.thread.push(EncodedFrame(
                frame.codec, frame.data, frame.keyframe, frame.epoch, frame.pts, frame.rtp, None, time.monotonic()
            ))  # fmt: skip
            until_s = time.monotonic() + seconds
            while len(self.numbers) + sum(self.drops.values()) == seen and time.monotonic() < until_s:
                time.sleep(0.0002)

    def answer(self, wanted: list[int]) -> Json:
        self.thread.close()
        by = self.thread.decoding
        return {
            "by": by.by if by else None, "note": by.note if by else None, "right": self.numbers == wanted,
            "wrong_at": next((n for n, (a, b) in enumerate(zip(self.numbers, wanted, strict=False)) if a != b), None),
            "pictures": len(self.numbers), "drops": self.drops, "kinds": sorted(self.kinds),
            "decode_ms_p50": round(statistics.median(self.decode_ms), 2) if self.decode_ms else None,
        }  # fmt: skip


def changes(hardware: Hardware) -> Json:
    """A change of size in the middle of a stream, and a picture that is broken."""
    answers: Json = {}
    for codec in CODECS:
        stream = Stream(hardware)
        stream.push(encoded_frames(codec, range(10), size=(640, 360)))
        stream.push(encoded_frames(codec, range(10, 20), size=(1280, 720)))
        stream.push(encoded_frames(codec, range(20, 30), size=(320, 240)))
        answers[f"{codec} size"] = stream.answer(list(range(30)))
        stream = Stream(hardware)
        frames = encoded_frames(codec, range(12), keyframes=[8])
        stream.push(frames[:4])
        bad = frames[4]
        stream.push([EncodedFrame(codec, bad.data[:5] + b"\xff" * 9, False, 1, bad.pts, bad.rtp, None, 0.0)])
        stream.push(frames[8:])
        answers[f"{codec} broken"] = stream.answer([0, 1, 2, 3, 8, 9, 10, 11])
    return answers


def order(hardware: Hardware) -> Json:
    """Whether pictures are right while an engine keeps the device busy and reads late, on another stream."""
    import torch

    answers: Json = {}
    for codec in CODECS:
        heavy = torch.rand(4096, 4096, device="cuda", dtype=torch.bfloat16)
        engine, sums = torch.cuda.Stream(), []

        def work(frame: Frame, heavy: Any = heavy, engine: Any = engine, sums: list[Any] = sums) -> None:
            if isinstance(frame, DeviceFrame):
                with torch.cuda.stream(engine), frame.surface.reading() as planes:
                    for _ in range(4):
                        heavy @ heavy
                    sums.append(planes.y.long().sum())

        stream = Stream(hardware, on_frame=work)
        stream.push(encoded_frames(codec, range(120), size=(1280, 720)))
        torch.cuda.synchronize()
        answers[codec] = stream.answer(list(range(120)))
        plain = PyAvDecoder(codec, MAX_PIXELS)
        right = [
            int(nv12_planes(picture)[0].astype(np.int64).sum())
            for frame in encoded_frames(codec, range(120), size=(1280, 720))
            for picture in plain.decode(av.Packet(frame.data))
        ]
        answers[codec]["read_late_right"] = [int(one) for one in sums] == right
    return answers


def upload(hardware: Hardware) -> Json:
    """What it costs to bring a picture of the host to the device, and parts of it or all back, 1280×720."""

    def times() -> Json:
        hardware.device.bind()
        pool = SurfacePool(hardware.device)
        planes = Planes(np.zeros((720, 1280), np.uint8), np.zeros((360, 640, 2), np.uint8))
        took: dict[str, list[float]] = {"upload_ms": [], "part_ms": [], "keyframe_ms": [], "download_ms": []}

        def timed(name: str, work: Callable[[], Any]) -> Any:
            begun_s = time.perf_counter()
            made = work()
            took[name].append((time.perf_counter() - begun_s) * 1000)
            return made

        for _ in range(50):
            surface = timed("upload_ms", lambda: pool.fill(planes))
            assert surface is not None
            timed("part_ms", partial(surface.cut, (400, 200, 656, 456), (256, 256), Colour()))
            timed("keyframe_ms", partial(surface.cut, (0, 0, 1280, 720), (360, 640), Colour()))
            timed("download_ms", surface.on_host)
        return {name: round(statistics.median(times), 3) for name, times in took.items()}

    return {"answer": in_thread(times)}


def answers(hardware: Hardware) -> Json:
    """All of it; a question that fails says why."""
    found: Json = {"device": hardware.device.words}
    found["refused"] = in_thread(lambda: dict(tried(hardware).refused))
    questions = {
        "library": lambda: library(), "contexts": lambda: contexts(hardware), "capsules": lambda: capsules(hardware),
        "delay": lambda: delay(hardware), "changes": lambda: changes(hardware), "order": lambda: order(hardware),
        "upload": lambda: upload(hardware),
    }  # fmt: skip
    for name, ask in questions.items():
        found[name] = in_thread(ask)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = answers(nvdec(0))
    text = json.dumps({"codecs": sorted(DECODERS), **found}, indent=1)
    sys.stdout.write(text + "\n")
    if options.json:
        options.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
