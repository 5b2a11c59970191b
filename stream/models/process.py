"""Runs a program for as long as it makes headway."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

_POLL_S = 0.2
_MAX_ERROR_BYTES = 64_000


class Stalled(Exception):
    """The program made no headway for too long and was ended."""


def run_watched(
    command: Sequence[str],
    *,
    cwd: Path,
    errors: Path,
    measure: Callable[[], int],
    stall_s: float,
    env: Mapping[str, str] | None = None,
) -> tuple[int, str]:
    """Run `command` to its end; returns its exit status and what it wrote to standard error (kept in `errors`).
    `env` is added to this process's environment.

    `measure` is called several times a second and tells how far the program has come. Raises `Stalled` when that has
    not changed for `stall_s`, and `OSError` when the program cannot be started. However this function ends (an
    exception out of `measure`, Ctrl-C), the program and its children are gone afterwards.
    """
    with errors.open("wb") as stderr:
        process = subprocess.Popen(
            command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr,
            start_new_session=sys.platform != "win32", env={**os.environ, **(env or {})},
        )  # fmt: skip
        try:
            _wait(process, measure, stall_s)
        finally:
            _end(process)
    with errors.open("rb") as written:
        return process.returncode, written.read(_MAX_ERROR_BYTES).decode(errors="replace")


def _wait(process: subprocess.Popen[bytes], measure: Callable[[], int], stall_s: float) -> None:
    seen, changed_s = measure(), time.monotonic()
    while True:
        try:
            process.wait(_POLL_S)
            return
        except subprocess.TimeoutExpired:
            now = measure()
            if now != seen:
                seen, changed_s = now, time.monotonic()
            elif time.monotonic() - changed_s > stall_s:
                raise Stalled from None


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left: npm's command is a shell that has Node as its child, so the whole group."""
    if sys.platform == "win32":
        process.kill()
    else:
        with suppress(ProcessLookupError, PermissionError):  # all gone; macOS says so by the latter
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
