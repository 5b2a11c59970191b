"""Cameras by HTTP: MJPEG at its own pace, whole files, a playlist, logins and redirects, from a real server."""

from __future__ import annotations

import base64
import hashlib
import ssl
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av

from tests.barcode import picture, write_clip

PLAIN = {"g": "10", "bf": "0", "preset": "ultrafast", "profile": "baseline"}
BOUNDARY = b"picture"
REALM = "camera"
NONCE = "7f3a"


def make_videos(folder: Path, *, frames: int = 40, fps: int = 20) -> dict[str, Path]:
    """The same numbered pictures as `clip.ts`, `.flv`, `.mp4`, `.mkv`, and as an HLS playlist with its segments; by
    path below the server."""
    folder.mkdir(parents=True, exist_ok=True)
    for suffix in ("ts", "flv", "mkv"):
        write_clip(folder / f"clip.{suffix}", codec="libx264", size=(320, 240), frames=frames, fps=fps, options=PLAIN)
    with av.open(str(folder / "clip.mkv")) as source:
        for name, options in (
            ("clip.mp4", {"movflags": "frag_keyframe+empty_moov"}),
            ("clip.m3u8", {"hls_time": "1", "hls_playlist_type": "vod"}),
        ):
            source.seek(0)
            with av.open(str(folder / name), "w", options=options) as out:
                copied = out.add_stream_from_template(source.streams.video[0])
                for packet in source.demux(source.streams.video[0]):
                    if packet.dts is not None:
                        packet.stream = copied
                        out.mux(packet)
    return {f"/{path.name}": path for path in folder.iterdir()}


def jpegs(count: int) -> list[bytes]:
    """Numbered pictures as JPEG."""
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 320, 240, "yuvj420p"
    encoder.framerate = 20
    encoder.qmin, encoder.qmax = 2, 4
    frames = (av.VideoFrame.from_ndarray(picture(number, 320, 240), format="rgb24") for number in range(count))
    return [bytes(packet) for frame in frames for packet in encoder.encode(frame)]


class WebCamera:
    """Serves `files` by path, `/mjpeg` at 20 pictures a second, `/to?URL` as a redirect there, and `/page` as HTML.

    With `login`, `(user, password)`, all but redirects ask for it; `digest` chooses how. `tls` are the files of a
    certificate and its key. `asked` notes each request's path and whether it carried a login.
    """

    def __init__(
        self,
        files: Mapping[str, Path],
        *,
        login: tuple[str, str] | None = None,
        digest: bool = False,
        tls: tuple[Path, Path] | None = None,
    ) -> None:
        self.files = dict(files)
        self.login = login
        self.digest = digest
        self.pictures = jpegs(20)
        self.asked: list[tuple[str, bool]] = []
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._scheme = "http" if tls is None else "https"
        if tls is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(*tls)
            # The handshake on the connection's own thread, or one client that goes would keep all others out.
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.port: int = self._server.server_address[1]

    def url(self, path: str) -> str:
        return f"{self._scheme}://127.0.0.1:{self.port}{path}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def lets_in(self, header: str | None) -> bool:
        if self.login is None:
            return True
        if header is None:
            return False
        if not self.digest:
            return header == "Basic " + base64.b64encode(":".join(self.login).encode()).decode()
        told = dict(part.strip().split("=", 1) for part in header.removeprefix("Digest ").split(","))
        told = {name: value.strip('"') for name, value in told.items()}
        user, password = self.login
        first = _md5(f"{user}:{REALM}:{password}")
        second = _md5(f"GET:{told['uri']}")
        return told["username"] == user and told["response"] == _md5(f"{first}:{NONCE}:{second}")


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes is nothing to tell of."""


def _md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def _handler(camera: WebCamera) -> type[BaseHTTPRequestHandler]:
    return type("Handler", (_Handler,), {"camera": camera})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    camera: WebCamera

    def log_message(self, *_: Any) -> None:
        """Nothing is logged."""

    def do_GET(self) -> None:
        login = self.headers.get("authorization")
        self.camera.asked.append((self.path, login is not None))
        path, _, query = self.path.partition("?")
        try:
            if path == "/to":
                self._answer(302, "text/plain", b"", location=query)
            elif not self.camera.lets_in(login):
                digest = f'Digest realm="{REALM}", nonce="{NONCE}"'
                basic = f'Basic realm="{REALM}"'
                self._answer(401, "text/plain", b"", **{"www-authenticate": digest if self.camera.digest else basic})
            elif path == "/mjpeg":
                self._stream()
            else:
                self._file(path)
        except OSError:
            self.close_connection = True

    def _file(self, path: str) -> None:
        if path == "/page":
            self._answer(200, "text/html", b"<!doctype html><p>Camera")
        elif path in self.camera.files:
            self._answer(200, "application/octet-stream", self.camera.files[path].read_bytes())
        else:
            self._answer(404, "text/plain", b"")

    def _answer(self, status: int, kind: str, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"content-type": kind, "content-length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("content-type", f"multipart/x-mixed-replace; boundary={BOUNDARY.decode()}")
        self.send_header("connection", "close")
        self.end_headers()
        number, start_s = 0, time.monotonic()
        while True:
            jpeg = self.camera.pictures[number % len(self.camera.pictures)]
            head = b"--%s\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % (BOUNDARY, len(jpeg))
            self.wfile.write(head + jpeg + b"\r\n")
            number += 1
            time.sleep(max(0.0, start_s + number / 20 - time.monotonic()))
