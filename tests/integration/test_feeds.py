"""Cameras as saved feeds of a running server: made, probed, changed, lost and back, and there after a restart."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent import camera_watch
from agent.loop import StreamAgent
from agent.types import Event
from stream.sources.backoff import Backoff
from stream.sources.camera import CameraSource, Timeouts
from tests.cameras.clips import Shape, make_clip
from tests.cameras.rtsp import RtspServer, mount
from tests.cameras.web import make_videos
from tests.server import RunningServer
from web.api.feed_shapes import NewSource

USER, PASSWORD = "viewer", "p@ss:w/rd%"
LOOPBACK = {"sources": {"allow_hosts": ["127.0.0.1"]}}
Found = dict[str, Any]


@pytest.fixture(scope="module")
def cameras(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RtspServer]:
    folder = tmp_path_factory.mktemp("rtsp")
    clip = make_clip(folder / "clip", Shape(fps=20))
    with RtspServer(folder, {"/cam": mount(clip, pcma=True)}, user=USER, password=PASSWORD, digest=True) as running:
        yield running


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lost cameras are tried again at once."""
    usual = CameraSource.__init__

    def init(self: CameraSource, camera: Any) -> None:
        backoff = Backoff(first_s=0.05, most_s=0.2)
        usual(self, camera, timeouts=Timeouts(connect_s=10, read_s=2), backoff=backoff)

    monkeypatch.setattr(CameraSource, "__init__", init)


def source(cameras: RtspServer, **other: Any) -> Found:
    return {"kind": "rtsp", "url": cameras.url("/cam"), "username": USER, "password": PASSWORD} | other


async def until(http: httpx.AsyncClient, path: str, holds: Callable[[Any], bool]) -> Any:
    async with asyncio.timeout(40):
        while True:
            found = (await http.get(path)).json()
            if holds(found):
                return found
            await asyncio.sleep(0.05)


def kinds_of(events: Found) -> list[str]:
    return [event["kind"] for event in events["items"]]


def is_untold(stats: Found) -> bool:
    return any(note.startswith(camera_watch.UNTOLD) for note in stats["policy"])


def is_live(found: Found) -> bool:
    return found["state"] == "live" and found["width"] > 0


