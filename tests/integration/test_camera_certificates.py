"""Cameras over TLS: a certificate that nobody knows is refused with what to do about it, and accepted by choice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stream.errors import BadInput, SourceError
from stream.feed_config import FeedConfig
from stream.sources.addresses import AddressPolicy
from stream.sources.backoff import Backoff
from stream.sources.camera import Camera, CameraSource, Timeouts
from stream.sources.http import HttpCamera
from stream.sources.probe import look_at_camera
from stream.sources.rtsp import RtspCamera
from stream.sources.trust import USUAL, Trust
from tests.cameras.clips import Shape, make_clip
from tests.cameras.rtsp import RtspServer, mount
from tests.cameras.watching import until_lost, watching
from tests.cameras.web import WebCamera, make_videos
from tests.server import RunningServer
from web.sources import ANYWHERE, camera_of
from web.tls import ensure_certificate

LOOPBACK = AddressPolicy(("127.0.0.1",))
LOGIN = {"username": "viewer", "password": "p@ss:w/rd%"}
Open = Callable[[Trust], Camera]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return ensure_certificate(tmp_path_factory.mktemp("own"), ["camera.test"], ["127.0.0.1"])


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Of another camera."""
    return ensure_certificate(tmp_path_factory.mktemp("foreign"), ["other.test"], ["192.0.2.7"])


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    return mount(make_clip(tmp_path_factory.mktemp("clip") / "clip", Shape(fps=20)))


@pytest.fixture(scope="module")
def cameras(
    tmp_path_factory: pytest.TempPathFactory, certificate: tuple[Path, Path], clip: dict[str, object]
) -> Iterator[RtspServer]:
    folder = tmp_path_factory.mktemp("rtsps")
    with RtspServer(folder, {"/cam": clip}, user=LOGIN["username"], password=LOGIN["password"], tls=certificate) as own:
        yield own


@pytest.fixture(scope="module", params=["rtsps", "https"])
def opened(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    certificate: tuple[Path, Path],
    cameras: RtspServer,
) -> Iterator[Open]:
    """The same camera by the one and by the other, with a certificate of its own making."""
    if request.param == "rtsps":
        yield lambda trust: RtspCamera.of(cameras.url("/cam"), LOOPBACK, trust=trust, **LOGIN)
        return
    videos = make_videos(tmp_path_factory.mktemp("videos"))
    with WebCamera(videos, login=(LOGIN["username"], LOGIN["password"]), tls=certificate) as web:
        yield lambda trust: HttpCamera.of(web.url("/clip.ts"), LOOPBACK, trust=trust, **LOGIN)


def test_a_certificate_that_nobody_knows_is_refused(opened: Open) -> None:
    with pytest.raises(SourceError, match="self-signed") as failed:
        look_at_camera(opened(USUAL))
    assert failed.value.code == "source_certificate"
    assert "verify_tls = false" in failed.value.action
    assert "ca_file" in failed.value.action


def test_any_certificate_is_accepted_by_choice(opened: Open) -> None:
    assert look_at_camera(opened(Trust(verify=False))).width == 320


def test_a_certificate_that_the_operator_names_is_accepted(opened: Open, certificate: tuple[Path, Path]) -> None:
    assert look_at_camera(opened(Trust(ca_file=certificate[0]))).width == 320


def test_another_camera_s_certificate_is_not(opened: Open, foreign: tuple[Path, Path]) -> None:
    with pytest.raises(SourceError) as failed:
        look_at_camera(opened(Trust(ca_file=foreign[0])))
    assert failed.value.code == "source_certificate"


async def test_a_known_certificate_for_another_name_is_refused_by_ffmpeg_too(
    tmp_path: Path, foreign: tuple[Path, Path], clip: dict[str, object]
) -> None:
    with RtspServer(tmp_path, {"/cam": clip}, tls=foreign) as server:
        # Anywhere: nothing is asked before FFmpeg is.
        camera = RtspCamera.of(server.url("/cam"), ANYWHERE, trust=Trust(ca_file=foreign[0]))
        source = CameraSource(camera, timeouts=Timeouts(10, 5), backoff=Backoff(first_s=0.05, most_s=0.1))
        async with watching(source) as sink:
            await until_lost(sink, 2)
        assert sink.connects == 0
        assert sink.losses[0].code == "source_certificate"
        assert "mismatch" in sink.losses[0].message
        camera = RtspCamera.of(server.url("/cam"), ANYWHERE, trust=Trust(verify=False))
        async with watching(CameraSource(camera)) as sink:
            await sink.until(3)


def test_what_the_configuration_says_reaches_the_camera(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    url = "rtsps://192.0.2.7/cam"
    assert FeedConfig(id="door", url=url).verify_tls
    camera = camera_of(FeedConfig(id="door", url=url, verify_tls=False, ca_file=certificate[0]), ANYWHERE)
    assert isinstance(camera, RtspCamera)
    assert camera.trust == Trust(verify=False, ca_file=certificate[0])
    for name, content in (("nothing.pem", None), ("empty.pem", "no certificate")):
        if content is not None:
            (tmp_path / name).write_text(content)
        with pytest.raises(BadInput, match="no certificates"):
            camera_of(FeedConfig(id="door", url=url, ca_file=tmp_path / name), ANYWHERE)


async def test_a_client_is_told_and_may_choose(tmp_path: Path, cameras: RtspServer) -> None:
    source = {"kind": "rtsp", "url": cameras.url("/cam"), **LOGIN}
    with RunningServer(tmp_path, {"sources": {"allow_hosts": ["127.0.0.1"]}}) as server:
        async with server.client() as http:
            refused = await http.post("/v1/streams/probe", json={"source": source})
            assert refused.status_code == 422
            assert refused.json()["code"] == "source_certificate"
            accepted = await http.post("/v1/streams/probe", json={"source": source | {"verify_tls": False}})
            assert accepted.json()["width"] == 320
            made = await http.post("/v1/streams", json={"id": "door", "source": source | {"verify_tls": False}})
            assert made.json()["source"]["verify_tls"] is False
            changed = await http.patch("/v1/streams/door", json={"source": source})
            assert changed.json()["source"]["verify_tls"] is True
