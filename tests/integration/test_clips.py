"""Clips behind a real server: cut around what happened, exact to the picture, played by ranges, kept and exported."""

from __future__ import annotations

import asyncio
import io
import json
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent.types import Event, EventKind, Severity
from stream.sources.base import Received
from stream.types import Codec
from tests.clip_frames import Camera, labels_in, numbers_in
from tests.server import PushedSource, RunningServer, receive
from tests.stored import NOON, stored

SHORT = {"before_s": 2.0, "after_s": 0.6, "enabled": "all"}


class Film:
    """A stream `cam` of numbered pictures, 30 a second by their own clock, and 60 by everybody else's."""

    def __init__(self, server: RunningServer, codec: Codec = "H264") -> None:
        self.server = server
        self.camera = Camera(codec, group=10)
        self.source: PushedSource = server.open_stream("cam")

    def show(self, count: int, pause_s: float = 1 / 60) -> None:
        for frame in self.camera.film(count):
            self._deliver(Received(frame.codec, frame.data, frame.keyframe, frame.rtp, None, time.monotonic()))
            time.sleep(pause_s)

    def _deliver(self, received: Received) -> None:
        async def deliver() -> None:
            assert self.source._sink is not None
            self.source._sink.push(received)

        self.server.call(deliver)

    def happen(self, text: str = "Somebody came in.", **values: Any) -> Event:
        """An alert on the newest picture that was looked at."""
        session = self.server.state.hub.get("cam")
        update = session.latest
        assert update is not None
        event = Event(
            values.pop("id", "a" * 32), EventKind.ALERT, text, (1,), session.latest_frame.ref, update.pts, NOON,
            severity=Severity.WARN, labels=("person",), **values,
        )  # fmt: skip

        async def tell() -> None:
            self.server.state.agents.of(session).tell(event)

        self.server.call(tell)
        return event


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with RunningServer(tmp_path, {"clips": SHORT}) as running:
        yield running


async def clip_of(http: httpx.AsyncClient, event: Event) -> dict[str, Any]:
    """The event as it is listed, once its clip is there."""
    async with asyncio.timeout(20):
        while True:
            found = next((item for item in await stored(http) if item["id"] == event.id), {})
            if "clip_offset_s" in found:
                return found
            await asyncio.sleep(0.05)


async def test_an_alert_has_a_clip_that_is_exact_to_the_picture(server: RunningServer) -> None:
    film = Film(server)
    async with server.client() as http, server.live("cam") as live:
        await asyncio.to_thread(film.show, 80)
        event = await asyncio.to_thread(film.happen)
        while (told := (await receive(live, "event"))["event"])["id"] != event.id:
            pass
        await asyncio.to_thread(film.show, 60)
        listed = await clip_of(http, event)
        assert told["clip"] == listed["clip"]
        video = await http.get(listed["clip"])
        assert (video.status_code, video.headers["content-type"]) == (200, "video/mp4")
        lines = (await http.get(f"{listed['clip']}/annotations.jsonl")).text.splitlines()
        info = (await http.get(f"{listed['clip']}/info")).json()
    decoded = numbers_in(video.content)
    labels = labels_in(lines)
    assert len(decoded) == info["pictures"] == len(info["times_s"])
    assert labels
    assert {pts: str(decoded[pts]) for pts in labels} == labels
    # The moment is in it, where the event says, and with it some seconds before and after.
    number = round(event.pts * 30 / 90_000)
    assert decoded[round(listed["clip_offset_s"] * 90_000)] == number
    assert min(decoded.values()) < number < max(decoded.values())  # type: ignore[type-var]
    first = json.loads(lines[0])
    assert first["tracks"][0]["mask"]["size"] == [36, 64]
    assert info["times_s"][1] == pytest.approx(1 / 30, abs=1e-5)
    assert info["events"] == [{"event_id": event.id, "offset_s": pytest.approx(listed["clip_offset_s"], abs=1e-3)}]


async def test_vp8_goes_into_webm_and_another_size_into_another_file(server: RunningServer) -> None:
    film = Film(server, "VP8")
    async with server.client() as http:
        await asyncio.to_thread(film.show, 50)
        film.camera.size = (320, 240)
        await asyncio.to_thread(film.show, 6)
        async with asyncio.timeout(20):
            while server.state.hub.get("cam").width != 320:
                await asyncio.sleep(0.02)
        event = await asyncio.to_thread(film.happen)
        await asyncio.to_thread(film.show, 60)
        listed = await clip_of(http, event)
        async with asyncio.timeout(20):
            while len(clips := (await http.get("/v1/clips", params={"event": event.id})).json()["items"]) < 2:
                await asyncio.sleep(0.05)
        assert sorted(clip["width"] for clip in clips) == [160, 320]
        home = next(clip for clip in clips if clip["url"] == listed["clip"])
        assert (home["media_type"], home["width"]) == ("video/webm", 320)
        for clip in clips:
            video = (await http.get(clip["url"])).content
            decoded, lines = numbers_in(video), (await http.get(clip["annotations_url"])).text.splitlines()
            labels = labels_in(lines)
            assert {pts: str(decoded[pts]) for pts in labels} == labels
            assert len(decoded) == clip["pictures"]
            assert {json.loads(line)["width"] for line in lines} == {clip["width"]}


