"""A server that is not on loopback asks for its token, and the page asks for it in turn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.click_engine import ClickEngine
from tests.e2e.conftest import DEMO
from tests.e2e.on_page import wait_for_picture
from tests.server import RunningServer
from web.app import token_path

ADDRESS = "127.0.0.2"


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[RunningServer]:
    overrides = {"server": {"host": ADDRESS}, "feeds": [DEMO]}
    with RunningServer(tmp_path, overrides, engine=ClickEngine(), bind=ADDRESS, tls=True) as server:
        yield server


def test_the_page_asks_for_the_token_says_when_it_is_wrong_and_goes_on_when_it_is_right(
    browser: Browser, guarded: RunningServer
) -> None:
    token = token_path(guarded.config).read_text().strip()
    context = browser.new_context(ignore_https_errors=True)
    page = context.new_page()
    page.goto(f"https://{ADDRESS}:{guarded.port}/")
    card = page.locator("#cover")
    expect(card).to_contain_text("This server asks for its token")
    card.get_by_label("Token").fill("not the token")
    page.keyboard.press("Enter")
    expect(card.locator(".card-error")).not_to_be_empty()
    card.get_by_label("Token").fill(token)
    card.get_by_role("button", name="Enter").click()
    wait_for_picture(page)
    assert token not in page.url
    page.reload()
    wait_for_picture(page)
    context.close()
