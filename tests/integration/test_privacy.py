"""Never a leaked frame: on every frame of a clip, through the real server, what is private cannot be seen."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import numpy as np
import pytest

from stream.privacy.settings import Privacy
from stream.session import StreamSession
from tests.peers import ViewingPeer
from tests.private import (
    MOST_SHOWN,
    SIZE,
    Box,
    PrivateSource,
    Truth,
    TruthEngine,
    Watcher,
    leaks,
    number_of,
    open_private,
)
from tests.server import RunningServer

SDP = {"content-type": "application/sdp"}
PERSON = Privacy(("person",))
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
        self._pictures: list[np.ndarray] = []

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

    async def seen(self, last: int) -> list[np.ndarray]:
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
async def scene(folder: Path, truth: Truth) -> AsyncIterator[Scene]:
    engine = TruthEngine(truth)
    with RunningServer(folder, engine=engine) as server:
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
