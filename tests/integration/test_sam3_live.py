"""SAM 3 on the whole live path: a real server process, a WebRTC publisher, prompts of every kind over the websocket."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect

from stream.aiortc_patches import gathering
from tests.barcode import write_clip
from tests.publisher import publish
from tests.sam3_folders import write_folder
from tests.sam3_shaped import sees_one_thing
from web.protocol.parts import SUBPROTOCOL

START_S = 60.0
ANSWER_S = 20.0
Json = dict[str, Any]


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Of `onlooker serve --engine sam3` on the CPU, with a tiny model in transformers' layout."""
    folder = write_folder(tmp_path / "weights", sees_one_thing())
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ONLOOKER_")}
    places = {"ONLOOKER_DATA_DIR": str(tmp_path / "data"), "ONLOOKER_CACHE_DIR": str(tmp_path / "cache")}
    environment = kept | places | {"PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1", "XDG_CONFIG_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "web.cli", "serve", "--engine", "sam3", "--sam3", str(folder), "--port", "0"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        try:
            for line in server.stdout:
                if found := re.search(r"Onlooker is at (\S+)", line):
                    break
            else:
                raise AssertionError(server.communicate(timeout=10))
            yield found[1]
            server.send_signal(signal.SIGINT)
            _, errors = server.communicate(timeout=30)
            assert "Traceback" not in errors, errors
        finally:
            server.kill()


class Client:
    """One websocket of the page's protocol, and what it was told last."""

    def __init__(self, live: ClientConnection) -> None:
        self._live = live
        self.tracks: dict[int, Json] = {}

    async def until(self, wanted: Callable[[Json], bool]) -> Json:
        """The next message that is `wanted`."""
        async with asyncio.timeout(ANSWER_S):
            while True:
                message: Json = json.loads(await self._live.recv())
                if message["type"] == "tracks":
                    self.tracks = {track["id"]: track for track in message["tracks"]}
                if wanted(message):
                    return message

    async def ask(self, request: str, **body: Any) -> Json:
        await self._live.send(json.dumps({"type": request, "ref": request, **body}))
        answer = await self.until(lambda message: message.get("ref") == request and message["type"] in ("ok", "error"))
        assert answer["type"] == "ok", answer
        return answer

    async def seen(self, holds: Callable[[dict[int, Json]], bool]) -> dict[int, Json]:
        """The tracks, once something holds of them."""
        await self.until(lambda message: message["type"] == "tracks" and holds(self.tracks))
        return self.tracks

    async def follows(self, **prompt: Any) -> int:
        """The track that a prompt by place begins, or corrects."""

        def answered(message: Json) -> bool:
            if message["type"] != "prompt" or message["prompt"]["kind"] != prompt["kind"]:
                return False
            return message["prompt"]["state"] in ("active", "failed")

        await self._live.send(json.dumps({"type": "prompt.add", "ref": "add", **prompt}))
        told = await self.until(answered)
        assert told["prompt"]["state"] == "active", told
        (track,) = told["tracks"]
        return int(track)


@asynccontextmanager
async def published(address: str, clip: Path) -> AsyncIterator[Client]:
    with gathering(("127.0.0.1",)):
        publishing = asyncio.create_task(publish(f"{address}/whip/cam", clip, 90.0))
        try:
            live = await _connected(address)
            try:
                yield Client(live)
            finally:
                await live.close()
        finally:
            publishing.cancel()
            await asyncio.gather(publishing, return_exceptions=True)


async def _connected(address: str) -> ClientConnection:
    async with asyncio.timeout(START_S), httpx.AsyncClient(base_url=address) as http:
        while (await http.get("/v1/streams/cam")).json().get("state") != "live":
            await asyncio.sleep(0.1)
    url = address.replace("http", "ws", 1) + "/v1/streams/cam/live"
    return await connect(url, subprotocols=[SUBPROTOCOL], compression=None, max_queue=None)


async def test_prompts_of_every_kind_on_a_live_stream(address: str, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    write_clip(clip, codec="libx264", size=(320, 240), frames=40, fps=10, options={"bf": "0", "g": "10"})
    async with published(address, clip) as client:
        hello = await client.until(lambda message: message["type"] == "hello")
        assert hello["engine"]["name"] == "sam3"
        assert set(hello["engine"]["kinds"]) == {"text", "points", "box", "exemplar", "mask"}
        assert hello["engine"]["words"] is None
        status = await client.until(lambda message: message["type"] == "status")
        assert [note["code"] for note in status["engine"]["notes"]] == ["slow"]

        await client.ask("prompt.add", kind="text", text="cup")
        tracks = await client.seen(lambda tracks: any(track["state"] == "live" for track in tracks.values()))
        (word,) = (id_ for id_, track in tracks.items() if track["label"] == "cup")
        assert tracks[word]["mask"]["size"] == [32, 32]
        assert tracks[word]["box_xyxy"] == [0, 0, 1, 1]

        clicked = await client.follows(kind="points", points=[{"x": 0.5, "y": 0.5, "positive": True}])
        boxed = await client.follows(kind="box", box_xyxy=[0.2, 0.2, 0.8, 0.8])
        example = await client.follows(kind="exemplar", box_xyxy=[0.1, 0.1, 0.9, 0.9])
        all_of_them = {word, clicked, boxed, example}
        assert len(all_of_them) == 4
        corrected = await client.follows(
            kind="points", points=[{"x": 0.1, "y": 0.1, "positive": False}], track_id=clicked
        )
        assert corrected == clicked
        for _ in range(8):
            await client.seen(lambda tracks: True)
            assert set(client.tracks) == all_of_them

        await client.ask("track.remove", track_id=word)
        await client.seen(lambda tracks: word not in tracks)
        for _ in range(8):
            await client.seen(lambda tracks: True)
            assert set(client.tracks) == all_of_them - {word}
        await client.ask("track.restore", track_id=word)
        await client.seen(lambda tracks: set(tracks) == all_of_them)
