"""The NVIDIA GPUs of this machine, as nvidia-smi tells them: without loading a library of CUDA's."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass

_QUERY = "name,memory.total,memory.free,driver_version,compute_cap"
_TIMEOUT_S = 10.0
_MIB = 2**20


class NoAnswer(Exception):
    """nvidia-smi is there and fails."""


@dataclass(frozen=True, slots=True)
class Card:
    """One GPU. `capability` is its CUDA compute capability."""

    name: str
    total_bytes: int
    free_bytes: int
    driver: str
    capability: tuple[int, int]

    @property
    def words(self) -> str:
        return f"{self.name}, {self.total_bytes // _MIB} MiB, driver {self.driver}"


def cards() -> list[Card]:
    """All of them; none where there is no nvidia-smi. Raises `NoAnswer`."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    command = [tool, f"--query-gpu={_QUERY}", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=True).stdout
        return [_card(line) for line in told.splitlines() if line.strip()]
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise NoAnswer(str(error)) from error


def _card(line: str) -> Card:
    name, total, free, driver, capability = (part.strip() for part in line.rsplit(",", 4))
    major, _, minor = capability.partition(".")
    return Card(name, int(total) * _MIB, int(free) * _MIB, driver, (int(major), int(minor or 0)))
