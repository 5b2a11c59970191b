"""A real RTSP server (GStreamer's) in a process of its own, that can be killed and started again on its port."""

from __future__ import annotations

import json
import select
import socket
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.cameras.clips import Clip

SYSTEM_PYTHON = "/usr/bin/python3"
SCRIPT = Path(__file__).parent / "gst_server.py"
START_S = 30.0


def mount(video: Clip, *, audio: Clip | None = None, pcma: bool = False) -> dict[str, Any]:
    """What is served at a path: a clip, with AAC from another clip or a PCMA tone beside it if wanted."""
    served: dict[str, Any] = {"video": video.specification, "pcma": pcma}
    if audio is not None:
        served["audio"] = audio.specification
    return served


class RtspServer:
    """Serves `mounts`, `{"/path": mount(clip)}`, on loopback; with `user`, by Basic or Digest login only; with `tls`,
    the files of a certificate and its key, by TLS only."""

    def __init__(
        self,
        folder: Path,
        mounts: dict[str, dict[str, Any]],
        *,
        user: str | None = None,
        password: str | None = None,
        digest: bool = False,
        tls: tuple[Path, Path] | None = None,
    ) -> None:
        self._folder = folder
        self._scheme = "rtsps" if tls is not None else "rtsp"
        self._wanted: dict[str, Any] = {"mounts": mounts, "user": user, "password": password, "digest": digest}
        if tls is not None:
            self._wanted |= {"certificate": str(tls[0]), "key": str(tls[1])}
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    def url(self, path: str, *, port: int | None = None) -> str:
        return f"{self._scheme}://127.0.0.1:{port or self.port}{path}"

    def start(self) -> None:
        """Listen on the port of before, or on any free one at first."""
        self.port = self.port or free_port()
        self._folder.mkdir(parents=True, exist_ok=True)
        specification = self._folder / f"rtsp-{self.port}.json"
        specification.write_text(json.dumps({**self._wanted, "port": self.port}))
        command = [SYSTEM_PYTHON, str(SCRIPT), str(specification)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], START_S)
        line = self._process.stdout.readline() if ready else ""
        assert line.strip().isdigit(), "the RTSP server did not start; `make .make/feeds` installs it"

    def kill(self) -> None:
        """As by a power cut. Idempotent."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
