"""Who saw what is written down where there are users, and what a stream hides outlives a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream.config import load_config
from stream.errors import BadInput
from stream.privacy.settings import Privacy, Style
from stream.session import StreamSession
from tests.barcode import write_clip
from tests.peers import ViewingPeer
from tests.private import MOST_SHOWN, Box, PrivateSource, TruthEngine, open_private, shown_share
from tests.server import RunningServer
from web.access import shown
from web.auth import COOKIE

SDP = {"content-type": "application/sdp"}
BOX = (100, 80, 200, 220)


def stands(number: int) -> list[Box]:
    return [BOX]


async def until(condition: Callable[[], object], within_s: float = 20.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.01)


async def show(server: RunningServer, source: PrivateSource) -> StreamSession:
    """Push one picture and wait until it is out."""
    session = server.state.hub.get("cam")
    rtp = 3000 * source.pushed
    await asyncio.to_thread(source.push)
    await until(lambda: session.latest_frame is not None and session.latest_frame.rtp == rtp)
    return session


async def test_who_saw_what_is_told_by_session(tmp_path: Path) -> None:
    """A token and a browser's session look at pictures; a viewer comes and goes; what shows nothing is not noted."""
    engine = TruthEngine(stands)
    exposed: dict[str, Any] = {"server": {"host": "0.0.0.0"}}
    with RunningServer(tmp_path, exposed, engine=engine, bind="127.0.0.1", tls=True) as server:
        token = (tmp_path / "data" / "token").read_text().strip()
        source = open_private(server, "cam", stands)
        await show(server, source)
        origin = {"origin": server.url}
        async with server.client(headers={"authorization": f"Bearer {token}"}) as http:
            assert (await http.get("/v1/streams/cam/snapshot.jpg")).status_code == 200
            assert (await http.get("/v1/streams/cam")).status_code == 200
            assert (await http.get("/v1/streams/none/snapshot.jpg")).status_code == 404
            opened = await http.post("/v1/session", json={"token": token}, headers=origin)
            async with server.client(headers={**origin, "cookie": opened.headers["set-cookie"].split(";")[0]}) as page:
                peer = ViewingPeer("H264")
                watching = await page.post("/whep/cam", content=await peer.offer(), headers=SDP)
                assert watching.status_code == 201, watching.text
                assert (await page.delete(watching.headers["location"])).status_code in (200, 204)
                await peer.close()
                assert (await page.get("/v1/streams/cam/snapshot.jpg")).status_code == 200
            items = (await http.get("/v1/access")).json()["items"]
            page_of_two = (await http.get("/v1/access?limit=2")).json()
            rest = (await http.get(f"/v1/access?limit=2&after={page_of_two['next']}")).json()
            assert (await http.get("/v1/access?stream=other")).json()["items"] == []
    assert [(item["action"], item["stream"]) for item in reversed(items)] == [
        ("snapshot", "cam"), ("view", "cam"), ("view_end", "cam"), ("snapshot", "cam"),
    ]  # fmt: skip
    by_token, viewed, ended, by_page = reversed(items)
    assert by_token["who"] == "token"
    assert viewed["who"] == ended["who"] == by_page["who"] != "token"
    assert viewed["what"] == ended["what"]
    assert COOKIE not in str(items)
    assert opened.headers["set-cookie"].split("=", 1)[1].split(";")[0] not in str(items)
    assert {item["address"] for item in items} == {"127.0.0.1"}
    assert [*page_of_two["items"], *rest["items"]] == items
    assert "next" not in rest


async def test_on_loopback_there_is_nobody_to_tell_apart(tmp_path: Path) -> None:
    with RunningServer(tmp_path, engine=TruthEngine(stands)) as server:
        await show(server, open_private(server, "cam", stands))
        async with server.client() as http:
            assert (await http.get("/v1/streams/cam/snapshot.jpg")).status_code == 200
            assert (await http.get("/v1/access")).json() == {"items": []}


@pytest.mark.parametrize(
    ("method", "path", "found"),
    [
        ("GET", "/v1/streams/cam-1/snapshot.jpg", ("snapshot", "cam-1", None)),
        ("GET", "/v1/streams/cam/keyframes/1/3000.jpg", ("keyframe", "cam", "1/3000")),
        ("GET", f"/v1/events/{'a' * 32}/thumb.jpg", ("picture", None, "a" * 32)),
        ("GET", f"/v1/clips/{'a' * 32}", ("clip", None, "a" * 32)),
        ("GET", f"/v1/clips/{'a' * 32}/info", None),
        ("GET", "/v1/streams/cam", None),
        ("POST", "/whep/cam", ("view", "cam", None)),
        ("POST", "/whip/cam", None),
        ("DELETE", "/whep/cam/x", None),
    ],
)
def test_what_shows_something(method: str, path: str, found: tuple[str, str | None, str | None] | None) -> None:
    assert shown(method, path) == found


async def test_what_is_hidden_stays_hidden_after_a_restart(tmp_path: Path) -> None:
    """From the very first picture on; and what was opened again stays open."""
    for chosen, hidden in (({"classes": ["person"], "style": "fill"}, True), (None, False)):
        with RunningServer(tmp_path, engine=TruthEngine(stands)) as server:
            open_private(server, "cam", stands)
            async with server.client() as http:
                assert (await http.patch("/v1/streams/cam", json={"privacy": chosen})).status_code == 200
        with RunningServer(tmp_path, engine=TruthEngine(stands)) as server:
            source = open_private(server, "cam", stands)
            session = server.state.hub.get("cam")
            assert session.screen.privacy == (Privacy(("person",), (), Style.FILL) if hidden else None)
            await show(server, source)
            assert session.latest_frame is not None
            rgb = np.ascontiguousarray(session.latest_frame.to_bgr()[..., ::-1])
            assert (shown_share(rgb, BOX) <= MOST_SHOWN) is hidden


async def test_a_feed_hides_what_its_configuration_says(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", codec="libx264", size=(320, 240), frames=30)
    feed = {
        "id": "yard", "path": str(tmp_path / "clip.mp4"),
        "privacy": {"classes": ["person: head"], "zones": [[[0, 0], [0.5, 0], [0.5, 0.5]]], "style": "blur"},
    }  # fmt: skip
    with RunningServer(tmp_path, {"feeds": [feed]}, engine=TruthEngine(stands)) as server:
        async with server.client() as http:
            privacy = (await http.get("/v1/streams/yard")).json()["privacy"]
    assert privacy == feed["privacy"]


@pytest.mark.parametrize(
    "privacy", [{"classes": ["person: foot"]}, {"zones": [[[0, 0], [1, 1]]]}, {"style": "wash"}, {"class": ["person"]}]
)
def test_a_configuration_that_cannot_hide_is_refused(privacy: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="privacy"):
        load_config({"feeds": [{"id": "yard", "path": "clip.mp4", "privacy": privacy}]})
