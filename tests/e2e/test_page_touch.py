"""A phone: the finger does what the mouse does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import Served
from tests.e2e.on_page import item, spot, use_webcam, wait_for_tint

LONG_MS = 700
LEAST_TARGET_PX = 40


@pytest.fixture
def phone(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    context.set_default_timeout(15_000)
    yield context.new_page()
    context.close()


def tap(page: Page, x: float, y: float) -> None:
    page.touchscreen.tap(*spot(page, x, y))


def touch(page: Page, path: list[tuple[float, float]], hold_ms: int = 0) -> None:
    """One finger down, along `path` and up."""
    session = page.context.new_cdp_session(page)
    for number, place in enumerate(path):
        x, y = spot(page, *place)
        kind = "touchMove" if number else "touchStart"
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
        page.wait_for_timeout(20)
    page.wait_for_timeout(hold_ms)
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    session.detach()


def test_a_tap_follows_a_long_press_excludes_and_a_drag_draws_a_box(phone: Page, served: Served) -> None:
    use_webcam(phone, served.url)
    expect(phone.locator("#hint")).to_have_text("Tap a thing, drag a box, or type what to follow", use_inner_text=True)
    tap(phone, 0.2, 0.6)
    expect(item(phone, 1)).to_contain_text("thing")
    wait_for_tint(phone, 0.2, 0.6, coloured=True)
    wait_for_tint(phone, 0.5, 0.6, coloured=False)
    touch(phone, [(0.2, 0.6)], LONG_MS)
    wait_for_tint(phone, 0.2, 0.6, coloured=False)
    expect(phone.locator("#objects .object")).to_have_count(1)
    touch(phone, [(0.6, 0.3), (0.7, 0.5), (0.9, 0.9)])
    expect(item(phone, 2)).to_be_visible()
    wait_for_tint(phone, 0.75, 0.6, coloured=True)


def test_a_tap_on_an_object_offers_what_can_be_done_with_it(phone: Page, served: Served) -> None:
    use_webcam(phone, served.url)
    tap(phone, 0.3, 0.6)
    wait_for_tint(phone, 0.3, 0.6, coloured=True)
    tap(phone, 0.3, 0.6)
    menu = phone.get_by_role("dialog", name="#1 thing")
    box = menu.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    menu.get_by_role("button", name="Remove").tap()
    expect(item(phone, 1)).to_have_count(0)


def test_what_is_to_be_tapped_is_large_enough(phone: Page, served: Served) -> None:
    use_webcam(phone, served.url)
    tap(phone, 0.3, 0.6)
    expect(item(phone, 1)).to_be_visible()
    small = """(least) => [...document.querySelectorAll("button, summary, a[href]")]
      .filter((one) => one.checkVisibility({ visibilityProperty: true }) && !one.matches(".skip"))
      .map((one) => [one.getAttribute("aria-label") ?? one.textContent.trim(), one.getBoundingClientRect()])
      .filter(([, box]) => box.width && Math.min(box.width, box.height) < least)
      .map(([name, box]) => `${name}: ${Math.round(box.width)} × ${Math.round(box.height)}`)"""
    assert phone.evaluate(small, LEAST_TARGET_PX) == []
