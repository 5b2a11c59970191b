"""The live websocket of a real server, with a real client."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from stream.aiortc_patches import gathering
from tests.barcode import write_clip
from tests.publisher import publish
from tests.server import PushedSource, RunningServer, ask, receive
from web.protocol import SERVER_MESSAGE


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with RunningServer(tmp_path) as running:
        yield running


@pytest.fixture
def source(server: RunningServer) -> PushedSource:
    return server.open_stream("cam")


async def closed(live: ClientConnection, within_s: float = 15) -> tuple[int, str]:
    """The close code and reason, once the server has closed."""
    async with asyncio.timeout(within_s):
        with contextlib.suppress(ConnectionClosed):
            while True:
                await live.recv()
    assert live.close_code is not None
    return live.close_code, live.close_reason or ""


async def test_hello_comes_first_then_status_and_tracks(server: RunningServer, source: PushedSource) -> None:
    async with server.live("cam") as live:
        assert live.subprotocol == "onlooker.v1"
        hello = json.loads(await live.recv())
        assert hello["type"] == "hello"
        assert hello["stream"]["id"] == "cam"
        assert hello["engine"] == {
            "name": "barcode", "device": "cpu", "kinds": ["box", "exemplar", "mask", "points", "text"],
            "words": ["person", "cup"],
        }  # fmt: skip
        status = await receive(live, "status")
        assert status["engine"]["notes"] == []
        await asyncio.to_thread(source.push, 3)
        tracks = await receive(live, "tracks")
        assert (tracks["width"], tracks["height"]) == (320, 240)
        assert tracks["tracks"][0]["box_xyxy"] == [0.25, 0.5, 0.75, 0.9]


async def test_every_message_is_of_the_schema(server: RunningServer, source: PushedSource) -> None:
    seen = set()
    async with server.live("cam") as live:
        await asyncio.to_thread(source.push, 3)
        for request in (
            {"type": "prompt.add", "ref": "a", "kind": "text", "text": "cup"},
            {"type": "ping", "ref": "p", "t": 1},
            {"type": "nonsense", "ref": "n"},
        ):
            await live.send(json.dumps(request))
        async with asyncio.timeout(10):
            while not {"hello", "status", "tracks", "prompt", "ok", "error", "pong", "track"} <= seen:
                text = await live.recv()
                SERVER_MESSAGE.validate_json(text)
                seen.add(json.loads(text)["type"])


async def test_prompts_are_answered_told_and_undone(server: RunningServer, source: PushedSource) -> None:
    await asyncio.to_thread(source.push, 2)
    async with server.live("cam") as live, server.live("cam") as other:
        await receive(live, "tracks")
        added = await ask(live, type="prompt.add", ref="1", kind="text", text="  person ")
        assert added["type"] == "ok"
        told = await receive(other, "prompt")
        assert told["prompt"] == {
            "id": added["prompt_id"], "kind": "text", "positive": True, "state": "active", "text": "person",
        }  # fmt: skip
        clicked = await ask(
            live,
            type="prompt.add",
            ref="2",
            kind="points",
            points=[{"x": 0.5, "y": 0.25}, {"x": 1, "y": 1, "positive": False}],
        )
        told = await receive(other, "prompt")
        assert told["prompt"]["id"] == clicked["prompt_id"]
        assert told["prompt"]["points"][0] == {"x": 0.5, "y": 0.25, "positive": True}
        assert (await ask(live, type="prompt.remove", ref="3", prompt_id=added["prompt_id"]))["type"] == "ok"
        assert (await receive(other, "prompt"))["prompt"]["state"] == "removed"
        assert (await ask(live, type="prompt.restore", ref="4", prompt_id=added["prompt_id"]))["type"] == "ok"
        assert (await receive(other, "prompt"))["prompt"]["state"] == "active"


async def test_tracks_are_renamed_removed_and_restored_for_all(server: RunningServer, source: PushedSource) -> None:
    await asyncio.to_thread(source.push, 2)
    async with server.live("cam") as live:
        await receive(live, "tracks")
        assert (await ask(live, type="track.rename", ref="1", track_id=1, label="<b>Ann</b>"))["type"] == "ok"
        await asyncio.to_thread(source.push, 2)
        async with asyncio.timeout(10):
            while (await receive(live, "tracks"))["tracks"][0]["label"] != "<b>Ann</b>":
                await asyncio.to_thread(source.push)
        assert (await ask(live, type="track.remove", ref="2", track_id=1))["track_id"] == 1
        assert (await receive(live, "track"))["change"] == "removed"
        assert (await ask(live, type="track.restore", ref="3", track_id=1))["type"] == "ok"
        assert (await receive(live, "track"))["change"] == "restored"


async def test_facts_are_replayed_after_a_reconnect(server: RunningServer, source: PushedSource) -> None:
    async with server.live("cam") as live:
        hello = await receive(live, "hello")
        await ask(live, type="prompt.add", ref="1", kind="text", text="cup")
    async with server.live("cam") as other:
        await ask(other, type="prompt.add", ref="1", kind="text", text="person")
    query = f"?after={hello['fact_seq']}&boot={hello['boot']}"
    async with server.live("cam", query) as live:
        again = await receive(live, "hello")
        facts = [await receive(live, "prompt") for _ in range(2)]
    assert [fact["prompt"]["text"] for fact in facts] == ["cup", "person"]
    assert [fact["fact_seq"] for fact in facts] == [hello["fact_seq"] + 1, hello["fact_seq"] + 2]
    assert again["fact_seq"] == facts[-1]["fact_seq"]
    assert [prompt["text"] for prompt in again["prompts"]] == ["cup", "person"]


async def test_facts_too_old_to_replay_are_told_as_a_gap(server: RunningServer, source: PushedSource) -> None:
    async def many() -> None:
        for _ in range(700):
            session.rename_track(1, "again")

    await asyncio.to_thread(source.push, 2)
    async with server.live("cam") as live:
        hello = await receive(live, "hello")
        await receive(live, "tracks")
    session = server.state.hub.get("cam")
    await asyncio.to_thread(server.call, many)
    async with server.live("cam", f"?after={hello['fact_seq']}&boot={hello['boot']}") as live:
        gap = await receive(live, "gap")
        assert gap["from"] == hello["fact_seq"] + 1
        first = await receive(live, "track")
        assert first["fact_seq"] == gap["to"] + 1


async def test_another_boot_gets_all_facts_of_this_one(server: RunningServer, source: PushedSource) -> None:
    async with server.live("cam", "?after=900&boot=another") as live:
        source_fact = await receive(live, "source")
    assert (source_fact["fact_seq"], source_fact["change"]) == (1, "connected")


async def updates_so_far(live: ClientConnection) -> list[dict[str, Any]]:
    """The updates that came before the answer to a ping."""
    await live.send('{"type": "ping", "t": 1}')
    updates = []
    async with asyncio.timeout(5):
        while (message := json.loads(await live.recv()))["type"] != "pong":
            updates += [message] if message["type"] == "tracks" else []
    return updates


async def test_acknowledgement_bounds_updates_in_flight(server: RunningServer, source: PushedSource) -> None:
    async with server.live("cam") as live:
        assert (await ask(live, type="set", ref="s", ack=True))["type"] == "ok"
        await asyncio.to_thread(source.push, 12, pause_s=0.05)
        updates = await updates_so_far(live)
        assert len(updates) == 4
        await live.send(json.dumps({"type": "ack", "seq": updates[-1]["seq"]}))
        assert (await receive(live, "tracks"))["index"] == 11


async def test_masks_and_rate_are_chosen_by_the_client(server: RunningServer, source: PushedSource) -> None:
    await asyncio.to_thread(source.push, 2)
    async with server.live("cam") as live, server.live("cam") as other:
        await receive(live, "tracks")
        await ask(live, type="set", ref="s", masks=False, max_fps=5)
        await asyncio.to_thread(source.push, 30, pause_s=0.033)
        slow, fast = await updates_so_far(live), await updates_so_far(other)
        assert slow[-1]["tracks"][0]["mask"] is None
        assert fast[-1]["tracks"][0]["mask"]["size"] == [36, 64]
        assert len(slow) < len(fast) / 2
        if slow[-1]["index"] != 31:
            assert (await receive(live, "tracks"))["index"] == 31


async def test_talking_without_a_microphone_is_refused_in_words(server: RunningServer, source: PushedSource) -> None:
    async with server.live("cam") as live:
        answer = await ask(live, ref="q", type="talk", on=True)
    assert (answer["type"], answer["code"], answer["retryable"]) == ("error", "no_microphone", False)
    assert answer["action"]


async def test_version_mismatch_is_accepted_and_explained(server: RunningServer, source: PushedSource) -> None:
    for offered in (["onlooker.v2"], None):
        async with server.live("cam", subprotocols=offered) as live:
            code, reason = await closed(live)
        assert code == 4406
        assert "onlooker.v1" in reason


async def test_unknown_stream(server: RunningServer) -> None:
    async with server.live("nowhere") as live:
        assert (await closed(live))[0] == 4404


async def test_closing_the_stream_ends_its_clients(server: RunningServer, source: PushedSource) -> None:
    async with server.live("cam") as live, server.client() as http:
        await receive(live, "hello")
        assert (await http.delete("/v1/streams/cam")).status_code == 204
        code, reason = await closed(live)
    assert code == 4404
    assert "closed" in reason


async def test_shutdown_says_going_away(tmp_path: Path) -> None:
    with RunningServer(tmp_path) as server:
        server.open_stream("cam")
        async with server.live("cam") as live:
            await receive(live, "hello")
            stopping = asyncio.create_task(asyncio.to_thread(server.stop))
            code, _ = await closed(live)
            await stopping
    assert code == 1001


async def test_a_dead_client_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.server.PING_S", 0.2)
    with RunningServer(tmp_path) as server:
        server.open_stream("cam")
        raw = await asyncio.to_thread(handshake, server.port, "cam")
        with raw:
            data = await asyncio.to_thread(read_to_end, raw)
        assert (4408).to_bytes(2, "big") in data
        await no_clients(server)


async def test_a_client_that_never_reads_costs_little_and_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.live.BLOCKED_S", 0.5)
    monkeypatch.setattr("web.server.ABORT_S", 0.2)
    with RunningServer(tmp_path) as server:
        source = server.open_stream("cam")
        await asyncio.to_thread(source.push, 2)
        raw = await asyncio.to_thread(handshake, server.port, "cam", 4096)
        with raw:
            async with server.live("cam") as other:
                await receive(other, "tracks")
                waiting = await fill(server, raw)
                assert waiting < 1_000_000
                await no_clients(server, but=1)
                await asyncio.to_thread(source.push)
                assert (await receive(other, "tracks"))["index"] >= 2


async def fill(server: RunningServer, raw: socket.socket) -> int:
    """Rename a track until the client that does not read is let go; the bytes that waited for it at most."""

    async def rename() -> None:
        server.state.hub.get("cam").rename_track(1, "x" * 80)

    size = 0
    async with asyncio.timeout(30):
        while server.state.live_clients > 1:
            for _ in range(50):
                await asyncio.to_thread(server.call, rename)
                size += 150
            await asyncio.sleep(0.01)
    return size


async def no_clients(server: RunningServer, but: int = 0) -> None:
    async with asyncio.timeout(10):
        while server.state.live_clients > but:
            await asyncio.sleep(0.02)


def handshake(port: int, stream_id: str, receive_buffer: int | None = None) -> socket.socket:
    """A websocket by hand, which answers nothing afterwards."""
    raw = socket.socket()
    if receive_buffer is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    raw.settimeout(10)
    raw.connect(("127.0.0.1", port))
    raw.sendall(
        f"GET /v1/streams/{stream_id}/live HTTP/1.1\r\nHost: localhost:{port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Protocol: onlooker.v1\r\n\r\n".encode()
    )
    assert raw.recv(12) == b"HTTP/1.1 101"
    return raw


def read_to_end(raw: socket.socket) -> bytes:
    data = b""
    while chunk := raw.recv(65536):
        data += chunk
    return data


async def test_fifty_clients_get_the_same_text(server: RunningServer, source: PushedSource) -> None:
    async def newest(ready: list[Any]) -> dict[str, Any]:
        async with server.live("cam") as live:
            await receive(live, "hello")
            ready.append(None)
            if len(ready) == 50:
                threading.Thread(target=source.push).start()
            return await receive(live, "tracks")

    ready: list[Any] = []
    updates = await asyncio.gather(*(newest(ready) for _ in range(50)))
    assert {update["seq"] for update in updates} == {1}
    assert len({update["timings_ms"]["encode"] for update in updates}) == 1


async def test_a_viewer_learns_how_its_timestamps_map_to_the_streams(tmp_path: Path) -> None:
    clip = tmp_path / "numbers.mp4"
    write_clip(clip, codec="libx264", size=(320, 240), frames=90, options={"bf": "0", "g": "30"})
    with RunningServer(tmp_path) as server, gathering(("127.0.0.1",)):
        publishing = asyncio.create_task(publish(f"{server.url}/whip/cam", clip, 4.0))
        viewer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        try:
            async with server.client() as http:
                async with asyncio.timeout(15):
                    while (await http.get("/v1/streams/cam")).json().get("state") != "live":
                        await asyncio.sleep(0.05)
                viewer.addTransceiver("video", direction="recvonly")
                await viewer.setLocalDescription(await viewer.createOffer())
                sdp = viewer.localDescription.sdp
                answer = await http.post("/whep/cam", content=sdp, headers={"content-type": "application/sdp"})
                assert answer.status_code == 201, answer.text
                await viewer.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
                session = answer.headers["location"].removeprefix("/whep/cam/")
                track = viewer.getReceivers()[0].track
                async with server.live("cam") as live:
                    view = await ask(live, type="view", ref="v", session=session)
                    updates = [await receive(live, "tracks") for _ in range(30)]
                    frame = await asyncio.wait_for(track.recv(), 10)
                    assert (await http.delete(answer.headers["location"])).status_code == 204
                    assert (await ask(live, type="view", ref="w", session=session))["code"] == "unknown_stream"
        finally:
            await publishing
            await viewer.close()
    assert (view["type"], view["session"]) == ("view", session)
    assert 0 <= view["rtp_offset"] < 2**32
    steps = {after["rtp"] - before["rtp"] for before, after in itertools.pairwise(updates)}
    assert frame.width == 320
    assert all(step % 3000 == 0 for step in steps), "the publisher's own clock"
