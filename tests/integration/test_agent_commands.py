"""Free words over the wire, without a language model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection

from tests.asking import answered
from tests.server import ask, receive
from tests.staged import BLUE, RED, Block, StagedStream


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[StagedStream]:
    with StagedStream(tmp_path, None) as scene:
        agent = scene.server.state.agents.of(scene.server.state.hub.get("cam"))
        async with asyncio.timeout(20):
            while len(agent.scene.snapshot().visible) < 2:
                await asyncio.sleep(0.02)
        yield scene


async def say(live: ClientConnection, text: str) -> dict[str, Any]:
    return await ask(live, type="command", ref=text, text=text)


async def followed(scene: StagedStream, *wanted: int) -> bool:
    """Whether these are what is followed, as soon as the next picture is through."""
    async with scene.server.client() as http:
        for _ in range(40):
            tracks = (await http.get("/v1/streams/cam/tracks")).json()["tracks"]
            if tuple(track["id"] for track in tracks) == wanted:
                return True
            await asyncio.sleep(0.05)
    return False


async def test_to_follow_to_forget_and_to_undo(scene: StagedStream) -> None:
    async with scene.server.live("cam") as live, scene.server.client() as http:
        made = await say(live, "Please follow the red cup")
        prompts = (await http.get("/v1/streams/cam/prompts")).json()["items"]
        assert [(prompt["id"], prompt["text"]) for prompt in prompts] == [(made["prompt_id"], "the red cup")]
        assert (await say(live, "forget the cup"))["prompt_id"] == made["prompt_id"]
        assert (await http.get("/v1/streams/cam/prompts")).json()["items"] == []
        assert (await say(live, "undo"))["prompt_id"] == made["prompt_id"]
        assert len((await http.get("/v1/streams/cam/prompts")).json()["items"]) == 1
        assert (await say(live, "undo that"))["prompt_id"] == made["prompt_id"]
        assert (await http.get("/v1/streams/cam/prompts")).json()["items"] == []
        assert (await say(live, "undo"))["type"] == "error"


async def test_objects_are_let_go_by_number_or_by_name_and_come_back(scene: StagedStream) -> None:
    async with scene.server.live("cam") as live:
        assert (await say(live, "stop following #3"))["track_id"] == 3
        assert await followed(scene, 5)
        assert (await say(live, "bring back #3"))["track_id"] == 3
        assert await followed(scene, 3, 5)
        assert (await say(live, "forget the person"))["track_id"] == 5
        assert await followed(scene, 3)
        assert (await say(live, "undo"))["track_id"] == 5
        assert (await say(live, "stop following #99"))["code"] == "unknown_track"
        assert (await say(live, "forget the elephant"))["code"] == "unknown_track"
        scene.stage.blocks = [RED, BLUE, Block(6, "person", (30, 200, 40), (130, 40, 190, 220))]
        await asyncio.sleep(1)
        refused = await say(live, "forget the person")
        assert refused["type"] == "error"
        assert "#5, #6" in refused["message"]
        assert await followed(scene, 3, 5, 6), "where it is not clear which, none is let go"


async def test_a_watch_a_name_and_a_question(scene: StagedStream) -> None:
    async with scene.server.live("cam") as live, scene.server.client() as http:
        made = await say(live, "tell me when a dog appears")
        watch = (await receive(live, "watch"))["watch"]
        assert (watch["id"], watch["condition"]) == (made["watch_id"], "a dog appears")
        assert (await say(live, "stop telling me when a dog appears"))["watch_id"] == made["watch_id"]
        assert (await http.get("/v1/streams/cam/watches")).json()["items"] == []
        assert (await say(live, "stop watching for cats"))["code"] == "unknown_watch"
        again = await say(live, "undo")
        assert [w["id"] for w in (await http.get("/v1/streams/cam/watches")).json()["items"]] == [again["watch_id"]]
        assert (await say(live, "call #3 Bob"))["track_id"] == 3
        asked = await say(live, "How many people are there?")
        _, answer = await answered(live, asked["question_id"])
    assert answer["state"] == "done"
    assert answer["track_ids"] == [5]


async def test_a_wish_without_an_object_is_a_question(scene: StagedStream) -> None:
    async with scene.server.live("cam") as live:
        asked = await say(live, "follow")
        _, answer = await answered(live, asked["question_id"])
    assert answer["state"] == "done"
