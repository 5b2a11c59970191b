"""The client of language model servers, against a real one over the wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from agent.vlm.client import MAX_CHARS, Asking, Piece, VlmClient
from stream.errors import ModelServerError
from tests.scripted_vlm import MODEL, ScriptedVlm, scripted_vlm

HELLO = [{"role": "user", "content": "What is it?"}]


@pytest.fixture(scope="module")
def running() -> Iterator[ScriptedVlm]:
    with scripted_vlm() as server:
        yield server


@pytest.fixture
def server(running: ScriptedVlm) -> ScriptedVlm:
    running.script()
    running.forget()
    return running


@pytest.fixture
async def client(server: ScriptedVlm) -> AsyncIterator[VlmClient]:
    client = VlmClient(server.url, model=MODEL)
    yield client
    await client.close()


async def test_the_answer_comes_in_pieces(client: VlmClient, server: ScriptedVlm) -> None:
    server.script({"tokens": ["A ", "red ", "cup."]})
    pieces = [piece async for piece in client.stream(HELLO, Asking(max_tokens=7, temperature=0))]
    assert [piece.text for piece in pieces] == ["A ", "red ", "cup.", ""]
    assert pieces[-1].finish == "stop"
    body = server.requests[0]["body"]
    assert body["messages"] == HELLO
    assert (body["model"], body["max_tokens"], body["temperature"], body["stream"]) == (MODEL, 7, 0, True)


async def test_the_first_piece_does_not_wait_for_the_last(client: VlmClient, server: ScriptedVlm) -> None:
    server.script({"tokens": ["A ", "cup."], "every_s": 30})
    stream = client.stream(HELLO, Asking())
    async with asyncio.timeout(10):
        assert await anext(stream) == Piece("A ")
    await stream.aclose()  # type: ignore[attr-defined]


async def test_what_it_lists(client: VlmClient) -> None:
    listed = await client.models()
    assert [(model["id"], model["owned_by"]) for model in listed] == [(MODEL, "scripted")]


async def test_a_schema_tools_and_a_backends_own_switches_are_sent(client: VlmClient, server: ScriptedVlm) -> None:
    tool = {"type": "function", "function": {"name": "zoom", "parameters": {"type": "object", "properties": {}}}}
    await client.complete(HELLO, Asking(schema={"type": "object"}, tools=[tool], extra={"think": False}))
    body = server.requests[0]["body"]
    assert body["response_format"]["json_schema"]["schema"] == {"type": "object"}
    assert body["tools"] == [tool]
    assert body["think"] is False


async def test_tools_are_called_with_what_can_be_read(client: VlmClient, server: ScriptedVlm) -> None:
    calls = [{"name": "zoom", "arguments": '{"id": 3}'}, {"name": "track", "arguments": "{broken"}]
    server.script({"tool_calls": calls})
    completion = await client.complete(HELLO, Asking())
    assert [(call.name, call.arguments) for call in completion.tool_calls] == [("zoom", {"id": 3}), ("track", None)]
    assert completion.finish == "tool_calls"


async def test_whoever_stops_listening_ends_the_request(client: VlmClient, server: ScriptedVlm) -> None:
    server.script({"tokens": ["word "] * 1000, "every_s": 0.01})

    async def listen() -> None:
        async for _ in client.stream(HELLO, Asking()):
            pass

    task = asyncio.create_task(listen())
    while not server.requests or server.requests[0]["sent"] < 5:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(5):
        while not server.requests[0]["gone"]:
            await asyncio.sleep(0.01)
    assert server.requests[0]["sent"] < 900


async def test_endless_output_is_cut(client: VlmClient, server: ScriptedVlm) -> None:
    server.script({"endless": True})
    completion = await client.complete(HELLO, Asking())
    assert completion.finish == "length"
    assert len(completion.text) < MAX_CHARS + 100


async def test_an_empty_answer_is_empty(client: VlmClient, server: ScriptedVlm) -> None:
    server.script({"tokens": []})
    assert (await client.complete(HELLO, Asking())).text == ""


@pytest.mark.parametrize(
    ("reply", "words", "retryable"),
    [
        ({"status": 429, "retry_after": 1}, "busy", True),
        ({"status": 500}, "failed (500)", True),
        ({"status": 404}, "does not have this model", False),
        ({"status": 401}, "wants a key", False),
        ({"status": 400}, "refused the request (400): ", False),
        ({"garbage": True}, "no answer", False),
        ({"tokens": ["A ", "cup ", "and "], "cut": 2}, "was cut", True),
    ],
)
async def test_each_fault_has_its_words(
    client: VlmClient, server: ScriptedVlm, reply: dict[str, object], words: str, retryable: bool
) -> None:
    server.script(reply)
    with pytest.raises(ModelServerError) as caught:
        await client.complete(HELLO, Asking())
    assert words in caught.value.message
    assert caught.value.retryable is retryable
    assert len(server.requests) == 1


async def test_a_server_that_is_not_there() -> None:
    client = VlmClient("http://127.0.0.1:9/v1", model=MODEL)
    with pytest.raises(ModelServerError, match="does not answer"):
        await client.complete(HELLO, Asking())
    await client.close()


async def test_a_server_that_says_nothing(
    client: VlmClient, server: ScriptedVlm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.vlm.client.FIRST_TOKEN_S", 0.3)
    server.script({"tokens": ["late"], "first_s": 30})
    with pytest.raises(ModelServerError, match="too long"):
        await client.complete(HELLO, Asking())
