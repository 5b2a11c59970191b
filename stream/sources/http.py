"""Video by HTTP: HLS, MPEG-TS, FLV, MP4, Matroska and MJPEG. FFmpeg reads what this module fetches, and opens nothing
itself: every address is checked, and the connection goes to the address that was checked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import av
from av.container import InputContainer

from stream.errors import SourceError
from stream.sources.addresses import AddressPolicy, target_of
from stream.sources.camera import Timeouts
from stream.sources.faults import unreadable
from stream.sources.fetching import Body, Fetcher
from stream.sources.network import NetworkCamera
from stream.sources.trust import USUAL, Trust

SCHEMES = ("http", "https")
PEEKED_BYTES = 64
PROBE_US = 1_000_000
READABLE = {
    "hls": "HLS", "mpegts": "MPEG-TS", "flv": "FLV", "mp4": "MP4", "matroska": "Matroska", "mpjpeg": "MJPEG",
}  # fmt: skip


def format_of(content_type: str, start: bytes) -> str | None:
    """FFmpeg's name of what begins with `start`; None for what is not read. What is in it counts for more than what the
    server calls it."""
    if start.lstrip().startswith(b"#EXTM3U"):
        return "hls"
    if start.startswith(b"FLV\x01"):
        return "flv"
    if start.startswith(b"\x1aE\xdf\xa3"):
        return "matroska"
    if start[4:8] in (b"ftyp", b"styp", b"moov", b"moof"):
        return "mp4"
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/x-mixed-replace" or start.lstrip(b"\r\n").startswith(b"--"):
        return "mpjpeg"
    if start[:1] == b"G" and kind not in ("text/html", "text/plain"):
        return "mpegts"
    return None


@dataclass(frozen=True, slots=True)
class HttpCamera(NetworkCamera):
    """`kind` is how it was added: `http` or `mjpeg`."""

    kind: str = "http"

    @classmethod
    def of(
        cls,
        url: str,
        policy: AddressPolicy,
        *,
        username: str | None = None,
        password: str | None = None,
        trust: Trust = USUAL,
        kind: str = "http",
    ) -> HttpCamera:
        """Raises `BadInput` for what is no HTTP address."""
        return cls(target_of(url, SCHEMES), policy, username, password, trust, kind)

    def open(self, timeouts: Timeouts) -> OpenedStream:
        fetcher = Fetcher(self.target, self.policy, timeouts, login=self.login, trust=self.trust)
        try:
            body = fetcher.get(self.target.url)
            start = body.peek(PEEKED_BYTES)
            found = format_of(body.content_type, start)
            if found is None:
                raise _not_video(self.where, body.content_type)
            return OpenedStream(_container(found, fetcher, body), fetcher, found)
        except BaseException:
            fetcher.close()
            raise


class OpenedStream:
    """A container that reads through `fetcher`. What comes by HTTP may come ahead of its time, and MJPEG has no times
    of its own."""

    def __init__(self, container: InputContainer, fetcher: Fetcher, found: str) -> None:
        self.container = container
        self.by_arrival = found == "mpjpeg"
        self.paced = not self.by_arrival
        self._fetcher = fetcher

    def close(self) -> None:
        self.container.close()
        self._fetcher.close()

    def abort(self) -> None:
        self._fetcher.abort()


def _container(found: str, fetcher: Fetcher, body: Body) -> InputContainer:
    options = {"analyzeduration": str(PROBE_US), "protocol_whitelist": "http,https,tcp,tls"}
    if found != "hls":
        file: Any = body
        whole: InputContainer = av.open(file, format=found, options=options)
        return whole
    first: Iterator[Body] = iter((body,))

    def opened(url: str, flags: int, nested: dict[str, Any]) -> Body:
        """The playlist has been fetched already; its parts are as FFmpeg asks for them."""
        return next(first, None) or fetcher.get(url)

    options |= {"http_persistent": "0", "http_multiple": "0", "max_reload": "3", "allowed_extensions": "ALL"}
    container: InputContainer = av.open(body.url, format="hls", options=options, io_open=opened)
    return container


def _not_video(where: str, content_type: str) -> SourceError:
    error = unreadable(where)
    kind = content_type.partition(";")[0] or "something"
    if kind == "text/html":
        action = "This is the address of a web page; look up that of the video in the camera's manual."
    elif kind.startswith("image/"):
        action = "This is the address of a single picture; look up that of the video in the camera's manual."
    else:
        action = f"It sends {kind}; {', '.join(READABLE.values())} can be read."
    return SourceError(error.message, action=action, code=error.code)
