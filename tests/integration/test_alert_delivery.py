"""Alerts on their way to another program: signed, tried again, and kept where they could not be delivered."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.alerts import alert_in, until_counted
from tests.staged import RED, StagedStream
from tests.stored import health


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


async def test_an_alert_is_sent_signed_and_tried_again(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("whsec_" + base64.b64encode(b"a key").decode() + "\n")
    with receiver() as program:
        program.answers = [500, 503]
        sinks = [
            {"url": program.url, "secret_file": str(secret), "retry_s": 0.05},
            {"url": program.url, "name": "grave", "min_severity": "critical"},
        ]
        with StagedStream(tmp_path, blocks=(RED,), tables={"sinks": sinks}) as scene:
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
        with StagedStream(tmp_path, blocks=(RED,), tables=sinks) as scene:
            told = await alert_in(scene)
            await until_counted(scene, dead=1)
            async with scene.server.client() as http:
                check = await health(http, "sink webhook-1")
        with StagedStream(tmp_path, blocks=(), tables=sinks) as scene:
            async with scene.server.client() as http:
                (letter,) = (await http.get("/v1/sinks/webhook-1/dead")).json()["items"]
                unknown = await http.get("/v1/sinks/other/dead")
    assert (letter["event_id"], letter["tries"], letter["error"]) == (told["id"], 2, "It answered 410.")
    assert json.loads(letter["body"])["data"]["event"] == told
    assert not check["ok"]
    assert unknown.status_code == 404


async def test_dead_letters_are_sent_again_when_asked(tmp_path: Path) -> None:
    with receiver() as program:
        program.answers = [410, 410, 410]
        sinks = {"sinks": [{"url": program.url, "name": "hook"}]}
        with StagedStream(tmp_path, blocks=(RED,), tables=sinks) as scene:
            told = await alert_in(scene)
            await until_counted(scene, dead=1)
            async with scene.server.client() as http:
                (letter,) = (await http.get("/v1/sinks/hook/dead")).json()["items"]
                one = f"/v1/sinks/hook/dead/{letter['id']}/retry"
                again = await http.post(one)
                await until_counted(scene, dead=2)
                ever = await http.post("/v1/sinks/hook/dead/retry")
                await until_counted(scene, dead=3)
                last = await http.post(one)
                await until_counted(scene, delivered=1)
                left = (await http.get("/v1/sinks/hook/dead")).json()["items"]
                gone, none = await http.post(one), await http.post("/v1/sinks/hook/dead/retry")
                well = await health(http, "sink hook")
    assert [(reply.status_code, reply.json()) for reply in (again, ever, last)] == [(202, {"waiting": 1})] * 3
    assert [headers["webhook-id"] for headers, _ in program.requests] == [told["id"]] * 4
    assert (left, gone.status_code, none.json()) == ([], 404, {"waiting": 0})
    assert well["ok"]


async def test_without_a_store_dead_letters_are_sent_again_as_well(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "onlooker.db").write_bytes(b"this is no database at all" * 400)
    with receiver() as program:
        program.answers = [410]
        with StagedStream(tmp_path, blocks=(RED,), tables={"sinks": [{"url": program.url}]}) as scene:
            await alert_in(scene)
            await until_counted(scene, dead=1)
            async with scene.server.client() as http:
                assert (await http.post("/v1/sinks/webhook-1/dead/retry")).json() == {"waiting": 1}
                await until_counted(scene, delivered=1)
                assert (await http.get("/v1/sinks/webhook-1/dead")).json()["items"] == []


async def test_a_sink_is_tried_with_a_signed_delivery_and_what_comes_back_is_said(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a key")
    with receiver() as program:
        program.answers = [200, 401]
        sinks = [
            {"url": program.url, "name": "hook", "secret_file": str(secret)},
            {"url": "http://127.0.0.1:9/", "name": "nobody"},
        ]
        with StagedStream(tmp_path, blocks=(), tables={"sinks": sinks}) as scene:
            async with scene.server.client() as http:
                taken, refused = [(await http.post("/v1/sinks/hook/test")).json() for _ in range(2)]
                broken = await health(http, "sink hook")
                nobody = (await http.post("/v1/sinks/nobody/test")).json()
                unknown = await http.post("/v1/sinks/other/test")
                counted = (await http.get("/v1/sinks")).json()["items"]
    headers, body = program.requests[0]
    assert (json.loads(body)["type"], json.loads(body)["data"]) == ("test", {"sink": "hook"})
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    signature = base64.b64encode(hmac.new(b"a key", signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{signature}"
    assert (taken["delivered"], taken["status"], "error" in taken) == (True, 200, False)
    assert (refused["delivered"], refused["status"], refused["error"]) == (False, 401, "It answered 401.")
    assert (nobody["delivered"], "status" in nobody) == (False, False)
    assert "cannot be reached" in nobody["error"]
    assert unknown.status_code == 404
    assert not broken["ok"]
    assert all((item["delivered"], item["waiting"], item["dead"]) == (0, 0, 0) for item in counted)


async def test_an_alert_that_waits_for_its_receiver_outlives_the_server(tmp_path: Path) -> None:
    with receiver() as program:
        program.answers = [503]
        sinks = {"sinks": [{"url": program.url, "retry_s": 600}]}
        with StagedStream(tmp_path, blocks=(RED,), tables=sinks) as scene:
            told = await alert_in(scene)
            await until_counted(scene, waiting=1)
            async with asyncio.timeout(10):
                while len(program.requests) < 1:
                    await asyncio.sleep(0.02)
        with StagedStream(tmp_path, blocks=(), tables=sinks) as scene:
            await until_counted(scene, delivered=1)
    assert [headers["webhook-id"] for headers, _ in program.requests] == [told["id"], told["id"]]


async def test_without_a_store_alerts_are_delivered_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "onlooker.db").write_bytes(b"this is no database at all" * 400)
    with receiver() as program:
        program.answers = [200]
        with StagedStream(tmp_path, blocks=(RED,), tables={"sinks": [{"url": program.url}]}) as scene:
            told = await alert_in(scene)
            await until_counted(scene, delivered=1)
    assert [headers["webhook-id"] for headers, _ in program.requests] == [told["id"]]
