"""Never a leaked frame: on every frame of a clip, through the real server, what is private cannot be seen."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import av
import cv2
import httpx
import numpy as np
import pytest

from stream.session import StreamSession
from tests.asking import images
from tests.peers import ViewingPeer
from tests.private import (
    MOST_SHOWN,
    SIZE,
    U8,
    Box,
    PrivateSource,
    Truth,
    TruthEngine,
    Watcher,
    leaks,
    number_of,
    open_private,
    shown_share,
)
from tests.scripted_vlm import ScriptedVlm
from tests.server import RunningServer

SDP = {"content-type": "application/sdp"}

WIDTH, HEIGHT = SIZE


class Scene:
    """A server with a stream `cam` of the composed scene, and one viewer by WHEP."""

    def __init__(
        self, server: RunningServer, engine: TruthEngine, source: PrivateSource, http: httpx.AsyncClient
    ) -> None:
        self.server, self.engine, self.source, self.http = server, engine, source, http
        self.peer = ViewingPeer("H264")
        self._watcher = Watcher()
        self._decoded = 0
        self._pictures: list[U8] = []

    @property
    def session(self) -> StreamSession:
        return self.server.state.hub.get("cam")

    async def view(self) -> None:
        answer = await self.http.post("/whep/cam", content=await self.peer.offer(), headers=SDP)
        assert answer.status_code == 201, answer.text
        await self.peer.take(answer.text)

    async def hide(self, privacy: dict[str, object] | None) -> None:
        answer = await self.http.patch("/v1/streams/cam", json={"privacy": privacy})
        assert answer.status_code == 200, answer.text

    async def play(self, count: int, *, stepped: Callable[[int], bool] = lambda number: True) -> None:
        """`count` pictures, each once the one before has come out."""
        for _ in range(count):
            number = self.source.pushed
            await asyncio.to_thread(self.source.push)
            if stepped(number):
                await until(lambda number=number: _shows(self.session, number))

    async def seen(self, last: int) -> list[U8]:
        """All pictures that the viewer got so far, decoded, once frame `last` is among them."""

        def arrived() -> bool:
            fresh = [one.data for one in list(self.peer.got)[self._decoded :]]
            self._decoded += len(fresh)
            self._pictures += self._watcher.pictures(fresh)
            return any(number_of(picture) == last for picture in self._pictures[-8:])

        await until(arrived)
        return self._pictures


def _shows(session: StreamSession, number: int) -> bool:
    frame = session.latest_frame
    return frame is not None and frame.rtp == number * 3000


async def until(condition: Callable[[], object], within_s: float = 20.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def scene(folder: Path, truth: Truth, tables: dict[str, Any] | None = None) -> AsyncIterator[Scene]:
    engine = TruthEngine(truth)
    with RunningServer(folder, tables, engine=engine) as server:
        async with server.client() as http:
            playing = Scene(server, engine, open_private(server, "cam", truth), http)
            try:
                yield playing
            finally:
                await playing.peer.close()


def enters(number: int) -> list[Box]:
    """From the left edge, partly outside at first, 9 px a frame, and out on the right."""
    x = -60 + 9 * number
    box = (max(0, x), 90, min(WIDTH, x + 60), 210)
    return [box] if box[2] - box[0] > 4 else []


def hidden_for_a_while(number: int) -> list[Box]:
    """Stands, is behind something for ten frames, and is there again."""
    return [] if 15 <= number < 25 else [(120, 80, 190, 220)]


def suddenly(number: int) -> list[Box]:
    return [(140, 100, 220, 200)] if number >= 12 else []


def two(number: int) -> list[Box]:
    """Cross each other, 10 px a frame."""
    return [(10 * number, 60, 10 * number + 50, 160), (270 - 10 * number, 110, 318 - 10 * number, 230)]


PATHS: dict[str, tuple[Truth, int]] = {
    "enters": (enters, 42), "hidden for a while": (hidden_for_a_while, 40),
    "suddenly": (suddenly, 30), "two": (two, 26),
}  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
async def test_no_frame_shows_it(tmp_path: Path, path: str) -> None:
    truth, count = PATHS[path]
    async with scene(tmp_path, truth) as playing:
        await playing.hide({"classes": ["person"]})
        await playing.play(1)
        await playing.view()
        await playing.play(count - 1)
        found = leaks(await playing.seen(count - 1), truth)
    assert sorted(found) == list(range(count))
    assert max(found.values()) <= MOST_SHOWN, found


async def test_with_nothing_hidden_the_same_check_finds_it(tmp_path: Path) -> None:
    async with scene(tmp_path, enters) as playing:
        await playing.play(1)
        await playing.view()
        await playing.play(29)
        found = leaks(await playing.seen(29), enters)
    assert min(share for number, share in found.items() if enters(number)) > 0.5


async def test_switched_on_while_somebody_watches_and_off_again(tmp_path: Path) -> None:
    """Frames 0 to 9 and 25 on are open, those between are hidden, without the viewer having to do anything."""

    def stands(number: int) -> list[Box]:
        return [(60 + 4 * number, 90, 130 + 4 * number, 200)]

    async with scene(tmp_path, stands) as playing:
        await playing.play(1)
        await playing.view()
        await playing.play(9)
        await playing.seen(9)
        await playing.hide({"classes": ["person"]})
        assert playing.session.codec == "H264"
        await playing.play(15)
        await playing.seen(24)
        await playing.hide(None)
        # A file's keyframe comes when it comes: frame 30 is the next one.
        await playing.play(16)
        found = leaks(await playing.seen(40), stands)
    assert min(found[number] for number in range(10)) > 0.5
    assert max(found[number] for number in range(10, 25)) <= MOST_SHOWN, found
    assert set(range(10, 25)) <= found.keys()
    assert found.keys().isdisjoint(range(25, 30))
    assert min(found[number] for number in range(30, 41)) > 0.5


async def test_what_was_open_before_is_with_nobody_after(tmp_path: Path) -> None:
    async with scene(tmp_path, lambda number: [(100, 80, 200, 220)]) as playing:
        agent = playing.server.state.agents.of(playing.session)
        while not agent.keyframes.bytes_held:
            await playing.play(1)
        ref, count = agent.keyframes.find().moment().frame, playing.source.pushed
        await playing.hide({"classes": ["person"]})
        # A picture from before the change can be had no more, by whatever name.
        assert (await playing.http.get(f"/v1/streams/cam/keyframes/{ref.epoch}/{ref.rtp}.jpg")).status_code in (
            404,
            409,
        )
        await playing.view()
        await playing.play(5)
        found = leaks(await playing.seen(count + 4), playing.source.truth)
        assert max(found.values()) <= MOST_SHOWN
        assert min(found) >= count


async def test_every_other_picture_is_hidden_too(tmp_path: Path, vlm: ScriptedVlm) -> None:
    """Snapshots with and without tracks, keyframes, the pictures of events, and what a model is shown."""
    seen: dict[str, U8] = {}
    async with scene(tmp_path, suddenly, {"vlm": {"url": vlm.url, "describe": False}}) as playing:
        await until(lambda: playing.server.state.model_server.state.profile)
        vlm.forget()
        await playing.hide({"classes": ["person"]})
        answer = await playing.http.post("/v1/streams/cam/prompts", json={"kind": "text", "text": "person"})
        assert answer.status_code == 201
        thumbs: list[str] = []
        while not thumbs:
            await playing.play(5)
            for query in ("", "?overlay=true"):
                got = await playing.http.get(f"/v1/streams/cam/snapshot.jpg{query}")
                seen[f"snapshot {playing.source.pushed}{query}"] = rgb_of(got.content)
            events = (await playing.http.get("/v1/events")).json()["items"]
            thumbs = [event["thumb"] for event in events if "thumb" in event]
        for url in thumbs:
            seen[f"thumb {url}"] = rgb_of((await playing.http.get(url)).content)
        epoch = playing.session.epoch
        for number in range(playing.source.pushed):
            got = await playing.http.get(f"/v1/streams/cam/keyframes/{epoch}/{number * 3000}.jpg")
            if got.status_code == 200:
                seen[f"keyframe {number}"] = rgb_of(got.content)
        asked = await playing.http.post("/v1/streams/cam/questions", json={"text": "What is this?", "track_ids": [1]})
        assert asked.status_code in (200, 201), asked.text
        for number, message in enumerate(vlm.requests[0]["body"]["messages"]):
            if isinstance(message["content"], list):
                seen |= {f"model {number} {i}": image[..., ::-1] for i, image in enumerate(images(message))}
    assert {name.split()[0] for name in seen} == {"snapshot", "keyframe", "thumb", "model"}
    shown = {name: shown_share(rgb, (0, 0, 9999, 9999)) for name, rgb in seen.items()}
    assert max(shown.values()) <= MOST_SHOWN, shown


async def test_a_clip_holds_nothing_from_before_and_nothing_open(tmp_path: Path) -> None:
    def stands(number: int) -> list[Box]:
        return [(100, 80, 200, 220)]

    async with scene(tmp_path, stands, {"clips": {"before_s": 5, "after_s": 0.3}}) as playing:
        await playing.play(20)
        await playing.hide({"classes": ["person"]})
        await playing.play(20)
        saved = (await playing.http.post("/v1/streams/cam/clips", json={})).json()
        getting = asyncio.create_task(playing.http.get(saved["url"]))
        while not getting.done():
            await playing.play(1)
        clip = await getting
        assert clip.status_code == 200, clip.text
    with av.open(io.BytesIO(clip.content)) as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    found = leaks(pictures, stands)
    assert min(found) >= 20
    assert len(found) >= 20
    assert max(found.values()) <= MOST_SHOWN


async def test_a_frame_that_could_not_be_looked_at_is_wholly_hidden(tmp_path: Path) -> None:
    """The finder fails on some frames, the engine's step on others."""
    async with scene(tmp_path, enters) as playing:
        playing.engine.blind, playing.engine.failing = frozenset(range(8, 12)), frozenset(range(16, 20))
        await playing.hide({"classes": ["person"]})
        await playing.play(1)
        await playing.view()
        await playing.play(10)
        assert str(playing.session.status().hidden).startswith("everything. The finder failed.")
        await playing.play(19)
        pictures = await playing.seen(29)
        found = leaks(pictures, enters)
        assert len(pictures) == 30
        assert found.keys().isdisjoint(range(8, 12))
        assert set(range(16, 20)) <= found.keys()
        assert max(found.values()) <= MOST_SHOWN
        assert playing.session.status().hidden == "person"


