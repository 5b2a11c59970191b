"""Chromium with a fake microphone that asks the same question over and over, and a page that it talks to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser import chromium
from tests.e2e.on_voice import MICROPHONE_RATE, QUESTION, Talk, talking, write_microphone
from tests.speech import spoken


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    folder = tmp_path_factory.mktemp("microphone")
    with chromium(microphone=write_microphone(folder / "q.wav", spoken(QUESTION, rate=MICROPHONE_RATE))) as browser:
        yield browser


@pytest.fixture
def talk(browser: Browser, tmp_path: Path) -> Iterator[Talk]:
    with talking(browser, tmp_path) as talk:
        yield talk
