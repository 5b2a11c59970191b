"""All benchmarks in turn, or those named, each in a process of its own.

    python -m tests.bench [NAME …] [--quick] [--results FOLDER]

Each prints its tables and writes `NAME-DATE.json`. One that fails does not keep the others from running; the exit
status then says so. All together take about a quarter of an hour on two cores; `--quick` only shows that they run.
"""

from __future__ import annotations

import argparse
import datetime
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.bench.report import RESULTS, table

QUICK_RESULTS = Path(".make") / "bench"


@dataclass(frozen=True)
class Bench:
    """A module of this package, and its arguments for a full and for a quick run."""

    says: str
    full: tuple[str, ...]
    quick: tuple[str, ...]


BENCHES = {
    "models": Bench("the light engine's models, alone", (), ("--runs", "5")),
    "kernels": Bench("mask post-processing on the CPU against the usual libraries", (), ("--runs", "1")),
    "sam3": Bench(
        "SAM 3's step against transformers' streaming", (),
        ("--models", "tiny", "--objects", "2", "--frames", "19", "--rehearse"),
    ),
    "page": Bench("capture to overlay data in the page", ("--seconds", "10"), ("--seconds", "3")),
    "load": Bench("what a stream and a client cost", ("--seconds", "6"), ("--seconds", "2", "--most", "2")),
    "viewers": Bench(
        "what a viewer costs, against stock aiortc that encodes for each", (), ("--runs", "1", "--seconds", "0.5")
    ),
    "feeds": Bench(
        "what an idle camera costs, and what eight get", ("--seconds", "15"), ("--seconds", "2", "--most", "1")
    ),
    "loss": Bench("latency and stalls against stock aiortc", ("--seconds", "12"), ("--seconds", "3", "--runs", "1")),
    "agent": Bench(
        "tracking while a model answers, and a question's way to it", (), ("--seconds", "3", "--runs", "1")
    ),
    "voice": Bench(
        "end of speech to words to answer, and tracking meanwhile", (),
        ("--questions", "3", "--seconds", "3", "--runs", "1"),
    ),
    "live": Bench(
        "capture to annotation with the light engine", ("--seconds", "12"),
        ("--seconds", "3", "--clicks", "2", "--objects", "1"),
    ),
}  # fmt: skip


def run(name: str, *, quick: bool, results: Path) -> dict[str, object]:
    """Run one in its own process; its output goes where ours goes."""
    bench = BENCHES[name]
    path = results / f"{name}-{datetime.date.today().isoformat()}.json"
    path.unlink(missing_ok=True)
    print(f"\n== {name}: {bench.says}", flush=True)
    arguments = bench.quick if quick else bench.full
    command = [sys.executable, "-m", f"tests.bench.{name}", *arguments, "--json", str(path)]
    started_s = time.monotonic()
    status = subprocess.run(command, check=False).returncode
    done = status == 0 and path.exists()
    took_s = round(time.monotonic() - started_s)
    return {"benchmark": name, "seconds": took_s, "result": path.name if done else f"failed ({status})", "done": done}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHES)}; all by default")
    parser.add_argument("--quick", action="store_true", help="short runs, whose figures say little")
    parser.add_argument("--results", type=Path, help="folder for the JSON files, instead of tests/bench/results")
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in BENCHES]:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(BENCHES)}")
    results = options.results or (QUICK_RESULTS if options.quick else RESULTS)
    results.mkdir(parents=True, exist_ok=True)
    rows = [run(name, quick=options.quick, results=results) for name in options.names or BENCHES]
    table("Benchmarks", [{key: value for key, value in row.items() if key != "done"} for row in rows])
    sys.exit(0 if all(row["done"] for row in rows) else 1)


if __name__ == "__main__":
    main()
