"""`onlooker vlm` as a process, with a tiny random Gemma 4, through OpenAI's own client."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI

from agent.speech.model_ears import ModelEars
from agent.vlm.backend import VlmBackend
from agent.vlm.client import Asking, VlmClient
from agent.vlm.profiles import probe
from agent.vlm.service.launch import GemmaProcess, start
from agent.vlm.service.model import Missing
from agent.vlm.service.worker import MAX_REQUESTS
from tests.speech import spoken
from tests.tiny_gemma4 import make_tiny_gemma4
from tests.vlm_requests import image_part, picture, sound, tool, user

SYSTEM = {"role": "system", "content": "You watch a camera and say what there is, briefly."}
LONG = {"max_tokens": 3500, "temperature": 0.0, "stream": True}
"""Longer than a test waits."""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Of the tests and of the processes that they start: no hub, nothing of the user's, one thread."""
    folder = tmp_path_factory.mktemp("home")
    given = {
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(folder / "hub"),
        "OMP_NUM_THREADS": "1",
        "ONLOOKER_DATA_DIR": str(folder / "data"),
        "ONLOOKER_CONFIG": str(folder / "onlooker.toml"),
    }
    (folder / "onlooker.toml").touch()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in given.items():
            patch.setenv(name, value)
        yield dict(os.environ)


@pytest.fixture(scope="module")
def weights(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_gemma4(tmp_path_factory.mktemp("gemma") / "tiny-gemma")


@pytest.fixture(scope="module")
def url(weights: Path, environment: dict[str, str]) -> Iterator[str]:
    """Started as a user does."""
    command = [sys.executable, "-m", "web.cli", "vlm", "--model", str(weights), "--port", "0", "--device", "cpu"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**environment, "PYTHONUNBUFFERED": "1"}
    )
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        found = re.search(r"tiny-gemma on cpu is at (http://\S+)", said)
        assert found is not None, said or process.communicate(timeout=10)
        yield found[1]
        assert process.poll() is None, "the service died"
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=30)
    assert "Traceback" not in errors, errors
    assert process.returncode in (0, -15), errors


@pytest.fixture
async def client(url: str) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=url, api_key="none", timeout=60, max_retries=0) as client:
        yield client


async def metrics(url: str) -> dict[str, float]:
    async with httpx.AsyncClient() as client:
        text = (await client.get(url.removesuffix("/v1") + "/metrics")).text
    return {name: float(value) for name, value in (line.split(" ") for line in text.splitlines() if line[0] != "#")}


async def until(url: str, **wanted: float) -> dict[str, float]:
    """The metrics once those of `wanted` have their values."""
    async with asyncio.timeout(20):
        while True:
            found = await metrics(url)
            if all(found[f"onlooker_vlm_{name}"] == value for name, value in wanted.items()):
                return found
            await asyncio.sleep(0.02)


def cancelled(found: dict[str, float]) -> float:
    return found.get('onlooker_vlm_requests_total{outcome="cancelled"}', 0)


async def ask(client: AsyncOpenAI, *messages: Any, **options: Any) -> Any:
    options = {"max_tokens": 24, "temperature": 0, **options}
    return await client.chat.completions.create(model="tiny-gemma", messages=list(messages), **options)


async def streamed(client: AsyncOpenAI, *messages: Any, **options: Any) -> tuple[str, str, Any]:
    """Text, why it ended, and what it cost."""
    text, finish, usage = [], "", None
    options = {"stream": True, "stream_options": {"include_usage": True}, **options}
    async for chunk in await ask(client, *messages, **options):
        usage = chunk.usage or usage
        for choice in chunk.choices:
            text.append(choice.delta.content or "")
            finish = choice.finish_reason or finish
    return "".join(text), finish, usage


async def test_our_own_client_finds_out_what_it_can_do(url: str) -> None:
    profile = await probe(url, model=None, api_key=None)
    assert (profile.family, profile.model, profile.schema) == ("Onlooker", "tiny-gemma", True)
    assert "image" in profile.can
    assert profile.takes_image_tokens
    assert profile.asking(max_tokens=9, temperature=0, image_tokens=70).extra == {
        "mm_processor_kwargs": {"max_soft_tokens": 70}
    }