async def test_a_clip_is_sent_by_ranges_kept_noted_and_removed(server: RunningServer) -> None:
    film = Film(server)
    async with server.client() as http:
        await asyncio.to_thread(film.show, 50)
        event = await asyncio.to_thread(film.happen)
        await asyncio.to_thread(film.show, 60)
        listed = await clip_of(http, event)
        url = listed["clip"]
        whole = (await http.get(url)).content
        part = await http.get(url, headers={"range": "bytes=100-299"})
        assert (part.status_code, part.headers["content-range"]) == (206, f"bytes 100-299/{len(whole)}")
        assert part.content == whole[100:300]
        assert (await http.get(url, headers={"range": f"bytes={len(whole)}-"})).status_code == 416

        changed = await http.patch(f"/v1/events/{event.id}", json={"keep": True, "note": "the neighbour's cat"})
        assert (changed.json()["keep"], changed.json()["note"]) == (True, "the neighbour's cat")
        assert [item["id"] for item in await stored(http, q="neighbour")] == [event.id]
        assert [item["id"] for item in await stored(http, keep=True, clip=True, label="person")] == [event.id]
        assert (await http.get("/v1/events", params={"keep": False, "clip": True})).json()["items"] == []
        await http.patch(f"/v1/events/{event.id}", json={"note": None})
        assert (await http.get("/v1/events", params={"q": "neighbour"})).json()["items"] == []
        assert (await http.get("/v1/clips")).json()["items"][0]["keep"] is True

        assert (await http.delete(url)).status_code == 204
        assert (await http.get(url)).status_code == 404
        assert list((server.state.clips.folder).iterdir()) == []
        left = (await http.get(f"/v1/events/{event.id}")).json()
        assert "clip" not in left
        assert (await http.patch(f"/v1/events/{'f' * 32}", json={"keep": True})).status_code == 404


async def test_a_clip_is_saved_by_hand_where_clips_are_on(server: RunningServer) -> None:
    film = Film(server)
    async with server.client() as http:
        await asyncio.to_thread(film.show, 40)
        await http.patch("/v1/streams/cam/clips", json={"on": False})
        refused = await http.post("/v1/streams/cam/clips", json={})
        assert (refused.status_code, refused.json()["code"]) == (409, "clips_off")
        chosen = (await http.patch("/v1/streams/cam/clips", json={"on": True, "max_gb": 2})).json()
        assert (chosen["on"], chosen["chosen"], chosen["max_gb"]) == (True, True, 2)
        await asyncio.to_thread(film.show, 30)
        saved = await http.post("/v1/streams/cam/clips", json={"note": "look at this"})
        assert saved.status_code == 201, saved.text
        # Asked for while it is still being recorded, the video comes when it is there.
        asked = asyncio.create_task(http.get(saved.json()["url"]))
        await asyncio.to_thread(film.show, 60)
        assert (await asked).status_code == 200
        (event,) = await stored(http, kind="saved")
        assert (event["id"], event["text"], event["keep"]) == (saved.json()["event_id"], "look at this", True)
        back = (await http.patch("/v1/streams/cam/clips", json={"on": None})).json()
        assert (back["on"], "chosen" in back) == (True, False)
        facets = (await http.get("/v1/events/facets")).json()
        assert [found["id"] for found in facets["streams"]] == ["cam"]
        assert "saved" in facets["kinds"]


async def test_events_are_exported_with_their_clips_and_pictures(server: RunningServer) -> None:
    film = Film(server)
    async with server.client() as http:
        await asyncio.to_thread(film.show, 50)
        one = await asyncio.to_thread(film.happen)
        two = await asyncio.to_thread(lambda: film.happen("Again.", id="b" * 32))
        await asyncio.to_thread(film.show, 60)
        listed = [await clip_of(http, event) for event in (one, two)]
        answer = await http.post("/v1/export", json={"event_ids": [one.id, two.id]})
        assert answer.headers["content-type"] == "application/zip"
        missing = await http.post("/v1/export", json={"event_ids": ["f" * 32]})
        assert missing.status_code == 404
        video = (await http.get(listed[0]["clip"])).content
        (server.state.clips.folder / f"{Path(listed[0]['clip']).name}.mp4").unlink()
        without = await http.post("/v1/export", json={"event_ids": [one.id]})
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        events = json.loads(archive.read("events.json"))
        assert [event["id"] for event in events] == [one.id, two.id]
        # They share one clip, which is there once.
        ((clip,), (same,)) = (event["clips"] for event in events)
        assert clip["clip"] == same["clip"]
        assert archive.read(clip["clip"]) == video
        assert len(archive.read(clip["annotations"]).splitlines()) > 10
        assert len([name for name in archive.namelist() if name.endswith(".mp4")]) == 1
        assert archive.read(events[0]["pictures"][0]).startswith(b"\xff\xd8")
    # A clip that has gone meanwhile is left out.
    with zipfile.ZipFile(io.BytesIO(without.content)) as archive:
        (event,) = json.loads(archive.read("events.json"))
        assert event["clips"] == []
        assert sorted(archive.namelist()) == sorted([*event["pictures"], "events.json"])


async def test_what_a_publisher_sends_is_recorded_only_where_it_was_chosen(tmp_path: Path) -> None:
    with RunningServer(tmp_path, {"clips": {"before_s": 0.5, "after_s": 0.5}}) as server:
        film = Film(server)
        session = server.state.hub.get("cam")
        assert server.state.clips.is_on(session)
        session._kind = "webrtc"
        assert not server.state.clips.is_on(session)
        async with server.client() as http:
            await asyncio.to_thread(film.show, 30)
            assert (await http.get("/v1/streams/cam/clips")).json()["on"] is False
            event = await asyncio.to_thread(film.happen)
            (listed,) = await stored(http, kind="alert")
            assert listed["id"] == event.id
            assert "clip" not in listed
            await http.patch("/v1/streams/cam/clips", json={"on": True})
        assert server.state.clips.is_on(session)
    # It is remembered.
    with RunningServer(tmp_path) as server:
        film = Film(server)
        server.state.hub.get("cam")._kind = "webrtc"
        assert server.state.clips.is_on(server.state.hub.get("cam"))
