"""A real server of a language model that says what a test tells it to, and a staged stream that asks it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

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


@pytest.fixture
async def scene(tmp_path: Path, vlm: ScriptedVlm) -> AsyncIterator[StagedStream]:
    with StagedStream(tmp_path, vlm.url) as scene:
        await ready(scene)
        assert len(vlm.requests) == len(PROBES)
        vlm.forget()
        yield scene
