"""Planted faults: each a kernel's source with one change, and the check that must notice it.

The checks are those of the tests. A fault runs in a process of its own, since it may crash or never end.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Literal

from kernels.cuda.launch import SOURCES, Runner, entry_points
from tests.kernels.conftest import CHECKED_SCHEDULES, SCHEDULES
from tests.kernels.runner import FiberRunner

LIMIT_S = 30

How = Literal["schedules", "race"]


@dataclass(frozen=True, slots=True)
class Fault:
    """`old` occurs `times` times in `file`; with `new` there `check` must fail in one of the tests' schedules."""

    name: str
    file: str
    old: str
    new: str
    check: Callable[[Runner], object]
    how: How = "schedules"
    times: int = 1

    def source(self) -> str:
        text = (SOURCES / f"{self.file}.cu").read_text()
        if text.count(self.old) != self.times:
            raise ValueError(f"{self.name}: {self.old!r} is {text.count(self.old)} times in {self.file}.cu")
        return text.replace(self.old, self.new)


def runners(source: str | None, how: How) -> list[FiberRunner]:
    """As the tests run a kernel, with other source text if given."""
    sources = {} if source is None else dict.fromkeys(entry_points(source), source)
    if how == "race":
        return [FiberRunner(seed, preempt, "race", sources) for seed, preempt in CHECKED_SCHEDULES]
    return [FiberRunner(seed, preempt, "none", sources) for seed, preempt in SCHEDULES]


def outcome(fault: Fault) -> str:
    """How the fault was noticed; empty if it was not."""
    context = multiprocessing.get_context("forkserver")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(fault, sending))
    process.start()
    sending.close()
    try:
        noticed = receiving.recv() if receiving.poll(LIMIT_S) else "never ends"
    except EOFError:
        noticed = ""
    if noticed == "never ends":
        process.kill()
    process.join()
    if process.exitcode and process.exitcode < 0 and not noticed:
        noticed = f"killed by {signal.Signals(-process.exitcode).name}"
    process.close()
    receiving.close()
    return str(noticed)


def _run(fault: Fault, sending: Connection) -> None:
    source = fault.source()
    for runner in runners(source, fault.how):
        try:
            fault.check(runner)
        except AssertionError as error:
            sending.send(f"{type(error).__name__}: {error}"[:500])
            os._exit(1)
    sending.send("")
