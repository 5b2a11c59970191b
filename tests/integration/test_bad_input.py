"""Whatever is sent, the sender gets the protocol's error and a client on another stream notices nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import struct
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from tests.server import PushedSource, RunningServer, ask, receive

SDP = {"content-type": "application/sdp"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("server"), {"webrtc": {"max_sessions": 4}}) as running:
        yield running


@pytest.fixture(scope="module")
def source(server: RunningServer) -> PushedSource:
    """The stream that is attacked."""
    source = server.open_stream("cam")
    source.push(2)
    return source


@pytest.fixture(scope="module")
def other(server: RunningServer) -> PushedSource:
    return server.open_stream("other")


@pytest.fixture(autouse=True)
async def bystander(server: RunningServer, source: PushedSource, other: PushedSource) -> AsyncIterator[None]:
    """A client of another stream gets its pictures to the newest, in order, and no errors or prompts of others."""
    stop = threading.Event()
    feeding = threading.Thread(target=_feed, args=(other, stop))
    async with server.live("other") as live:
        hello = await receive(live, "hello")
        assert hello["prompts"] == []
        feeding.start()
        try:
            first = await receive(live, "tracks")
            yield
        finally:
            stop.set()
            await asyncio.to_thread(feeding.join)
        numbers, types = [_number(first)], set()
        async with asyncio.timeout(10):
            while numbers[-1] != other.pushed - 1:
                message = json.loads(await live.recv())
                types.add(message["type"])
                if message["type"] == "tracks":
                    numbers.append(_number(message))
    assert numbers == sorted(numbers)
    assert types <= {"tracks", "status", "track", "source", "event"}


def _number(tracks: dict[str, Any]) -> int:
    return int(tracks["tracks"][0]["label"])


def _feed(source: PushedSource, stop: threading.Event) -> None:
    while not stop.is_set():
        source.push(pause_s=0.05)
    source.push()


async def offer(*, video: bool = True, audio: bool = False) -> str:
    """A true offer with its candidates."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    for kind, wanted in (("video", video), ("audio", audio)):
        if wanted:
            connection.addTransceiver(kind, direction="sendonly")
    await connection.setLocalDescription(await connection.createOffer())
    sdp: str = connection.localDescription.sdp
    await connection.close()
    return sdp


def only_codec(sdp: str, name: str) -> str:
    """`sdp` with its video codecs replaced by one."""
    payload = "96"
    lines = [line for line in sdp.split("\r\n") if not re.match(r"a=(rtpmap|fmtp|rtcp-fb):", line)]
    lines = [re.sub(r"^(m=video \d+ \S+) .*", rf"\1 {payload}", line) for line in lines]
    at = next(index for index, line in enumerate(lines) if line.startswith("m=video"))
    return "\r\n".join([*lines[: at + 1], *lines[at + 1 : -1], f"a=rtpmap:{payload} {name}/90000", ""])


