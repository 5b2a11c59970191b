"""The whole server with SAM 3 in full size and random weights, whose speed is that of real ones: a table of stages, how
often a step copies to the host, and what a smaller input side costs and saves.

    python -m tests.gpu.whole [--model full|tiny] [--seconds N] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from stream.config import Config
from stream.decode import DecoderThread
from stream.engines.sam3.engine import Sam3Engine
from stream.engines.sam3.graphs import runner_for
from stream.engines.sam3.network import Network
from stream.engines.sam3.policy import Policy
from stream.hardware import Hardware, nvdec
from stream.models.sam3_memory import SIDES
from stream.relief import FULL
from stream.sources.demo import CLIP
from stream.surfaces import CAPACITY, DeviceFrame
from stream.types import EncodedFrame, Frame, Prompt, PromptKind, TrackUpdate
from tests.bench.sam3_peers import build
from tests.sam3_shaped import made_sure, sees_one_thing
from tests.sam3_stock import Words
from web.bench.clip import encode
from web.bench.run import Case, measure

PROFILED = 30
Json = dict[str, Any]


class EqualTokens(Words):
    """Tokens of the length that a model takes, the same for every word."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self._length = length

    def tokens(self, text: str) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.zeros(1, self._length, dtype=torch.int64), torch.ones(1, self._length, dtype=torch.int64)


def make_engine(name: str, device: torch.device, streams: int) -> Sam3Engine:
    """An engine that sees what it is pointed at and loses nothing, warmed up."""
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    model = sees_one_thing() if name == "tiny" else made_sure(build("full", device=device, dtype=dtype))
    network = Network(model, device=device, dtype=dtype, runner=runner_for(device))
    policy = replace(Policy.of(model.config), removes=False)
    patch, full = network.shape.patch, network.shape.side
    lower = [round(side / SIDES[0] * full / patch) * patch for side in SIDES[1:]]
    engine = Sam3Engine.of(network, EqualTokens(network.shape.text), policy=policy, sides=lower)
    if device.type == "cuda":
        engine.warm_up(streams)
    return engine


def stages(engine: Sam3Engine, seconds: float, *, streams: tuple[int, ...], objects: tuple[int, ...]) -> Json:
    """720p at 30 fps through the whole server. The engine is closed with it."""
    size = (1280, 720) if engine.gpu is not None else (320, 180)
    clip = encode(CLIP, *size, 30.0)
    cases = [Case(many, things, clip) for many in streams for things in objects]
    return measure(Config(), cases, seconds=seconds, warm_up_s=2.0, engine=engine)


def frames_of(hardware: Hardware | None, count: int) -> list[Frame]:
    """Decoded where the engine is; no more than a stream's pool has."""
    clip = encode(CLIP, 1280, 720, 30.0)
    made: list[Frame] = []
    drops: list[str] = []
    thread = DecoderThread(
        "decoder", on_frame=made.append, request_keyframe=lambda: None, on_drop=lambda stage, _: drops.append(stage),
        on_error=lambda error: None, hardware=hardware,
    )  # fmt: skip
    for number, (data, keyframe) in enumerate(clip.packets[:count]):
        thread.push(EncodedFrame(clip.codec, data, keyframe, 1, number * 3000, number * 3000, None, 0.0))
    while len(made) + len(drops) < count:
        time.sleep(0.005)
    thread.close()
    return made


def renumbered(frame: Frame, index: int) -> Frame:
    """The same picture as a later one of its stream."""
    if not isinstance(frame, DeviceFrame):
        return replace(frame, index=index, pts=index * 3000, rtp=index * 3000)
    return DeviceFrame(
        index, 1, index * 3000, index * 3000, None, frame.received_s, frame.decoded_s, colour=frame.colour,
        surface=frame.surface,
    )  # fmt: skip


