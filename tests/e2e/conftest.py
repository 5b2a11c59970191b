"""The real page in real Chromium against a real server, all on this machine."""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, sync_playwright

from stream.config import load_config
from stream.engines.base import Engine
from tests.barcode import write_clip
from tests.e2e.click_engine import ClickEngine
from web.app import create_app
from web.server import make_server, open_sockets

# Taken out of the environment: the server refuses settings that it does not know.
CHROMIUM = os.environ.pop("ONLOOKER_CHROMIUM", None) or shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--auto-select-desktop-capture-source=Entire screen",
]
WALKING = Path(__file__).parents[2] / "stream" / "data" / "walking.mp4"
STARTED_S = 20


class Served:
    """A server on a port of its own, in a thread; it can be stopped and started again."""

    def __init__(self, engine: Engine | None = None, feeds: list[dict[str, Any]] | None = None, port: int = 0) -> None:
        self.engine = engine if engine is not None else ClickEngine()
        self.feeds = feeds if feeds is not None else [{"id": "demo", "name": "Demo", "kind": "file", "path": str(WALKING)}]
        self.port = port
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._sockets: list[socket.socket] = []

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}/"

    def start(self) -> None:
        config = load_config({"server": {"host": "localhost", "port": self.port}, "feeds": self.feeds})
        sockets = open_sockets("localhost", self.port)
        self._sockets = sockets
        self.port = sockets[0].getsockname()[1]
        server = make_server(create_app(config, self.engine))
        self._server = server
        self._thread = threading.Thread(target=server.run, kwargs={"sockets": sockets}, name="server")
        self._thread.start()
        deadline = time.monotonic() + STARTED_S
        while not server.started:
            assert self._thread.is_alive(), "the server did not start"
            assert time.monotonic() < deadline, "the server takes too long to start"
            time.sleep(0.02)

    def stop(self) -> None:
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(STARTED_S)
            assert not self._thread.is_alive(), "the server does not stop"
        for opened in self._sockets:
            opened.close()
        self._server = self._thread = None


@pytest.fixture(scope="session", autouse=True)
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing of these tests goes to where a user's server keeps its data."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ONLOOKER_DATA_DIR", str(tmp_path_factory.mktemp("data")))
        patch.setenv("ONLOOKER_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="session")
def camera_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the fake webcam shows: 10 s that loop."""
    path = tmp_path_factory.mktemp("camera") / "camera.mjpeg"
    write_clip(path, codec="mjpeg", size=(640, 360), frames=300)
    return path


@pytest.fixture(scope="session")
def browser(playwright: Playwright, camera_clip: Path) -> Iterator[Browser]:
    """Chromium whose webcam plays the clip and is always allowed."""
    flags = [*FLAGS, "--use-fake-ui-for-media-stream", f"--use-file-for-fake-video-capture={camera_clip}"]
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
    yield browser
    browser.close()


@pytest.fixture
def served() -> Iterator[Served]:
    """A server with the demo clip as `demo` and an engine that puts a disc where one clicks."""
    server = Served()
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
