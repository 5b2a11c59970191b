"""A real server of a language model that says what a test tells it to, a staged stream that asks it, and a speech
model."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from stream.models.fetch_voice import fetch_voice
from stream.models.voice import WHISPER_BASE, VoiceStore
from tests.asking import PROBES, ready
from tests.scripted_vlm import ScriptedVlm, scripted_vlm
from tests.staged import StagedStream


@pytest.fixture(scope="module")
def running_vlm() -> Iterator[ScriptedVlm]:
    with scripted_vlm() as server:
        yield server


@pytest.fixture
def vlm(running_vlm: ScriptedVlm) -> ScriptedVlm:
    running_vlm.script(*PROBES)
    running_vlm.forget()
    return running_vlm


@pytest.fixture(scope="session")
def whisper_base() -> Path:
    """The folder of the default speech model, fetched where it is missing."""
    store = VoiceStore()
    fetch_voice(store, (WHISPER_BASE,), wait_s=600)
    return store.path(WHISPER_BASE)


@pytest.fixture
async def scene(tmp_path: Path, vlm: ScriptedVlm) -> AsyncIterator[StagedStream]:
    with StagedStream(tmp_path, vlm.url) as scene:
        await ready(scene)
        assert len(vlm.requests) == len(PROBES)
        vlm.forget()
        yield scene
