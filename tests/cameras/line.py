"""A line between a client and a server on TCP that a test can break: cut, stalled, reset, or swallowing all."""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import threading
from types import TracebackType
from typing import Literal, Self

LineState = Literal["up", "stalled", "cut", "black"]
RESET = struct.pack("ii", 1, 0)
"""Linger for no time: closing then sends RST."""


class Line:
    """Forwards connections to `port` on loopback; `connections` counts those that came in.

    `stall` holds back what is sent on open connections; `cut` ends them and refuses new ones; `reset` ends them with
    RST and takes new ones; `blackhole` takes new ones and never answers; `restore` makes it whole again.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = self._listen(0)
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self._state: LineState = "up"
        self._pairs: dict[socket.socket, socket.socket | None] = {}
        self._selector = selectors.DefaultSelector()
        self._orders: list[str] = []
        self._ear, self._mouth = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="line", daemon=True)

    def stall(self) -> None:
        self._order("stalled")

    def cut(self) -> None:
        self._order("cut")

    def reset(self) -> None:
        self._order("reset")

    def blackhole(self) -> None:
        self._order("black")

    def restore(self) -> None:
        self._order("up")

    def __enter__(self) -> Self:
        self._selector.register(self._ear, selectors.EVENT_READ)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._order("end")
        self._thread.join(5)
        assert not self._thread.is_alive()

    def _order(self, order: str) -> None:
        self._orders.append(order)
        with contextlib.suppress(OSError):
            self._mouth.send(b"!")

    def _listen(self, port: int) -> socket.socket:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()
        return listener

    # --- on its thread --------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                found = key.fileobj
                assert isinstance(found, socket.socket)
                if found is self._ear:
                    self._ear.recv(64)
                    if not self._obey():
                        return
                elif found is self._listener:
                    self._accept()
                elif found in self._pairs:
                    self._forward(found)

    def _obey(self) -> bool:
        while self._orders:
            order = self._orders.pop(0)
            if order in ("cut", "reset", "end"):
                self._end_all(reset=order == "reset")
            if order in ("cut", "end"):
                self._deafen()
            if order == "end":
                for sock in (self._ear, self._mouth):
                    sock.close()
                self._selector.close()
                return False
            self._become("up" if order == "reset" else order)  # type: ignore[arg-type]
        return True

    def _become(self, state: LineState) -> None:
        before, self._state = self._state, state
        if before == "cut" and state != "cut":
            self._listener = self._listen(self.port)
            self._selector.register(self._listener, selectors.EVENT_READ)
        if state == "stalled":
            for sock in self._pairs:
                with contextlib.suppress(KeyError):
                    self._selector.unregister(sock)
        elif before == "stalled":
            for sock in self._pairs:
                self._selector.register(sock, selectors.EVENT_READ)
        if before == "black":
            self._end_all(reset=False)

    def _deafen(self) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(self._listener)
        self._listener.close()

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        self.connections += 1
        if self._state == "black":
            self._pairs[client] = None
            return
        try:
            server = socket.create_connection(("127.0.0.1", self._target), 5)
        except OSError:
            client.close()
            return
        self._pairs[client], self._pairs[server] = server, client
        if self._state == "up":
            for sock in (client, server):
                self._selector.register(sock, selectors.EVENT_READ)

    def _forward(self, sock: socket.socket) -> None:
        other = self._pairs[sock]
        assert other is not None
        try:
            data = sock.recv(65536)
            if data and self._state == "up":
                other.sendall(data)
        except OSError:
            data = b""
        if not data:
            self._end(sock)
            self._end(other)

    def _end_all(self, *, reset: bool) -> None:
        for sock in list(self._pairs):
            if reset:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self._end(sock)

    def _end(self, sock: socket.socket) -> None:
        self._pairs.pop(sock, None)
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(sock)
        sock.close()