# --- WebRTC ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"", SDP, 400, "bad_message"),
        (b"hello", SDP, 400, "bad_message"),
        (b"v=0", SDP, 400, "bad_message"),
        (b"\xff\xfe\x00", SDP, 400, "bad_message"),
        (b"v=0\r\n" + b"a=x\r\n" * 30_000, SDP, 400, "too_large"),
        (b"v=0\r\n" * 100_000, SDP, 413, "too_large"),
        (b"v=0", {"content-type": "text/plain"}, 415, "unsupported_media_type"),
        (b"v=0", {}, 415, "unsupported_media_type"),
    ],
)
async def test_what_is_no_offer(
    server: RunningServer, body: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    async with server.client() as http:
        for path in ("/whip/new", "/whep/cam"):
            answer = await http.post(path, content=body, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
            assert answer.json()["action"]
        assert (await http.get("/v1/streams/new")).status_code == 404


@pytest.mark.parametrize("codec", [None, "AV1", "H265", "x-nonsense"])
async def test_an_offer_without_video_that_can_be_used(server: RunningServer, codec: str | None) -> None:
    sdp = await offer(video=False, audio=True) if codec is None else only_codec(await offer(), codec)
    async with server.client() as http:
        answer = await http.post("/whip/new", content=sdp, headers=SDP)
        assert answer.status_code == 422, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert (await http.get("/v1/streams/new")).status_code == 404


@pytest.mark.parametrize("stream_id", ["UPPER", "a_b", "-a", "a" * 64, "%00", "a%20b"])
async def test_a_stream_id_that_cannot_be(server: RunningServer, stream_id: str) -> None:
    async with server.client() as http:
        answer = await http.post(f"/whip/{stream_id}", content=await offer(), headers=SDP)
    assert answer.status_code == 400
    assert answer.json()["code"] == "bad_message"


async def test_sessions_that_are_not(server: RunningServer) -> None:
    async with server.client() as http:
        assert (await http.delete("/whip/cam/none")).status_code == 404
        assert (await http.delete("/whep/cam/none")).status_code == 404
        patched = await http.patch("/whip/cam/none", content="a=candidate", headers=SDP)
        assert patched.status_code == 405
        assert patched.headers["allow"] == "DELETE"
        assert (await http.post("/whep/nowhere", content=await offer(), headers=SDP)).status_code == 404
        taken = await http.post("/whip/cam", content=await offer(), headers=SDP)
        assert taken.status_code == 409


async def test_a_hundred_offers_at_once(server: RunningServer) -> None:
    sdp = await offer()
    async with server.client() as http:
        answers = await asyncio.gather(*(http.post(f"/whip/flood-{n}", content=sdp, headers=SDP) for n in range(100)))
        codes = [answer.status_code for answer in answers]
        assert set(codes) == {201, 503}
        assert codes.count(201) == 4
        refused = next(answer for answer in answers if answer.status_code == 503)
        assert refused.json()["code"] == "limit_reached"
        assert int(refused.headers["retry-after"]) > 0
        for answer in answers:
            if answer.status_code == 201:
                assert answer.headers["etag"].strip('"') in answer.headers["location"]
                assert (await http.delete(answer.headers["location"])).status_code == 204
        for number, code in enumerate(codes):
            if code == 201:
                await http.delete(f"/v1/streams/flood-{number}")
        assert {stream["id"] for stream in (await http.get("/v1/streams")).json()["items"]} == {"cam", "other"}


# --- prompts, by websocket and by HTTP alike ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"kind": "points", "points": [{"x": 1.2, "y": 0.5}]}, "out_of_picture"),
        ({"kind": "points", "points": [{"x": -0.1, "y": 0.5}]}, "out_of_picture"),
        ({"kind": "box", "box_xyxy": [0.1, 0.1, 9, 0.5]}, "out_of_picture"),
        ({"kind": "text", "text": ""}, "empty_text"),
        ({"kind": "text", "text": " \n\t "}, "empty_text"),
        ({"kind": "text"}, "empty_text"),
        ({"kind": "text", "text": "x" * 10_000}, "too_long"),
        ({"kind": "points", "points": []}, "unsupported_prompt"),
        ({"kind": "points", "points": [{"x": 0.5, "y": 0.5}] * 65}, "too_long"),
        ({"kind": "points", "points": [{"x": 0.5, "y": 0.5, "positive": False}]}, "unsupported_prompt"),
        ({"kind": "box"}, "unsupported_prompt"),
        ({"kind": "box", "box_xyxy": [0.5, 0.5, 0.5, 0.5]}, "unsupported_prompt"),
        ({"kind": "spell"}, "bad_message"),
        ({"kind": "points", "points": "here"}, "bad_message"),
        ({"kind": "points", "points": [{"x": "0.5", "y": 0.5}]}, "bad_message"),
        ({}, "bad_message"),
    ],
)
async def test_prompts_that_cannot_be(server: RunningServer, body: dict[str, Any], code: str) -> None:
    async with server.live("cam") as live, server.client() as http:
        told = await ask(live, type="prompt.add", ref="r1", **body)
        answer = await http.post("/v1/streams/cam/prompts", json=body)
        assert (await http.get("/v1/streams/cam/prompts")).json()["items"] == []
    assert (told["type"], told["code"]) == ("error", code)
    assert told["message"]
    assert told["action"]
    assert answer.json()["code"] == code, answer.text
    assert 400 <= answer.status_code < 500


async def test_what_does_not_exist(server: RunningServer) -> None:
    async with server.live("cam") as live, server.client() as http:
        for message, code in (
            ({"type": "prompt.remove", "prompt_id": 99}, "unknown_prompt"),
            ({"type": "prompt.restore", "prompt_id": 99}, "unknown_prompt"),
            ({"type": "track.remove", "track_id": 99}, "unknown_track"),
            ({"type": "track.rename", "track_id": 99, "label": "x"}, "unknown_track"),
            ({"type": "track.rename", "track_id": 1, "label": " "}, "empty_text"),
            ({"type": "track.rename", "track_id": 1, "label": "x" * 81}, "too_long"),
            ({"type": "view", "session": "none"}, "unknown_stream"),
        ):
            answer = await ask(live, ref="r", **message)
            assert (answer["type"], answer["code"]) == ("error", code), message
        for method, path in (
            ("GET", ""), ("DELETE", ""), ("GET", "/tracks"), ("GET", "/stats"), ("GET", "/snapshot.jpg"),
            ("GET", "/prompts"), ("DELETE", "/prompts/1"), ("DELETE", "/tracks/1"),
        ):  # fmt: skip
            answered = await http.request(method, f"/v1/streams/nowhere{path}")
            assert (answered.status_code, answered.json()["code"]) == (404, "unknown_stream"), path
        missing = await http.delete("/v1/streams/cam/tracks/99")
        assert (missing.status_code, missing.json()["code"]) == (404, "unknown_track")


