"""A model hub on this machine: one repository, as open or as closed as a test wants it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

REVISION = "5eed" * 10


@dataclass
class Hub:
    """`folder`: what the repository holds; `refusal`: status and error code of its files, or None; `hidden`: the
    repository is shown to nobody."""

    url: str
    folder: Path | None = None
    refusal: tuple[int, str] | None = None
    hidden: bool = False
    asked: list[str] = field(default_factory=list)


@contextlib.contextmanager
def serving_hub(
    folder: Path | None = None, *, refusal: tuple[int, str] | None = None, hidden: bool = False
) -> Iterator[Hub]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    hub = Hub(f"http://127.0.0.1:{server.server_port}", folder, refusal, hidden)
    server.hub = hub  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, name="hub", kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def hub(self) -> Hub:
        hub: Hub = self.server.hub  # type: ignore[attr-defined]
        return hub

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, format: str, *args: object) -> None:
        self.hub.asked.append(str(args[0]))

    def _answer(self, *, body: bool) -> None:
        path = self.path.partition("?")[0]
        if self.hub.hidden:
            self._send(401, b"{}", {}, body=body)
        elif path.startswith("/api/models/"):
            names = [] if self.hub.folder is None else sorted(file.name for file in self.hub.folder.iterdir())
            listed = path.rpartition("/tree/")[1] != ""
            told = self._tree(names) if listed else self._repository(names)
            self._send(200, json.dumps(told).encode(), {"Content-Type": "application/json"}, body=body)
        elif self.hub.refusal is not None:
            status, code = self.hub.refusal
            self._send(status, b"{}", {"X-Error-Code": code, "X-Error-Message": "Access is restricted."}, body=body)
        else:
            self._file(path.rpartition("/")[2], body=body)

    def _repository(self, names: list[str]) -> object:
        siblings = [{"rfilename": name} for name in names]
        return {"id": "facebook/sam3", "_id": "0", "sha": REVISION, "siblings": siblings, "gated": "manual"}

    def _tree(self, names: list[str]) -> object:
        assert self.hub.folder is not None
        sizes = {name: (self.hub.folder / name).stat().st_size for name in names}
        return [{"type": "file", "path": name, "size": size, "oid": _etag(name)} for name, size in sizes.items()]

    def _file(self, name: str, *, body: bool) -> None:
        folder = self.hub.folder
        if folder is None or not (folder / name).is_file():
            self._send(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": REVISION}, body=body)
            return
        self._send(
            200, (folder / name).read_bytes(), {"ETag": f'"{_etag(name)}"', "X-Repo-Commit": REVISION}, body=body
        )

    def _send(self, status: int, data: bytes, headers: dict[str, str], *, body: bool) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if body:
            self.wfile.write(data)


def _etag(name: str) -> str:
    return hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()
