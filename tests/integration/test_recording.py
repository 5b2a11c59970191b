"""The event store behind a real server: what happens is kept, found again by word, and shown as it looked."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
from datetime import datetime
from pathlib import Path

import cv2
import numpy as np

from tests.asking import near
from tests.postgres import postgres
from tests.server import ask, receive
from tests.staged import BLUE, GREY, RED, Block, StagedStream
from tests.stored import health, stored
from web.api.shapes import StoredEvent


def decoded(jpeg: bytes) -> np.ndarray:
    return np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR))


async def test_an_alert_is_kept_found_by_word_and_shows_its_object(tmp_path: Path) -> None:
    with StagedStream(tmp_path, blocks=(RED,), tables={"clips": {"enabled": "off"}}) as scene:
        async with scene.server.live("cam") as live, scene.server.client() as http:
            await receive(live, "tracks")
            watch = (await http.post("/v1/streams/cam/watches", json={"condition": "a person appears"})).json()
            scene.stage.blocks = [RED, BLUE]
            async with asyncio.timeout(15):
                while (told := (await receive(live, "event"))["event"])["kind"] != "alert":
                    pass
            assert told["thumb"] == f"/v1/events/{told['id']}/thumb.jpg"
            early = await http.get(told["thumb"])
            assert early.status_code == 200, "a picture that was just promised is waited for"
            (alert,) = await stored(http, q="persons appearing", kind="alert")
            listed = (await http.get("/v1/streams/cam/events?kind=alert")).json()["items"]
            boot = scene.server.state.hub.boot
    StoredEvent.model_validate_json(json.dumps(alert))
    assert {key: alert[key] for key in told} | {"at": told["at"]} == told
    assert datetime.fromisoformat(alert["at"]) == datetime.fromisoformat(told["at"])
    assert [(item["id"], item["thumb"]) for item in listed] == [(told["id"], told["thumb"])]
    assert (alert["stream"], alert["boot"], alert["labels"]) == ("cam", boot, ["person"])
    assert alert["watch_id"] == watch["id"]
    evidence = alert["evidence"]
    assert (evidence["prompt"], evidence["model"]) == ("a person appears", "rules")
    assert [mask["track_id"] for mask in evidence["masks"]] == [5]
    assert evidence["masks"][0]["mask"]["size"] == [240, 320]

    with StagedStream(tmp_path, blocks=()) as scene:
        async with scene.server.client() as http:
            assert scene.server.state.hub.boot != boot
            assert await stored(http, q="person", kind="alert", stream="cam") == [alert]
            assert (await http.get("/v1/events", params={"q": "giraffe"})).json() == {"items": []}
            one = await http.get(f"/v1/events/{alert['id']}")
            thumb = await http.get(alert["thumb"])
            frame = await http.get(alert["frame_url"])
    assert one.json() == alert
    assert thumb.headers["content-type"] == "image/jpeg"
    assert thumb.content == early.content
    picture = decoded(thumb.content)
    assert max(picture.shape[:2]) <= 320
    assert near(picture[picture.shape[0] // 2, picture.shape[1] // 2], BLUE.rgb), "the object is in the middle"
    assert near(picture[2, 2], (GREY, GREY, GREY)), "with some of what is around it"
    whole = decoded(frame.content)
    assert whole.shape == (240, 320, 3)
    assert near(whole[120, 80], RED.rgb)
    assert near(whole[130, 240], BLUE.rgb)


async def test_what_has_left_is_shown_as_it_was(tmp_path: Path) -> None:
    with StagedStream(tmp_path) as scene:
        async with scene.server.live("cam") as live, scene.server.client() as http:
            await receive(live, "tracks")
            await asyncio.sleep(2)
            scene.stage.blocks = [RED]
            async with asyncio.timeout(15):
                while (told := (await receive(live, "event"))["event"])["kind"] not in ("lost", "exit"):
                    pass
            picture = decoded((await http.get(told["thumb"])).content)
    assert told["track_ids"] == [5]
    assert near(picture[picture.shape[0] // 2, picture.shape[1] // 2], BLUE.rgb)


async def test_watches_and_regions_are_there_again_after_a_restart(tmp_path: Path) -> None:
    door = {"name": "door", "kind": "zone", "points": [[0.5, 0.0], [1.0, 0.0], [1.0, 1.0], [0.5, 1.0]]}
    with StagedStream(tmp_path, blocks=(RED,)) as scene:
        async with scene.server.client(base_url=f"{scene.server.url}/v1/streams/cam") as http:
            region = (await http.post("/regions", json=door)).json()
            gone = (await http.post("/regions", json={**door, "name": "gone"})).json()
            await http.delete(f"/regions/{gone['id']}")
            new = {"condition": "a person enters the door", "cooldown_s": 5, "severity": "critical"}
            watch = (await http.post("/watches", json=new)).json()
            await http.post("/watches", json={"condition": "a cup appears", "enabled": False})
            watches = (await http.get("/watches")).json()["items"]
    with StagedStream(tmp_path, blocks=(RED,)) as scene:
        async with scene.server.live("cam") as live, scene.server.client() as http:
            hello = await receive(live, "hello")
            scene.stage.blocks = [RED, BLUE]
            async with asyncio.timeout(15):
                while (told := (await receive(live, "event"))["event"])["kind"] != "alert":
                    pass
            restored = (await http.get("/v1/streams/cam/watches")).json()["items"]
            # and when it is closed and opened again within the life of the server
            await http.delete("/v1/streams/cam")
            await asyncio.to_thread(scene.server.open_stream, "cam")
            again = (await http.get("/v1/streams/cam/watches")).json()["items"]
            await http.delete(f"/v1/streams/cam/watches/{watch['id']}")
    assert hello["regions"] == [region]
    assert [watch["id"] for watch in hello["watches"]] == [watch["id"] for watch in watches]
    assert (told["watch_id"], told["severity"]) == (watch["id"], "critical")
    assert restored == again == watches
    with StagedStream(tmp_path, blocks=()) as scene:
        async with scene.server.live("cam") as live:
            left = (await receive(live, "hello"))["watches"]
    assert [item["condition"] for item in left] == ["a cup appears"]


async def test_questions_and_descriptions_are_kept(tmp_path: Path) -> None:
    with StagedStream(tmp_path, blocks=(RED,)) as scene:
        async with scene.server.live("cam") as live:
            await receive(live, "tracks")
            await ask(live, type="ask", ref="q", text="How many cups are there?")
            answer = await receive(live, "answer")
            await ask(live, type="ask", ref="r", text="Where is it?")
            await receive(live, "answer")
        store = scene.server.state.recording.store
        async with asyncio.timeout(10):
            while len(asked := scene.server.call(store.questions)) < 2 or asked[0].answer is None:
                await asyncio.sleep(0.05)
        (found,) = scene.server.call(lambda: store.questions(q="cup many", stream="cam"))
    assert found.question.text == "How many cups are there?"
    assert found.answer is not None
    assert found.answer.text == answer["text"]
    assert found.boot == scene.server.state.hub.boot


async def test_lists_are_paged_and_wrong_requests_are_told(tmp_path: Path) -> None:
    with StagedStream(tmp_path, blocks=(RED,)) as scene:
        async with scene.server.live("cam") as live, scene.server.client() as http:
            await receive(live, "event")
            scene.stage.blocks = [RED, BLUE]
            both = await stored(http, 2)
            assert [item["track_ids"] for item in both] == [[5], [3]], "newest first"
            first = (await http.get("/v1/events", params={"limit": 1})).json()
            rest = (await http.get("/v1/events", params={"limit": 1, "after": first["next"]})).json()
            since = await stored(http, 1, since=both[0]["at"])
            until = await stored(http, 1, until=both[0]["at"], label="red cup")
            bad = [
                (await http.get("/v1/events", params=params)).status_code
                for params in ({"after": "x"}, {"limit": 0}, {"since": "soon"}, {"kind": "party"}, {"q": "x" * 201})
            ]
            missing = await http.get(f"/v1/events/{'0' * 32}")
            unseen = await http.get(f"/v1/events/{'0' * 32}/thumb.jpg")
            paths = (await http.get("/openapi.json")).json()["paths"]
    assert [*first["items"], *rest["items"]] == both
    assert "next" not in rest
    assert (since, until) == ([both[0]], [both[1]])
    assert bad == [400] * 5
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
    assert unseen.status_code == 404
    assert {"/v1/events", "/v1/events/{event_id}", "/v1/events/{event_id}/thumb.jpg", "/v1/sinks"} <= set(paths)


# --- faults ----------------------------------------------------------------------------------------------------------


async def test_a_damaged_store_is_told_and_the_live_path_goes_on(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "onlooker.db").write_bytes(b"this is no database at all" * 400)
    with StagedStream(tmp_path, blocks=(RED,)) as scene:
        async with scene.server.live("cam") as live, scene.server.client() as http:
            told = (await receive(live, "event"))["event"]
            check = await health(http, "event store")
            listed = await http.get("/v1/events")
            live_log = (await http.get("/v1/streams/cam/events")).json()["items"]
    assert "thumb" not in told, "no picture is promised"
    assert [item["id"] for item in live_log] == [told["id"]]
    assert not check["ok"]
    assert "damaged" in check["message"]
    assert "onlooker.db" in check["action"]
    assert (listed.status_code, listed.json()["code"]) == (503, "store_unavailable")
    assert "damaged" in listed.json()["message"]


async def test_facts_wait_while_another_program_holds_the_store(tmp_path: Path) -> None:
    with StagedStream(tmp_path, blocks=(RED,)) as scene:
        async with scene.server.live("cam") as live, scene.server.client() as http:
            await receive(live, "event")
            await stored(http, 1)
            held = sqlite3.connect(tmp_path / "data" / "onlooker.db", isolation_level=None)
            held.execute("BEGIN EXCLUSIVE")
            scene.stage.blocks = [RED, BLUE]
            told = (await receive(live, "event"))["event"]
            async with asyncio.timeout(15):
                while (check := await health(http, "event store"))["ok"]:
                    await asyncio.sleep(0.1)
            assert len(await stored(http, 1)) == 1, "what is there can still be read"
            held.rollback()
            held.close()
            newest, _ = await stored(http, 2)
            well = await health(http, "event store")
    assert "locked" in check["message"]
    assert newest["id"] == told["id"]
    assert well["ok"], "nothing was lost"


async def test_on_postgresql_and_when_that_server_goes_away(tmp_path: Path) -> None:
    server = contextlib.ExitStack()
    overrides = {"store": {"url": server.enter_context(postgres())}}
    with server, StagedStream(tmp_path, blocks=(RED,), tables=overrides) as scene:
        async with scene.server.live("cam") as live, scene.server.client() as http:
            await receive(live, "event")
            scene.stage.blocks = [RED, BLUE]
            (found,) = await stored(http, 1, q="persons")
            picture = decoded((await http.get(found["thumb"])).content)
            well = await health(http, "event store")
            await asyncio.to_thread(server.close)
            scene.stage.blocks = [RED, Block(6, "person", BLUE.rgb, BLUE.box_xyxy_px)]
            told = (await receive(live, "event"))["event"]
            async with asyncio.timeout(15):
                while (check := await health(http, "event store"))["ok"]:
                    await asyncio.sleep(0.1)
            listed = await http.get("/v1/events")
    assert near(picture[picture.shape[0] // 2, picture.shape[1] // 2], BLUE.rgb)
    assert well["ok"]
    assert not (tmp_path / "data" / "onlooker.db").exists()
    assert told["kind"]
    assert "PostgreSQL" in check["action"]
    assert (listed.status_code, listed.json()["code"]) == (503, "store_unavailable")
