"""Fetching by HTTP for FFmpeg: to checked addresses alone, with a login where one is asked for. Blocking."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
import threading
from urllib.parse import urljoin

import httpx

from stream.errors import BadInput, OnlookerError, SourceError
from stream.sources import faults
from stream.sources.addresses import AddressPolicy, Target, target_of
from stream.sources.camera import Timeouts
from stream.sources.trust import Trust

SCHEMES = ("http", "https")
MOST_REDIRECTS = 4
MOST_OPEN = 8


class Body:
    """What comes from one address, as FFmpeg reads a file: in pieces as they come. Raises `OnlookerError`."""

    def __init__(self, url: str, response: httpx.Response, where: str) -> None:
        self.url = url
        self.content_type = response.headers.get("content-type", "")
        self._response = response
        self._where = where
        self._pieces = response.iter_raw()
        self._held = b""

    def peek(self, size: int) -> bytes:
        """The first bytes, which stay to be read."""
        while len(self._held) < size:
            piece = self._next()
            if not piece:
                break
            self._held += piece
        return self._held[:size]

    def read(self, size: int) -> bytes:
        """At most `size` bytes, as soon as there are any; none at the end."""
        held = self._held or self._next()
        self._held = held[size:]
        return held[:size]

    def close(self) -> None:
        self._response.close()

    def abort(self) -> None:
        """Wake whoever reads. Any thread."""
        network = self._response.extensions.get("network_stream")
        sock = network.get_extra_info("socket") if network is not None else None
        if isinstance(sock, socket.socket):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _next(self) -> bytes:
        try:
            return next(self._pieces, b"")
        except httpx.TimeoutException:
            raise faults.silent(self._where) from None
        except httpx.HTTPError:
            raise faults.ended(self._where) from None


class Fetcher:
    """Fetches for one source. Its login goes to its own host alone; redirects are followed there alone. What a playlist
    names may lie on another host, which the policy must allow, and which must be a public one where all are allowed."""

    def __init__(
        self,
        origin: Target,
        policy: AddressPolicy,
        timeouts: Timeouts,
        *,
        login: tuple[str, str] | None,
        trust: Trust,
    ) -> None:
        self._origin = origin
        self._policy = policy
        self._login = login
        self._trust = trust
        self._digest = False
        self._client: httpx.Client | None = None
        self._timeout = httpx.Timeout(timeouts.read_s, connect=timeouts.connect_s)
        self._open: list[Body] = []
        self._lock = threading.Lock()
        self._aborted = False

    def get(self, url: str) -> Body:
        """Raises `OnlookerError`."""
        target = self._target(url)
        for _ in range(MOST_REDIRECTS):
            response = self._send(target)
            if not response.is_redirect:
                break
            place = urljoin(target.url, response.headers.get("location", ""))
            response.close()
            next_one = self._target(place)
            if next_one.host != target.host:
                message = f"{target.host} sends on to another host, {next_one.host}."
                raise SourceError(message, action="Give that address itself.", code="source_redirected")
            target = next_one
        self._require_ok(response, target)
        body = Body(target.url, response, target.host)
        with self._lock:
            self._open = [*self._open[-MOST_OPEN + 1 :], body]
            aborted = self._aborted
        if aborted:
            body.abort()
        return body

    def close(self) -> None:
        """On the reader's thread."""
        for body in self._open:
            body.close()
        if self._client is not None:
            self._client.close()

    def abort(self) -> None:
        """Wake a reader that waits. Any thread."""
        with self._lock:
            self._aborted = True
            open_now = tuple(self._open)
        for body in open_now:
            body.abort()

    def _target(self, url: str) -> Target:
        try:
            return target_of(url, SCHEMES)
        except BadInput as error:
            raise SourceError(f"{self._origin.host} names an address that is not read.") from error

    def _send(self, target: Target) -> httpx.Response:
        address = self._policy.resolve(target.host, target.port)
        if target.host != self._origin.host and self._policy.any_host and not ipaddress.ip_address(address).is_global:
            message = f"{self._origin.host} names a host that is not a public one, {target.host}."
            raise SourceError(message, code="host_not_allowed")
        login = self._login if target.host == self._origin.host else None
        response = self._once(target, address, login if self._digest else None)
        if response.status_code == httpx.codes.UNAUTHORIZED and login is not None and not self._digest:
            asked = response.headers.get("www-authenticate", "").lower()
            response.close()
            if "digest" in asked:
                self._digest = True
                return self._once(target, address, login)
            return self._once(target, address, login, basic=True)
        return response

    def _once(
        self, target: Target, address: str, login: tuple[str, str] | None, *, basic: bool = False
    ) -> httpx.Response:
        client = self._client = self._client or httpx.Client(
            timeout=self._timeout,
            trust_env=False,
            follow_redirects=False,
            verify=self._trust.context() if self._origin.scheme == "https" else False,
        )
        auth: httpx.Auth | None = None
        if login is not None:
            auth = httpx.BasicAuth(*login) if basic else httpx.DigestAuth(*login)
        request = client.build_request(
            "GET",
            target.at(address),
            headers={"host": target.authority, "accept-encoding": "identity", "user-agent": "onlooker"},
            extensions={"sni_hostname": target.host},
        )
        try:
            return client.send(request, auth=auth, stream=True)
        except httpx.TimeoutException:
            raise faults.silent(target.host) from None
        except httpx.HTTPError as error:
            raise _explained(error, target.host) from None

    def _require_ok(self, response: httpx.Response, target: Target) -> None:
        status = response.status_code
        if status == httpx.codes.OK:
            return
        response.close()
        if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise faults.login_refused(target.host, gave_login=self._login is not None)
        if status in (httpx.codes.NOT_FOUND, httpx.codes.GONE):
            raise faults.not_found(target.host)
        raise faults.busy(target.host, f"status {status}")


def _explained(error: httpx.HTTPError, where: str) -> OnlookerError:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno is not None and cause.errno != errno.EIO:
            return faults.explained(cause, where, opening=True)
        cause = cause.__cause__ or cause.__context__
    return faults.ended(where)
