"""`onlooker vlm`: the language model's service, as a process of its own."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading

from rich.console import Console

from agent.vlm.service.model import load
from stream.config import LOOPBACK_HOSTS, Config
from web.auth import load_or_make_token
from web.server import make_server, open_sockets, run

console = Console(emoji=False)


def serve_gemma(
    config: Config, source: str, *, host: str, port: int, device: str, dtype: str, ends_with_stdin: bool
) -> None:
    """Serve until a signal. Off loopback clients give the token. Raises `OnlookerError`."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    if ends_with_stdin:
        threading.Thread(target=_end_with_stdin, name="stdin", daemon=True).start()
    sockets = open_sockets(host, port)
    try:
        token = None if host in LOOPBACK_HOSTS else _token(config)
        gemma = load(source, device=device, dtype=dtype)
        # Only now: without the packages that loading checks for it cannot be imported.
        from agent.vlm.service.app import Service, create_app

        shown = f"[{host}]" if ":" in host else host
        url = f"http://{shown}:{sockets[0].getsockname()[1]}/v1"

        def started() -> None:
            console.print(f"{gemma.name} on {gemma.device} is at {url}", highlight=False, soft_wrap=True)

        app = create_app(Service(gemma), token=token, on_started=started)
        run(make_server(app), app, sockets)
    finally:
        for sock in sockets:
            sock.close()


def _token(config: Config) -> str:
    from web.app import token_path  # the whole application comes along, which loopback does without

    token, made = load_or_make_token(token_path(config))
    if made:
        console.print("Clients give this token; it is not shown again:")
        console.print(token, highlight=False, soft_wrap=True)
    return token


def _end_with_stdin() -> None:
    """Whoever started this has ended when the pipe to it has."""
    while os.read(sys.stdin.fileno(), 4096):  # a buffered read would hold a lock that the interpreter's end needs
        pass
    os.kill(os.getpid(), signal.SIGTERM)