async def test_what_is_missed_for_a_moment_stays_hidden(tmp_path: Path) -> None:
    """The finder misses five frames of something that goes on at 8 px a frame, though the last one that it saw came
    late and the next ones at once."""

    def goes(number: int) -> list[Box]:
        return [(8 * number, 80, 8 * number + 60, 200)]

    async with scene(tmp_path, goes) as playing:
        playing.engine.missed = frozenset(range(10, 15))
        await playing.hide({"classes": ["person"]})
        await playing.play(1)
        await playing.view()
        await playing.play(8)
        await asyncio.sleep(0.3)
        await playing.play(16)
        found = leaks(await playing.seen(24), goes)
    assert sorted(found) == list(range(25))
    assert max(found.values()) <= MOST_SHOWN, found


@pytest.mark.parametrize("style", ["pixelate", "blur", "fill"])
async def test_a_zone_is_hidden_without_any_looking_and_follows_its_region(tmp_path: Path, style: str) -> None:
    box = (150, 100, 250, 200)
    moved = (20, 100, 120, 200)
    async with scene(tmp_path, lambda number: [box if number < 10 else moved]) as playing:
        corners = [[x / WIDTH, y / HEIGHT] for x, y in ((150, 100), (250, 100), (250, 200), (150, 200))]
        body = {"name": "desk", "kind": "zone", "points": corners}
        region = (await playing.http.post("/v1/streams/cam/regions", json=body)).json()["id"]
        await playing.hide({"zones": [region], "style": style})
        await playing.play(1)
        await playing.view()
        await playing.play(9)
        body["points"] = [[x / WIDTH, y / HEIGHT] for x, y in ((20, 100), (120, 100), (120, 200), (20, 200))]
        answer = await playing.http.put(f"/v1/streams/cam/regions/{region}", json=body)
        assert answer.status_code == 200, answer.text
        await playing.play(10)
        found = leaks(await playing.seen(19), playing.source.truth)
        assert playing.engine.looked == []
    assert sorted(found) == list(range(20))
    assert max(found.values()) <= MOST_SHOWN, found


