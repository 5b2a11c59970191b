"""Speech over WebRTC: heard as it was said, taken as typed words are, and never in anybody's way when it fails."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from agent.speech.whisper import WhisperProcess
from tests.speaker import Speaker, Voice
from tests.speech import errors, spoken, words
from tests.staged import StagedStream

QUESTION = "How many people are there?"
SILENCE = np.zeros(48_000, np.float32)


@pytest.fixture(scope="module")
def stage(whisper: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StagedStream]:
    with StagedStream(tmp_path_factory.mktemp("voice"), tables={"voice": {"model": str(whisper)}}) as stream:
        yield stream


@asynccontextmanager
async def speaking(stage: StagedStream) -> AsyncIterator[Speaker]:
    async with stage.server.client() as http, stage.server.live("cam") as live:
        speaker = Speaker(http, live)
        try:
            yield speaker
        finally:
            await speaker.close()


async def test_a_spoken_question_is_answered_as_a_typed_one(stage: StagedStream) -> None:
    async with speaking(stage) as speaker:
        voice = Voice()
        await speaker.connect(voice)
        assert speaker.hello["voice"]["ready"] is True
        heard = await speaker.ask(voice, spoken(QUESTION, rate=48_000), track_ids=[5])
        answer = await speaker.until("answer", question_id=heard["question_id"])
    assert errors(words(QUESTION), words(heard["transcript"])) <= 1
    assert heard["language"] == "en"
    assert set(heard["timings_ms"]) == {"endpoint", "wait", "transcribe", "obey"}
    question = next(message for message in speaker.messages if message["type"] == "question")
    assert (question["spoken"], question["language"], question["track_ids"]) == (True, "en", [5])
    assert question["text"] == heard["transcript"]
    assert answer["state"] == "done"
    assert answer["language"] == "en"
    assert "[#5]" in answer["text"]
    states = [message["state"] for message in speaker.messages if message["type"] == "speech"]
    assert [state for state, before in zip(states, [None, *states], strict=False) if state != before] == [
        "idle", "hearing", "thinking", "idle",
    ]  # fmt: skip
    transcribed = [message for message in speaker.messages if message.get("final")]
    assert [message["transcript"] for message in transcribed] == [heard["transcript"]]
    assert max(message.get("level", 0) for message in speaker.messages if message["type"] == "speech") > 0.5


async def test_commands_are_obeyed_and_undone(stage: StagedStream) -> None:
    async with speaking(stage) as speaker:
        voice = Voice()
        await speaker.connect(voice)
        heard = await speaker.ask(voice, spoken("Track the dog.", rate=48_000))
        assert "question_id" not in heard
        added = next(message for message in speaker.messages if message["type"] == "prompt")
        assert (added["prompt"]["id"], added["prompt"]["text"]) == (heard["prompt_id"], "the dog")
        undone = await speaker.send("command", text="undo that")
        assert undone["prompt_id"] == heard["prompt_id"]


async def test_an_open_microphone_hears_sentences_and_nothing_while_muted(stage: StagedStream) -> None:
    async with speaking(stage) as speaker:
        voice = Voice()
        assert (await speaker.send("listen", open=True))["type"] == "ok"
        await speaker.connect(voice)
        assert any(message.get("state") == "listening" for message in speaker.messages)
        voice.say(np.concatenate([spoken(QUESTION, rate=48_000), SILENCE]))
        heard = await speaker.until("heard")
        assert errors(words(QUESTION), words(heard["transcript"])) <= 1
        assert 500 <= heard["timings_ms"]["endpoint"] <= 700
        await speaker.send("listen", open=True, muted=True)
        voice.say(np.concatenate([spoken(QUESTION, rate=48_000), SILENCE]))
        await voice.silent.wait()
        assert (await speaker.send("talk", on=True))["code"] == "voice_unavailable"
        await speaker.send("listen", open=True, wake_word="onlooker")
        unmuted = len(speaker.messages)
        voice.say(np.concatenate([spoken("What is he holding?", rate=48_000), SILENCE]))
        assert (await speaker.until("heard"))["ignored"] == "wake_word"
        muted = [message for message in speaker.messages[:unmuted] if message.get("utterance") == 2]
        assert muted == []


async def test_an_utterance_can_be_thrown_away(stage: StagedStream) -> None:
    async with speaking(stage) as speaker:
        voice = Voice()
        await speaker.connect(voice)
        await speaker.send("talk", on=True)
        voice.say(spoken(QUESTION, rate=48_000))
        await voice.silent.wait()
        await speaker.send("talk", on=False, cancel=True)
        heard = await speaker.until("heard")
    assert (heard["ignored"], heard["transcript"]) == ("cancelled", "")
    assert not [message for message in speaker.messages if message["type"] == "question"]


async def test_what_is_still_being_understood_can_be_thrown_away(stage: StagedStream) -> None:
    async with speaking(stage) as speaker:
        voice = Voice()
        await speaker.connect(voice)
        await speaker.send("talk", on=True)
        voice.say(spoken(QUESTION, rate=48_000))
        await voice.silent.wait()
        await speaker.send("talk", on=False)
        await speaker.until("speech", state="thinking")
        await speaker.send("talk", on=False, cancel=True)
        assert (await speaker.until("heard"))["ignored"] == "cancelled"
    assert not [message for message in speaker.messages if message["type"] == "question" or message.get("final")]


@pytest.mark.parametrize(
    ("codec", "rate", "stereo", "loss"),
    [
        ("opus", 48_000, True, 0.0),
        ("pcmu", 8_000, False, 0.0),
        ("pcma", 8_000, False, 0.0),
        ("opus", 48_000, False, 0.05),
    ],
)
async def test_every_microphone_is_understood(
    stage: StagedStream, codec: str, rate: int, stereo: bool, loss: float
) -> None:
    chance = random.Random(3)
    async with speaking(stage) as speaker:
        voice = Voice(rate, stereo=stereo)
        await speaker.connect(voice, codec=codec, lose=(lambda _: chance.random() < loss) if loss else None)
        heard = await speaker.ask(voice, spoken(QUESTION, rate=rate))
    assert errors(words(QUESTION), words(heard["transcript"])) <= 2, heard
    assert "question_id" in heard


async def test_noise_asks_nothing(stage: StagedStream) -> None:
    async with speaking(stage) as speaker:
        voice = Voice()
        await speaker.connect(voice)
        noise = 0.2 * np.random.default_rng(5).standard_normal(48_000).astype(np.float32)
        assert (await speaker.ask(voice, noise))["ignored"] == "noise"
        assert (await speaker.ask(voice, SILENCE[:24_000]))["ignored"] == "nothing"


async def test_a_second_session_replaces_the_first_and_both_end(stage: StagedStream) -> None:
    async with speaking(stage) as speaker, stage.server.client() as http:
        first = Voice()
        await speaker.connect(first)
        one, one_peer = speaker.location, speaker.peer
        await speaker.connect(Voice())
        assert one_peer is not None
        await one_peer.close()
        assert speaker.location != one
        assert (await http.delete(one)).status_code == 404
        assert stage.server.state.voice.sessions == 1
        assert (await http.delete(speaker.location)).status_code == 204
        off = await speaker.until("speech", state="off")
        assert "error" not in off
        assert (await speaker.send("talk", on=True))["code"] == "no_microphone"
    assert stage.server.state.voice.sessions == 0


async def test_a_session_ends_with_its_websocket(stage: StagedStream) -> None:
    async with speaking(stage) as speaker:
        await speaker.connect(Voice())
        assert stage.server.state.voice.sessions == 1
        await speaker.live.close()
        async with asyncio.timeout(10):
            while stage.server.state.voice.sessions:
                await asyncio.sleep(0.02)


async def test_a_session_in_which_nothing_is_listened_to_ends(
    stage: StagedStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage.server.state.voice, "idle_s", 1.0)
    async with speaking(stage) as speaker:
        await speaker.connect(Voice())
        assert "error" not in await speaker.until("speech", within_s=10, state="off")
        await speaker.close()
        await speaker.send("listen", open=True)
        voice = Voice()
        await speaker.connect(voice)
        voice.say(np.tile(SILENCE, 3))
        await voice.silent.wait()
        assert speaker.messages[-1].get("state") != "off"
        await speaker.send("listen", open=True, muted=True)
        assert "error" not in await speaker.until("speech", within_s=10, state="off")


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        ("v=0", "application/sdp", 400),
        ("v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\na=sendonly\r\n", "application/sdp", 422),
        ("v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\na=recvonly\r\n", "application/sdp", 422),
        ("v=0", "text/plain", 415),
    ],
)
async def test_bad_offers_are_refused_in_words(stage: StagedStream, content: str, kind: str, status: int) -> None:
    async with speaking(stage) as speaker, stage.server.client() as http:
        address = (await speaker.until("hello"))["microphone"]
        reply = await http.post(address, content=content, headers={"content-type": kind})
        assert reply.status_code == status
        assert reply.json()["action"]
        stranger = address.partition("?")[0] + "?client=" + "0" * 32
        reply = await http.post(stranger, content=content, headers={"content-type": "application/sdp"})
        assert (reply.status_code, reply.json()["code"]) == (404, "unknown_client")


async def test_sessions_leave_nothing_behind(stage: StagedStream) -> None:
    async def tasks() -> list[str]:
        return sorted(task.get_name() for task in asyncio.all_tasks() if not task.get_name().startswith("Task-"))

    async with speaking(stage) as speaker:
        before = stage.server.call(tasks)
        for _ in range(6):
            await speaker.connect(Voice())
            await speaker.close()
            await speaker.until("speech", state="off")
        assert stage.server.state.voice.sessions == 0
        assert stage.server.call(tasks) == before


async def test_a_fetch_that_fails_says_why(stage: StagedStream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    async with stage.server.client() as http:
        listed = [model["name"] for model in (await http.get("/v1/models")).json()["items"]]
        assert {"whisper-base", "whisper-tiny.en", "silero-vad"} <= set(listed)
        assert (await http.post("/v1/models/whisper-none/fetch")).status_code == 404
        started = await http.post("/v1/models/voice/fetch")
        assert started.status_code == 202
        async with asyncio.timeout(60):
            while (job := (await http.get(f"/v1/jobs/{started.json()['job']}")).json())["state"] == "running":
                await asyncio.sleep(0.1)
    assert (job["state"], job["error"]["code"]) == ("failed", "model_missing")
    assert job["error"]["action"]


async def test_an_open_microphone_needs_the_detector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    with StagedStream(tmp_path) as bare:
        async with speaking(bare) as speaker:
            voice = Voice()
            await speaker.connect(voice)
            refused = await speaker.send("listen", open=True)
            assert (refused["type"], refused["code"]) == ("error", "model_missing")
            heard = await speaker.ask(voice, spoken(QUESTION, rate=48_000))
            assert heard["error"]["code"] == "voice_missing"
            assert "onlooker[voice]" in heard["error"]["action"]


async def test_typing_works_without_a_speech_model(tmp_path: Path) -> None:
    with StagedStream(tmp_path, tables={"voice": {"model": "whisper-base"}}) as stage:
        async with speaking(stage) as speaker:
            voice = Voice()
            await speaker.connect(voice)
            heard = await speaker.ask(voice, spoken(QUESTION, rate=48_000))
            assert heard["error"]["code"] == "model_missing"
            assert "onlooker models fetch voice" in heard["error"]["action"]
            typed = await speaker.send("command", text=QUESTION)
            assert (await speaker.until("answer", question_id=typed["question_id"]))["state"] == "done"
            status = await speaker.until("status")
            assert status["voice"]["ready"] is False
            assert status["voice"]["error"]["code"] == "model_missing"
            async with stage.server.client() as http:
                checks = (await http.get("/health")).json()["checks"]
            assert [check["ok"] for check in checks if check["name"] == "voice"] == [False]


HANGS = """
import json, sys, time
print(json.dumps({"ready": True, "languages": ["en"]}), flush=True)
time.sleep(600)
"""
CRASHES = """
import json, sys
print(json.dumps({"ready": True, "languages": ["en"]}), flush=True)
sys.stdin.buffer.readline()
sys.exit(3)
"""


@pytest.mark.parametrize(("script", "said"), [(HANGS, "has not answered"), (CRASHES, "has crashed")])
async def test_a_transcriber_that_fails_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whisper: Path, script: str, said: str
) -> None:
    made: list[WhisperProcess] = []
    start = WhisperProcess.__init__

    def failing(process: WhisperProcess, *given: object, **options: object) -> None:
        start(process, *given, **options, command=[sys.executable, "-c", script], least_s=0.5)  # type: ignore[arg-type]
        made.append(process)

    monkeypatch.setattr(WhisperProcess, "__init__", failing)
    with StagedStream(tmp_path, tables={"voice": {"model": str(whisper)}}) as stage:
        async with speaking(stage) as speaker:
            voice = Voice()
            await speaker.connect(voice)
            await speaker.until("status", voice={"ready": True, "name": "whisper-tiny.en", "languages": ["en"]})
            before = made[0].pid
            heard = await speaker.ask(voice, spoken("Who is it?", rate=48_000))
            assert said in heard["error"]["message"]
            assert heard["error"]["action"]
            typed = await speaker.send("command", text=QUESTION)
            assert (await speaker.until("answer", question_id=typed["question_id"]))["state"] == "done"
            await speaker.until("status", voice={"ready": True, "name": "whisper-tiny.en", "languages": ["en"]})
            assert made[0].pid not in (None, before)
            assert len(made) == 1
