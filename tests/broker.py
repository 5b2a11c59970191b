"""A real MQTT broker, mosquitto, that a test may kill and start again, and an independent client that hears it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiomqtt

from tests.cameras.rtsp import free_port

STARTS_S = 15.0


class Broker:
    """Keeps nothing on disk: what was retained is gone when it is killed. With `login` (name and password) nobody else
    may come in; with `certificate` and its key it speaks TLS only."""

    def __init__(
        self, folder: Path, *, login: tuple[str, str] | None = None, certificate: tuple[Path, Path] | None = None
    ) -> None:
        self.port = free_port()
        self._certificate = certificate
        self._login = login
        folder.mkdir(parents=True, exist_ok=True)
        lines = [f"listener {self.port} 127.0.0.1", "persistence false", "log_type none"]
        lines.append(f"allow_anonymous {'false' if login else 'true'}")
        # Started by root it would become a user who may not read a test's files.
        lines.append("user root")
        if login is not None:
            passwords = folder / "passwords"
            tool = shutil.which("mosquitto_passwd") or "/usr/bin/mosquitto_passwd"
            subprocess.run([tool, "-b", "-c", str(passwords), *login], check=True, capture_output=True)
            lines.append(f"password_file {passwords}")
        if certificate is not None:
            lines += [f"certfile {certificate[0]}", f"keyfile {certificate[1]}"]
        self._config = folder / "mosquitto.conf"
        self._config.write_text("\n".join(lines) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"mqtt{'s' if self._certificate else ''}://localhost:{self.port}"

    def start(self) -> None:
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        self._process = subprocess.Popen([program, "-c", str(self._config)], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + STARTS_S
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            assert self._process.poll() is None, "mosquitto ended"
            assert time.monotonic() < deadline, "mosquitto did not start in time"
            time.sleep(0.02)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    @contextlib.asynccontextmanager
    async def heard(self, *topics: str) -> AsyncIterator[Heard]:
        """What a client of its own hears on `topics`."""
        username, password = self._login or (None, None)
        tls = aiomqtt.TLSParameters(ca_certs=str(self._certificate[0])) if self._certificate else None
        client = aiomqtt.Client("localhost", self.port, username=username, password=password, tls_params=tls)
        async with client:
            for topic in topics:
                await client.subscribe(topic, qos=1)
            heard = Heard()
            task = asyncio.create_task(heard.listen(client))
            try:
                yield heard
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)


class Heard:
    """All messages, oldest first, and the newest of each topic."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, bytes]] = []
        self.newest: dict[str, bytes] = {}

    async def listen(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            self.messages.append((str(message.topic), message.payload))
            self.newest[str(message.topic)] = message.payload

    def json(self, topic: str) -> Any:
        return json.loads(self.newest[topic])

    async def until(self, true: Callable[[Heard], Any], within_s: float = 15.0) -> Any:
        async with asyncio.timeout(within_s):
            while not (found := true(self)):
                await asyncio.sleep(0.02)
        return found
