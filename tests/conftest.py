"""What all tests share."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from stream.models.fetch import fetch_all
from stream.models.fetch_voice import fetch_voice
from stream.models.store import ModelStore
from stream.models.voice import VAD, WHISPER_TINY_EN, VoiceStore

# How long an example takes says nothing on a machine that others use as well. The same commit always gets the same
# examples, and so the same verdict; `make soak` looks for others.
settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None)
settings.load_profile("same")

LOGGERS = ("stream", "agent", "web", "kernels", "asyncio")


class _Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        trace = logging.Formatter().formatException(record.exc_info) if record.exc_info else ""
        self.messages.append(f"{record.name}: {record.getMessage()}\n{trace}")


@pytest.fixture(autouse=True)
def no_error_is_logged(request: pytest.FixtureRequest) -> Iterator[None]:
    """What runs on other threads can only log that it failed, and goes on: a test that caused it fails here.

    Tests that provoke such a fault say so with `@pytest.mark.logs_errors`.
    """
    collector = _Collector()
    loggers = [logging.getLogger(name) for name in LOGGERS]
    for logger in loggers:
        logger.addHandler(collector)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(collector)
    provoked = request.node.get_closest_marker("logs_errors") is not None
    assert bool(collector.messages) == provoked, "\n".join(collector.messages) or "no error was logged"


@pytest.fixture(scope="session")
def model_store() -> ModelStore:
    """The real models in the user's cache, fetched where they are missing; failing to get them fails the test."""
    store = ModelStore()
    fetch_all(store, wait_s=900)
    return store


@pytest.fixture(scope="session")
def whisper() -> Path:
    """The folder of the small English speech model, fetched where it is missing."""
    store = VoiceStore()
    fetch_voice(store, (VAD, WHISPER_TINY_EN), wait_s=600)
    return store.path(WHISPER_TINY_EN)
