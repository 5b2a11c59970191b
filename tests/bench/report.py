"""What every benchmark says of itself: the machine, a table for people, a JSON file for comparison."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
LIBRARIES = ("aiortc", "av", "numpy", "onnxruntime", "opencv-python-headless", "websockets")


def machine() -> dict[str, Any]:
    """Where and with what it was measured."""
    cpu = next(
        (line.split(":", 1)[1].strip() for line in _cpu_lines() if line.startswith("model name")), platform.processor()
    )
    return {
        "date": datetime.date.today().isoformat(),
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "libraries": {name: importlib.metadata.version(name) for name in LIBRARIES},
    }


def _cpu_lines() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def percentile(values: Sequence[float], percent: float) -> float:
    """Nearest rank; NaN for no values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else float("nan")


def spread(values: Sequence[float]) -> dict[str, float]:
    """The usual figures of a distribution."""
    return {
        "n": len(values),
        "p50": round(percentile(values, 50), 2),
        "p95": round(percentile(values, 95), 2),
        "max": round(max(values, default=float("nan")), 2),
    }


def table(title: str, rows: Iterable[dict[str, Any]]) -> None:
    """Print rows that share their keys."""
    rows = list(rows)
    print(f"\n{title}")
    if not rows:
        return
    columns = list(rows[0])
    cells = [columns, *([_shown(row.get(column)) for column in columns] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    for line in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else "" if value is None else str(value)


def write(name: str, rows: list[dict[str, Any]], path: Path | None = None) -> Path:
    """Keep the rows, with the machine, as `results/NAME-DATE.json` or at `path`."""
    where = machine()
    path = path or RESULTS / f"{name}-{where['date']}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"benchmark": name, "machine": where, "rows": rows}, indent=1) + "\n")
    return path
