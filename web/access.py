"""Who saw what, where the server has users: requests that gave somebody a picture, noted once they were answered."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.access import AccessLog
from agent.store.private import Access
from web.auth import Auth, session_cookie

WHO_CHARS = 12
STREAM, ID = r"(?P<stream>[a-z0-9-]{1,63})", r"(?P<what>[^/]{1,64})"
SHOWN: Mapping[str, tuple[tuple[str, re.Pattern[str]], ...]] = {
    "POST": (
        ("view", re.compile(f"/whep/{STREAM}")),
        ("export", re.compile(r"/v1/export")),
    ),
    "GET": (
        ("snapshot", re.compile(f"/v1/streams/{STREAM}/snapshot\\.jpg")),
        ("keyframe", re.compile(f"/v1/streams/{STREAM}/keyframes/(?P<what>\\d+/\\d+)\\.jpg")),
        ("picture", re.compile(f"/v1/events/{ID}/(thumb|frame)\\.jpg")),
        ("clip", re.compile(f"/v1/clips/{ID}")),
    ),
}
"""What is noted under which name. A clip is noted where it is played from its beginning, not at each jump in it."""


class Noted:
    """Middleware, inside of the guard. Does nothing without a token, where there are no users to tell apart."""

    def __init__(self, app: ASGIApp, auth: Auth) -> None:
        self._app = app
        self._auth = auth

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = shown(scope["method"], scope["path"]) if scope["type"] == "http" and self._auth.required else None
        if found is None:
            await self._app(scope, receive, send)
            return
        action, stream, what = found

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] in (200, 201, 206):
                self._note(scope, action, stream, what, Headers(raw=message["headers"]))
            await send(message)

        await self._app(scope, receive, noting)

    def _note(self, scope: Scope, action: str, stream: str | None, what: str | None, answer: Headers) -> None:
        accesses: AccessLog = scope["app"].state.onlooker.accesses
        asked = Headers(scope=scope)
        address = (scope.get("client") or ("",))[0]
        session = answer.get("location", "").rpartition("/")[2] if action == "view" else None
        entry = Access(datetime.now(UTC), who(asked), address[:64], action, stream, session or what)
        if session:
            accesses.opened(entry, session)
        elif answer.get("content-range", "bytes 0-").startswith("bytes 0-"):
            accesses.note(entry)


def shown(method: str, path: str) -> tuple[str, str | None, str | None] | None:
    """`(action, stream, what)` of a request that shows something; None for any other."""
    for action, pattern in SHOWN.get(method, ()):
        match = pattern.fullmatch(path)
        if match is not None:
            named = match.groupdict()
            return action, named.get("stream"), named.get("what")
    return None


def who(headers: Headers) -> str:
    """The same for one session as long as it lasts, and nothing that could be used in its place."""
    cookie = session_cookie(headers.get("cookie"))
    if headers.get("authorization") is not None or cookie is None:
        return "token"
    return hashlib.sha256(cookie.encode()).hexdigest()[:WHO_CHARS]
