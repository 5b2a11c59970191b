"""SAM 3's live step against transformers' own streaming, in one run; on a GPU also what a frame costs in full size.

    python -m tests.bench.sam3 [--objects 1 4 10 32] [--frames 26] [--device auto|cpu|cuda]

On the CPU: small models with random weights, one thread, all variants in turn in each frame, so that what else the
machine does hits them alike; times are this process's own. About ten minutes.

- `ours`: pictures encoded, objects followed and remembered, in float32; `detect` what the detector adds to a frame that
  it looks at, which is every fourth; `ours_bf16` the same in bfloat16, where the processor has units for it, which is
  what the engine then computes in.
- `tracker`: transformers' tracker on the same pictures, without detections or planning. `stock`: its whole streaming,
  `Sam3VideoModel.forward`, whose detector looks at every frame, with given detections; `_pruned` with the exact prune.
- `tracker_over_ours` compares following alone; `…_over_step` the whole streaming with our step and its detector.
  Both peers compute in float32. Late frames over early ones tell whether a step grows with the stream.

On a GPU: `tests.bench.sam3_gpu`. `--rehearse` runs that on the CPU with the tiny model, to show that it works.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import torch
import transformers

from stream.engines.sam3.policy import Policy
from stream.engines.sam3.weights import choose_dtype
from tests.bench.report import table, write
from tests.bench.sam3_gpu import full_size
from tests.bench.sam3_peers import Ours, Stock, Tracker, build
from tests.sam3_scene import pictures

CPU = torch.device("cpu")
FULL_MEMORY = 17
"""From this frame on every object remembers as much as it ever will."""
WINDOW = 4
"""Frames that early and late figures are medians of."""
LOOKS = 5
MANY = 16
"""With more objects than this each frame of the middle model takes many seconds."""
FEW_FRAMES = 22


def compared(name: str, objects: int, frames: int) -> dict[str, Any]:
    """One row: milliseconds a frame of each variant, and how it grows."""
    model, peer = (build(name, device=CPU, dtype=torch.float32) for _ in range(2))
    ours = Ours(model, objects, device=CPU, dtype=torch.float32)
    variants: list[Any] = [ours, Stock(peer, objects, pruned=True)]
    if choose_dtype(CPU) == torch.bfloat16:
        half = build(name, device=CPU, dtype=torch.bfloat16)
        variants.insert(1, Ours(half, objects, device=CPU, dtype=torch.bfloat16, name="ours_bf16"))
    if name == "middle" and objects > MANY:
        frames = min(frames, FEW_FRAMES)
    else:
        variants.append(Tracker(peer, objects))
    if name == "tiny" or objects <= 4:
        variants.append(Stock(peer, objects, pruned=False))
    taken: dict[str, list[float]] = {variant.name: [] for variant in variants}
    early_bytes: dict[str, int] = {}
    for frame, picture in enumerate(pictures(frames, int(model.tracker_model.image_size))):
        for variant in variants if frame % 2 else variants[::-1]:
            started_s = time.process_time()
            variant.step(picture[None].to(variant.dtype), frame)
            taken[variant.name].append((time.process_time() - started_s) * 1000)
        if frame == FULL_MEMORY:
            early_bytes = {variant.name: variant.state_bytes for variant in variants}
    looks = {one.name: _look_ms(one) for one in variants if isinstance(one, Ours)}
    return {"model": name, "objects": objects, "frames": frames, **_figures(variants, taken, early_bytes, looks)}


def _look_ms(ours: Ours) -> float:
    picture = pictures(1, ours.network.shape.side).to(ours.dtype)
    ours.look(picture)
    times = []
    for _ in range(LOOKS):
        started_s = time.process_time()
        ours.look(picture)
        times.append((time.process_time() - started_s) * 1000)
    return statistics.median(times)


def _figures(
    variants: list[Any], taken: dict[str, list[float]], early_bytes: dict[str, int], looks: dict[str, float]
) -> dict[str, Any]:
    row: dict[str, Any] = {}
    full = {name: times[FULL_MEMORY:] for name, times in taken.items()}
    for name, times in full.items():
        row[f"{name}_ms"] = round(statistics.median(times), 1)
    row["detect_ms"] = round(looks["ours"], 1)
    step = {name: [one + look / Policy().detect_every for one in full[name]] for name, look in looks.items()}
    if "tracker" in full:
        row["tracker_over_ours"] = _times_faster(full["tracker"], full["ours"])
    for name in (name for name in full if name.startswith("stock")):
        row[f"{name}_over_step"] = _times_faster(full[name], step["ours"])
    if "ours_bf16" in step:
        row["stock_pruned_over_bf16_step"] = _times_faster(full["stock_pruned"], step["ours_bf16"])
    for variant in variants:
        times = full[variant.name]
        row[f"{variant.name}_late_of_early"] = round(
            statistics.median(times[-WINDOW:]) / statistics.median(times[:WINDOW]), 2
        )
        row[f"{variant.name}_mb"] = [round(early_bytes[variant.name] / 1e6, 1), round(variant.state_bytes / 1e6, 1)]
    return row


def _times_faster(peer: list[float], ours: list[float]) -> float:
    """Frame by frame, since a machine is not always equally fast."""
    return round(statistics.median(theirs / mine for theirs, mine in zip(peer, ours, strict=True)), 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, nargs="+", default=[1, 4, 10, 32])
    parser.add_argument("--frames", type=int, default=26)
    parser.add_argument("--models", nargs="+", default=["tiny", "middle"], choices=["tiny", "middle"])
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--rehearse", action="store_true", help="the GPU's part with the tiny model on the CPU")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.frames < FULL_MEMORY + 2:
        parser.error(f"--frames must be at least {FULL_MEMORY + 2}: memories are full after {FULL_MEMORY}")
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    rows: list[dict[str, Any]] = []
    if options.device != "cuda":
        for name in options.models:
            for objects in options.objects:
                rows.append(compared(name, objects, options.frames))
                table("SAM 3 on the CPU", rows[-1:])
    if options.rehearse:
        rows += full_size(CPU, "tiny", sides=(112,), objects=(1, 3), cameras=(1, 2), frames=4)
    elif options.device == "cuda" or (options.device == "auto" and torch.cuda.is_available()):
        rows += full_size(torch.device("cuda"))
    print(write("sam3", rows, options.json))


if __name__ == "__main__":
    main()
