"""Who gets the model next: one job at a time, a person's question before an alert before a description.

- A question cancels background work at once, and the same client's question before it; other clients' wait their turn.
- An alert that had to make way waits again, until it is stale. One waits per watch: the newest.
- One description waits at all: the newest. One that had to make way is dropped; whoever wanted it asks again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import IntEnum

from stream.errors import LimitReached

log = logging.getLogger(__name__)

MOST_QUESTIONS = 4
"""Questions that wait on a stream, beside the one that is being answered."""
MOST_ALERTS = 16


class Priority(IntEnum):
    QUESTION = 0
    ALERT = 1
    DESCRIPTION = 2


@dataclass(frozen=True, slots=True)
class Job:
    """`key` is the question's id, the watch's id or the track's. `work` is cancelled when the job must stop;
    `dropped` is called instead where it never began. `owner` is the client that asks."""

    priority: Priority
    key: str
    work: Callable[[], Awaitable[None]]
    dropped: Callable[[], None] = lambda: None
    owner: str = ""
    stale_at_s: float = float("inf")
    """`time.monotonic()` after which nobody wants it any more."""


class Worker:
    """The jobs of one stream. Event loop only."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._waiting: list[Job] = []
        self._running: Job | None = None
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._clock = clock
        self._requeue = False

    @property
    def running(self) -> Job | None:
        return self._running

    @property
    def idle(self) -> bool:
        return self._running is None and not self._waiting

    def submit(self, job: Job) -> None:
        """Take a job on. Raises `LimitReached` (code `busy`) where too many questions wait already."""
        if job.priority is Priority.QUESTION:
            self._make_way(job)
        else:
            self._replace(job)
        self._waiting.append(job)
        self._waiting.sort(key=lambda waiting: waiting.priority)  # stable: first come, first served within a priority
        self._wake.set()

    def cancel(self, *, key: str | None = None, owner: str | None = None) -> list[str]:
        """Stop the jobs of that key, or all of that owner; returns their keys."""

        def wanted(job: Job) -> bool:
            return job.key == key if key is not None else bool(owner) and job.owner == owner

        stopped = [job for job in self._waiting if wanted(job)]
        self._waiting = [job for job in self._waiting if not wanted(job)]
        for job in stopped:
            job.dropped()
        if self._running is not None and wanted(self._running):
            stopped.append(self._running)
            self._interrupt(requeue=False)
        return [job.key for job in stopped]

    def cancel_all(self) -> None:
        """Stop every job."""
        waiting, self._waiting = self._waiting, []
        for job in waiting:
            job.dropped()
        self._interrupt(requeue=False)

    async def run(self) -> None:
        """Do the jobs until cancelled."""
        try:
            while True:
                while not self._waiting:
                    self._wake.clear()
                    await self._wake.wait()
                job = self._waiting.pop(0)
                if self._clock() > job.stale_at_s:
                    job.dropped()
                    continue
                await self._do(job)
        finally:
            for job in self._waiting:
                job.dropped()
            self._waiting.clear()

    async def _do(self, job: Job) -> None:
        self._running, self._requeue = job, False
        self._task = task = asyncio.ensure_future(_as_coroutine(job))
        try:
            await asyncio.wait([task])
        finally:
            if not task.done():
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            self._running = self._task = None
        if task.cancelled():
            if self._requeue:
                self.submit(job)
        elif (error := task.exception()) is not None:
            log.error("%s %s failed", job.priority.name.lower(), job.key, exc_info=error)

    def _make_way(self, job: Job) -> None:
        others = [waiting for waiting in self._waiting if waiting.owner != job.owner]
        if sum(waiting.priority is Priority.QUESTION for waiting in others) >= MOST_QUESTIONS:
            raise LimitReached("Other questions are waiting.", code="busy", action="Ask again in a moment.")
        self.cancel(owner=job.owner)
        running = self._running
        if running is not None and running.priority is not Priority.QUESTION:
            self._interrupt(requeue=running.priority is Priority.ALERT)

    def _replace(self, job: Job) -> None:
        same = [waiting for waiting in self._waiting if waiting.priority is job.priority]
        if job.priority is Priority.ALERT:
            stale = [waiting for waiting in same if waiting.key == job.key] or same[
                : max(0, len(same) - MOST_ALERTS + 1)
            ]
        else:
            stale = same
        for waiting in stale:
            self._waiting.remove(waiting)
            waiting.dropped()

    def _interrupt(self, *, requeue: bool) -> None:
        if self._task is not None:
            self._requeue = requeue
            self._task.cancel()


async def _as_coroutine(job: Job) -> None:
    await job.work()
