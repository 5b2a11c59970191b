"""Cameras by RTSP, from a real server: what they may send, how they log in, and what happens when the line breaks."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import pytest

from stream.bitstream import NAL_PPS, NAL_SPS, nal_units
from stream.errors import SourceError
from stream.sources.addresses import AddressPolicy, target_of
from stream.sources.backoff import Backoff
from stream.sources.camera import CameraSource, Timeouts
from stream.sources.rtsp import RtspCamera
from stream.sources.rtsp_redirect import refuse_redirect
from stream.sources.trust import USUAL
from tests.cameras.clips import Shape, make_aac, make_clip
from tests.cameras.line import Line
from tests.cameras.rtsp import RtspServer, mount
from tests.cameras.watching import until_lost, watching
from tests.peers import Sink, numbers

ANY = AddressPolicy(any_host=True)
SOON = Timeouts(connect_s=10.0, read_s=1.0)
USER, PASSWORD = "viewer", "p@ss:w/rd%"
B_FRAMES = {"bf": "2", "preset": "fast", "profile": "main", "b_strategy": "0"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RtspServer]:
    folder = tmp_path_factory.mktemp("rtsp")
    plain, aac = make_clip(folder / "plain", Shape(fps=20)), make_aac(folder / "aac")
    sizes = Shape(sizes=((320, 240), (160, 120)), frames=10, fps=20)
    shapes = {
        "b-frames": Shape(options=B_FRAMES, fps=20),
        "hevc": Shape(codec="HEVC", frames=20, fps=20),
        "sizes": sizes,
        "garbage": Shape(damaged=frozenset({3, 4, 15, 25}), fps=20),
        "seldom": Shape(frames=100, group=100),
    }
    mounts = {f"/{name}": mount(make_clip(folder / name, shape)) for name, shape in shapes.items()}
    mounts |= {"/plain": mount(plain), "/aac": mount(plain, audio=aac), "/pcma": mount(plain, pcma=True)}
    with RtspServer(folder, mounts) as running:
        yield running


def camera(url: str, transport: Literal["tcp", "udp"] = "tcp", **login: Any) -> CameraSource:
    backoff = Backoff(first_s=0.05, most_s=0.2, draw=lambda: 1.0)
    return CameraSource(RtspCamera.of(url, ANY, transport=transport, **login), timeouts=SOON, backoff=backoff)


def shown(sink: Sink) -> list[int | None]:
    """The numbers of the pictures from the first keyframe on."""
    pictures = sink.received
    first = next(place for place, picture in enumerate(pictures) if picture.keyframe)
    return numbers("H264", [picture.data for picture in pictures[first:]])


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("path", ["/plain", "/aac", "/pcma"])
async def test_what_browsers_take_is_passed_on(server: RtspServer, path: str, transport: Any) -> None:
    source = camera(server.url(path), transport)
    async with watching(source) as sink:
        await sink.until(15)
    assert source.note is None
    assert sink.connects == 1
    pictures = sink.received
    assert {picture.codec for picture in pictures} == {"H264"}
    steps = [(after.rtp - before.rtp) for before, after in pairwise(pictures)]
    assert pictures[0].rtp == 0
    assert all(4000 <= step <= 5000 for step in steps[2:])
    for picture in pictures:
        if picture.keyframe:
            assert {NAL_SPS, NAL_PPS} <= {kind for kind, _, _ in nal_units(picture.data)}
    seen = shown(sink)
    assert seen == [((seen[0] or 0) + place) % 40 for place in range(len(seen))]


@pytest.mark.parametrize(("path", "because"), [("/b-frames", "B-frames"), ("/hevc", "HEVC")])
async def test_what_browsers_cannot_take_is_transcoded_and_said(server: RtspServer, path: str, because: str) -> None:
    source = camera(server.url(path))
    async with watching(source) as sink:
        await sink.until(15)
        assert source.note is not None
        assert because in source.note
    seen = shown(sink)
    length = 40 if path == "/b-frames" else 20
    assert seen == [((seen[0] or 0) + place) % length for place in range(len(seen))]
    assert sink.received[0].keyframe


async def test_a_change_of_resolution_goes_on(server: RtspServer) -> None:
    async with watching(camera(server.url("/sizes"))) as sink:
        await sink.until(25)
    assert sink.connects == 1
    assert not sink.losses
    seen = shown(sink)
    assert seen == [((seen[0] or 0) + place) % 20 for place in range(len(seen))]


async def test_damaged_pictures_cost_themselves(server: RtspServer) -> None:
    async with watching(camera(server.url("/garbage"))) as sink:
        await sink.until(28)
    assert sink.connects == 1
    assert not sink.losses


async def test_seldom_keyframes_are_told(server: RtspServer) -> None:
    source = camera(server.url("/seldom"))
    async with asyncio.timeout(40), watching(source):
        while source.note is None:
            await asyncio.sleep(0.05)
    assert "keyframe interval" in source.note


@pytest.mark.parametrize("digest", [False, True])
async def test_logins(tmp_path: Path, digest: bool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    mounts = {"/cam": mount(make_clip(tmp_path / "clip"))}
    with RtspServer(tmp_path, mounts, user=USER, password=PASSWORD, digest=digest) as server:
        source = camera(server.url("/cam"), username=USER, password=PASSWORD)
        async with watching(source) as sink:
            await sink.until(3)
        assert not sink.losses
        for login, words in (
            ({"username": USER, "password": "wrong"}, "does not accept"),
            ({}, "asks for a user name"),
        ):
            other = camera(server.url("/cam"), **login)
            async with watching(other) as sink:
                await until_lost(sink)
            assert words in sink.losses[0].message
            assert sink.losses[0].code == "source_login"
            told = f"{sink.losses[0].message} {other.note} {other.url} {other!r} {other.camera!r} {caplog.text}"
            assert PASSWORD not in told
            assert "wrong" not in told


async def test_a_server_that_is_killed_and_started_again(server: RtspServer) -> None:
    source = camera(server.url("/plain"))
    async with watching(source) as sink:
        await sink.until(3)
        server.kill()
        await until_lost(sink)
        assert source.note is not None
        assert "Trying again" in source.note
        server.start()
        before = len(sink.received)
        await sink.until(before + 3)
        assert source.note is None
        assert source.reconnects == 1
    assert sink.connects == 2


@pytest.mark.parametrize(
    ("breaks", "code"),
    [("cut", "source_lost"), ("reset", "source_lost"), ("stall", "source_timeout"), ("blackhole", "source_timeout")],
)
async def test_a_line_that_breaks(server: RtspServer, breaks: str, code: str) -> None:
    with Line(server.port) as line:
        source = camera(server.url("/plain", port=line.port))
        async with watching(source) as sink:
            await sink.until(3)
            getattr(line, breaks)()
            await until_lost(sink)
            line.restore()
            before = len(sink.received)
            await sink.until(before + 3)
        assert sink.losses[0].code == code
        assert sink.connects == 2


async def test_a_silent_camera_is_left_without_waiting_for_it(server: RtspServer) -> None:
    with Line(server.port) as line:
        patient = Timeouts(connect_s=300, read_s=300)
        source = CameraSource(RtspCamera.of(server.url("/plain", port=line.port), ANY), timeouts=patient)
        async with asyncio.timeout(60):
            async with watching(source) as sink:
                await sink.until(3)
                line.stall()
            count = len(sink.received)
            line.blackhole()
            async with watching(source) as sink:
                while line.connections < 2:
                    await asyncio.sleep(0.005)
        assert not sink.received
        assert count >= 3


async def test_nobody_there() -> None:
    source = camera("rtsp://127.0.0.1:9/cam")
    async with watching(source) as sink:
        await until_lost(sink, 2)
    assert sink.connects == 0
    assert sink.losses[0].code == "source_unreachable"
    assert "refuses" in sink.losses[0].message


@pytest.mark.parametrize(
    ("location", "refused"), [("rtsp://10.255.255.1/cam", True), ("rtsp://127.0.0.1/other", False)]
)
def test_a_camera_does_not_send_on_to_another_host(location: str, refused: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(f"RTSP/1.0 302 Moved\r\nCSeq: 1\r\nLocation: {location}\r\n\r\n".encode())

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        target = target_of(f"rtsp://127.0.0.1:{listener.getsockname()[1]}/cam", ("rtsp",))
        if refused:
            with pytest.raises(SourceError, match="another host") as failed:
                RtspCamera(target, AddressPolicy(("127.0.0.1",))).open(SOON)
            assert failed.value.code == "source_redirected"
        else:
            refuse_redirect(target, "127.0.0.1", 10, USUAL)
        thread.join(10)
