"""Speech over WebRTC: heard as it was said, taken as typed words are, and never in anybody's way when it fails."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from stream.models.fetch_voice import fetch_voice
from stream.models.voice import VAD, WHISPER_TINY_EN, VoiceStore
from tests.speaker import Speaker, Voice
from tests.speech import errors, spoken, words
from tests.staged import StagedStream

QUESTION = "How many people are there?"
COMMAND = "Stop tracking number five."


@pytest.fixture(scope="session")
def whisper() -> Path:
    """The folder of the small English model."""
    store = VoiceStore()
    fetch_voice(store, (VAD, WHISPER_TINY_EN), wait_s=600)
    return store.path(WHISPER_TINY_EN)


@pytest.fixture(scope="module")
def scene(whisper: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StagedStream]:
    with StagedStream(tmp_path_factory.mktemp("voice"), tables={"voice": {"model": str(whisper)}}) as stream:
        yield stream


@asynccontextmanager
async def speaking(scene: StagedStream) -> AsyncIterator[Speaker]:
    async with scene.server.client() as http, scene.server.live("cam") as live:
        speaker = Speaker(http, live)
        try:
            yield speaker
        finally:
            await speaker.close()


async def test_a_question_is_heard_and_answered(scene: StagedStream) -> None:
    async with speaking(scene) as speaker:
        voice = Voice()
        await speaker.connect(voice)
        heard = await speaker.ask(voice, spoken(QUESTION, rate=48_000))
        print(heard)
        question = next(m for m in speaker.messages if m["type"] == "question")
        answer = await speaker.until("answer", question_id=heard["question_id"])
        print(answer)
