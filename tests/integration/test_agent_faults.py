"""When the language model server is slow, wrong or gone: a clear state, nothing blocked, nothing lost."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.asyncio.client import ClientConnection

from agent.vlm import client as vlm_client
from tests.asking import PROBES, answered, ready
from tests.scripted_vlm import MODEL, ScriptedVlm, scripted_vlm
from tests.server import ask, receive
from tests.staged import BLUE, RED, Block, StagedStream
from web import vlm as connection

CONDITION = "a person in a blue coat appears"
YES = {"verdict": "yes", "ids": [6], "reason": "A blue coat.", "severity": "info"}


def said(verdict: Any) -> dict[str, Any]:
    return {"tokens": [verdict if isinstance(verdict, str) else json.dumps(verdict)]}


async def watched(scene: StagedStream, number: int = 6) -> None:
    """Somebody comes in who was not there before."""
    scene.stage.blocks = [RED, Block(number, "person", BLUE.rgb, BLUE.box_xyxy_px)]


async def alert(live: ClientConnection, within_s: float = 15.0) -> dict[str, Any]:
    async with asyncio.timeout(within_s):
        while (event := (await receive(live, "event", within_s))["event"])["kind"] != "alert":
            pass
    return dict(event)


async def question(live: ClientConnection, text: str = "What is there?") -> dict[str, Any]:
    ok = await ask(live, type="ask", ref="q", text=text)
    _, answer = await answered(live, ok["question_id"])
    return answer


@pytest.mark.parametrize(
    "verdict",
    [
        "Yes, I see a man in a blue coat.",
        {"answer": "yes"},
        {"verdict": "perhaps", "ids": [6], "reason": "", "severity": "info"},
        [1, 2, 3],
        {"verdict": ["yes"], "ids": [6]},
        "{",
        "",
    ],
    ids=["prose", "other keys", "unknown word", "a list", "a list as a word", "cut off", "nothing"],
)
async def test_a_verdict_in_a_wrong_form_is_asked_for_once_more_and_let_go(
    scene: StagedStream, vlm: ScriptedVlm, verdict: Any
) -> None:
    scene.stage.blocks = [RED]
    await asyncio.sleep(1.5)
    vlm.script(said(verdict), said(verdict), {"tokens": ["All well."]})
    async with scene.server.live("cam") as live, scene.server.client() as http:
        await http.post("/v1/streams/cam/watches", json={"condition": CONDITION})
        await watched(scene)
        async with asyncio.timeout(15):
            while len(vlm.requests) < 2:
                await asyncio.sleep(0.05)
        assert (await question(live))["text"] == "All well."
        events = (await http.get("/v1/streams/cam/events")).json()["items"]
    assert [event for event in events if event["kind"] == "alert"] == []


async def test_a_verdict_without_all_of_its_parts_is_read_as_far_as_it_goes(
    scene: StagedStream, vlm: ScriptedVlm
) -> None:
    scene.stage.blocks = [RED]
    await asyncio.sleep(1.5)
    async with scene.server.live("cam") as live, scene.server.client() as http:
        await http.post("/v1/streams/cam/watches", json={"condition": CONDITION, "severity": "critical"})
        vlm.script(said({"verdict": "YES", "ids": [99, "6", None, [6], True], "severity": "dreadful"}))
        await watched(scene)
        event = await alert(live)
    assert event["track_ids"] == [6], "unknown ids are left out, and whom the event is about stays"
    assert event["severity"] == "critical"


async def test_ids_that_were_not_shown_are_never_linked(scene: StagedStream, vlm: ScriptedVlm) -> None:
    vlm.script({"tokens": ["See [#77], [#3], [#0], [#99999999999] and [#3]."]})
    async with scene.server.live("cam") as live:
        answer = await question(live)
    assert answer["track_ids"] == [3]


async def test_a_server_that_says_nothing_for_too_long_is_slow(
    tmp_path: Path, vlm: ScriptedVlm, monkeypatch: pytest.MonkeyPatch
) -> None:
    with StagedStream(tmp_path, vlm.url) as scene:
        await ready(scene)
        vlm.forget()
        monkeypatch.setattr(vlm_client, "FIRST_TOKEN_S", 0.5)
        monkeypatch.setattr(vlm_client, "NEXT_TOKEN_S", 0.5)
        vlm.script(
            {"tokens": ["late"], "first_s": 30},
            {"tokens": ["One ", "two"], "every_s": 30},
            {"tokens": ["In time."]},
        )
        async with scene.server.live("cam") as live:
            late, stuck, well = [await question(live) for _ in range(3)]
            seen = (await receive(live, "tracks"))["seq"]
            later = (await receive(live, "tracks"))["seq"]
        async with asyncio.timeout(5):
            while not all(request["gone"] for request in vlm.requests[:2]):
                await asyncio.sleep(0.05)
    assert (late["state"], late["text"]) == ("failed", "")
    assert (stuck["state"], stuck["text"]) == ("failed", "One"), "what has come stays"
    for answer in (late, stuck):
        assert "took too long" in answer["error"]["message"]
        assert answer["error"]["retryable"]
    assert (well["state"], well["text"]) == ("done", "In time.")
    assert later > seen


async def test_a_server_that_goes_away_is_missed_and_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "AGAIN_S", 0.3)
    with scripted_vlm() as first:
        first.script(*PROBES)
        with StagedStream(tmp_path, first.url) as scene:
            await ready(scene)
            await _while_it_goes_and_comes(scene, first)


async def _while_it_goes_and_comes(scene: StagedStream, first: ScriptedVlm) -> None:
    port = urlsplit(first.url).port
    assert port is not None
    async with scene.server.live("cam") as live, scene.server.client() as http:
        await http.post("/v1/streams/cam/watches", json={"condition": CONDITION, "cooldown_s": 1})
        first.script({"tokens": ["word "] * 400, "every_s": 0.05})
        ok = await ask(live, type="ask", ref="1", text="Tell me a story.")
        await receive(live, "delta")
        first.kill()
        _, cut = await answered(live, ok["question_id"])
        gone = await question(live, "How many people are there?")
        away = await status(live, known=False)
        degraded = await model_check(http)
        await watched(scene, 6)
        unseen = await alert(live)
        with scripted_vlm(*PROBES, {"tokens": ["Back."]}, port=port) as again:
            there = await status(live, known=True)
            well = await model_check(http)
            back = await question(live)
            again.script(said({**YES, "ids": [7]}))
            await watched(scene, 7)
            event = await alert(live)
        listed = (await http.get("/v1/streams/cam/questions")).json()["items"]
    assert (cut["state"], cut["error"]["retryable"]) == ("failed", True)
    assert cut["text"].startswith("word")
    assert (gone["state"], gone["text"], gone["backend"]) == ("done", "There is 1 person: [#5].", "facts")
    assert (away["name"], away["can"]) == (None, [])
    assert "does not answer" in away["error"]["message"]
    assert away["error"]["action"]
    assert (degraded["ok"], well["ok"]) == (False, True)
    assert degraded["message"] == away["error"]["message"]
    assert "no model has looked" in unseen["text"]
    assert (there["name"], "error" in there) == (MODEL, False)
    assert (back["state"], back["text"], back["backend"]) == ("done", "Back.", MODEL)
    assert (event["track_ids"], "no model" in event["text"]) == ([7], False)
    assert [item["answer"]["state"] for item in listed] == ["failed", "done", "done"]


async def status(live: ClientConnection, *, known: bool) -> dict[str, Any]:
    """What is said of the model, once there is one, or none."""
    while ((told := (await receive(live, "status"))["vlm"])["name"] is not None) != known:
        pass
    return dict(told)


async def model_check(http: httpx.AsyncClient) -> dict[str, Any]:
    checks = (await http.get("/health")).json()["checks"]
    return next(check for check in checks if check["name"] == "language model")


async def test_a_question_that_finds_nobody_is_answered_from_the_tracks(tmp_path: Path) -> None:
    with scripted_vlm() as server:
        server.script(*PROBES)
        with StagedStream(tmp_path, server.url) as scene:
            await ready(scene)
            server.kill()
            async with scene.server.live("cam") as live:
                hello = await receive(live, "hello")
                answer = await question(live, "How many people are there?")
    assert hello["vlm"]["name"] == MODEL, "nobody has asked for it since it went away"
    assert (answer["state"], answer["text"], answer["backend"]) == ("done", "There is 1 person: [#5].", "facts")


async def test_a_server_that_hangs_is_missed_and_one_that_is_at_work_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "AGAIN_S", 0.3)
    monkeypatch.setattr(connection, "LOOK_S", 0.5)
    with scripted_vlm() as server:
        server.script(*PROBES)
        with StagedStream(tmp_path, server.url) as scene:
            await ready(scene)
            async with scene.server.live("cam") as live:
                server.script({"tokens": ["word "] * 40, "every_s": 0.1})
                ok = await ask(live, type="ask", ref="1", text="Tell me a story.")
                _, answer = await answered(live, ok["question_id"])
                server.freeze()
                away = await status(live, known=False)
                server.thaw()
                await status(live, known=True)
    assert (answer["state"], answer["backend"]) == ("done", MODEL)
    assert "hangs" in away["error"]["message"]
