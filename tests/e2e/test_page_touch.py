"""A phone: the finger does what the mouse does."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import Served
from tests.e2e.on_page import item, spot, use_webcam, wait_for_picture, wait_for_tint

LONG_MS = 700
LEAST_TARGET_PX = 40


@pytest.fixture
def phone(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    context.set_default_timeout(15_000)
    yield context.new_page()
    context.close()


def use_camera(page: Page, url: str) -> None:
    """And wait until the picture has the camera's shape, since everything below it moves with it."""
    use_webcam(page, url)
    scene = page.locator("#scene")
    expect(scene).to_have_attribute("data-shape", "640x360")
    wait_for_picture(page)
    before = None
    while (place := scene.bounding_box()) != before:
        before = place
        page.wait_for_timeout(1000)


def touch(page: Page, *path: tuple[float, float], held_ms: int = 50) -> None:
    """One finger down, along `path` and up. The events say themselves when they were, which a busy machine does not
    change: a slow tap would be a long press."""
    session = page.context.new_cdp_session(page)
    began_s = time.time()
    for number, place in enumerate(path):
        x, y = spot(page, *place)
        event = {"type": "touchMove" if number else "touchStart", "touchPoints": [{"x": x, "y": y}]}
        session.send("Input.dispatchTouchEvent", {**event, "timestamp": began_s + number / 1000})
    end = {"type": "touchEnd", "touchPoints": [], "timestamp": began_s + held_ms / 1000}
    session.send("Input.dispatchTouchEvent", end)
    session.detach()


def test_a_tap_follows_a_long_press_excludes_and_a_drag_draws_a_box(phone: Page, served: Served) -> None:
    use_camera(phone, served.url)
    expect(phone.locator("#hint")).to_have_text("Tap a thing, drag a box, or type what to follow", use_inner_text=True)
    touch(phone, (0.2, 0.6))
    expect(item(phone, 1)).to_contain_text("thing")
    wait_for_tint(phone, 0.2, 0.6, coloured=True)
    wait_for_tint(phone, 0.5, 0.6, coloured=False)
    touch(phone, (0.2, 0.6), held_ms=LONG_MS)
    wait_for_tint(phone, 0.2, 0.6, coloured=False)
    expect(phone.locator("#objects .object")).to_have_count(1)
    touch(phone, (0.6, 0.3), (0.7, 0.5), (0.9, 0.9))
    expect(item(phone, 2)).to_be_visible()
    wait_for_tint(phone, 0.75, 0.6, coloured=True)


def test_a_tap_on_an_object_offers_what_can_be_done_with_it(phone: Page, served: Served) -> None:
    use_camera(phone, served.url)
    touch(phone, (0.3, 0.6))
    expect(item(phone, 1)).to_contain_text("thing")
    wait_for_tint(phone, 0.3, 0.6, coloured=True)
    touch(phone, (0.3, 0.6))
    menu = phone.get_by_role("dialog", name="#1 thing")
    expect(menu).to_be_visible()
    box = menu.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    menu.get_by_role("button", name="Remove").tap()
    expect(item(phone, 1)).to_have_count(0)


def test_what_is_to_be_tapped_is_large_enough(phone: Page, served: Served) -> None:
    use_camera(phone, served.url)
    touch(phone, (0.3, 0.6))
    expect(item(phone, 1)).to_be_visible()
    small = """(least) => [...document.querySelectorAll("button, summary, a[href]")]
      .filter((one) => one.checkVisibility({ visibilityProperty: true }) && !one.matches(".skip"))
      .map((one) => [one.getAttribute("aria-label") ?? one.textContent.trim(), one.getBoundingClientRect()])
      .filter(([, box]) => box.width && Math.min(box.width, box.height) < least)
      .map(([name, box]) => `${name}: ${Math.round(box.width)} × ${Math.round(box.height)}`)"""
    assert phone.evaluate(small, LEAST_TARGET_PX) == []
