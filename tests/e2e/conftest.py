"""The real page in real Chromium against a real server, all on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from stream.engines.base import Engine
from tests.barcode import write_clip
from tests.browser import chromium
from tests.e2e.click_engine import ClickEngine
from tests.server import PushedSource, RunningServer

SCREEN_FLAG = "--auto-select-desktop-capture-source=Entire screen"
DEMO: dict[str, Any] = {"id": "demo", "name": "Demo", "kind": "demo"}


class Served:
    """A server that can be stopped and started again at the same address."""

    def __init__(self, folder: Path, feeds: list[dict[str, Any]] | None = None, engine: Engine | None = None) -> None:
        self._folder = folder
        self._feeds = [DEMO] if feeds is None else feeds
        self._engine = engine
        self._running: RunningServer | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://localhost:{self._port}/"

    def start(self) -> None:
        engine = self._engine or ClickEngine()
        running = RunningServer(self._folder, {"feeds": self._feeds}, engine=engine, port=self._port)
        self._port = running.port
        self._running = running.__enter__()

    def open_stream(self, stream_id: str) -> PushedSource:
        """A stream fed by hand."""
        assert self._running is not None
        return self._running.open_stream(stream_id)

    def stop(self) -> None:
        if self._running is not None:
            self._running.__exit__(None, None, None)
        self._running = None


@pytest.fixture(scope="module")
def camera_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the fake webcam shows: 10 s that loop."""
    path = tmp_path_factory.mktemp("camera") / "camera.mjpeg"
    write_clip(path, codec="mjpeg", size=(640, 360), frames=300)
    return path


@pytest.fixture(scope="module")
def browser(camera_clip: Path) -> Iterator[Browser]:
    """Chromium whose webcam plays the clip and is always allowed. One a module: two at once exclude each other."""
    with chromium(SCREEN_FLAG, camera=camera_clip) as browser:
        yield browser


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A server with the demo clip as `demo` and an engine that puts a disc where one clicks."""
    server = Served(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def empty_server(tmp_path: Path) -> Iterator[Served]:
    """A server without any stream."""
    server = Served(tmp_path, feeds=[])
    server.start()
    yield server
    server.stop()


class Faults:
    """Everything that the browser complains about, by page."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def watch(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.seen.append(f"page error: {error}"))
        page.on("console", self._console)

    def _console(self, message: Any) -> None:
        if message.type == "error":
            self.seen.append(f"console: {message.text}")


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme="dark")
    context.set_default_timeout(15_000)
    yield context
    context.close()


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def page(context: BrowserContext, faults: Faults) -> Page:
    page = context.new_page()
    faults.watch(page)
    return page
