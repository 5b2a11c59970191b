"""The service as a child of another process, which it never outlives."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import threading
import time

import httpx

from agent.vlm.service.model import Missing

DEFAULT_MODEL = "google/gemma-4-E4B-it"
WAIT_S = 900.0
"""Weights of tens of gigabytes come from a disk."""
HEALTH_S = 30.0
STOP_S = 15.0

_AT = re.compile(r" is at (http://\S+)")
_TOLD = re.compile(r"^onlooker: (.+)\n  (.+)$", re.MULTILINE)


class GemmaProcess:
    """`onlooker vlm` on loopback. Its standard input is a pipe from here: when that ends, so does the child."""

    def __init__(self, source: str = DEFAULT_MODEL, *, device: str = "cuda", dtype: str = "auto") -> None:
        """Starts it; nothing is downloaded."""
        arguments = ["--model", source, "--device", device, "--dtype", dtype]
        command = [sys.executable, "-m", "web.cli", "vlm", "--host", "127.0.0.1", "--port", "0", "--ends-with-stdin"]
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}
        # A file: a pipe that nobody reads would stop the child when it is full.
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        self.process = subprocess.Popen(
            [*command, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment,
            text=True,
        )

    def wait(self, wait_s: float = WAIT_S) -> str:
        """The address of its API once it answers. Any thread. Raises `Missing` with the child's own words where there
        is no GPU or no weights, and where it was stopped or took too long."""
        assert self.process.stdout is not None
        too_late = threading.Timer(wait_s, self.process.kill)
        too_late.daemon = True
        too_late.start()
        try:
            for line in self.process.stdout:
                if found := _AT.search(line):
                    self._answers(found[1])
                    return found[1]
        finally:
            too_late.cancel()
        raise self._why()

    def stop(self) -> None:
        """Ends it; again is no error."""
        if self.process.stdin is not None and not self.process.stdin.closed:
            self.process.stdin.close()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self._errors.close()

    def _answers(self, url: str) -> None:
        deadline = time.monotonic() + HEALTH_S
        while self.process.poll() is None and time.monotonic() < deadline:
            try:
                if httpx.get(url.removesuffix("/v1") + "/health", timeout=5).status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.1)
        raise self._why()

    def _why(self) -> Missing:
        told: list[tuple[str, str]] = []
        if not self._errors.closed:
            self._errors.seek(0)
            told = _TOLD.findall(self._errors.read())
        if told:
            return Missing(told[-1][0], action=told[-1][1])
        return Missing("The model's process did not start.", action="Run `onlooker vlm` alone to see why.")


def start(source: str = DEFAULT_MODEL, *, device: str = "cuda", wait_s: float = WAIT_S) -> tuple[str, GemmaProcess]:
    """Start the service and wait until it answers. Raises `Missing`; nothing is left behind then."""
    started = GemmaProcess(source, device=device)
    try:
        return started.wait(wait_s), started
    except BaseException:
        started.stop()
        raise