async def test_another_size_in_the_middle(tmp_path: Path) -> None:
    def stands(number: int) -> list[Box]:
        return [(100, 80, 180, 200)] if number < 10 else [(300, 120, 460, 330)]

    async with scene(tmp_path, stands) as playing:
        await playing.hide({"classes": ["person"]})
        await playing.play(1)
        await playing.view()
        await playing.play(9)
        playing.source.size = (640, 360)
        await playing.play(10)
        pictures = await playing.seen(19)
        found = leaks(pictures, stands)
    assert {picture.shape[:2] for picture in pictures} == {(240, 320), (360, 640)}
    assert sorted(found) == list(range(20))
    assert max(found.values()) <= MOST_SHOWN, found


async def test_what_cannot_be_hidden_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    async with scene(tmp_path, enters) as playing:
        await playing.hide({"classes": ["person"]})
        before = playing.session.screen.privacy
        for privacy in (
            {"classes": ["face"]}, {"classes": ["person: foot"]}, {"classes": [""]}, {"zones": ["f" * 32]},
            {"zones": [[[0, 0], [1, 1]]]}, {"zones": [[[0, 0], [1, 1], [2, 0]]]}, {"style": "wash"}, {"faces": True},
        ):  # fmt: skip
            answer = await playing.http.patch("/v1/streams/cam", json={"privacy": privacy})
            assert 400 <= answer.status_code < 500, privacy
            assert answer.json()["action"]
            assert playing.session.screen.privacy is before
        shown = (await playing.http.get("/v1/streams/cam")).json()["privacy"]
        assert shown == {"classes": ["person"], "zones": [], "style": "pixelate"}
        renamed = await playing.http.patch("/v1/streams/cam", json={"name": "Yard"})
        assert (renamed.json()["name"], renamed.json()["privacy"]) == ("Yard", shown)


def rgb_of(jpeg: bytes) -> U8:
    return np.asarray(cv2.cvtColor(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB))
