"""Zones and lines on the page: drawn with the mouse and with the keyboard alone, given rules, armed, tried, removed."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.e2e.conftest import Faults
from tests.e2e.on_page import click, drag, item, spot, wait_for_picture
from tests.staged import BLUE, Block, StagedStream

OUTSIDE = replace(BLUE, box_xyxy_px=(200, 40, 280, 220))
INSIDE = replace(BLUE, box_xyxy_px=(40, 40, 120, 220))
"""A person to the right, who comes to the left."""


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[StagedStream]:
    with StagedStream(tmp_path, blocks=[OUTSIDE]) as scene:
        yield scene


@pytest.fixture
def opened(page: Page, scene: StagedStream) -> Page:
    page.add_init_script("window.rings = 0; document.addEventListener('onlooker:rang', () => (window.rings += 1))")
    page.goto(scene.server.url)
    wait_for_picture(page)
    expect(item(page, 5)).to_contain_text("person")
    return page


def region(page: Page, name: str) -> Locator:
    return page.locator(".region-item", has=page.locator(".region-title", has_text=name))


def name_field(page: Page) -> Locator:
    return page.locator(".region-item input[aria-label=Name]")


def draw_zone(page: Page, *, seen: bool = True) -> None:
    """The left half, by clicks; the last one is double."""
    page.get_by_role("button", name="Draw a zone").click()
    for x, y in ((0.05, 0.1), (0.5, 0.1), (0.5, 0.97)):
        click(page, x, y)
    page.mouse.dblclick(*spot(page, 0.05, 0.97))
    if seen:
        expect(region(page, "Zone 1")).to_be_visible()


def walk_in(scene: StagedStream, blocks: list[Block] | None = None) -> None:
    scene.stage.blocks = blocks or [INSIDE]


def shapes(scene: StagedStream) -> list[tuple[tuple[float, float], ...]]:
    """The points of the stream's regions, as the server has them."""

    async def points() -> list[tuple[tuple[float, float], ...]]:
        state = scene.server.state
        return [region.points for region in state.agents.of(state.hub.get("cam")).regions]

    return scene.server.call(points)


def until(holds: Callable[[], bool], within_s: float = 15.0) -> None:
    deadline_s = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def save_rule(page: Page) -> None:
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#rule-sheet")).to_be_hidden()


def test_a_zone_drawn_with_the_mouse_tells_who_enters(opened: Page, scene: StagedStream, faults: Faults) -> None:
    page = opened
    draw_zone(page)
    assert len(scene.server.state.hub.get("cam").prompts) == 0, "a click while drawing is no prompt"
    name = name_field(page)
    expect(name).to_be_focused()
    name.fill("Driveway")
    name.press("Enter")
    expect(page.locator("#regions-layer .region-name")).to_have_text("Driveway")

    page.get_by_role("button", name="Add a rule").click()
    expect(page.locator(".rule-said")).to_have_text("Alert when person enters Driveway")
    page.get_by_label("Ring on this page").check()
    save_rule(page)
    expect(region(page, "Driveway").locator(".rule-words")).to_contain_text("Person enters Driveway")
    heard = page.evaluate("window.rings")

    walk_in(scene)
    alert = page.locator("#talk .alert")
    expect(alert).to_contain_text("Person #5 entered Driveway.")
    expect(page.locator("#regions-layer .region.rang")).to_have_count(1)
    expect(region(page, "Driveway").locator(".rule-words .foot")).to_contain_text("last at")
    assert page.evaluate("window.rings") == heard + 1
    assert faults.seen == []


def test_a_line_is_drawn_and_everything_done_with_the_keyboard_alone(opened: Page, scene: StagedStream) -> None:
    page = opened
    page.keyboard.press("l")
    expect(page.locator("#drawing-words")).to_contain_text("Click the ends")
    for key, times in (("ArrowUp", 14),):
        for _ in range(times):
            page.keyboard.press(key)
    page.keyboard.press("Enter")
    for _ in range(40):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#regions-layer .handle")).to_have_count(2)
    page.keyboard.press("Enter")
    page.keyboard.type("Fence")
    page.keyboard.press("Enter")
    expect(page.locator("#regions-layer .region-arrow")).to_have_count(1)
    [[first, last]] = shapes(scene)
    assert first == pytest.approx((0.5, 0.127), abs=0.01)
    assert last == (0.5, 1.0)

    add = page.get_by_role("button", name="Add a rule")
    until(lambda: bool(add.evaluate("(button) => { button.focus(); return button === document.activeElement; }")))
    page.keyboard.press("Enter")
    page.get_by_label("Direction").select_option("with the arrow")
    expect(page.locator(".rule-said")).to_have_text("Alert when person crosses Fence with the arrow")
    page.get_by_role("button", name="Save", exact=True).press("Enter")
    expect(page.locator("#rule-sheet")).to_be_hidden()
    expect(page.locator(".rule-words")).to_contain_text("with the arrow")
    walk_in(scene)
    expect(page.locator("#talk .alert")).to_contain_text("crossed Fence, going to the left")
    assert len(scene.server.state.hub.get("cam").prompts) == 0


