"""The event store behind a real server: what happens is kept, found again by word, and shown as it looked."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np

from tests.postgres import postgres
from tests.server import PushedSource, RunningServer, ask, receive
from tests.staged import GREY, Block, Stage, StagedEngine
from web.api.shapes import StoredEvent

RED = Block(3, "red cup", (220, 30, 30), (40, 60, 120, 180))
BLUE = Block(5, "person", (30, 40, 220), (200, 40, 280, 220))


class Scene:
    """A server on `folder`, and pictures of a stage that go on coming until the test ends."""

    def __init__(self, folder: Path, stage: Stage, overrides: dict[str, Any] | None = None) -> None:
        self.stage = stage
        self.server = RunningServer(folder, overrides, engine=StagedEngine(stage))
        self._over = threading.Event()

    def __enter__(self) -> Scene:
        self.server.__enter__()
        self.source: PushedSource = self.server.open_stream("cam")
        self.source.picture = self.stage.picture
        self._thread = threading.Thread(target=self._play, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._over.set()
        self._thread.join(10)
        self.server.__exit__(*exception)

    def _play(self) -> None:
        while not self._over.is_set():
            self.source.push(pause_s=0.04)


def near(pixel: np.ndarray, rgb: tuple[int, int, int], within: int = 40) -> bool:
    return bool(np.abs(pixel[::-1].astype(int) - np.array(rgb)).max() <= within)


def decoded(jpeg: bytes) -> np.ndarray:
    return np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR))


async def stored(http: httpx.AsyncClient, count: int = 1, **query: Any) -> list[dict[str, Any]]:
    """What a query finds, once it finds `count`."""
    async with asyncio.timeout(15):
        while True:
            answer = await http.get("/v1/events", params=query)
            assert answer.status_code == 200, answer.text
            items: list[dict[str, Any]] = answer.json()["items"]
            if len(items) >= count:
                return items
            await asyncio.sleep(0.05)


async def health(http: httpx.AsyncClient, name: str) -> dict[str, Any]:
    checks = (await http.get("/health")).json()["checks"]
    return next(check for check in checks if check["name"] == name)


async def test_an_alert_is_kept_found_by_word_and_shows_its_object(tmp_path: Path) -> None:
    stage = Stage([RED])
    with Scene(tmp_path, stage) as scene:
        async with scene.server.live("cam") as live, scene.server.client() as http:
            await receive(live, "tracks")
            watch = (await http.post("/v1/streams/cam/watches", json={"condition": "a person appears"})).json()
            stage.blocks = [RED, BLUE]
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

    with Scene(tmp_path, Stage([])) as scene:
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
    stage = Stage([RED, BLUE])
    with Scene(tmp_path, stage) as scene:
        async with scene.server.live("cam") as live, scene.server.client() as http:
            await receive(live, "tracks")
            await asyncio.sleep(2)
            stage.blocks = [RED]
            async with asyncio.timeout(15):
                while (told := (await receive(live, "event"))["event"])["kind"] not in ("lost", "exit"):
                    pass
            picture = decoded((await http.get(told["thumb"])).content)
    assert told["track_ids"] == [5]
    assert near(picture[picture.shape[0] // 2, picture.shape[1] // 2], BLUE.rgb)


async def test_watches_and_regions_are_there_again_after_a_restart(tmp_path: Path) -> None:
    stage = Stage([RED])
    door = {"name": "door", "kind": "zone", "points": [[0.5, 0.0], [1.0, 0.0], [1.0, 1.0], [0.5, 1.0]]}
    with Scene(tmp_path, stage) as scene:
        async with scene.server.client(base_url=f"{scene.server.url}/v1/streams/cam") as http:
            region = (await http.post("/regions", json=door)).json()
            gone = (await http.post("/regions", json={**door, "name": "gone"})).json()
            await http.delete(f"/regions/{gone['id']}")
            new = {"condition": "a person enters the door", "cooldown_s": 5, "severity": "critical"}
            watch = (await http.post("/watches", json=new)).json()
            await http.post("/watches", json={"condition": "a cup appears", "enabled": False})
            watches = (await http.get("/watches")).json()["items"]
    with Scene(tmp_path, stage) as scene:
        async with scene.server.live("cam") as live, scene.server.client() as http:
            hello = await receive(live, "hello")
            stage.blocks = [RED, BLUE]
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
    with Scene(tmp_path, Stage([])) as scene:
        async with scene.server.live("cam") as live:
            left = (await receive(live, "hello"))["watches"]
    assert [item["condition"] for item in left] == ["a cup appears"]


async def test_questions_and_descriptions_are_kept(tmp_path: Path) -> None:
    with Scene(tmp_path, Stage([RED])) as scene:
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
    stage = Stage([RED])
    with Scene(tmp_path, stage) as scene:
        async with scene.server.live("cam") as live, scene.server.client() as http:
            await receive(live, "event")
            stage.blocks = [RED, BLUE]
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
    with Scene(tmp_path, Stage([RED])) as scene:
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
    stage = Stage([RED])
    with Scene(tmp_path, stage) as scene:
        async with scene.server.live("cam") as live, scene.server.client() as http:
            await receive(live, "event")
            await stored(http, 1)
            held = sqlite3.connect(tmp_path / "data" / "onlooker.db", isolation_level=None)
            held.execute("BEGIN EXCLUSIVE")
            stage.blocks = [RED, BLUE]
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
    stage = Stage([RED])
    with server, Scene(tmp_path, stage, overrides) as scene:
        async with scene.server.live("cam") as live, scene.server.client() as http:
            await receive(live, "event")
            stage.blocks = [RED, BLUE]
            (found,) = await stored(http, 1, q="persons")
            picture = decoded((await http.get(found["thumb"])).content)
            well = await health(http, "event store")
            await asyncio.to_thread(server.close)
            stage.blocks = [RED, Block(6, "person", BLUE.rgb, BLUE.box_xyxy_px)]
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


# --- webhooks --------------------------------------------------------------------------------------------------------


class Receiver(ThreadingHTTPServer):
    """A program that takes alerts; `answers` are given in turn, then 200 for ever."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[int] = []
        self.requests: list[tuple[dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook?key=hunter2"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.requests.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(self.server.answers.pop(0) if self.server.answers else 200)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@contextmanager
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(5)


async def alert_in(scene: Scene) -> dict[str, Any]:
    """Have a person appear, and wait for the alert."""
    async with scene.server.live("cam") as live, scene.server.client() as http:
        await receive(live, "tracks")
        await http.post("/v1/streams/cam/watches", json={"condition": "a person appears", "severity": "warn"})
        scene.stage.blocks = [RED, BLUE]
        async with asyncio.timeout(15):
            while (told := (await receive(live, "event"))["event"])["kind"] != "alert":
                pass
    return told


async def until_counted(scene: Scene, **wanted: int) -> list[dict[str, Any]]:
    async with scene.server.client() as http, asyncio.timeout(15):
        while True:
            items: list[dict[str, Any]] = (await http.get("/v1/sinks")).json()["items"]
            if all(sum(item[name] for item in items) == count for name, count in wanted.items()):
                return items
            await asyncio.sleep(0.05)


async def test_an_alert_is_sent_signed_and_tried_again(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("whsec_" + base64.b64encode(b"a key").decode() + "\n")
    with receiver() as program:
        program.answers = [500, 503]
        sinks = [
            {"url": program.url, "secret_file": str(secret), "retry_s": 0.05},
            {"url": program.url, "name": "grave", "min_severity": "critical"},
        ]
        with Scene(tmp_path, Stage([RED]), {"sinks": sinks}) as scene:
            told = await alert_in(scene)
            items = await until_counted(scene, delivered=1)
            async with scene.server.client() as http:
                shown = (await http.get("/v1/config")).text
        with sqlite3.connect(tmp_path / "data" / "onlooker.db") as database:
            left = database.execute("SELECT count(*) FROM deliveries").fetchone()
    assert left == (0,)
    assert len(program.requests) == 3
    assert len({body for _, body in program.requests}) == 1
    headers, body = program.requests[-1]
    assert json.loads(body) == {
        "type": "alert",
        "timestamp": told["at"],
        "data": {"stream": "cam", "boot": json.loads(body)["data"]["boot"], "event": told},
    }
    assert headers["webhook-id"] == told["id"]
    signed = f"{told['id']}.{headers['webhook-timestamp']}.".encode() + body
    signature = base64.b64encode(hmac.new(b"a key", signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{signature}"
    assert [(item["name"], item["delivered"], item["signed"]) for item in items] == [
        ("webhook-1", 1, True),
        ("grave", 0, False),
    ]
    assert "hunter2" not in str(items) + shown


async def test_what_cannot_be_delivered_is_kept_and_listed(tmp_path: Path) -> None:
    with receiver() as program:
        program.answers = [500, 410]
        sinks = {"sinks": [{"url": program.url, "retry_s": 0.05, "retries": 1}]}
        with Scene(tmp_path, Stage([RED]), sinks) as scene:
            told = await alert_in(scene)
            await until_counted(scene, dead=1)
            async with scene.server.client() as http:
                check = await health(http, "sink webhook-1")
        with Scene(tmp_path, Stage([]), sinks) as scene:
            async with scene.server.client() as http:
                (letter,) = (await http.get("/v1/sinks/webhook-1/dead")).json()["items"]
                unknown = await http.get("/v1/sinks/other/dead")
    assert (letter["event_id"], letter["tries"], letter["error"]) == (told["id"], 2, "It answered 410.")
    assert json.loads(letter["body"])["data"]["event"] == told
    assert not check["ok"]
    assert unknown.status_code == 404


async def test_an_alert_that_waits_for_its_receiver_outlives_the_server(tmp_path: Path) -> None:
    with receiver() as program:
        program.answers = [503]
        sinks = {"sinks": [{"url": program.url, "retry_s": 600}]}
        with Scene(tmp_path, Stage([RED]), sinks) as scene:
            told = await alert_in(scene)
            await until_counted(scene, waiting=1)
            async with asyncio.timeout(10):
                while len(program.requests) < 1:
                    await asyncio.sleep(0.02)
        with Scene(tmp_path, Stage([]), sinks) as scene:
            await until_counted(scene, delivered=1)
    assert [headers["webhook-id"] for headers, _ in program.requests] == [told["id"], told["id"]]


async def test_without_a_store_alerts_are_delivered_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "onlooker.db").write_bytes(b"this is no database at all" * 400)
    with receiver() as program:
        program.answers = [200]
        with Scene(tmp_path, Stage([RED]), {"sinks": [{"url": program.url}]}) as scene:
            told = await alert_in(scene)
            await until_counted(scene, delivered=1)
    assert [headers["webhook-id"] for headers, _ in program.requests] == [told["id"]]
