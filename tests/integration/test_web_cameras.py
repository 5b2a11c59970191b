"""Video by HTTP and from devices: each format, logins, redirects, and what is refused."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from stream.errors import SourceError
from stream.sources.addresses import AddressPolicy
from stream.sources.backoff import Backoff
from stream.sources.camera import Camera, CameraSource, Timeouts
from stream.sources.device import DeviceCamera
from stream.sources.http import HttpCamera
from stream.sources.probe import look_at_camera
from tests.cameras.watching import until_lost, watching
from tests.cameras.web import WebCamera, jpegs, make_videos
from tests.peers import numbers

LOOPBACK = AddressPolicy(("127.0.0.1",))
LOGIN = ("viewer", "p@ss:w/rd%")


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_videos(tmp_path_factory.mktemp("videos"))


@pytest.fixture
def server(videos: dict[str, Path]) -> Iterator[WebCamera]:
    with WebCamera(videos) as running:
        yield running


def http_camera(url: str, **login: Any) -> HttpCamera:
    return HttpCamera.of(url, LOOPBACK, **login)


def source(camera: Camera) -> CameraSource:
    backoff = Backoff(first_s=0.05, most_s=0.1, draw=lambda: 1.0)
    return CameraSource(camera, timeouts=Timeouts(connect_s=10, read_s=5), backoff=backoff)


@pytest.mark.parametrize("path", ["/clip.ts", "/clip.flv", "/clip.mp4", "/clip.mkv", "/clip.m3u8"])
async def test_formats_are_passed_on_in_their_time(server: WebCamera, path: str) -> None:
    playing = source(http_camera(server.url(path)))
    async with watching(playing) as sink:
        await sink.until(20)
    assert playing.note is None
    pictures = sink.received[:20]
    assert numbers("H264", [picture.data for picture in pictures]) == list(range(20))
    assert all(abs(after.rtp - before.rtp - 4500) <= 90 for before, after in pairwise(pictures))
    assert pictures[-1].received_s - pictures[0].received_s > 0.7


async def test_what_ends_is_played_again(server: WebCamera) -> None:
    async with watching(source(http_camera(server.url("/clip.ts")))) as sink:
        await sink.until(45)
    assert sink.connects == 2
    assert sink.losses[0].code == "source_lost"


async def test_mjpeg_is_transcoded_at_the_pace_of_its_arrival(server: WebCamera) -> None:
    playing = source(http_camera(server.url("/mjpeg")))
    async with watching(playing) as sink:
        await sink.until(21)
        assert playing.note is not None
        assert "MJPEG" in playing.note
    seen = numbers("H264", [picture.data for picture in sink.received])
    assert seen[:21] == [number % 20 for number in range(21)]
    assert 40_000 < sink.received[20].rtp < 900_000


@pytest.mark.parametrize("digest", [False, True])
def test_logins(videos: dict[str, Path], digest: bool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with WebCamera(videos, login=LOGIN, digest=digest) as server:
        url = server.url("/clip.ts")
        found = look_at_camera(http_camera(url, username=LOGIN[0], password=LOGIN[1]))
        assert (found.codecs, found.width, found.height, found.fps) == (("h264",), 320, 240, 20.0)
        for login, words in (({"username": LOGIN[0], "password": "wrong"}, "does not accept"), ({}, "asks for a user")):
            with pytest.raises(SourceError, match=words) as refused:
                look_at_camera(http_camera(url, **login))
            assert refused.value.code == "source_login"
            assert LOGIN[1] not in caplog.text + repr(refused.value)


def test_what_is_no_video_is_said(server: WebCamera) -> None:
    for path, code, words in (("/page", "source_unreadable", "web page"), ("/nothing", "source_not_found", "manual")):
        with pytest.raises(SourceError) as failed:
            look_at_camera(http_camera(server.url(path)))
        assert failed.value.code == code
        assert words in failed.value.action


def test_redirects_stay_on_their_host(server: WebCamera) -> None:
    assert look_at_camera(http_camera(server.url("/to?/clip.ts"))).width == 320
    with pytest.raises(SourceError) as elsewhere:
        look_at_camera(http_camera(server.url("/to?http://localhost:1/clip.ts")))
    assert elsewhere.value.code == "source_redirected"
    with pytest.raises(SourceError):
        look_at_camera(http_camera(server.url("/to?file:///etc/passwd")))


@pytest.mark.parametrize("inside", ["file:///etc/passwd", "http://169.254.169.254/latest", "concat:/etc/passwd"])
def test_a_playlist_reaches_nothing_that_is_not_allowed(
    server: WebCamera, videos: dict[str, Path], tmp_path: Path, inside: str
) -> None:
    playlist = tmp_path / "evil.m3u8"
    playlist.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{inside}\n#EXT-X-ENDLIST\n")
    server.files["/evil.m3u8"] = playlist
    with pytest.raises(SourceError):
        look_at_camera(http_camera(server.url("/evil.m3u8")))


async def test_a_device_that_is_not_there() -> None:
    async with watching(source(DeviceCamera("/dev/video199"))) as sink:
        await until_lost(sink)
    assert sink.losses[0].code == "source_unreachable"
    assert "/dev/video199" in sink.losses[0].message


async def test_a_device_is_read(tmp_path: Path) -> None:
    """MJPEG as a webcam sends it, through the same code as a camera of the machine."""
    recorded = tmp_path / "camera.mjpeg"
    recorded.write_bytes(b"".join(jpegs(10)))
    playing = source(DeviceCamera(str(recorded), format="mjpeg"))
    async with watching(playing) as sink:
        await sink.until(8)
    assert numbers("H264", [picture.data for picture in sink.received[:8]]) == list(range(8))


async def test_a_device_that_is_no_camera() -> None:
    async with watching(source(DeviceCamera("/dev/null"))) as sink:
        await until_lost(sink)
    assert sink.losses[0].code == "source_unreadable"
