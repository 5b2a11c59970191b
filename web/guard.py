"""What every request and websocket must pass before anything else sees it: host, origin, token, size.

Pure ASGI, so that a stream of a response is never buffered and a websocket is guarded like the rest.
"""

from __future__ import annotations

import ipaddress
import logging
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stream.errors import BadInput, OnlookerError
from web.auth import Auth
from web.problems import Internal, problem_response

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 256 * 1024
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
PROTECTED = ("/v1", "/whip", "/whep", "/docs", "/openapi.json", "/metrics")
"""Paths that need the token off loopback. The rest is the page itself, which asks for it, and `/health`."""
SESSION_PATH = "/v1/session"
HEALTH_PATH = "/health"
MAX_TARGET_CHARS = 2048

CSP = (
    "default-src 'self'; connect-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; frame-ancestors 'none'"
)
SECURITY_HEADERS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


class Forbidden(OnlookerError):
    code = "unauthorized"
    status = 403


class TooLarge(BadInput):
    code = "too_large"
    status = 413
    default_action = f"Send at most {MAX_BODY_BYTES // 1024} KiB."


@dataclass(frozen=True, slots=True)
class Reach:
    """Under which names the server answers, and which other pages may call it.

    Off loopback any literal address is accepted: a page that rebinds a name to this machine can only send its name.
    """

    loopback: bool = True
    hosts: frozenset[str] = field(default_factory=frozenset)
    origins: frozenset[str] = field(default_factory=frozenset)

    def serves(self, host: str) -> bool:
        name = host_name(host)
        if name is None:
            return False
        if name in ("localhost", "127.0.0.1", "::1") or name in self.hosts:
            return True
        return not self.loopback and is_address(name)

    def allows(self, origin: str, scheme: str, host: str) -> bool:
        return origin == _normal(f"{scheme}://{host}") or origin in self.origins


def make_reach(loopback: bool, hosts: list[str], origins: list[str]) -> Reach:
    return Reach(loopback, frozenset(host.lower() for host in hosts), frozenset(_normal(origin) for origin in origins))


def host_name(host: str) -> str | None:
    """The name or address in a `Host` header, lower case; None if it is not one."""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port
    except ValueError:
        return None
    if parts.username is not None or parts.path or parts.query or parts.fragment or not parts.hostname:
        return None
    return parts.hostname


class Guard:
    def __init__(self, app: ASGIApp, reach: Reach, auth: Auth) -> None:
        self._app = app
        self._reach = reach
        self._auth = auth

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        answered = False

        async def noted(message: Message) -> None:
            nonlocal answered
            answered = True
            await send(message)

        guarded = _with_security_headers(scope, noted)
        try:
            self._check(scope)
            await self._app(scope, _capped(scope, receive), guarded)
        except OnlookerError as error:
            await problem_response(error)(scope, receive, guarded)
        except Exception:
            # Here and not in the outermost layer, whose answer would go without the headers.
            log.exception("%s %s failed", scope["method"], scope["path"])
            if answered:
                raise
            await problem_response(Internal("Something went wrong in the server."))(scope, receive, guarded)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self._check(scope)
        except OnlookerError as error:
            # Accepted first: a browser tells its page the code and reason of a close, but nothing of a refusal.
            offered = scope.get("subprotocols") or [None]
            await receive()
            await send({"type": "websocket.accept", "subprotocol": offered[0]})
            code = 4403 if isinstance(error, Forbidden) else 4401
            await send({"type": "websocket.close", "code": code, "reason": error.message[:120]})
            return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if len(headers.getlist("host")) != 1 or not self._reach.serves(host):
            message = "This server does not answer under that host name."
            raise Forbidden(message, action="Open it as localhost, or add the name to server.allowed_hosts.")
        if len(scope["path"]) + len(scope["query_string"]) > MAX_TARGET_CHARS:
            raise BadInput("The address is too long.", code="too_long", action="Shorten it.")
        origin = headers.get("origin")
        if origin is not None and not self._reach.allows(_normal(origin), _http_scheme(scope), host):
            message = "Pages from that origin may not call this server."
            raise Forbidden(message, action="Open the server's own page, or add it to server.allowed_origins.")
        path = scope["path"]
        bearer = False
        if _is_protected(path) and path != SESSION_PATH:
            bearer = self._authenticate(scope, headers)
        elif path == HEALTH_PATH:
            scope.setdefault("state", {})["known"] = self._is_known(scope, headers)
        if self._auth.required and origin is None and not bearer and self._changes(scope):
            raise Forbidden("This needs an Origin, or the token as Bearer.", action="Send `Authorization: Bearer …`.")

    def _authenticate(self, scope: Scope, headers: Headers) -> bool:
        return self._auth.authenticate(headers.get("authorization"), headers.get("cookie"), _address(scope))

    def _is_known(self, scope: Scope, headers: Headers) -> bool:
        try:
            self._authenticate(scope, headers)
        except OnlookerError:
            return False
        return True

    @staticmethod
    def _changes(scope: Scope) -> bool:
        return scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS


def _is_protected(path: str) -> bool:
    return any(path == root or path.startswith(f"{root}/") for root in PROTECTED)


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else ""


def _http_scheme(scope: Scope) -> str:
    return "https" if scope["scheme"] in ("https", "wss") else "http"


def _normal(origin: str) -> str:
    """`origin` in lower case without the scheme's own port."""
    scheme, _, host = origin.strip().lower().rstrip("/").partition("://")
    default = {"http": ":80", "https": ":443"}.get(scheme, "")
    return f"{scheme}://{host.removesuffix(default) if default else host}"


def is_address(name: str) -> bool:
    """Whether `name` is a literal IP address."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _with_security_headers(scope: Scope, send: Send) -> Send:
    api = _is_protected(scope["path"])

    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers[name] = value
            if api and "cache-control" not in headers:
                headers["cache-control"] = "no-store"
        await send(message)

    return wrapped


def _capped(scope: Scope, receive: Receive) -> Receive:
    """`receive` that refuses bodies above the cap. Raises `TooLarge` for one that is announced so."""
    announced = Headers(scope=scope).get("content-length", "0")
    if not announced.isdigit() or int(announced) > MAX_BODY_BYTES:
        raise TooLarge("The body is too large.")
    received = 0

    async def capped() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > MAX_BODY_BYTES:
            raise HTTPException(TooLarge.status, "The body is too large.")
        return message

    return capped
