"""The page's files over HTTP, from memory."""

from __future__ import annotations

import hashlib
import mimetypes
import os
from dataclasses import dataclass
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketClose

METHODS = ("GET", "HEAD")
TEXTS = {".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".svg": "image/svg+xml"}
"""What the system's own table may not know, or know otherwise."""


@dataclass(frozen=True, slots=True)
class _File:
    mtime_ns: int
    body: bytes
    headers: dict[str, str]


class Page:
    """An application that serves the files of `folder`, `index.html` at `/`.

    The page is some seventy small files, of which a browser asks for each: kept in memory they take a fifth of the time
    that reading them in threads would. Browsers ask again each time, and are not sent what they have already.
    """

    def __init__(self, folder: Path) -> None:
        self._paths = {
            f"/{path.relative_to(folder).as_posix()}": path for path in sorted(folder.rglob("*")) if path.is_file()
        }
        self._paths["/"] = folder / "index.html"
        self._files: dict[str, _File] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await WebSocketClose(4404, "There is nothing at this address.")(scope, receive, send)
            return
        await self._response(Request(scope))(scope, receive, send)

    def _response(self, request: Request) -> Response:
        if request.url.path not in self._paths:
            raise HTTPException(404)
        if request.method not in METHODS:
            raise HTTPException(405, headers={"allow": ", ".join(METHODS)})
        file = self._file(request.url.path)
        if request.headers.get("if-none-match") == file.headers["etag"]:
            return Response(status_code=304, headers={name: file.headers[name] for name in ("etag", "cache-control")})
        return Response(file.body, headers=file.headers)

    def _file(self, url_path: str) -> _File:
        """Read again where it has changed since, as it does while somebody works on the page."""
        path = self._paths[url_path]
        mtime_ns = os.stat(path).st_mtime_ns
        file = self._files.get(url_path)
        if file is None or file.mtime_ns != mtime_ns:
            body = path.read_bytes()
            kind = TEXTS.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
            file = self._files[url_path] = _File(
                mtime_ns,
                body,
                {
                    "content-type": f"{kind}; charset=utf-8" if kind.startswith("text/") else kind,
                    "etag": f'"{hashlib.sha256(body).hexdigest()[:24]}"',
                    "cache-control": "no-cache",
                },
            )
        return file
