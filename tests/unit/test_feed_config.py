"""Feeds as they are written in `onlooker.toml` and kept in the store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from stream.config import SourcesConfig, load_config, public_config
from stream.errors import BadInput, SourceError
from stream.feed_config import FeedConfig
from stream.sources.camera import CameraSource
from stream.sources.folder import FolderSource, videos_in
from web.api.feed_shapes import NewSource
from web.feeds import loaded, saved_form
from web.sources import ANYWHERE, feed_of, password_of, source_of


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"url": "rtsp://cam/1"}, "rtsp"),
        ({"url": "rtsps://cam/1"}, "rtsp"),
        ({"url": "http://cam/live.m3u8"}, "http"),
        ({"url": "http://cam/video", "kind": "mjpeg"}, "mjpeg"),
        ({"device": "/dev/video0"}, "v4l2"),
        ({"path": "clip.mp4"}, "file"),
    ],
)
def test_the_kind_is_known_by_the_address(given: dict[str, Any], kind: str) -> None:
    feed = FeedConfig(id="gate", **given)
    assert feed.kind == kind
    assert feed.gated == (kind != "file")
    assert source_of(feed, ANYWHERE).kind == kind


@pytest.mark.parametrize(
    ("feed", "words"),
    [
        ({"kind": "rtsp"}, "needs `url`"),
        ({"kind": "folder"}, "needs `path`"),
        ({"url": "rtsp://cam/1", "password": "a", "password_file": "b"}, "not both"),
        ({"url": "rtsp://cam/1", "target_fps": 0}, "target_fps"),
        ({"url": "rtsp://cam/1", "trasport": "udp"}, "transport"),
    ],
)
def test_what_is_wrong_with_a_feed_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, feed: dict[str, Any], words: str
) -> None:
    monkeypatch.setenv("ONLOOKER_CONFIG", str(tmp_path / "onlooker.toml"))
    (tmp_path / "onlooker.toml").touch()
    with pytest.raises(BadInput) as wrong:
        load_config({"feeds": [{"id": "gate", **feed}]})
    assert words in f"{wrong.value.message} {wrong.value.action}"


def test_the_configuration_is_shown_without_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONLOOKER_CONFIG", str(tmp_path / "onlooker.toml"))
    (tmp_path / "onlooker.toml").touch()
    feeds = [
        {"id": "gate", "url": "rtsp://viewer:secret@cam/1?token=secret"},
        {"id": "yard", "url": "rtsp://cam/1", "username": "viewer", "password": "secret"},
    ]
    config = load_config({"feeds": feeds})
    assert "secret" not in f"{public_config(config)} {config!r}"


def test_what_is_saved_is_loaded_again() -> None:
    feed = FeedConfig(
        id="gate", name="Gate", url="rtsp://cam/1", transport="udp", username="viewer", password=SecretStr("secret"),
        prompts=("person",), target_fps=5, motion_gate=False,
    )  # fmt: skip
    saved = saved_form(feed)
    assert "secret" not in f"{saved.settings} {saved!r}"
    again = loaded(saved)
    assert again == feed
    assert password_of(again) == "secret"


def test_a_feed_that_another_version_wrote_is_refused_in_words() -> None:
    saved = saved_form(FeedConfig(id="gate", url="rtsp://cam/1"))
    saved.settings["unheard_of"] = 1
    with pytest.raises(BadInput, match="cannot be read"):
        loaded(saved)


def test_a_password_comes_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("p@ss word\n")
    assert password_of(FeedConfig(id="gate", url="rtsp://cam/1", password_file=path)) == "p@ss word"
    with pytest.raises(BadInput, match="cannot be used: No such file"):
        password_of(FeedConfig(id="gate", url="rtsp://cam/1", password_file=tmp_path / "absent"))


def test_a_login_that_was_pasted_with_the_address_is_taken_out_of_it() -> None:
    feed = feed_of(NewSource(kind="rtsp", url="rtsp://viewer:p%40ss@cam:8554/1?a=b"), "gate", SourcesConfig())
    assert (feed.url, feed.username, password_of(feed)) == ("rtsp://cam:8554/1?a=b", "viewer", "p@ss")
    assert "p@ss" not in f"{saved_form(feed).settings}"


def test_clients_open_folders_that_are_allowed_and_devices_that_are_cameras(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    sources = SourcesConfig(allow_roots=(tmp_path / "in",))
    assert feed_of(NewSource(kind="folder", path="."), "f", sources).path == (tmp_path / "in").resolve()
    with pytest.raises(SourceError):
        feed_of(NewSource(kind="folder", path=".."), "f", sources)
    for device in ("/dev/sda", "/dev/video0/../sda", "video0"):
        with pytest.raises(BadInput):
            feed_of(NewSource(kind="v4l2", device=device), "f", sources)
    camera = source_of(feed_of(NewSource(kind="v4l2", device="/dev/video0"), "f", sources), ANYWHERE)
    assert isinstance(camera, CameraSource)


def test_the_videos_of_a_folder_in_natural_order(tmp_path: Path) -> None:
    for name in ("cam-10.mp4", "cam-2.MKV", "a.txt", ".hidden"):
        (tmp_path / name).touch()
    (tmp_path / "b.mp4").mkdir()
    assert [path.name for path in videos_in(tmp_path)] == ["cam-2.MKV", "cam-10.mp4"]
    assert FolderSource(tmp_path, loop=True).kind == "folder"
    with pytest.raises(SourceError, match="no video"):
        videos_in(tmp_path / "b.mp4")
    with pytest.raises(SourceError, match="cannot be read"):
        videos_in(tmp_path / "absent")