def test_a_name_typed_before_the_server_has_answered_is_the_name(opened: Page) -> None:
    page, held = opened, list[Route]()
    page.route("**/regions", lambda route: held.append(route) if route.request.method == "POST" else route.continue_())
    draw_zone(page, seen=False)
    page.keyboard.type("Off limitz")
    page.keyboard.press("Backspace")
    page.keyboard.type("s")
    page.keyboard.press("Enter")
    page.keyboard.type("f")
    expect(page.locator(".region-item")).to_have_count(0)
    held[0].continue_()
    expect(region(page, "Off limits")).to_be_visible()
    expect(name_field(page)).not_to_be_focused()
    assert not page.evaluate("document.fullscreenElement !== null")
    page.keyboard.press("n")
    expect(page.locator("#numbers")).to_be_visible()


def test_a_name_half_typed_is_no_name_yet_and_outlasts_what_comes_meanwhile(opened: Page, scene: StagedStream) -> None:
    page = opened
    draw_zone(page)
    expect(name_field(page)).to_be_focused()
    page.keyboard.type("Yard")
    other = {"name": "Gate", "kind": "line", "points": [[0.8, 0.2], [0.8, 0.8]], "rules": []}
    assert page.request.post(f"{scene.server.url}/v1/streams/cam/regions", data=other).ok
    expect(region(page, "Gate")).to_be_visible()
    page.wait_for_timeout(300)
    expect(region(page, "Zone 1")).to_be_visible()
    page.keyboard.type(" two")
    page.keyboard.press("Enter")
    expect(region(page, "Yard two")).to_be_visible()


def test_drawing_is_cancelled_and_taken_back_and_a_click_is_a_prompt_again(opened: Page, scene: StagedStream) -> None:
    page = opened
    page.keyboard.press("d")
    click(page, 0.2, 0.2)
    click(page, 0.4, 0.2)
    page.keyboard.press("Backspace")
    expect(page.locator("#regions-layer .handle")).to_have_count(1)
    expect(page.locator("#drawing-done")).to_be_disabled()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(page.locator(".toast")).to_contain_text("three corners or more")
    page.keyboard.press("Escape")
    expect(page.locator("#drawing")).to_be_hidden()
    expect(page.locator(".region-item")).to_have_count(0)
    click(page, 0.1, 0.3)
    expect(page.locator("#choices, .ping, .toast").first).to_be_attached()


def test_a_shape_is_changed_a_rule_is_tried_on_what_was_and_all_is_disarmed(opened: Page, scene: StagedStream) -> None:
    page = opened
    draw_zone(page)
    name_field(page).press("Enter")
    page.get_by_role("button", name="Change the shape of Zone 1").click()
    drag(page, (0.5, 0.1), (0.6, 0.3))
    page.get_by_role("button", name="Done").click()
    expect(page.locator("#drawing")).to_be_hidden()
    until(lambda: shapes(scene)[0][1] == pytest.approx((0.6, 0.3), abs=0.01))

    walk_in(scene)
    page.get_by_role("button", name="Add a rule").click()
    for _ in range(20):
        page.get_by_role("button", name="Test on the last hour").click()
        summary = page.locator(".trial-summary")
        expect(summary).to_be_visible()
        if "one alert" in (summary.text_content() or ""):
            break
    expect(page.locator(".trial-row")).to_contain_text("Person #5 entered")
    save_rule(page)

    armed = page.locator("#regions-armed")
    expect(armed).to_have_text("Armed")
    armed.click()
    expect(armed).to_have_text("Disarmed")
    before = page.locator("#talk .alert").count()
    walk_in(scene)
    expect(region(page, "Zone 1").locator(".region-rule")).to_have_attribute("data-on", "false")
    expect(page.locator("#marks")).to_be_visible()
    assert page.locator("#talk .alert").count() == before == 0
    page.keyboard.press("g")
    everywhere = page.locator("#grid-armed")
    expect(everywhere).to_have_text("Disarmed")
    everywhere.click()
    expect(everywhere).to_have_text("Armed")
    page.keyboard.press("Escape")
    expect(armed).to_have_text("Armed")
    switch = page.get_by_role("switch", name=re.compile("Armed: Person enters"))
    switch.uncheck()
    expect(region(page, "Zone 1").locator(".region-rule")).to_have_attribute("data-on", "false")

    page.get_by_role("button", name="Remove Zone 1").click()
    expect(page.locator(".region-item")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(region(page, "Zone 1").locator(".object-note")).to_have_text("1 rule")


def test_zones_and_rules_are_there_again_after_a_reload(opened: Page) -> None:
    page = opened
    draw_zone(page)
    page.get_by_role("button", name="Add a rule").click()
    page.get_by_label("What happens").select_option("stays in")
    page.get_by_label("Seconds", exact=True).fill("45")
    page.get_by_text("Times, size and speed").click()
    page.get_by_label("Only at certain times").check()
    expect(page.locator(".rule-said")).to_contain_text("person stays in Zone 1 for 45 s, daily 22:00–06:00")
    save_rule(page)
    page.reload()
    wait_for_picture(page)
    region(page, "Zone 1").locator(".region-head").click()
    page.locator(".rule-words").click()
    expect(page.locator(".rule-said")).to_contain_text("person stays in Zone 1 for 45 s, daily 22:00–06:00")
    expect(page.get_by_label("Only at certain times")).to_be_checked()
