"""The background work: one thread an engine, at most one waiting and one running job a tracker, the newest picture.

With `background=False` jobs run inline on a virtual clock: a job that was started at step n is answered at step
n + latency, whatever the time it really took, so that results do not depend on the machine.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

log = logging.getLogger(__name__)

NICENESS = 5
"""Added to the thread's niceness: the picture goes first."""


class Job:
    """One piece of work. `run` is called once on the worker's thread, and what it returned (None where it raised) goes
    to `done` on the engine's. `cost` is how many of SAM's latencies it takes on the virtual clock, or says so of its
    result; a `fixed` job is about the picture that it was made on and is not renewed with a newer one; `dropped` is
    called when another is."""

    def __init__(
        self,
        kind: str,
        run: Callable[[], Any],
        done: Callable[[Any], None],
        *,
        cost: float | Callable[[Any], float] = 1.0,
        fixed: bool = False,
        dropped: Callable[[], None] | None = None,
    ) -> None:
        self.kind = kind
        self._cost = cost
        self.fixed = fixed
        self.done = done
        self.dropped = dropped or _nothing
        self._run = run
        self.result: Any = None

    @property
    def cost(self) -> float:
        return self._cost(self.result) if callable(self._cost) else self._cost

    def execute(self) -> None:
        try:
            self.result = self._run()
        except Exception:
            log.exception("background %s failed", self.kind)
        self._run = _nothing  # lets go of the picture


def _nothing() -> None:
    return None


class Lane:
    """One tracker's place at the worker. A finished job waits in a mailbox of one; until it is taken, the worker leaves
    this lane alone, so that no answer is ever overwritten."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self.waiting: Job | None = None
        self.running: Job | None = None
        self.finished: Job | None = None
        self._due = 0

    @property
    def inline(self) -> bool:
        """Whether jobs run in `submit` and not beside it."""
        return not self._worker.background

    @property
    def busy(self) -> bool:
        return self.waiting is not None or self.running is not None or self.finished is not None

    def withdraw(self) -> Job | None:
        """Take back the job that was not begun yet, to renew it with a newer picture."""
        with self._worker.condition:
            job, self.waiting = self.waiting, None
            return job

    def submit(self, job: Job, step: int) -> None:
        """Hand over a job; the lane must have none waiting. `step` is the tracker's present one."""
        with self._worker.condition:
            self.waiting = job
            self._worker.condition.notify()
        self.advance(step)

    def take(self, step: int, kind: str | None = None) -> Job | None:
        """A finished job, of one kind if given, once. `step` is the tracker's present one."""
        self.advance(step)
        with self._worker.condition:
            if self.finished is None or kind not in (None, self.finished.kind):
                return None
            job, self.finished = self.finished, None
            self._worker.condition.notify()
            return job

    def advance(self, step: int) -> None:
        """Move the virtual clock; nothing to do where there is a thread."""
        if self._worker.background:
            return
        if self.running is not None and step >= self._due and self.finished is None:
            self.finished, self.running = self.running, None
        if self.running is None and self.waiting is not None and self.finished is None:
            job, self.waiting = self.waiting, None
            self._worker.begun[job.kind] += 1
            job.execute()
            self._due = step + self._worker.latency(job.cost)
            self.running = job
            if self._due <= step:
                self.finished, self.running = job, None

    def close(self) -> None:
        self._worker.leave(self)


class Worker:
    """Serves the lanes in turn."""

    def __init__(self, *, background: bool, latency_frames: int) -> None:
        self.background = background
        self._latency_frames = latency_frames
        self.condition = threading.Condition()
        self.begun: Counter[str] = Counter()
        self._lanes: deque[Lane] = deque()
        self._closing = False
        self._thread: threading.Thread | None = None
        if background:
            self._thread = threading.Thread(target=self._main, name="sam", daemon=True)
            self._thread.start()

    def latency(self, cost: float) -> int:
        """Steps that a job of this cost takes on the virtual clock; at least 1 unless SAM takes none."""
        return max(1, round(self._latency_frames * cost)) if self._latency_frames else 0

    def join(self) -> Lane:
        """A place for one more tracker."""
        lane = Lane(self)
        with self.condition:
            self._lanes.append(lane)
        return lane

    def leave(self, lane: Lane) -> None:
        with self.condition, contextlib.suppress(ValueError):
            lane.waiting = lane.finished = None
            self._lanes.remove(lane)

    def close(self) -> None:
        """Stop after the job that is running. Idempotent."""
        with self.condition:
            self._closing = True
            self.condition.notify()
        if self._thread is not None:
            self._thread.join()

    def _main(self) -> None:
        with contextlib.suppress(OSError, AttributeError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), os.getpriority(os.PRIO_PROCESS, 0) + NICENESS)
        while True:
            with self.condition:
                lane = self._next()
                while lane is None and not self._closing:
                    self.condition.wait()
                    lane = self._next()
                if self._closing or lane is None:
                    return
                job, lane.waiting = lane.waiting, None
                lane.running = job
            if job is not None:
                self.begun[job.kind] += 1
                job.execute()
            with self.condition:
                lane.running = None
                if lane in self._lanes:
                    lane.finished = job

    def _next(self) -> Lane | None:
        """The next lane in turn that has work and whose last answer was taken."""
        for _ in range(len(self._lanes)):
            lane = self._lanes[0]
            self._lanes.rotate(-1)
            if lane.waiting is not None and lane.finished is None:
                return lane
        return None
