"""A PostgreSQL server of its own for the tests, thrown away after them."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path


def _programs() -> Path:
    """Where initdb and postgres are: Debian keeps them out of PATH."""
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    assert places, "The tests of the event store need PostgreSQL's server: apt-get install postgresql"
    return places[-1]


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """The URL of a running server on loopback. It refuses to run as root, so there it is another user's."""
    programs, port = _programs(), _free_port()
    user = "nobody" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="onlooker-pg-", ignore_cleanup_errors=True) as folder:
        data = Path(folder) / "data"
        if user is not None:
            os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
        made = [programs / "initdb", "-D", data, "-U", "onlooker", "-A", "trust", "-N", "-E", "UTF8", "--locale=C"]
        subprocess.run(made, check=True, capture_output=True, user=user, cwd=folder, timeout=60)
        settings = ("fsync=off", "unix_socket_directories=", "listen_addresses=127.0.0.1", "shared_buffers=16MB")
        server = subprocess.Popen(
            [programs / "postgres", "-D", data, "-p", str(port), *(f"-c{setting}" for setting in settings)],
            user=user,
            cwd=folder,
            stderr=subprocess.DEVNULL,
        )
        try:
            ready = [programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
            while subprocess.run(ready, check=False).returncode != 0:
                assert server.poll() is None, "postgres did not start"
                time.sleep(0.05)
            yield f"postgresql://onlooker@127.0.0.1:{port}/postgres"
        finally:
            server.send_signal(signal.SIGINT)  # without waiting for its clients
            server.wait(20)
