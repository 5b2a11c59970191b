"""What a benchmark found: figures, the file they are kept in, tables for people, and two files side by side."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from stream.errors import BadInput

FORMAT, VERSION = "onlooker-bench", 1
LIBRARIES = ("av", "numpy", "onnxruntime", "opencv-python-headless", "torch", "transformers", "cupy-cuda13x")
CASE = ("streams", "objects", "width", "height", "fps")
"""What makes two cases the same."""
FIRST = ("receive", "decode", "wait", "engine")
LAST = ("send", "encode", "draw", "total")
WITHIN_LAST = ("encode",)
"""Part of the stage before it, as all are that are neither first nor last: those are the engine's."""
PERCENTS = (50, 95, 99)

Json = dict[str, Any]


def percentiles(values: Sequence[float]) -> Json:
    """Milliseconds: nearest rank, and how many there were."""
    ordered = sorted(values)
    ranks = (min(len(ordered) - 1, int(len(ordered) * percent / 100)) for percent in PERCENTS)
    shown = {f"p{percent}": round(ordered[rank], 2) for percent, rank in zip(PERCENTS, ranks, strict=True)}
    return {**shown, "n": len(ordered)}


def machine() -> Json:
    """Where and with what it was measured."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "cpu": names[0] if names else platform.processor(),
        "cores": cores,
        "python": platform.python_version(),
        "onlooker": importlib.metadata.version("onlooker"),
        "libraries": {name: version for name in LIBRARIES if (version := _version(name)) is not None},
        "gpu": _gpu(),
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _gpu() -> Json | None:
    """The first CUDA GPU, where torch is in use and finds one."""
    torch: Any = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return None
    return {"name": torch.cuda.get_device_name(0), "cuda": torch.version.cuda, "driver": _driver()}


def _driver() -> str | None:
    path = Path("/proc/driver/nvidia/version")
    return path.read_text().splitlines()[0].strip() if path.exists() else None


def write(path: Path, found: Json) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"format": FORMAT, "version": VERSION, **found}, indent=1) + "\n")


def read(path: Path) -> Json:
    """A file that `write` made. Raises `BadInput`."""
    advice = "Give a file that `onlooker bench --json` wrote."
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read: {error}", action=advice) from error
    if not isinstance(found, dict) or (found.get("format"), found.get("version")) != (FORMAT, VERSION):
        raise BadInput(f"{path} is no result of this version's `onlooker bench`.", action=advice)
    return found


def in_order(names: Iterable[str]) -> list[str]:
    """Stages as a picture goes through them; those within the engine between."""
    found = list(dict.fromkeys(names))
    inner = [name for name in found if name not in FIRST and name not in LAST]
    return [*(name for name in FIRST if name in found), *inner, *(name for name in LAST if name in found)]


def title(case: Json) -> str:
    streams, objects = case["streams"], case["objects"]
    return (
        f"{streams} stream{'s' * (streams != 1)}, {objects} object{'s' * (objects != 1)} each, "
        f"{case['width']}×{case['height']} at {case['fps']:g} fps"
    )


def case_table(case: Json) -> Table:
    """One case: a line for each stage."""
    table = Table("stage", *(f"p{percent}" for percent in PERCENTS), box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for name in in_order(case["stages"]):
        stage = case["stages"][name]
        table.add_row(_shown(name), *(f"{stage[f'p{percent}']:.1f}" for percent in PERCENTS))
    return table


def _shown(name: str) -> str:
    whole = name in (*FIRST, *LAST) and name not in WITHIN_LAST
    return ("" if whole else "  ") + name.replace("_", " ")


def summary(case: Json) -> str:
    """What else there is to say of a case, in a line or two."""
    drops = ", ".join(f"{stage} {count}" for stage, count in sorted(case["drops"].items())) or "none"
    memory = f"{case['rss_mb']:.0f} MB" + (f", GPU {case['gpu_mb']:.0f} MB" if case["gpu_mb"] is not None else "")
    words = (
        f"{case['tracked_fps']:.1f} pictures a second tracked of {case['fps']:g} a stream, "
        f"{case['followed']:.1f} objects followed, drops: {drops}, memory: {memory}"
    )
    return "\n".join([words, *(f"at present: {rule}" for rule in case["policy"])])


def compared(before: Json, after: Json) -> list[Table]:
    """A table for each case that both have: p50 and p95 of each stage, and the ratio of the p50s."""
    old = {tuple(case[name] for name in CASE): case for case in before["cases"]}
    tables = []
    for case in after["cases"]:
        same = old.get(tuple(case[name] for name in CASE))
        if same is not None:
            tables.append(_side_by_side(same, case))
    return tables


def _side_by_side(before: Json, after: Json) -> Table:
    table = Table("", "A p50", "B p50", "B / A", "A p95", "B p95", title=title(after), box=None, pad_edge=False)
    table.title_justify = "left"
    for column in table.columns[1:]:
        column.justify = "right"
    for name in in_order([*before["stages"], *after["stages"]]):
        sides = [side["stages"].get(name) for side in (before, after)]
        table.add_row(_shown(name), *_pair(sides, "p50"), _ratio(sides), *_pair(sides, "p95"))
    table.add_section()
    for name, key in (("pictures a second", "tracked_fps"), ("memory, MB", "rss_mb")):
        table.add_row(name, f"{before[key]:.1f}", f"{after[key]:.1f}", f"{after[key] / max(before[key], 1e-9):.2f}")
    table.add_row("drops", *(str(sum(side["drops"].values())) for side in (before, after)))
    return table


def _pair(sides: Sequence[Json | None], key: str) -> list[str]:
    return ["–" if side is None else f"{side[key]:.1f}" for side in sides]


def _ratio(sides: Sequence[Json | None]) -> str:
    before, after = sides
    return "–" if before is None or after is None or not before["p50"] else f"{after['p50'] / before['p50']:.2f}"