async def test_a_camera_is_probed_kept_changed_and_there_after_a_restart(
    tmp_path: Path, cameras: RtspServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for part in ("stream", "agent", "web", "uvicorn"):
        caplog.set_level(logging.DEBUG, part)
    told: list[str] = []
    with RunningServer(tmp_path, LOOPBACK) as server:
        async with server.client() as http:
            probed = (await http.post("/v1/streams/probe", json={"source": source(cameras)})).json()
            assert (probed["codecs"], probed["width"], probed["fps"]) == (["h264", "pcm_alaw"], 320, 20.0)
            assert probed["snapshot"].startswith("data:image/jpeg;base64,")
            body = {"id": "gate", "name": "Gate", "source": source(cameras), "prompts": ["person"], "target_fps": 5}
            made = await http.post("/v1/streams", json=body)
            assert made.status_code == 201
            shown = {"kind": "rtsp", "url": cameras.url("/cam"), "transport": "tcp", "username": USER}
            assert made.json()["source"] == shown
            live = await until(http, "/v1/streams/gate", is_live)
            assert (live["saved"], live["motion_gate"], live["target_fps"]) == (True, True, 5.0)
            again = source(cameras, transport="udp", password=None)
            changed = await http.patch("/v1/streams/gate", json={"name": "Door", "source": again})
            assert changed.json()["source"]["transport"] == "udp"
            await until(http, "/v1/streams/gate", lambda found: is_live(found) and found["epoch"] == 2)
            await http.post("/v1/streams/gate/prompts", json={"kind": "text", "text": "cup"})
            await asyncio.to_thread(wait_saved, tmp_path, "cup")
            told += [made.text, changed.text, (await http.get("/v1/streams")).text, (await http.get("/health")).text]
    with RunningServer(tmp_path, LOOPBACK) as server:
        async with server.client() as http:
            back = await until(http, "/v1/streams/gate", is_live)
            assert (back["name"], back["source"]["transport"], back["target_fps"]) == ("Door", "udp", 5.0)
            prompts = (await http.get("/v1/streams/gate/prompts")).json()["items"]
            assert [prompt["text"] for prompt in prompts] == ["person", "cup"]
            assert (await http.delete("/v1/streams/gate")).status_code == 204
    with RunningServer(tmp_path, LOOPBACK) as server:
        async with server.client() as http:
            assert (await http.get("/v1/streams")).json()["items"] == []
    assert PASSWORD not in caplog.text + "".join(told)
    assert "p%40ss" not in caplog.text + "".join(told)
    assert (tmp_path / "data" / "onlooker.db").stat().st_mode & 0o777 == 0o600


def wait_saved(folder: Path, word: str) -> None:
    async def ready() -> None:
        async with asyncio.timeout(20):
            while word not in saved(folder):
                await asyncio.sleep(0.05)

    asyncio.run(ready())


def saved(folder: Path) -> str:
    connection = sqlite3.connect(folder / "data" / "onlooker.db")
    try:
        return json.dumps(connection.execute("SELECT settings FROM feeds").fetchall())
    finally:
        connection.close()


async def test_what_may_not_be_opened(tmp_path: Path, cameras: RtspServer) -> None:
    with RunningServer(tmp_path) as server:
        async with server.client() as http:
            for wanted, code in (
                (source(cameras), "host_not_allowed"),
                ({"kind": "http", "url": "http://169.254.169.254/"}, "host_not_allowed"),
                ({"kind": "http", "url": "file:///etc/passwd"}, "bad_message"),
                ({"kind": "rtsp"}, "bad_message"),
                ({"kind": "v4l2", "device": "/etc/passwd"}, "bad_message"),
                ({"kind": "folder", "path": "/etc"}, "bad_message"),
            ):
                for path, body in (("/v1/streams", {"source": wanted}), ("/v1/streams/probe", {"source": wanted})):
                    refused = await http.post(path, json=body)
                    assert refused.status_code in (400, 422)
                    assert refused.json()["code"] == code, refused.text
            assert (await http.get("/v1/streams")).json()["items"] == []


async def test_a_kept_password_goes_to_its_own_host_alone(tmp_path: Path, cameras: RtspServer) -> None:
    with RunningServer(tmp_path, LOOPBACK) as server:
        async with server.client() as http:
            await http.post("/v1/streams", json={"id": "gate", "source": source(cameras)})
            await until(http, "/v1/streams/gate", is_live)
            mine = await http.post("/v1/streams/probe", json={"id": "gate", "source": source(cameras, password=None)})
            assert mine.status_code == 200, mine.text
            elsewhere = (
                "rtsp://10.0.0.9/cam",
                cameras.url("/cam", port=1),
                cameras.url("/cam").replace("rtsp:", "rtsps:"),
            )
            for other in (*({"url": url} for url in elsewhere), {"username": "x"}):
                wanted = NewSource(**source(cameras, password=None, **other))
                assert server.state.feeds.with_secrets(wanted, "gate").password is None


async def test_offline_and_back_as_events_that_are_stored_and_told(tmp_path: Path, cameras: RtspServer) -> None:
    feed = {"id": "gate", "kind": "rtsp", "url": cameras.url("/cam"), "username": USER, "offline_s": 1.0, "frozen_s": 0}
    (tmp_path / "password").write_text(PASSWORD + "\n")
    feed["password_file"] = str(tmp_path / "password")
    with RunningServer(tmp_path, {"feeds": [feed]}) as server:
        async with server.client() as http, server.live("gate") as live:
            await until(http, "/v1/streams/gate", is_live)
            prompt = (await http.post("/v1/streams/gate/prompts", json={"kind": "text", "text": "person"})).json()
            cameras.kill()
            lost = await until(http, "/v1/streams/gate", lambda found: found["state"] == "stalled" and found["error"])
            assert lost["error"]["code"].startswith("source_")
            notes = await until(http, "/v1/streams/gate/stats", lambda found: bool(found["policy"]))
            assert "Trying again" in notes["policy"][0]
            events = "/v1/events?stream=gate"
            await until(http, events, lambda found: "offline" in kinds_of(found))
            cameras.start()
            back = await until(http, "/v1/streams/gate", lambda found: found["state"] == "live")
            assert back["epoch"] == 2
            assert back["error"] is None
            stored = await until(http, events, lambda found: "online" in kinds_of(found))
            online, offline = [event for event in stored["items"] if event["kind"] in ("online", "offline")]
            assert offline["severity"] == "warn"
            assert online["text"].startswith("The camera is back after ")
            prompts = (await http.get("/v1/streams/gate/prompts")).json()["items"]
            assert [kept["id"] for kept in prompts] == [prompt["id"]]
            kinds = []
            while "online" not in kinds:
                message = json.loads(await asyncio.wait_for(live.recv(), 20))
                kinds += [message["event"]["kind"]] if message["type"] == "event" else []
            assert kinds.index("offline") < kinds.index("online")


@pytest.mark.logs_errors
async def test_what_could_not_be_told_of_a_camera_is_heard_and_told_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    usual, broken = StreamAgent.tell, threading.Event()
    broken.set()

    def tell(self: StreamAgent, event: Event) -> str | None:
        if broken.is_set():
            raise RuntimeError("out of order")
        return usual(self, event)

    monkeypatch.setattr(StreamAgent, "tell", tell)
    monkeypatch.setattr(camera_watch, "AGAIN_S", 0.05)
    feed = {"id": "gate", "kind": "rtsp", "url": "rtsp://127.0.0.1:9/cam", "offline_s": 0.2}
    with RunningServer(tmp_path, {"feeds": [feed]}) as server:
        async with server.client() as http:
            await until(http, "/v1/streams/gate/stats", is_untold)
            heard = next(record for record in caplog.records if record.name == "agent.camera_watch")
            assert "gate" in heard.getMessage()
            assert heard.exc_info is not None
            broken.clear()
            await until(http, "/v1/events?stream=gate", lambda found: "offline" in kinds_of(found))
            await until(http, "/v1/streams/gate/stats", lambda found: not is_untold(found))


@pytest.mark.logs_errors
async def test_work_beside_the_feeds_that_fails_is_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def watch(*_: Any, **__: Any) -> None:
        raise RuntimeError("out of order")

    monkeypatch.setattr("web.feeds.watch_camera", watch)
    feed = {"id": "gate", "kind": "rtsp", "url": "rtsp://127.0.0.1:9/cam"}
    with RunningServer(tmp_path, {"feeds": [feed]}):
        async with asyncio.timeout(20):
            while "health of gate failed" not in [record.getMessage() for record in caplog.records]:
                await asyncio.sleep(0.01)


async def test_nothing_is_tracked_while_nobody_watches(tmp_path: Path, cameras: RtspServer) -> None:
    with RunningServer(tmp_path, LOOPBACK) as server:
        async with server.client() as http:
            await http.post("/v1/streams", json={"id": "gate", "source": source(cameras)})
            idle = await until(http, "/v1/streams/gate/stats", lambda found: found["received"] > 40)
            assert "nobody is watching" in idle["policy"][0]
            assert idle["tracked"] == 0
            assert idle["skipped"]["idle"] > 0
            assert not idle["drops"].keys() & {"idle", "gate", "rate"}
            await until(http, "/v1/streams/gate", is_live)
            assert (await http.get("/v1/streams/gate/snapshot.jpg")).content[:2] == b"\xff\xd8"
            async with server.live("gate"):
                await until(http, "/v1/streams/gate/stats", lambda found: found["tracked"] > 5 and not found["policy"])


async def test_a_frozen_picture_is_told(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "still", Shape(fps=20, still=True, options={"qp": "23"}))
    feed = {"id": "gate", "kind": "rtsp", "frozen_s": 1.0}
    with RtspServer(tmp_path, {"/cam": mount(clip)}) as cameras:
        feed["url"] = cameras.url("/cam")
        with RunningServer(tmp_path, {"feeds": [feed]}) as server:
            async with server.client() as http:
                found = await until(http, "/v1/events?stream=gate", lambda found: "frozen" in kinds_of(found))
    frozen = found["items"][kinds_of(found).index("frozen")]
    assert frozen["severity"] == "warn"
    assert "has not changed at all" in frozen["text"]


async def test_the_videos_of_a_folder_are_played_in_order(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    made = make_videos(tmp_path / "made", frames=20)
    folder.mkdir()
    for name, path in (("2.mp4", "/clip.mp4"), ("10.mkv", "/clip.mkv")):
        made[path].rename(folder / name)
    (folder / "5.mp4").write_bytes(b"no video")
    (folder / "notes.txt").write_text("not played")
    with RunningServer(tmp_path, {"sources": {"allow_roots": [str(tmp_path)]}}) as server:
        async with server.client() as http:
            wanted = {"kind": "folder", "path": "recordings"}
            probed = (await http.post("/v1/streams/probe", json={"source": wanted})).json()
            assert probed["width"] == 320
            await http.post("/v1/streams", json={"id": "folder", "source": wanted})
            await until(http, "/v1/streams/folder/stats", lambda found: found["received"] > 60)
            assert (await http.get("/v1/streams/folder")).json()["epoch"] == 1