async def test_the_model_and_its_health(client: AsyncOpenAI, url: str) -> None:
    (model,) = (await client.models.list()).data
    assert (model.id, model.owned_by) == ("tiny-gemma", "onlooker")
    assert model.model_extra is not None
    assert model.model_extra["modalities"] == ["text", "image", "audio"]
    async with httpx.AsyncClient() as plain:
        health = await plain.get(url.removesuffix("/v1") + "/health")
    assert health.status_code == 200
    assert health.json().items() >= {"status": "ok", "device": "cpu", "dtype": "float32"}.items()


async def test_pictures_and_sound_streamed_and_whole(client: AsyncOpenAI) -> None:
    heard = {"type": "input_audio", "input_audio": sound()}
    question = user("What is there?", image_part(picture(1)), image_part(picture(2, kind="JPEG")), heard)
    whole = await ask(client, SYSTEM, question)
    text, finish, usage = await streamed(client, SYSTEM, question)
    assert whole.choices[0].message.content == text != ""
    assert whole.choices[0].finish_reason == finish == "length"
    assert whole.usage == usage
    assert usage.completion_tokens == 24
    without_sound = await ask(client, SYSTEM, user("What is there?", *question["content"][:2]))
    assert usage.prompt_tokens - without_sound.usage.prompt_tokens == 27  # 25 tokens a second, and two around them
    assert without_sound.choices[0].message.content != text


async def test_the_budget_sets_what_a_picture_costs(client: AsyncOpenAI) -> None:
    costs = []
    for tokens in (70, 140, 280, 560):
        budget = {"mm_processor_kwargs": {"max_soft_tokens": tokens}}
        answer = await ask(client, user("?", image_part(picture(3, 640, 360))), max_tokens=1, extra_body=budget)
        costs.append(answer.usage.prompt_tokens)
    text_only = (await ask(client, user("?"), max_tokens=1)).usage.prompt_tokens
    assert [cost - text_only - 2 for cost in costs] == [66, 120, 264, 527]


async def test_a_schema_is_kept_to(client: AsyncOpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {
            "verdict": {"type": "string", "enum": ["yes", "no", "unsure"]},
            "ids": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 99}, "maxItems": 3},
            "severity": {"enum": ["info", "warn", "critical"]},
        },
        "required": ["verdict", "ids", "severity"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "verdict", "schema": schema, "strict": True}}
    for seed in range(4):
        text, finish, _ = await streamed(
            client, user("Is it?", image_part(picture())), max_tokens=80, temperature=1, seed=seed, response_format=form
        )
        answer = json.loads(text)
        assert list(answer) == ["verdict", "ids", "severity"]
        assert answer["verdict"] in ("yes", "no", "unsure")
        assert answer["severity"] in ("info", "warn", "critical")
        assert all(isinstance(i, int) and 0 <= i <= 99 for i in answer["ids"])
        assert finish == "stop"


ZOOM = tool("zoom", ("id",), id={"type": "integer"}, budget={"type": "integer", "enum": [280, 560]})


async def test_a_tool_is_called_and_answered(client: AsyncOpenAI) -> None:
    called = await ask(client, SYSTEM, user("Look closer."), tools=[ZOOM, tool("stop")], tool_choice="required")
    (call,) = called.choices[0].message.tool_calls
    assert called.choices[0].finish_reason == "tool_calls"
    assert call.function.name in ("zoom", "stop")
    assert isinstance(json.loads(call.function.arguments), dict)
    turn = called.choices[0].message.model_dump(exclude_none=True)
    done = {"role": "tool", "tool_call_id": call.id, "content": "A red cup."}
    after = await ask(client, SYSTEM, user("Look closer."), turn, done, tools=[ZOOM, tool("stop")])
    assert after.usage.prompt_tokens > called.usage.prompt_tokens