async def test_prompts_are_capped(server: RunningServer) -> None:
    async with server.client() as http:
        path = "/v1/streams/cam/prompts"
        added = [await http.post(path, json={"kind": "text", "text": "cup"}) for _ in range(33)]
        assert [answer.status_code for answer in added] == [201] * 32 + [503]
        assert added[-1].json()["code"] == "limit_reached"
        for answer in added[:32]:
            assert (await http.delete(f"{path}/{answer.json()['id']}")).status_code == 204


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/v1/streams", b"{", 400),
        ("POST", "/v1/streams", b"[]", 400),
        ("POST", "/v1/streams", b'{"source": {"kind": "file", "path": "/etc/passwd"}}', 422),
        ("POST", "/v1/streams", b'{"source": {"kind": "rtsp", "url": "rtsp://169.254.169.254/"}}', 422),
        ("POST", "/v1/streams", b'{"id": "../x", "source": {"kind": "demo"}}', 400),
        ("POST", "/v1/streams", b'{"source": {"kind": "demo"}, "sauce": 1}', 400),
        ("POST", "/v1/streams", b'{"name": "' + b"x" * 300_000 + b'"}', 413),
        ("PATCH", "/v1/streams/cam", b'{"name": ""}', 400),
        ("GET", "/v1/streams?limit=0", b"", 400),
        ("GET", "/v1/streams?limit=many", b"", 400),
        ("DELETE", "/v1/streams/cam/tracks/one", b"", 400),
        ("DELETE", f"/v1/streams/cam/tracks/{10**400}", b"", 400),
        ("PUT", "/v1/streams", b"", 405),
        ("GET", "/v1/" + "x" * 3000, b"", 400),
    ],
)
async def test_requests_that_cannot_be(server: RunningServer, method: str, path: str, body: bytes, status: int) -> None:
    async with server.client() as http:
        answer = await http.request(method, path, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(answer.json()) >= {"status", "code", "message", "action", "retryable"}


async def test_a_body_that_grows_without_saying_so(server: RunningServer) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 10_000

    async with server.client() as http:
        for path in ("/whip/new", "/v1/streams"):
            answer = await http.post(path, content=endless(), headers=SDP)
            assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


# --- the websocket --------------------------------------------------------------------------------------------------


async def closing(live: ClientConnection) -> int:
    async with asyncio.timeout(15):
        with contextlib.suppress(ConnectionClosed):
            while True:
                await live.recv()
    assert live.close_code is not None
    return live.close_code


@pytest.mark.parametrize("message", ["{", "", "null", "[]", '{"ref": "x"}', b"\x00\x01", "x" * 70_000])
async def test_ten_malformed_messages_end_the_connection(server: RunningServer, message: str | bytes) -> None:
    async with server.live("cam") as live:
        for _ in range(10):
            await live.send(message)
        error = await receive(live, "error")
        assert error["code"] == ("too_large" if len(message) > 65_536 else "bad_message")
        assert await closing(live) == 4400


async def test_unknown_types_are_answered_and_forgiven(server: RunningServer) -> None:
    async with server.live("cam") as live:
        for number in range(20):
            answer = await ask(live, type="later.idea", ref=f"r{number}", x=1)
            assert answer["code"] == "unknown_type"
        await live.send('{"type": "ping", "t": 1}')
        assert (await receive(live, "pong"))["t"] == 1


async def test_a_huge_frame_is_cut_off(server: RunningServer) -> None:
    async with server.live("cam") as live:
        with contextlib.suppress(ConnectionClosed):
            await live.send("x" * 1_000_000)
        assert await closing(live) in (1009, 1006)


async def test_a_flood_is_refused_then_cut_off(server: RunningServer) -> None:
    async with server.live("cam") as live:
        sending = asyncio.create_task(_flood(live))
        codes = set()
        with contextlib.suppress(ConnectionClosed):
            async with asyncio.timeout(20):
                while True:
                    message = json.loads(await live.recv())
                    if message["type"] == "error":
                        codes.add(message["code"])
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sending
        assert codes == {"rate_limited"}
        assert live.close_code == 4429


async def _flood(live: ClientConnection) -> None:
    with contextlib.suppress(ConnectionClosed):
        for number in range(5000):
            await live.send(json.dumps({"type": "ping", "t": number}))


async def test_a_client_that_sends_nothing_still_receives(server: RunningServer, source: PushedSource) -> None:
    async with server.live("cam") as live:
        await receive(live, "hello")
        for _ in range(2):
            await receive(live, "status")
        await asyncio.to_thread(source.push)
        assert (await receive(live, "tracks"))["tracks"]


async def test_connections_that_break_off_leave_nothing(server: RunningServer) -> None:
    before = server.state.live_clients
    for _ in range(20):
        live = await server.live("cam")
        await receive(live, "hello")
        raw: socket.socket = live.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        live.transport.abort()
    async with asyncio.timeout(10):
        while server.state.live_clients != before:
            await asyncio.sleep(0.02)


async def test_bytes_that_are_no_http(server: RunningServer) -> None:
    for garbage in (b"\x16\x03\x01\x02\x00", b"GET / HTTP/9.9\r\n\r\n", b"GET /\r\n\r\n", b"A" * 100_000):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(garbage)
        writer.write_eof()
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(10):
                answer = await reader.read()
            assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
