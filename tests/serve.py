"""The real server in a process of its own, with an engine of choice, for benchmarks.

    python -m tests.serve --engine barcode

prints `{"url": …}` when it listens and runs until it is terminated.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from stream.engines.base import Engine, StepError, Tracker
from stream.engines.light.engine import LightEngine
from stream.engines.light.tuning import TUNING
from stream.models.store import ModelStore
from stream.types import Frame, TrackUpdate
from tests.barcode import BarcodeEngine
from tests.server import RunningServer
from web.memory import settle

STOP_S = 60.0


class IdleEngine(BarcodeEngine):
    """Takes every picture and looks at none."""

    def step(self, batch: Sequence[tuple[Tracker, Frame]]) -> list[TrackUpdate | StepError]:
        return [TrackUpdate.of(frame, ()) for _, frame in batch]


class SlowEngine(BarcodeEngine):
    """Takes 40 ms for each picture."""

    def step(self, batch: Sequence[tuple[Tracker, Frame]]) -> list[TrackUpdate | StepError]:
        time.sleep(0.04 * len(batch))
        return [TrackUpdate.of(frame, ()) for _, frame in batch]


ENGINES: dict[str, Callable[[], Engine]] = {
    "barcode": BarcodeEngine,
    "idle": IdleEngine,
    "slow": SlowEngine,
    "light": lambda: LightEngine(ModelStore()),
    "light, soon forgetting": lambda: LightEngine(ModelStore(), tuning=replace(TUNING, keep_lost_s=3.0)),
}


SHORT = {
    "stream.facts": {"KEPT_FACTS": 100},
    "agent.scene": {"KEPT_EVENTS": 50, "KEPT_OBJECTS": 16, "KEPT_PATH": 10, "KEPT_VISITS": 2},
    "agent.rules.history": {"MOST_BYTES": 64 * 1024},
}
"""How much is remembered of a stream: less than in use, so that it is full within minutes and not within an hour. Until
then memory grows, as it should."""


def forget_soon() -> None:
    """Give this process a short memory."""
    for name, sizes in SHORT.items():
        module = importlib.import_module(name)
        for constant, size in sizes.items():
            assert size < getattr(module, constant)
            setattr(module, constant, size)


@contextlib.contextmanager
def serving_process(
    engine: str,
    *,
    vlm: str | None = None,
    voice: str | None = None,
    tables: dict[str, Any] | None = None,
    short: bool = False,
) -> Iterator[tuple[str, int]]:
    """The server's address and its process id. `vlm` is the address of a language model server, `voice` a folder that
    holds a speech model, `tables` further ones of the configuration; with `short` it has a short memory."""
    command = [sys.executable, "-m", "tests.serve", "--engine", engine]
    command += [*(["--vlm", vlm] if vlm else []), *(["--voice", voice] if voice else [])]
    command += [*(["--tables", json.dumps(tables)] if tables else []), *(["--short"] if short else [])]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"], process.pid
    finally:
        process.terminate()
        try:
            process.communicate(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=ENGINES, default="barcode")
    parser.add_argument("--vlm")
    parser.add_argument("--voice")
    parser.add_argument("--tables", type=json.loads, default={}, help="of the configuration, as JSON")
    parser.add_argument("--short", action="store_true", help="a short memory, which is soon full")
    options = parser.parse_args()
    if options.short:
        forget_soon()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    engine = ENGINES[options.engine]()
    tables: dict[str, Any] = {"vlm": {"url": options.vlm, "describe": False}} if options.vlm else {}
    tables |= {"voice": {"model": options.voice}} if options.voice else {}
    tables |= options.tables
    with tempfile.TemporaryDirectory() as folder, RunningServer(Path(folder), tables, engine=engine) as server:
        settle()
        print(json.dumps({"url": server.url}), flush=True)  # noqa: T201
        signal.pause()


if __name__ == "__main__":
    main()