async def test_our_client_reads_a_streamed_call(url: str) -> None:
    client = VlmClient(url, model="tiny-gemma", api_key=None)
    named = {"type": "function", "function": {"name": "zoom"}}
    asking = Asking(max_tokens=60, temperature=0, tools=(ZOOM, tool("stop")), extra={"tool_choice": named})
    completion = await client.complete([user("Look closer.")], asking)
    await client.close()
    (call,) = completion.tool_calls
    assert call.name == "zoom"
    assert call.arguments is not None
    assert isinstance(call.arguments["id"], int)
    assert completion.finish == "tool_calls"


async def test_stop_texts_end_the_answer(client: AsyncOpenAI) -> None:
    whole = (await ask(client, user("Say something."))).choices[0].message.content
    mark = whole[5:8]
    stopped = await ask(client, user("Say something."), stop=[mark, "never said"])
    assert stopped.choices[0].message.content == whole[: whole.index(mark)]
    assert stopped.choices[0].finish_reason == "stop"
    assert stopped.usage.completion_tokens < 24


async def test_what_was_computed_before_is_used_again_and_changes_nothing(client: AsyncOpenAI, url: str) -> None:
    system = {"role": "system", "content": "A system's turn that no other test has."}
    question = user("What is there?", image_part(picture(77)), image_part(picture(78)))
    before = await metrics(url)
    first = await ask(client, system, question)
    between = await metrics(url)
    again = await ask(client, system, question)
    after = await metrics(url)

    def grown(name: str, source: str, old: dict[str, float], new: dict[str, float]) -> float:
        key = f'onlooker_vlm_{name}_total{{source="{source}"}}'
        return new.get(key, 0) - old.get(key, 0)

    assert first.choices[0].message.content == again.choices[0].message.content
    assert first.usage == again.usage
    assert (grown("pictures", "encoder", before, between), grown("prefixes", "model", before, between)) == (2, 1)
    assert (grown("pictures", "encoder", between, after), grown("prefixes", "model", between, after)) == (0, 0)
    assert (grown("pictures", "kept", between, after), grown("prefixes", "kept", between, after)) == (2, 1)


async def test_two_clients_at_once_get_what_each_would_get_alone(url: str, client: AsyncOpenAI) -> None:
    questions = [user(f"Question {i}?", image_part(picture(i, 96, 96))) for i in range(2)]
    alone = [(await streamed(client, question))[0] for question in questions]
    async with AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as other:
        together = await asyncio.gather(
            *(streamed(c, questions[i]) for i, c in ((0, client), (1, other), (1, client), (0, other)))
        )
    assert [text for text, _, _ in together] == [alone[0], alone[1], alone[1], alone[0]]
    assert alone[0] != alone[1]


async def test_a_client_that_goes_away_frees_the_model(client: AsyncOpenAI, url: str) -> None:
    before = await until(url, running=0, waiting=0)
    response = await ask(client, user("Go on."), **LONG)
    await anext(aiter(response))
    await until(url, running=1)
    await response.close()
    after = await until(url, running=0)
    assert cancelled(after) == cancelled(before) + 1
    spent = after["onlooker_vlm_answer_tokens_total"] - before["onlooker_vlm_answer_tokens_total"]
    assert 0 < spent < LONG["max_tokens"] / 2


async def test_one_that_waits_and_goes_away_leaves_its_place(client: AsyncOpenAI, url: str) -> None:
    before = await until(url, running=0, waiting=0)
    response = await ask(client, user("Go on."), **LONG)
    await anext(aiter(response))
    whole = asyncio.create_task(ask(client, user("And I?"), max_tokens=3000))
    await until(url, running=1, waiting=1)
    whole.cancel()
    found = await until(url, running=1, waiting=0)
    assert cancelled(found) == cancelled(before) + 1
    await response.close()
    await until(url, running=0)


async def test_when_too_many_wait_the_next_is_told_at_once(client: AsyncOpenAI, url: str) -> None:
    await until(url, running=0, waiting=0)
    response = await ask(client, user("Go on."), **LONG)
    waiting = [asyncio.create_task(ask(client, user("?"), max_tokens=2)) for _ in range(MAX_REQUESTS - 1)]
    await until(url, running=1, waiting=MAX_REQUESTS - 1)
    with pytest.raises(openai.RateLimitError) as caught:
        await ask(client, user("?"))
    assert caught.value.response.headers["retry-after"] == "2"
    assert "wait already" in caught.value.message
    await response.close()
    answers = await asyncio.gather(*waiting)
    assert all(answer.usage.completion_tokens == 2 for answer in answers)


