"""Whether memory stays flat: resident size over the second half of a long run, and what must not pile up."""

from __future__ import annotations

import asyncio
import gc
import threading
from dataclasses import dataclass

import numpy as np
import psutil


@dataclass(frozen=True)
class Counts:
    """What a process holds; equal counts before and after a run mean that nothing was left behind."""

    tasks: int
    threads: int
    descriptors: int
    sockets: int

    @staticmethod
    def now() -> Counts:
        process = psutil.Process()
        return Counts(
            len(asyncio.all_tasks()), threading.active_count(), process.num_fds(), len(process.net_connections("all"))
        )


class Growth:
    """Resident memory against steps."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self.samples: list[tuple[int, float]] = []

    def sample(self, step: int) -> None:
        gc.collect()
        self.samples.append((step, self._process.memory_info().rss / 2**20))

    def mib_per_10k_steps(self) -> float:
        """Slope of a straight line through the samples of the last half."""
        half = np.array(self.samples[len(self.samples) // 2 :])
        return float(np.polyfit(half[:, 0], half[:, 1], 1)[0]) * 10_000
