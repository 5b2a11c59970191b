"""What a frame costs in full size on a GPU, with random weights: their speed is that of real ones.

A frame is: encode the pictures of all cameras, follow all objects, remember them, and bring the masks to the host, the
only time that the host waits. The detector, which does not run in every frame, is timed by itself. Every object has
4 + 6 memories. The floor is what the operations take at the rate that an H200 reaches with large bfloat16 products; on
another card compare the milliseconds.
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from stream.engines.sam3.graphs import Runner, runner_for
from stream.engines.sam3.network import Query
from stream.engines.sam3.shape import CONDITIONING
from tests.bench.report import percentile, table
from tests.bench.sam3_peers import Ours, Tracker, build

H200_TFLOPS = 790.0
VIT_TFLOP = {1008: 5.40, 672: 2.29, 504: 1.33}
MEMORY_TFLOP = {1008: 1.29, 672: 0.27, 504: 0.09}
"""Memory attention of one object with 4 + 6 memories."""
PYRAMID_TFLOP = 0.215
"""The tracker's feature pyramid at 1008 px; proportional to the picture."""
DECODER_TFLOP = 0.02
"""Memory encoder and mask decoder of one object at 1008 px."""
FULL_MEMORY = 17
STOCK_OBJECTS = (1, 5, 10)
"""With more, stock takes seconds a frame."""


def floor_ms(side: int, objects: int, cameras: int) -> float | None:
    """Of all operations but the detector's."""
    if side not in VIT_TFLOP:
        return None
    share = (side / 1008) ** 2
    picture = VIT_TFLOP[side] + PYRAMID_TFLOP * share
    return (cameras * picture + objects * (MEMORY_TFLOP[side] + DECODER_TFLOP * share)) / H200_TFLOPS * 1000


def full_size(
    device: torch.device, model: str = "full", *, sides: Iterable[int] = (1008, 672),
    objects: Iterable[int] = (1, 5, 10, 16, 32), cameras: Iterable[int] = (1, 4), frames: int = 40,
) -> list[dict[str, Any]]:  # fmt: skip
    """One row for each combination; stock beside it with few objects and one camera."""
    rows = []
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    for side in sides:
        peer = build(model, device=device, dtype=dtype, side=side)
        stock = {count: _stock_ms(peer, count, device, dtype, side) for count in objects if count in STOCK_OBJECTS}
        del peer
        for shown in cameras:
            for count in objects:
                built = build(model, device=device, dtype=dtype, side=side)
                row = _row(built, count, shown, device, dtype, side, frames)
                row["stock_tracker_ms"] = stock.get(count) if shown == 1 else None
                rows.append(row)
                table(f"SAM 3 in full size on {row['device']}", rows[-1:])
    return rows


def _row(
    model: Any, objects: int, cameras: int, device: torch.device, dtype: torch.dtype, side: int, frames: int
) -> dict[str, Any]:
    runner = runner_for(device)
    _reset_peak(device)
    ours = Ours(model, objects, cameras=cameras, device=device, dtype=dtype, runner=runner, vouched=CONDITIONING)
    concept = ours.network.embed_text(
        torch.zeros(1, ours.network.shape.text, dtype=torch.long),
        torch.ones(1, ours.network.shape.text, dtype=torch.long),
    )
    started_s = time.perf_counter()
    ours.stepper.warm_up(cameras, concept=concept, objects=objects)
    warm_up_s = time.perf_counter() - started_s
    pictures = torch.rand(cameras, 3, side, side, device=device).to(dtype) * 2 - 1
    masks = ours.step(pictures, 0)
    host = torch.empty(masks.shape, dtype=masks.dtype, pin_memory=device.type == "cuda")

    def step(frame: int) -> None:
        host.copy_(ours.step(pictures, frame), non_blocking=True)

    for frame in range(1, FULL_MEMORY):
        step(frame)
    samples = _timed(step, range(FULL_MEMORY, FULL_MEMORY + frames), device)
    waits = _waits(step, range(FULL_MEMORY + frames, FULL_MEMORY + frames + 3), device)
    features = ours.network.encode(pictures)
    queries = [Query(camera, concept) for camera in range(cameras)]
    detect = _timed(lambda _: ours.network.detect(features, queries), range(10), device)
    floor, middle = floor_ms(side, objects, cameras), statistics.median(samples)
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU, tiny model",
        "side": side, "cameras": cameras, "objects": objects, "p50_ms": round(middle, 2),
        "p95_ms": round(percentile(samples, 95), 2), "floor_ms": None if floor is None else round(floor, 2),
        "over_floor": None if floor is None else round(middle / floor, 2), "waits_a_frame": waits,
        "detect_ms": round(statistics.median(detect), 2), "warm_up_s": round(warm_up_s, 1),
        "graphs": _graphs(runner), "state_mb": round(ours.state_bytes / 1e6, 1), "peak_gb": _peak_gb(device),
    }  # fmt: skip


def _stock_ms(model: Any, objects: int, device: torch.device, dtype: torch.dtype, side: int) -> float:
    tracker = Tracker(model, objects, vouched=CONDITIONING)
    picture: Tensor = torch.rand(1, 3, side, side, device=device).to(dtype) * 2 - 1
    for frame in range(FULL_MEMORY):
        tracker.step(picture, frame)
    samples = _timed(lambda frame: tracker.step(picture, frame), range(FULL_MEMORY, FULL_MEMORY + 5), device)
    return round(statistics.median(samples), 2)


def _timed(step: Callable[[int], object], frames: Iterable[int], device: torch.device) -> list[float]:
    """Milliseconds of each frame until the host has its result."""
    samples = []
    for frame in frames:
        _synchronise(device)
        started_s = time.perf_counter()
        step(frame)
        _synchronise(device)
        samples.append((time.perf_counter() - started_s) * 1000)
    return samples


def _waits(step: Callable[[int], object], frames: range, device: torch.device) -> float | None:
    """How often in a frame torch waited for the device, beside the end; None where there is no device to wait for."""
    if device.type != "cuda":
        for frame in frames:
            step(frame)
        return None
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            for frame in frames:
                step(frame)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return len([one for one in seen if "synchroniz" in str(one.message)]) / len(frames)


def _graphs(runner: Runner) -> int:
    return len(runner) if hasattr(runner, "__len__") else 0


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _reset_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def _peak_gb(device: torch.device) -> float | None:
    return round(torch.cuda.max_memory_reserved(device) / 1e9, 2) if device.type == "cuda" else None
