"""A browser that asks before it gives the camera, and is told no."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser import chromium
from tests.e2e.conftest import Served
from tests.e2e.on_page import wait_for_picture


def test_a_denied_camera_is_explained_and_the_demo_offered(empty_server: Served) -> None:
    with chromium("--use-fake-ui-for-media-stream=deny") as browser:
        page = browser.new_page()
        page.goto(empty_server.url)
        card = page.locator("#cover")
        expect(card).to_contain_text("Point it at something")
        card.get_by_role("button", name="Use my webcam").click()
        expect(card).to_contain_text("The camera is blocked")
        card.get_by_role("button", name="Play the demo").click()
        wait_for_picture(page)
