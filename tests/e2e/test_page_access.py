"""For everyone: by keyboard alone, for screen readers, in dark and light, on a phone, with colours told apart."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import Served
from tests.e2e.on_page import click, item, use_webcam, wait_for_picture, wait_for_tint

AXE = Path(__file__).parents[1] / "page" / "node_modules" / "axe-core" / "axe.min.js"
RUN_AXE = """async () => {
  const { violations } = await axe.run(document, { resultTypes: ["violations"] });
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => id + ": " + nodes.map((node) => node.html + " " + node.failureSummary).join(" | "));
}"""


def serious_violations(page: Page) -> list[str]:
    # By the debugger, so that the page's own content policy stays as it is.
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE.read_text())
    found: list[str] = page.evaluate(RUN_AXE)
    return found


def test_everything_can_be_done_with_the_keyboard_alone(page: Page, served: Served) -> None:
    page.goto(served.url)
    wait_for_picture(page)
    page.locator("#use-camera").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#start")).to_be_hidden()
    wait_for_picture(page)
    page.locator(".skip").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#scene")).to_be_focused()
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    expect(page.locator("#crosshair")).to_be_visible()
    page.keyboard.press("Enter")
    expect(item(page, 1)).to_be_visible()
    x, y = 0.5 - 5 * 0.02, 0.5 + 3 * 0.02 * 16 / 9
    wait_for_tint(page, x, y, coloured=True)
    page.keyboard.press("]")
    page.keyboard.press("Shift+Enter")
    wait_for_tint(page, x, y, coloured=False)
    page.keyboard.press("b")
    page.keyboard.press("Enter")
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    for _ in range(4):
        page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(item(page, 2)).to_be_visible()
    page.keyboard.press("]")
    page.keyboard.press("r")
    page.keyboard.type("cup on the right")
    page.keyboard.press("Enter")
    expect(item(page, 2)).to_contain_text("cup on the right")
    page.keyboard.press("Delete")
    expect(item(page, 2)).to_have_count(0)
    page.keyboard.press("u")
    expect(item(page, 2)).to_contain_text("cup on the right")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard and pointer")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keyboard and pointer")).to_be_hidden()


def test_the_source_menu_walks_by_arrows_and_gives_the_focus_back(page: Page, served: Served) -> None:
    page.goto(served.url)
    wait_for_picture(page)
    page.locator("#source").focus()
    page.keyboard.press("Enter")
    first = page.locator("#sources button").first
    expect(first).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#sources button").nth(1)).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#sources")).to_be_hidden()
    expect(page.locator("#source")).to_be_focused()


def test_what_happens_is_announced(page: Page, served: Served) -> None:
    use_webcam(page, served.url)
    click(page, 0.3, 0.6)
    expect(page.locator("#live")).to_contain_text("Following #1 thing")


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_no_serious_violation_of_the_accessibility_rules(browser: Browser, served: Served, scheme: str) -> None:
    context = browser.new_context(color_scheme="dark" if scheme == "dark" else "light")
    page = context.new_page()
    use_webcam(page, served.url)
    click(page, 0.3, 0.6)
    page.keyboard.press("/")
    page.keyboard.type("cup")
    page.keyboard.press("Enter")
    expect(item(page, 2)).to_be_visible()
    page.keyboard.press("Escape")
    page.locator("#status").click()
    assert serious_violations(page) == []
    page.locator("#open-settings").click()
    assert serious_violations(page) == []
    page.keyboard.press("Escape")
    page.locator("#source").click()
    expect(page.locator("#sources")).to_contain_text("Demo")
    assert serious_violations(page) == []
    context.close()


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_the_empty_page_has_no_serious_violation_either(browser: Browser, empty_server: Served, scheme: str) -> None:
    context = browser.new_context(color_scheme="dark" if scheme == "dark" else "light")
    page = context.new_page()
    page.goto(empty_server.url)
    expect(page.locator("#cover")).to_contain_text("Point it at something")
    assert serious_violations(page) == []
    context.close()


def test_a_phone_shows_the_picture_and_the_panels_under_it_without_sideways_scrolling(
    browser: Browser, served: Served
) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(served.url)
    wait_for_picture(page)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    for width in (360, 390):
        page.set_viewport_size({"width": width, "height": 844})
        boxes = [page.locator(f"#{one}").bounding_box() for one in ("open-grid", "open-settings")]
        assert len({box and box["y"] for box in boxes}) == 1, f"the bar's buttons are in one row: {boxes}"
    picture, side = page.locator("#frame").bounding_box(), page.locator(".side").bounding_box()
    assert picture is not None
    assert side is not None
    assert side["y"] >= picture["y"] + picture["height"]
    page.locator("#scene").tap(position={"x": 100, "y": 150})
    expect(item(page, 1)).to_be_visible()
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    context.close()


def test_the_colour_blind_palette_changes_picture_and_list(page: Page, served: Served) -> None:
    use_webcam(page, served.url)
    click(page, 0.3, 0.6)
    wait_for_tint(page, 0.3, 0.6, coloured=True)
    swatch = "() => [...document.querySelector('.swatch').getContext('2d').getImageData(14, 14, 1, 1).data]"
    before = page.evaluate(swatch)
    page.locator("#open-settings").click()
    page.get_by_label("Colours of objects").select_option("safe")
    page.wait_for_function(f"(before) => String(({swatch})()) !== String(before)", arg=before)
    assert page.evaluate(swatch)[:3] == [230, 159, 0]


def test_the_theme_can_be_switched_and_is_kept(page: Page, served: Served) -> None:
    page.goto(served.url)
    ground = "() => getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    page.locator("#open-settings").click()
    page.get_by_label("Appearance").select_option("light")
    assert page.evaluate(ground) != dark
    page.reload()
    assert page.evaluate("() => document.documentElement.dataset.theme") == "light"
