"""Who may reach a real server: host, origin, token, cookie, headers and what is never said."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from stream.config import load_config
from stream.errors import SourceError
from stream.models.store import ModelStore
from tests.server import RunningServer, receive
from web.app import webrtc_config
from web.auth import COOKIE
from web.engines import NoSam3, make_engine
from web.sources import allowed_path

PATHS = ("/", "/health", "/v1/streams", "/docs", "/openapi.json", "/metrics", "/no-such-page")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    """On loopback, as by default."""
    with RunningServer(tmp_path) as running:
        yield running


@pytest.fixture
def exposed(tmp_path: Path) -> Iterator[RunningServer]:
    """Configured for every address, with TLS and the token; bound to loopback for the test."""
    with RunningServer(tmp_path, {"server": {"host": "0.0.0.0"}}, bind="127.0.0.1", tls=True) as running:
        yield running


@pytest.fixture
def token(exposed: RunningServer, tmp_path: Path) -> str:
    return (tmp_path / "data" / "token").read_text().strip()


async def close_code(url: str, **options: object) -> int:
    async with connect(url, compression=None, **options) as live:  # type: ignore[arg-type]
        try:
            async with asyncio.timeout(10):
                while True:
                    await live.recv()
        except ConnectionClosed:
            assert live.close_code is not None
            return live.close_code


async def test_both_loopback_addresses_and_no_others(server: RunningServer) -> None:
    bound = {sock.getsockname()[0] for sock in server.sockets}
    assert bound == {"127.0.0.1", "::1"}
    for address in ("127.0.0.1", "[::1]"):
        async with httpx.AsyncClient() as http:
            assert (await http.get(f"http://{address}:{server.port}/health")).status_code == 200


@pytest.mark.parametrize("path", PATHS)
async def test_every_answer_has_the_security_headers(server: RunningServer, path: str) -> None:
    async with server.client() as http:
        answer = await http.get(path)
    assert answer.headers["content-security-policy"] == (
        "default-src 'self'; connect-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
        "frame-ancestors 'none'"
    )
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert "server" not in answer.headers


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "192.168.1.7", "localhost.evil.example"])
async def test_a_hostile_host_gets_nothing(server: RunningServer, path: str, host: str) -> None:
    async with server.client() as http:
        answer = await http.get(path, headers={"host": host})
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "unauthorized"
    assert "evil" not in answer.text


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:1"])
async def test_a_hostile_origin_gets_nothing(server: RunningServer, origin: str) -> None:
    server.open_stream("cam")
    async with server.client(headers={"origin": origin}) as http:
        answers = [
            await http.get("/v1/streams"),
            await http.post("/v1/streams", json={"source": {"kind": "demo"}}),
            await http.delete("/v1/streams/cam"),
            await http.post("/whip/cam2", content="v=0", headers={"content-type": "application/sdp"}),
        ]
    assert [answer.status_code for answer in answers] == [403] * 4
    url = f"ws://localhost:{server.port}/v1/streams/cam/live"
    assert await close_code(url, origin=origin, subprotocols=["onlooker.v1"]) == 4403
    async with server.client(headers={"origin": server.url}) as http:
        assert [stream["id"] for stream in (await http.get("/v1/streams")).json()["items"]] == ["cam"]


async def test_a_rebound_name_cannot_open_the_websocket(server: RunningServer) -> None:
    server.open_stream("cam")
    url = f"ws://evil.example:{server.port}/v1/streams/cam/live"
    assert await close_code(url, host="127.0.0.1", port=server.port, subprotocols=["onlooker.v1"]) == 4403


async def test_the_own_page_may_open_the_websocket(server: RunningServer) -> None:
    server.open_stream("cam")
    async with server.live("cam", origin=server.url) as live:
        assert (await receive(live, "hello"))["stream"]["id"] == "cam"


async def test_off_loopback_all_but_the_page_needs_the_token(exposed: RunningServer, token: str) -> None:
    async with exposed.client() as http:
        assert (await http.get("/")).status_code == 200
        assert (await http.get("/health")).json() == {"status": "ok"}
        for path in ("/v1/streams", "/v1/config", "/metrics", "/docs", "/openapi.json"):
            answer = await http.get(path)
            assert answer.status_code == 401, path
            assert answer.json()["code"] == "unauthorized"
            assert answer.headers["www-authenticate"] == "Bearer"
        bearer = {"authorization": f"Bearer {token}"}
        for path in ("/v1/streams", "/v1/config", "/metrics", "/docs", "/openapi.json"):
            assert (await http.get(path, headers=bearer)).status_code == 200, path
        assert "checks" in (await http.get("/health", headers=bearer)).json()


async def test_the_token_is_traded_for_a_cookie_and_revoked(exposed: RunningServer, token: str) -> None:
    origin = {"origin": exposed.url}
    async with exposed.client() as http:
        assert (await http.post("/v1/session", json={"token": token})).status_code == 403  # no Origin, no Bearer
        opened = await http.post("/v1/session", json={"token": token}, headers=origin)
        assert opened.status_code == 204
        cookie = opened.headers["set-cookie"]
        assert token not in cookie
        value = cookie.partition("=")[2].partition(";")[0]
        http.cookies.clear()
        signed = {"cookie": f"{COOKIE}={value}"}
        assert (await http.get("/v1/streams", headers=signed)).status_code == 200
        changed = await http.post("/v1/models/none/fetch", headers=signed)
        assert changed.status_code == 403  # a cookie alone does not change anything without an Origin
        assert (await http.post("/v1/models/none/fetch", headers=signed | origin)).status_code == 404
        evil = {"origin": "https://evil.example"}
        assert (await http.post("/v1/models/none/fetch", headers=signed | evil)).status_code == 403
        assert (await http.delete("/v1/session", headers=signed | origin)).status_code == 204
        assert (await http.get("/v1/streams", headers=signed)).status_code == 401


async def test_the_websocket_needs_the_token_too(exposed: RunningServer, token: str) -> None:
    exposed.open_stream("cam")
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    url = f"wss://localhost:{exposed.port}/v1/streams/cam/live"
    options = {"ssl": trusting, "subprotocols": ["onlooker.v1"], "origin": exposed.url}
    assert await close_code(url, **options) == 4401
    headers = {"authorization": f"Bearer {token}"}
    async with connect(url, compression=None, additional_headers=headers, **options) as live:  # type: ignore[arg-type]
        assert (await receive(live, "hello"))["stream"]["id"] == "cam"


async def test_guessing_is_braked(exposed: RunningServer, token: str) -> None:
    async with exposed.client(headers={"origin": exposed.url}) as http:
        codes = [(await http.post("/v1/session", json={"token": f"guess-{n}"})).status_code for n in range(7)]
        assert codes == [401] * 5 + [429] * 2
        braked = await http.post("/v1/session", json={"token": token})
        assert braked.status_code == 429
        assert int(braked.headers["retry-after"]) > 0
        assert (await http.get("/v1/streams", headers={"authorization": f"Bearer {token}"})).status_code == 429


async def test_secrets_are_in_no_answer_and_no_log(
    exposed: RunningServer, token: str, caplog: pytest.LogCaptureFixture
) -> None:
    bearer = {"authorization": f"Bearer {token}"}
    texts = []
    with caplog.at_level(logging.DEBUG):
        async with exposed.client(headers=bearer) as http:
            for path in ("/v1/config", "/v1/streams", "/health", "/metrics", "/docs", "/openapi.json", "/nothing"):
                answer = await http.get(path)
                texts.append(answer.text + str(answer.headers))
    assert token not in "".join(texts)
    assert token not in caplog.text


async def test_ice_credentials_are_not_shown(tmp_path: Path) -> None:
    server = {"urls": ("turn:10.0.0.1:3478",), "username": "eve", "credential": "hunter2"}
    with RunningServer(tmp_path, {"webrtc": {"ice_servers": (server,)}}) as running:
        async with running.client() as http:
            shown = (await http.get("/v1/config")).text
    assert "hunter2" not in shown
    assert "eve" not in shown


@pytest.mark.parametrize(
    ("host", "named", "addresses"),
    [
        ("localhost", (), ("127.0.0.1", "::1")),
        ("0.0.0.0", (), ()),
        ("::", (), ()),
        ("192.168.1.7", (), ("192.168.1.7",)),
        ("cam.example", (), ()),
        ("0.0.0.0", ("203.0.113.9",), ("203.0.113.9",)),
    ],
)
def test_ice_offers_what_the_server_listens_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, named: tuple[str, ...], addresses: tuple[str, ...]
) -> None:
    monkeypatch.setenv("ONLOOKER_CONFIG", str(tmp_path / "onlooker.toml"))
    (tmp_path / "onlooker.toml").touch()
    config = load_config({"server": {"host": host}, "webrtc": {"addresses": named}})
    assert webrtc_config(config).addresses == addresses


def test_files_only_below_the_allowed_folders(tmp_path: Path) -> None:
    root, secret = tmp_path / "clips", tmp_path / "secret.mp4"
    (root / "sub").mkdir(parents=True)
    clip = root / "sub" / "a.mp4"
    clip.write_bytes(b"x")
    secret.write_bytes(b"x")
    (root / "link.mp4").symlink_to(secret)
    (tmp_path / "clips-other").mkdir()
    (tmp_path / "clips-other" / "b.mp4").write_bytes(b"x")
    assert allowed_path("sub/a.mp4", [root]) == clip
    assert allowed_path(str(clip), [tmp_path / "absent", root]) == clip
    answers = set()
    for path in (
        "../secret.mp4", "link.mp4", str(secret), "/etc/passwd", "sub/../../secret.mp4", "sub", "", ".", "a\x00b",
        "../clips-other/b.mp4", "absent.mp4", "~/x", "x" * 5000,
    ):  # fmt: skip
        with pytest.raises(SourceError) as caught:
            allowed_path(path, [root])
        answers.add(caught.value.message)
    assert len(answers) == 1, "the answer must not tell which files exist"
    with pytest.raises(SourceError, match="No folder"):
        allowed_path(str(clip), [])


def test_sam3_is_refused_with_the_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONLOOKER_CONFIG", str(tmp_path / "onlooker.toml"))
    (tmp_path / "onlooker.toml").touch()
    with pytest.raises(NoSam3) as caught:
        make_engine(load_config({"engine": {"name": "sam3"}}), ModelStore(tmp_path))
    assert caught.value.code == "engine_unavailable"
    assert all(step in caught.value.action for step in ("1.", "2.", "3."))