HELLO = {"role": "user", "content": "hello"}
BAD: dict[str, tuple[dict[str, Any], int, str]] = {
    "no messages": ({}, 400, "messages is missing"),
    "another model": ({"messages": [HELLO], "model": "gpt-9"}, 404, "no model “gpt-9”"),
    "an unknown role": ({"messages": [{"role": "king", "content": "?"}]}, 400, "role must be"),
    "no picture": ({"messages": [user("?", image_part("data:image/png;base64,AAAA"))]}, 400, "no JPEG"),
    "half a picture": ({"messages": [user("?", image_part(picture()[: len(picture()) // 2 // 4 * 4 + 22]))]}, 400, ""),
    "an address": ({"messages": [user("?", image_part("http://127.0.0.1:9/x.png"))]}, 400, "not fetched"),
    "too long a question": ({"messages": [user("x" * 5000)]}, 400, "4096 is the most"),
    "an odd schema": (
        {
            "messages": [HELLO],
            "response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "colour"}}},
        },
        400,
        "cannot be kept to",
    ),
    "nested tools": (
        {"messages": [HELLO], "tools": [tool("a", b={"type": "object"})], "tool_choice": "required"},
        400,
        "not flat",
    ),
}


@pytest.mark.parametrize(("body", "status", "words"), BAD.values(), ids=BAD.keys())
async def test_bad_requests_are_refused_in_openais_form(
    url: str, body: dict[str, Any], status: int, words: str
) -> None:
    async with httpx.AsyncClient(timeout=60) as plain:
        response = await plain.post(f"{url}/chat/completions", json=body)
    assert response.status_code == status
    error = response.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert words in error["message"]


async def test_too_large_a_body_and_no_such_place(url: str) -> None:
    async with httpx.AsyncClient(timeout=60) as plain:
        headers = {"content-type": "application/json"}
        large = await plain.post(f"{url}/chat/completions", content=b" " * (49 << 20), headers=headers)
        nowhere = await plain.get(f"{url}/completions")
    assert (large.status_code, nowhere.status_code) == (413, 404)
    assert "larger than 48 MiB" in large.json()["error"]["message"]
    assert nowhere.json()["error"]["code"] == "not_found"


def test_as_a_child_it_answers_and_ends_with_its_parent(weights: Path, environment: dict[str, str]) -> None:
    url, child = start(str(weights), device="cpu")
    try:
        assert httpx.get(f"{url}/models").json()["data"][0]["id"] == "tiny-gemma"
    finally:
        assert child.process.stdin is not None
        child.process.stdin.close()  # as when the parent is killed
    child.process.wait(20)
    child.stop()


def test_without_a_gpu_or_weights_it_says_so(weights: Path, environment: dict[str, str]) -> None:
    no_gpu, no_weights = GemmaProcess(str(weights), device="cuda"), GemmaProcess("google/gemma-4-E4B-it", device="cpu")
    began = time.monotonic()
    with pytest.raises(Missing) as caught:
        no_gpu.wait()
    assert caught.value.message == "torch finds no NVIDIA GPU for Gemma."
    with pytest.raises(Missing) as caught:
        no_weights.wait()
    assert caught.value.message.startswith("The weights of google/gemma-4-E4B-it are not here")
    assert "hf download google/gemma-4-E4B-it" in caught.value.action
    for child in (no_gpu, no_weights):
        child.stop()
        assert child.process.returncode == 1
    assert time.monotonic() - began < 100


async def test_a_model_that_hears_is_known_by_its_list_and_writes_down_speech(url: str) -> None:
    profile = await probe(url, model=None, api_key=None)
    assert "audio" in profile.can
    backend = VlmBackend(VlmClient(url, model=profile.model, api_key=None), profile)
    ears = ModelEars(lambda: backend)
    await ears.start()
    transcript = await ears.transcribe(spoken("Who is there?"))
    assert isinstance(transcript.text, str)
    assert transcript.language is None
    await backend.close()
