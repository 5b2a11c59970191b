"""Rules over HTTP: saved with their region, armed and disarmed, there again after a restart, tried on the last hour."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server import RunningServer, receive
from tests.staged import BLUE, StagedStream

YARD: dict[str, Any] = {"name": "Yard", "kind": "zone", "points": [[0.02, 0.1], [0.5, 0.1], [0.5, 0.98], [0.02, 0.98]]}
ENTER: dict[str, Any] = {"kind": "enter", "label": "people", "severity": "critical", "cooldown_s": 0}
OUTSIDE, INSIDE = BLUE, replace(BLUE, box_xyxy_px=(40, 40, 120, 220))
CAM = "/v1/streams/cam"


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[StagedStream]:
    with StagedStream(tmp_path, blocks=[OUTSIDE]) as scene:
        yield scene


async def add_yard(http: httpx.AsyncClient, *rules: dict[str, Any]) -> dict[str, Any]:
    answer = await http.post(f"{CAM}/regions", json={**YARD, "rules": list(rules)})
    assert answer.status_code == 201, answer.text
    region: dict[str, Any] = answer.json()
    return region


async def test_a_rule_raises_an_alert_with_its_evidence_that_is_stored(scene: StagedStream) -> None:
    async with scene.server.client() as http, scene.server.live("cam") as live:
        hello = await receive(live, "hello")
        assert (hello["regions"], hello["armed"]) == ([], True)
        region = await add_yard(http, ENTER)
        assert (await receive(live, "region"))["region"] == region
        [rule] = region["rules"]
        scene.stage.blocks = [INSIDE]
        event: dict[str, Any] = {}
        while event.get("kind") != "alert":
            event = (await receive(live, "event"))["event"]
        assert (event["rule_id"], event["region_id"], event["severity"]) == (rule["id"], region["id"], "critical")
        assert event["text"] == "Person [#5] entered Yard."
        assert (event["evidence"]["prompt"], event["evidence"]["model"]) == ("people enters Yard", "rules")
        stored = (await http.get(f"/v1/events/{event['id']}")).json()
        assert (stored["rule_id"], stored["labels"]) == (rule["id"], ["person"])
        assert (await http.get(stored["thumb"])).headers["content-type"] == "image/jpeg"


async def test_rules_and_arming_are_there_again_after_a_restart(tmp_path: Path) -> None:
    night = {"days": ["mon", "sun"], "since": "22:00", "until": "06:00", "zone": "Europe/Berlin"}
    with RunningServer(tmp_path) as server:
        server.open_stream("cam")
        async with server.client() as http:
            region = await add_yard(http, {**ENTER, "schedule": night, "sound": True}, {"kind": "loiter"})
            assert [rule["seconds"] for rule in region["rules"]] == [0, 60]
            first, second = (f"{CAM}/regions/{region['id']}/rules/{rule['id']}" for rule in region["rules"])
            assert (await http.patch(first, json={"enabled": False})).json()["schedule"] == night
            assert (await http.delete(second)).status_code == 204
            moved = await http.put(f"{CAM}/regions/{region['id']}", json={**YARD, "name": "Garden"})
            assert len(moved.json()["rules"]) == 1, "another name leaves the rules as they are"
            assert (await http.get("/v1/armed")).json() == {"armed": ["cam"], "disarmed": []}
            assert (await http.put("/v1/armed", json={"armed": False})).json() == {"armed": False, "streams": ["cam"]}
            assert (await http.get("/v1/armed")).json() == {"armed": [], "disarmed": ["cam"]}
    with RunningServer(tmp_path) as server:
        server.open_stream("cam")
        async with server.client() as http:
            assert (await http.get(f"{CAM}/armed")).json() == {"armed": False}
            [again] = (await http.get(f"{CAM}/regions")).json()["items"]
            assert again == moved.json()
            assert again["rules"][0]["enabled"] is False


async def test_a_stream_that_is_not_open_is_armed_with_all_others(tmp_path: Path) -> None:
    with RunningServer(tmp_path) as server:
        server.open_stream("cam")
        async with server.client() as http:
            await add_yard(http, ENTER)
    with RunningServer(tmp_path) as server:
        async with server.client() as http:
            assert (await http.get("/v1/armed")).json() == {"armed": [], "disarmed": []}
            assert (await http.put("/v1/armed", json={"armed": False})).json() == {"armed": False, "streams": []}
            server.open_stream("cam")
            assert (await http.get(f"{CAM}/armed")).json() == {"armed": False}


async def test_a_disarmed_stream_tells_events_and_raises_no_alert(scene: StagedStream) -> None:
    async with scene.server.client() as http, scene.server.live("cam") as live:
        await add_yard(http, ENTER)
        await http.put(f"{CAM}/armed", json={"armed": False})
        assert (await receive(live, "armed"))["armed"] is False
        scene.stage.blocks = [INSIDE]
        kinds: list[str] = []
        while "zone_enter" not in kinds:
            kinds.append((await receive(live, "event"))["event"]["kind"])
        listed = (await http.get(f"{CAM}/events")).json()["items"]
        assert "alert" not in {event["kind"] for event in listed}


def lasts(trial: dict[str, Any], long: timedelta) -> bool:
    if "since" not in trial:  # nothing was seen yet
        return False
    return datetime.fromisoformat(trial["until"]) - datetime.fromisoformat(trial["since"]) >= long


async def test_a_rule_that_was_never_saved_is_tried_on_what_was(scene: StagedStream) -> None:
    async with scene.server.client() as http:

        async def tried(**rule: Any) -> dict[str, Any]:
            answer = await http.post(f"{CAM}/rules/test", json={"region": YARD, "rule": rule})
            assert answer.status_code == 200, answer.text
            trial: dict[str, Any] = answer.json()
            return trial

        async with asyncio.timeout(20):
            while not lasts(await tried(kind="enter"), timedelta(seconds=0.4)):
                await asyncio.sleep(0.1)
            scene.stage.blocks = [INSIDE]
            while not (found := await tried(kind="enter"))["count"]:
                await asyncio.sleep(0.2)
        [fired] = found["items"]
        assert (fired["text"], fired["track_ids"]) == ("Person [#5] entered Yard.", [5])
        assert (await http.get(fired["thumb"])).headers["content-type"] == "image/jpeg"
        assert (await tried(kind="enter", label="dog"))["count"] == 0
        assert (await http.get(f"{CAM}/regions")).json()["items"] == []


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"kind": "cross"}, "cross"),
        ({"kind": "enter", "min_area": 0.5, "max_area": 0.1}, "over the one limit"),
        ({"kind": "enter", "schedule": {"days": ["mon"], "zone": "Mars/Olympus"}}, "time zone"),
        ({"kind": "enter", "schedule": {"days": []}}, "days"),
        ({"kind": "fly"}, "kind"),
        ({"kind": "enter", "colour": "red"}, "colour"),
    ],
)
async def test_a_rule_that_cannot_be_is_refused_in_words(scene: StagedStream, rule: dict[str, Any], words: str) -> None:
    async with scene.server.client() as http:
        region = await add_yard(http)
        answer = await http.post(f"{CAM}/regions/{region['id']}/rules", json=rule)
        assert answer.status_code == 400, answer.text
        assert words in answer.json()["message"]
        assert (await http.post(f"{CAM}/rules/test", json={"region": YARD, "rule": rule})).status_code == 400
        assert (await http.delete(f"{CAM}/regions/{region['id']}/rules/{'0' * 32}")).status_code == 404
