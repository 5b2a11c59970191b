"""Real Chromium with a fake camera, for tests and benchmarks."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

FAKE_DEVICES = "--use-fake-device-for-media-stream"
OFF = (
    # Playwright's own list, which this one takes the place of.
    "AvoidUnnecessaryBeforeUnloadCheckSync,DestroyProfileOnBrowserClose,HttpsUpgrades,HttpsFirstBalancedModeAutoEnable,"
    "LensOverlay,MediaRouter,PaintHolding,ThirdPartyStoragePartitioning,AvoidCorsURLLoaderRestartOnRedirect,"
    "TcpPortRandomizationWin,OptimizationHints,NetworkTimeServiceQuerying,AimEnabled,PreconnectToSearch,"
    # The address bar's popups, which nobody sees: a renderer more for each window.
    "WebUIOmniboxPopup,WebUIOmniboxAimPopup"
)
FLAGS = (
    f"--disable-features={OFF}",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    FAKE_DEVICES,
    "--use-fake-ui-for-media-stream",
)


def chromium_path() -> str:
    """Where Chromium is. A missing one is a failure, never a reason to pass a test over."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    assert path, "Chromium is missing: install it, or set CHROMIUM to its path"
    return path


def wait_for(page: Page, expression: str, timeout_s: float = 20.0) -> None:
    """Wait until a JavaScript expression holds. (Playwright's own way needs `eval`, which the page forbids.)"""
    deadline_s = time.monotonic() + timeout_s
    while not page.evaluate(expression):
        assert time.monotonic() < deadline_s, f"not in time: {expression}"
        page.wait_for_timeout(50)


@contextlib.contextmanager
def chromium(
    *flags: str, camera: Path | None = None, microphone: Path | None = None, devices: bool = True
) -> Iterator[Browser]:
    """A headless Chromium. `camera` is a clip (MJPEG) that plays as its webcam, over and over, `microphone` a WAV file
    likewise. Without `devices` it has only those that the machine has."""
    capture = [f"--use-file-for-fake-video-capture={camera}"] if camera else []
    capture += [f"--use-file-for-fake-audio-capture={microphone}"] if microphone else []
    common = [flag for flag in FLAGS if devices or flag != FAKE_DEVICES]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium_path(), headless=True, args=[*common, *capture, *flags]
        )
        try:
            yield browser
        finally:
            browser.close()
