"""uvicorn as Onlooker runs it: its sockets, and a websocket protocol that bounds what waits for a client."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
from asyncio.transports import BaseTransport
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from stream.errors import BadInput, Conflict

SEND_BUFFER_BYTES = 64 * 1024
WRITE_BUFFER_BYTES = 32 * 1024
LARGEST_FRAME_BYTES = 256 * 1024
"""Above the protocol's own limit, so that a message somewhat too large is answered and not cut off."""
PING_S = 15.0
"""Ping after this long, and give up as long after it: a dead client is gone within 30 s."""
ABORT_S = 2.0
GRACE_S = 3
MAX_CONNECTIONS = 512


class LiveWebSocketProtocol(WebSocketsSansIOProtocol):
    """Small buffers, the close codes of the wire, and a way to end a connection whose peer does not read.

    The application finds `drop(code, reason)` in `scope["state"]`.
    """

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        sock: socket.socket | None = transport.get_extra_info("socket")
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        self.app_state = {**self.app_state, "drop": self.drop}

    def drop(self, code: int, reason: str) -> None:
        """Close with `code`, and abort soon after if the peer has not taken what waits."""
        if self.close_sent or self.transport.is_closing():
            self.transport.abort()
            return
        self.conn.send_close(code, reason[:120])
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self.close_timer = self.loop.call_later(ABORT_S, self.transport.abort)

    def keepalive_timeout(self) -> None:
        self.pong_timer = None
        self.drop(4408, "No answer to a ping.")

    def shutdown(self) -> None:
        if self.handshake_complete and not self.close_sent:
            self.stop_keepalive()
            self.drop(1001, "The server is going away.")
        else:
            super().shutdown()


class LeavingServer(uvicorn.Server):
    """Tells the application that it leaves before it waits for open answers to end, which some do only then."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        leave = getattr(self._app.state, "leave", None)
        if leave is not None:
            leave()
        await super().shutdown(sockets)


def open_sockets(host: str, port: int) -> list[socket.socket]:
    """Listening addresses: both loopbacks for `localhost`, else the one given.

    Raises `Conflict` when the port is taken, `BadInput` for an address that this machine does not have.
    """
    hosts = ["127.0.0.1", "::1"] if host == "localhost" else [host]
    sockets: list[socket.socket] = []
    try:
        for address in hosts:
            with _optional(address == "::1" and bool(sockets)):
                bound = _bound(address, sockets[0].getsockname()[1] if sockets else port)
                sockets.append(bound)
    except BaseException:
        for opened in sockets:
            opened.close()
        raise
    return sockets


@contextlib.contextmanager
def _optional(optional: bool) -> Any:
    """Machines without IPv6 are served on 127.0.0.1 alone."""
    try:
        yield
    except BadInput:
        if not optional:
            raise


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # Only of sockets that name their protocol does asyncio switch off Nagle's algorithm, which holds back a small
        # write for up to 40 ms while an earlier one is not acknowledged.
        sock = socket.socket(family, kind, protocol)
    except OSError as error:
        raise BadInput(f"{host} is not an address of this machine.", action="Correct --host.") from error
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.listen(128)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            raise Conflict(f"Port {port} is taken.", action=f"Use another: --port {port + 1}.") from error
        if error.errno == errno.EACCES:
            raise BadInput(f"Port {port} needs more rights.", action="Use a port above 1023.") from error
        raise BadInput(f"{host} is not an address of this machine.", action="Correct --host.") from error
    return sock


def make_server(app: FastAPI, *, certificate: tuple[Path, Path] | None = None) -> uvicorn.Server:
    """A server for `app`, to be run on sockets from `open_sockets`."""
    config = uvicorn.Config(
        app,
        loop="asyncio",
        http="h11",
        ws=cast(Any, LiveWebSocketProtocol),
        ws_max_size=LARGEST_FRAME_BYTES,
        ws_ping_interval=PING_S,
        ws_ping_timeout=PING_S,
        ws_per_message_deflate=False,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MAX_CONNECTIONS,
        h11_max_incomplete_event_size=32 * 1024,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=GRACE_S,
        ssl_certfile=str(certificate[0]) if certificate else None,
        ssl_keyfile=str(certificate[1]) if certificate else None,
    )
    return LeavingServer(config, app)


def run(server: uvicorn.Server, app: FastAPI, sockets: Sequence[socket.socket]) -> None:
    """Serve until a signal. Raises the `OnlookerError` for which the application did not start."""

    def told(_: logging.LogRecord) -> bool:
        return getattr(app.state, "startup_error", None) is None and not server.force_exit

    logger = logging.getLogger("uvicorn.error")
    logger.addFilter(told)  # tracebacks of an error that is shown in words, and of a second Ctrl-C
    try:
        with contextlib.suppress(KeyboardInterrupt), asyncio.Runner() as runner:
            runner.run(server.serve(sockets=list(sockets)))
    except SystemExit:
        error = getattr(app.state, "startup_error", None)
        if error is None:
            raise
        raise error from None
    finally:
        logger.removeFilter(told)
