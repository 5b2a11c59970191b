"""The real server with an engine of choice, in a thread of this process or in a process of its own.

    python -m tests.serve --engine barcode

prints `{"url": …}` when it listens and runs until its standard input closes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from stream.config import Config
from stream.engines.base import Engine
from tests.barcode import BarcodeEngine
from web.app import create_app
from web.server import make_server, open_sockets

START_S = 30.0


@contextlib.contextmanager
def serving(engine: Engine | None = None, **config: Any) -> Iterator[str]:
    """The server on a free port of 127.0.0.1, in a thread; yields its address. Without `engine`, the usual one."""
    sockets = open_sockets("localhost", 0)
    url = f"http://localhost:{sockets[0].getsockname()[1]}"
    server = make_server(create_app(Config(**config), engine))
    thread = threading.Thread(target=server.run, args=(sockets,), name="server")
    thread.start()
    try:
        deadline_s = time.monotonic() + START_S
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            assert time.monotonic() < deadline_s, "the server did not start in time"
            time.sleep(0.01)
        yield url
    finally:
        server.should_exit = True
        thread.join(START_S)
        assert not thread.is_alive(), "the server did not stop"


@contextlib.contextmanager
def serving_process(engine: str, *options: str) -> Iterator[tuple[str, int]]:
    """The same in a process of its own; yields its address and process id."""
    command = [sys.executable, "-m", "tests.serve", "--engine", engine, *options]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"], process.pid
    finally:
        process.terminate()
        process.communicate(timeout=START_S)


ENGINES: dict[str, Callable[[], Engine | None]] = {"barcode": BarcodeEngine, "usual": lambda: None}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=ENGINES, default="barcode")
    parser.add_argument("--root", action="append", default=[], help="a folder whose files may be opened")
    options = parser.parse_args()
    with serving(ENGINES[options.engine](), sources={"allow_roots": tuple(options.root)}) as url:
        print(json.dumps({"url": url}), flush=True)  # noqa: T201
        sys.stdin.read()


if __name__ == "__main__":
    main()