def copies(engine: Sam3Engine, hardware: Hardware | None, objects: int = 5) -> Json:
    """What a profiler counts in steps of one stream, per step."""
    frames = frames_of(hardware, CAPACITY - 2)
    engine.enter_thread()
    tracker = engine.open_tracker()
    for number in range(objects):
        left = number / objects
        box = (left * 1280, 100.0, (left + 0.8 / objects) * 1280, 600.0)
        tracker.add_prompt(Prompt(number + 1, PromptKind.BOX, box_xyxy_px=box))
    index = 0

    def step() -> TrackUpdate:
        nonlocal index
        (update,) = engine.step([(tracker, renumbered(frames[index % len(frames)], index))])
        index += 1
        assert isinstance(update, TrackUpdate), update
        return update

    steps = PROFILED if engine.gpu is not None else 2
    for _ in range(steps):
        update = step()
    kind = torch.profiler.ProfilerActivity.CUDA if engine.gpu is not None else torch.profiler.ProfilerActivity.CPU
    with torch.profiler.profile(activities=[kind]) as profile:
        for _ in range(steps):
            step()
        if engine.gpu is not None:
            torch.cuda.synchronize()
    counted = Counter(event.name for event in profile.events())
    named = {name: count for name, count in counted.items() if "Memcpy" in name or "Synchronize" in name}
    tracker.close()
    to_host = sum(count for name, count in named.items() if "DtoH" in name)
    return {
        "steps": steps, "tracks": len(update.tracks), "frames": type(frames[0]).__name__,
        "to_host_a_step": to_host / steps, "events_a_step": {key: n / steps for key, n in named.items()},
    }  # fmt: skip


def sides(engine: Sam3Engine, hardware: Hardware | None, objects: int = 5) -> Json:
    """A stream that goes through the input sides twice: how long a step takes at each, and the change to it, the first
    of which records."""
    frames = frames_of(hardware, CAPACITY - 2)
    tracker = engine.open_tracker()
    for number in range(objects):
        box = (number / objects * 1280, 100.0, (number + 0.8) / objects * 1280, 600.0)
        tracker.add_prompt(Prompt(number + 1, PromptKind.BOX, box_xyxy_px=box))
    index, found = 0, []

    def step() -> TrackUpdate:
        nonlocal index
        (update,) = engine.step([(tracker, renumbered(frames[index % len(frames)], index))])
        index += 1
        assert isinstance(update, TrackUpdate), update
        return update

    def timed(work: Callable[[], object]) -> float:
        begun_s = time.perf_counter()
        work()
        if engine.gpu is not None:
            torch.cuda.synchronize()
        return round((time.perf_counter() - begun_s) * 1000, 2)

    steps = 20 if engine.gpu is not None else 2
    before = [track.id for track in [step() for _ in range(steps)][-1].tracks]
    for effort in (*engine.efforts[-2:], FULL, *engine.efforts[-2:], FULL):
        change_ms = timed(partial(engine.make_do, effort))
        times = [timed(step) for _ in range(steps)]
        update = step()
        found.append({
            "side": engine.parts.network.shape.side, "change_ms": change_ms, "step_ms_p50": statistics.median(times),
            "ids_kept": [track.id for track in update.tracks] == before,
            "masks": sum(track.mask is not None for track in update.tracks),
            "state_mb": round(engine.parts.stepper.nbytes / 1e6, 1),
        })  # fmt: skip
    tracker.close()
    return {"objects": objects, "changes": found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=["full", "tiny"], default="full")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--objects", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    device = torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    engine = make_engine(options.model, device, max(options.streams))
    found: Json = {"copies": copies(engine, nvdec(0) if engine.gpu is not None else None)}
    found["sides"] = sides(engine, nvdec(0) if engine.gpu is not None else None)
    found["stages"] = stages(engine, options.seconds, streams=tuple(options.streams), objects=tuple(options.objects))
    text = json.dumps(found, indent=1)
    sys.stdout.write(text + "\n")
    if options.json:
        options.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
