"""When a picture's overlay is on a screen: the page in Chromium without a window, asked over its debugging port."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from websockets.sync.client import ClientConnection, connect

from stream.errors import EngineError

START_S = 30.0
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless=new", "--remote-debugging-port=0", "--no-first-run", "--disable-background-networking",
    "--disable-sync", "--disable-component-update", "--autoplay-policy=no-user-gesture-required",
)  # fmt: skip
NOTES = """
window.onlookerDrawn = {};
document.addEventListener("onlooker:drawn", (event) => {
  const { rtp, synced, repeated } = event.detail;
  if (rtp !== null && synced && !repeated) window.onlookerDrawn[rtp] ??= performance.timeOrigin + performance.now();
});
"""


class Screen:
    """A browser that looks at one stream, from entering to leaving. Blocks; one thread at a time.

    Raises `EngineError` where there is no Chromium or it does not start.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._numbers = itertools.count(1)
        self._folder = tempfile.TemporaryDirectory(prefix="onlooker-bench-", ignore_cleanup_errors=True)
        self._process: subprocess.Popen[bytes] | None = None
        self._page: ClientConnection | None = None

    def __enter__(self) -> Self:
        program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
        if program is None:
            raise EngineError("There is no Chromium here.", action="Install it, or leave out --draw.")
        # Chromium refuses its sandbox to the superuser.
        sandbox = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        command = [program, *FLAGS, *sandbox, f"--user-data-dir={self._folder.name}", "about:blank"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            self._page = connect(self._page_address(), max_size=None)
            self._ask("Page.enable")
            self._ask("Page.addScriptToEvaluateOnNewDocument", source=NOTES)
            self._ask("Page.navigate", url=self._url)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def drawn_s(self) -> dict[int, float]:
        """When each picture was first drawn with its own overlay, by RTP timestamp, on the monotonic clock."""
        answer = self._ask("Runtime.evaluate", expression="JSON.stringify(window.onlookerDrawn ?? {})")
        noted: dict[str, float] = json.loads(answer["result"].get("value", "{}"))
        ahead_s = time.time() - time.monotonic()
        return {int(rtp): unix_ms / 1000 - ahead_s for rtp, unix_ms in noted.items()}

    def _page_address(self) -> str:
        told, until_s = Path(self._folder.name) / "DevToolsActivePort", time.monotonic() + START_S
        while time.monotonic() < until_s:
            # The file may be there before its lines, and the port before its pages.
            with contextlib.suppress(OSError, httpx.HTTPError, ValueError, StopIteration, IndexError):
                port = int(told.read_text().splitlines()[0])
                pages = httpx.get(f"http://127.0.0.1:{port}/json/list", trust_env=False).json()
                return str(next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page"))
            time.sleep(0.05)
        raise EngineError("Chromium did not start.", action="Start it by hand to see why, or leave out --draw.")

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        assert self._page is not None
        number = next(self._numbers)
        self._page.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            answer: dict[str, Any] = json.loads(self._page.recv(timeout=START_S))
            if answer.get("id") == number:
                result: dict[str, Any] = answer.get("result", {})
                return result

    def _end(self) -> None:
        if self._page is not None:
            self._page.close()
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._folder.cleanup()
