"""What the commands do: start, say where, serve, end."""

from __future__ import annotations

import logging
import socket
import webbrowser
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.logging import RichHandler
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from stream.config import Config, data_dir
from stream.errors import Conflict
from stream.feed_config import FeedConfig
from stream.models.fetch import Progress as FetchProgress
from stream.models.fetch import fetch_all
from stream.models.fetch_voice import fetch_voice
from stream.models.sam3 import REPOSITORY, check_packages
from stream.models.sam3_hub import fetch as fetch_sam3
from stream.models.voice import DEFAULT_SET, VoiceStore, named
from web.app import create_app, token_path
from web.auth import load_or_make_token
from web.doctor import check_names
from web.engines import check_engine, make_store
from web.memory import settle
from web.sam3 import PURPOSE as SAM3_PURPOSE
from web.sam3 import row as sam3_row
from web.server import make_server, open_sockets, run
from web.tls import ensure_certificate, fingerprint, own_addresses, own_names
from web.vlm import check_vlm
from web.voice import check_voice

DEMO_PORTS = range(8000, 8010)
DEMO_FEED = FeedConfig(id="demo", name="Demo", kind="demo", prompts=("person",))
console = Console(emoji=False)
errors = Console(stderr=True, emoji=False)


def serve(config: Config, *, open_page: bool = False) -> None:
    """Serve until a signal. Raises `OnlookerError` for what the user can mend."""
    _prepare(config)
    _serve(config, open_sockets(config.server.host, config.server.port), open_page=open_page, progress=None)


def demo(config: Config, *, any_port: bool, open_page: bool = False) -> None:
    """The same with the packaged clip, on the next free port of 8000–8009 unless one was asked for."""
    _prepare(config)
    feeds = (*(feed for feed in config.feeds if feed.id != DEMO_FEED.id), DEMO_FEED)
    config = config.model_copy(update={"feeds": feeds})
    sockets = _free_sockets(config) if any_port else open_sockets(config.server.host, config.server.port)
    with FetchDisplay() as display:
        _serve(config, sockets, open_page=open_page, progress=display.show)


def show_models(config: Config) -> None:
    store = make_store(config)
    voice = VoiceStore(store.root)
    table = Table("model", "state", "MB", "for", "from", box=None, pad_edge=False)
    for model in [*store.status(), *voice.status()]:
        size = f"{model.size_bytes / 1e6:.1f}" if model.size_bytes else ""
        table.add_row(model.name, model.state.value, size, model.purpose, model.source)
    sam3 = sam3_row(config.engine)
    size = f"{sam3.size_bytes / 1e6:.1f}" if sam3.size_bytes else ""
    table.add_row("sam3", sam3.state, size, SAM3_PURPOSE, sam3.source)
    console.print(table)
    console.print(f"in {store.root}", highlight=False)
    console.print(f"sam3: {sam3.where}", highlight=False, soft_wrap=True, markup=False)
    if not store.ready:
        console.print("Fetch what is missing with: onlooker models fetch")
    if not all(voice.has(model) for model in DEFAULT_SET):
        console.print("For speech: onlooker models fetch voice")


def fetch_models(config: Config, name: str | None = None) -> None:
    """What the light engine needs, SAM 3's weights, or what `name` is for speech. Raises `EngineError` with the reason
    and what to do."""
    if name == "sam3":
        check_packages()
        found = fetch_sam3(config.engine.sam3 or REPOSITORY)
        console.print(f"The weights are ready in {found.folder}", highlight=False, soft_wrap=True, markup=False)
        return
    store = make_store(config)
    if name is not None:
        with FetchDisplay() as display:
            fetch_voice(VoiceStore(store.root), named(name), display.show, wait_s=600)
    elif not store.ready:
        with FetchDisplay() as display:
            fetch_all(store, display.show, wait_s=600)
    console.print(f"The models are ready in {store.root}", highlight=False)


class FetchDisplay:
    """One line of progress on a terminal, there only while something is fetched; elsewhere a line for each step.

    `show` may be called from any thread.
    """

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=console, transient=True)
        self._task: TaskID | None = None
        self._words = ""

    def show(self, now: FetchProgress) -> None:
        if not console.is_terminal:
            if now.words != self._words:
                console.print(now.words, highlight=False, soft_wrap=True)
            self._words = now.words
            return
        if self._task is None:
            self._progress.start()
            self._task = self._progress.add_task(now.words, total=now.total)
        self._progress.update(self._task, description=now.words, completed=now.done, total=now.total)
        if now.done >= now.total:
            self._progress.stop()

    def __enter__(self) -> FetchDisplay:
        return self

    def __exit__(self, *_: object) -> None:
        if self._task is not None:
            self._progress.stop()


def _prepare(config: Config) -> None:
    """Fail before anything is opened."""
    handler = RichHandler(console=errors, show_path=False, show_level=False, log_time_format="%H:%M:%S")
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler])
    check_names()
    check_engine(config)
    check_vlm(config.vlm)
    check_voice(config.voice)


def _free_sockets(config: Config) -> list[socket.socket]:
    """The configured port if it is free, else the first of 8000–8009 that is."""
    ports = [config.server.port, *(port for port in DEMO_PORTS if port != config.server.port)]
    for port in ports:
        try:
            return open_sockets(config.server.host, port)
        except Conflict:
            continue
    raise Conflict("The ports 8000 to 8009 are all taken.", action="Name a free one: onlooker demo --port 8100")


def _serve(
    config: Config, sockets: list[socket.socket], *, open_page: bool, progress: Callable[[FetchProgress], None] | None
) -> None:
    try:
        certificate = _certificate(config)
        port = sockets[0].getsockname()[1]
        url = f"{'https' if certificate else 'http'}://{_shown_host(config)}:{port}"
        _announce_secrets(config, certificate)

        def started() -> None:
            settle()
            console.print(f"Onlooker is at {url}", highlight=False, soft_wrap=True)
            if open_page:
                webbrowser.open(url)

        app = create_app(config, fetch_progress=progress, on_started=started)
        run(make_server(app, certificate=certificate), app, sockets)
    finally:
        for sock in sockets:
            sock.close()


def _certificate(config: Config) -> tuple[Path, Path] | None:
    """The operator's certificate, or a self-signed one where the page would get no camera without."""
    server = config.server
    if server.tls_cert and server.tls_key:
        return server.tls_cert, server.tls_key
    if server.loopback:
        return None
    names = list(dict.fromkeys([*own_names(), *server.allowed_hosts]))
    return ensure_certificate(data_dir() / "tls", names, ["127.0.0.1", *own_addresses()])


def _announce_secrets(config: Config, certificate: tuple[Path, Path] | None) -> None:
    """The token once, alone on its line, when it is made; and what the browser will show of the certificate."""
    if not config.server.loopback:
        token, made = load_or_make_token(token_path(config))
        if made:
            console.print("The page will ask for this token; it is not shown again:")
            console.print(token, highlight=False, soft_wrap=True)
    if certificate is not None:
        console.print(f"Certificate SHA-256 {fingerprint(certificate[0])}", highlight=False, soft_wrap=True)


def _shown_host(config: Config) -> str:
    host = config.server.host
    if config.server.loopback:
        return "localhost" if host == "localhost" else _bracketed(host)
    addresses = own_addresses()
    return _bracketed(addresses[0]) if host in ("0.0.0.0", "::") and addresses else _bracketed(host)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
