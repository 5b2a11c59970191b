"""Work that outlasts a request, and how far it is."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Literal

from stream.errors import NotFound, OnlookerError
from stream.tasks import end
from web.problems import Internal
from web.wire import error_body

log = logging.getLogger(__name__)
KEPT_JOBS = 50


@dataclass(slots=True)
class Job:
    """`done` of `total` in the unit of the work (bytes for a download); 0 of 0 until it is known."""

    name: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    state: Literal["running", "done", "failed"] = "running"
    step: str = ""
    done: int = 0
    total: int = 0
    error: OnlookerError | None = None

    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = {
            "id": self.id, "name": self.name, "state": self.state, "step": self.step,
            "done": self.done, "total": self.total,
        }  # fmt: skip
        if self.error is not None:
            body["error"] = error_body(self.error)
        return body


class Jobs:
    """One job of a name at a time; the last 50 are remembered."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def get(self, job_id: str) -> Job:
        """Raises `NotFound`."""
        try:
            return self._jobs[job_id]
        except KeyError:
            raise NotFound("There is no such job.", code="not_found") from None

    def start(self, name: str, work: Callable[[Job], Awaitable[None]]) -> Job:
        """Begin `work`, or return the job of that name that is running."""
        for job in self._jobs.values():
            if job.name == name and job.state == "running":
                return job
        job = Job(name)
        self._jobs[job.id] = job
        while len(self._jobs) > KEPT_JOBS:
            self._jobs.popitem(last=False)
        task = asyncio.create_task(self._run(job, work), name=f"job {name}")
        self._tasks[job.id] = task
        task.add_done_callback(lambda _: self._tasks.pop(job.id, None))
        return job

    async def wait(self, job: Job) -> bool:
        """Until `job` is over; True when it succeeded."""
        task = self._tasks.get(job.id)
        if task is not None:
            await asyncio.wait([task])
        return job.state == "done"

    def background(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` until it ends or the server closes; nobody asks for its progress."""

        async def run(_: Job) -> None:
            await work

        job = Job(name)
        task = self._tasks[job.id] = asyncio.create_task(self._run(job, run), name=f"job {name}")
        task.add_done_callback(lambda _: self._tasks.pop(job.id, None))

    async def close(self) -> None:
        await end(*self._tasks.values())

    @staticmethod
    async def _run(job: Job, work: Callable[[Job], Awaitable[None]]) -> None:
        try:
            await work(job)
        except OnlookerError as error:
            job.error, job.state = error, "failed"
            log.warning("%s failed: %s %s", job.name, error.message, error.action)
        except asyncio.CancelledError:
            job.state = "failed"
            raise
        except Exception:
            log.exception("%s failed", job.name)
            job.error, job.state = Internal("Something went wrong in the server."), "failed"
        else:
            job.state = "done"
