"""Every check and benchmark that needs a GPU, in under ten minutes, and one file of what they found.

    python -m tests.gpu.everything [--json FILE] [--minutes N] [--only NAME …]

Each part runs in a process of its own within a time of its own; one that fails or takes too long is noted with its
error and the next one begins. The file is written after each part. Without a GPU nothing runs and the exit status is 2.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import importlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from web.bench.result import machine

TAIL = 4000
"""Characters of a part's output that are kept, of a failed one twice as many."""
LEAST_S = 10.0
"""With less time left a part is not begun."""
FILE = "{json}"
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Part:
    """`command` is given to Python; `{json}` in it stands for a file that the part writes."""

    name: str
    says: str
    limit_s: float
    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    program: str | None = None
    """What runs it in place of Python, where it is installed."""


CUDA = {"ONLOOKER_KERNELS": "cuda"}
PYTEST = ("-m", "pytest", "-q", "-p", "no:cacheprovider")
PARTS = (
    Part("decoding", "NVDEC: library, context, planes, delay, changes, order", 60, (
        "-m", "tests.gpu.decoding", "--json", FILE)),
    Part("engine", "the sam3 engine against the processor", 90, (*PYTEST, "tests/gpu"), CUDA),
    Part("whole", "the whole server, SAM 3 in full size, 720p30; copies to the host; smaller sides", 150, (
        "-m", "tests.gpu.whole", "--json", FILE)),
    Part("kernels", "the kernels against their references", 120, (*PYTEST, "tests/kernels"), CUDA),
    Part("kernel times", "each kernel, and the usual libraries", 60, (
        "-m", "tests.bench.gpu_kernels", "--objects", "10", "100", "--repeats", "50", "--json", FILE)),
    Part("steps", "SAM 3's step in full size", 90, ("-m", "tests.gpu.steps", "--json", FILE)),
    Part("memcheck", "small kernel runs under compute-sanitizer", 60, (
        "--tool", "memcheck", "--error-exitcode", "1", "--target-processes", "all", sys.executable, *PYTEST, "-m",
        "checked", "tests/kernels"), CUDA, program="compute-sanitizer"),
)  # fmt: skip


def missing() -> str | None:
    """Why nothing can be run here; None where there is a GPU."""
    try:
        torch = importlib.import_module("torch")
        if not torch.cuda.is_available():
            return "torch finds no CUDA GPU. Run this on a machine with an NVIDIA GPU and its driver."
        importlib.import_module("cupy")
    except ImportError as error:
        return f"{error}. Install what the GPU needs: pip install -e '.[sam3]' --group test"
    return None


def run_all(parts: Sequence[Part], path: Path, seconds: float) -> Json:
    """Run them one after the other, keeping what they found in `path`."""
    begun_s = time.monotonic()
    found: Json = {"format": "onlooker-gpu", "version": 1, "machine": {**machine(), "card": card()}, "parts": {}}
    for part in parts:
        left_s = seconds - (time.monotonic() - begun_s)
        say(f"{part.name}: {part.says}")
        found["parts"][part.name] = result = run(part, left_s)
        say(f"  {result['status']}, {result['seconds']:.0f} s")
        found["seconds"] = round(time.monotonic() - begun_s, 1)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found, indent=1) + "\n")
    return found


def run(part: Part, left_s: float) -> Json:
    """One part: `status` is passed, failed, timed out or skipped, with the end of its output and what it wrote."""
    program = part.program or sys.executable
    if shutil.which(program) is None:
        return {"status": "skipped", "seconds": 0.0, "error": f"{program} is not installed."}
    if left_s < LEAST_S:
        return {"status": "skipped", "seconds": 0.0, "error": "There was no time left."}
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "part.json"
        command = [program, *(str(kept) if word == FILE else word for word in part.command)]
        begun_s = time.monotonic()
        status, output = _output_of(command, part, min(part.limit_s, left_s))
        result: Json = {"status": status, "seconds": round(time.monotonic() - begun_s, 1)}
        if kept.exists():
            result["found"] = json.loads(kept.read_text())
    if counts := re.findall(r"\d+ (?:passed|failed|skipped|errors?|deselected)", output[-400:]):
        result["tests"] = counts
    result["output" if status == "passed" else "error"] = output[-(TAIL if status == "passed" else 2 * TAIL) :]
    return result


def _output_of(command: Sequence[str], part: Part, limit_s: float) -> tuple[str, str]:
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        env={**os.environ, **part.environment},
    )  # fmt: skip
    try:
        output, _ = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        # With all that it started: a benchmark has processes of its own.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        return "timed out", output
    return ("passed" if process.returncode == 0 else "failed"), output


def card() -> str | None:
    """What the driver says of the first GPU: name, driver, memory."""
    if shutil.which("nvidia-smi") is None:
        return None
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    done = subprocess.run(query, capture_output=True, text=True, check=False, timeout=30)
    return done.stdout.strip().splitlines()[0] if done.returncode == 0 and done.stdout.strip() else None


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="by default gpu-DATE.json among the results of the benchmarks")
    parser.add_argument("--minutes", type=float, default=9.5)
    parser.add_argument("--only", nargs="+", choices=[part.name for part in PARTS], default=None)
    options = parser.parse_args(arguments)
    if why := missing():
        say(f"No GPU check can be run here: {why}")
        return 2
    path = options.json or Path("tests/bench/results") / f"gpu-{datetime.date.today().isoformat()}.json"
    parts = [part for part in PARTS if options.only is None or part.name in options.only]
    found = run_all(parts, path, 60 * options.minutes)
    say(f"Kept in {path}, after {found['seconds']:.0f} s")
    return 0 if all(part["status"] in ("passed", "skipped") for part in found["parts"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
