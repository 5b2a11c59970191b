"""Which hosts a client may have read: private ones by default, or those that the operator named."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from stream.errors import BadInput, SourceError
from stream.sources.addresses import AddressPolicy, target_of
from stream.sources.http import HttpCamera, format_of
from stream.sources.rtsp import RtspCamera

DEFAULT = AddressPolicy()


def resolves_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    def found(host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", found)


@pytest.mark.parametrize("address", ["10.0.0.9", "172.16.4.1", "192.168.1.20", "fd12:3456::9"])
def test_private_addresses_may_be_reached(address: str) -> None:
    assert DEFAULT.resolve(address, 554) == address


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "::1", "0.0.0.0", "169.254.169.254", "fe80::1", "8.8.8.8", "2001:4860:4860::8888",
        "fd00:ec2::254", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "224.0.0.1", "255.255.255.255", "100.64.0.1",
        "2130706433", "0x7f.1", "localhost",
    ],
)  # fmt: skip
def test_others_may_not(address: str) -> None:
    with pytest.raises(SourceError) as refused:
        DEFAULT.resolve(address, 554)
    assert refused.value.code == "host_not_allowed"
    assert "allow_hosts" in refused.value.action


def test_every_address_of_a_name_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    resolves_to(monkeypatch, "192.168.1.20", "127.0.0.1")
    with pytest.raises(SourceError):
        DEFAULT.resolve("cam.example", 554)
    resolves_to(monkeypatch, "192.168.1.20", "10.0.0.1")
    assert DEFAULT.resolve("cam.example", 554) == "192.168.1.20"


def test_the_operator_names_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = AddressPolicy(("cam.example", "*.lan", "203.0.113.0/24"))
    resolves_to(monkeypatch, "127.0.0.1")
    assert policy.resolve("cam.example", 554) == "127.0.0.1"
    assert policy.resolve("Gate.LAN", 554) == "127.0.0.1"
    for other in ("cam.example.org", "lan", "evil-lan"):
        with pytest.raises(SourceError):
            policy.resolve(other, 554)
    resolves_to(monkeypatch, "203.0.113.7")
    assert policy.resolve("anything", 554) == "203.0.113.7"
    resolves_to(monkeypatch, "192.168.1.20")
    with pytest.raises(SourceError):
        policy.resolve("private-but-not-named", 554)
    assert AddressPolicy(any_host=True).resolve("anything", 554) == "192.168.1.20"


@pytest.mark.parametrize(
    ("url", "shown", "login"),
    [
        ("rtsp://cam/stream", "rtsp://cam/stream", (None, None)),
        ("rtsp://u:p%40ss@cam:8554/s?token=1", "rtsp://cam:8554/s", ("u", "p@ss")),
        ("rtsps://u@[fd00::1]/s", "rtsps://[fd00::1]/s", ("u", None)),
    ],
)
def test_addresses_are_shown_without_what_is_secret(url: str, shown: str, login: tuple[str | None, str | None]) -> None:
    target = target_of(url, ("rtsp", "rtsps"))
    assert target.shown == shown
    assert (target.username, target.password) == login
    assert "p@ss" not in repr(target)


@pytest.mark.parametrize(
    "url", ["http://cam/x", "file:///etc/passwd", "rtsp://", "rtsp://cam:port/", "cam", "rtsp://a b/"]
)
def test_what_is_no_address_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(BadInput) as refused:
        RtspCamera.of(url, DEFAULT)
    assert "passwd" not in refused.value.message + refused.value.action


def test_a_password_is_in_no_representation() -> None:
    for camera in (
        RtspCamera.of("rtsp://u:secret@10.0.0.9/s", DEFAULT, username="v", password="secret"),
        HttpCamera.of("http://u:secret@10.0.0.9/s", DEFAULT),
    ):
        assert "secret" not in f"{camera!r} {camera.shown} {camera.where}"


@pytest.mark.parametrize(
    ("kind", "start", "found"),
    [
        ("text/plain", b"#EXTM3U\n#EXT-X-VERSION:3", "hls"),
        ("application/octet-stream", b"FLV\x01\x05", "flv"),
        ("", b"\x1aE\xdf\xa3\x01", "matroska"),
        ("video/mp4", b"\x00\x00\x00\x18ftypisom", "mp4"),
        ("multipart/x-mixed-replace; boundary=x", b"\r\n--x\r\n", "mpjpeg"),
        ("video/mp2t", b"G@\x11\x10", "mpegts"),
        ("text/html", b"G<html>", None),
        ("text/html", b"<!doctype html>", None),
        ("image/jpeg", b"\xff\xd8\xff", None),
        ("application/octet-stream", b"ffconcat version 1.0", None),
    ],
)
def test_formats_are_known_by_how_they_begin(kind: str, start: bytes, found: str | None) -> None:
    assert format_of(kind, start) == found
