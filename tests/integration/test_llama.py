"""A real llama.cpp server whose model has no eyes: found out, asked, and its limits said."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from agent.vlm.profiles import Profile, probe
from tests.asking import answered, ready
from tests.llama_server import FILE, llama_server
from tests.server import ask, receive
from tests.staged import BLUE, RED, Block, StagedStream

SLOW_S = 90.0
"""One thread of a busy machine, and a model that does not know when to stop."""
NAME = FILE.removesuffix(".gguf")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with llama_server() as url:
        yield url


@pytest.fixture(scope="module")
def profile(url: str) -> Profile:
    return asyncio.run(probe(url, model=None, api_key=None))


@pytest.fixture
async def scene(tmp_path: Path, url: str) -> AsyncIterator[StagedStream]:
    with StagedStream(tmp_path, url, describe=True) as scene:
        await ready(scene)
        yield scene


def test_its_family_and_that_it_has_no_eyes_are_found_out(profile: Profile) -> None:
    assert profile.family == "llama.cpp"
    assert profile.name == NAME
    assert "image" not in profile.can
    assert profile.schema, "its server keeps a model to a given form"
    found = {finding.what: (finding.ok, finding.note) for finding in profile.findings}
    assert found["model"] == (True, f"{NAME} on llama.cpp")
    assert found["image"][0] is False
    assert found["image"][1].startswith("takes no pictures")


async def test_a_question_is_answered_in_pieces_and_followed_up(scene: StagedStream) -> None:
    async with scene.server.live("cam") as live:
        hello = await receive(live, "hello")
        assert hello["vlm"]["name"] == NAME
        assert "image" not in hello["vlm"]["can"]
        first = await ask(live, type="ask", ref="1", text="What can you see?")
        deltas, answer = await answered(live, first["question_id"], SLOW_S)
        second = await ask(live, type="ask", ref="2", text="And what else?", follows=first["question_id"])
        _, more = await answered(live, second["question_id"], SLOW_S)
    assert (answer["state"], more["state"]) == ("done", "done")
    assert answer["text"]
    assert answer["backend"] == NAME
    assert "".join(delta["text"] for delta in deltas).strip() == answer["text"]
    assert 0 < answer["ttft_ms"] < answer["total_ms"]


async def test_stop_ends_its_answer(scene: StagedStream) -> None:
    async with scene.server.live("cam") as live:
        ok = await ask(live, type="ask", ref="q", text="Tell me a very long story about the person and the cup.")
        await receive(live, "delta", 60)
        await ask(live, type="ask.stop", ref="s")
        _, answer = await answered(live, ok["question_id"], SLOW_S)
        again = await ask(live, type="ask", ref="r", text="Say: yes")
        _, after = await answered(live, again["question_id"], SLOW_S)
    assert answer["state"] == "stopped"
    assert after["state"] == "done", "the server is free for the next one"


async def test_what_only_eyes_can_tell_is_told_by_the_rule_and_said(scene: StagedStream) -> None:
    scene.stage.blocks = [RED]
    await asyncio.sleep(1.5)
    async with scene.server.live("cam") as live, scene.server.client() as http:
        made = (await http.post("/v1/streams/cam/watches", json={"condition": "a man appears"})).json()
        scene.stage.blocks = [RED, Block(6, "person", BLUE.rgb, BLUE.box_xyxy_px)]
        async with asyncio.timeout(20):
            while (event := (await receive(live, "event"))["event"])["kind"] != "alert":
                pass
        tracks = await receive(live, "tracks")
    assert "“man”" in made["compiled"]["note"]
    assert event["watch_id"] == made["id"]
    assert "no model has looked" in event["text"]
    assert [track.get("caption") for track in tracks["tracks"]] == [None, None], "nobody describes what nobody sees"


def test_doctor_says_what_it_cannot_do(url: str, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ONLOOKER_")} | {
        "ONLOOKER_DATA_DIR": str(tmp_path / "data"),
        "ONLOOKER_CACHE_DIR": str(tmp_path / "cache"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "COLUMNS": "200",
    }
    command = [sys.executable, "-m", "web.cli", "doctor", "--vlm", url]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=90, check=False).stdout
    assert f"{NAME} on llama.cpp" in said
    assert "takes no pictures" in said
