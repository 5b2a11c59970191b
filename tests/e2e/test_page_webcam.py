"""The page's own webcam: published, prompted in every way, its objects handled."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.e2e.conftest import Faults, Served
from tests.e2e.on_page import RECORD, click, drag, drawn, item, use_webcam, wait_for_tint


def test_a_click_makes_an_object_whose_mask_is_drawn_where_one_clicked(
    page: Page, served: Served, faults: Faults
) -> None:
    use_webcam(page, served.url)
    click(page, 0.3, 0.6)
    expect(item(page, 1)).to_contain_text("thing")
    wait_for_tint(page, 0.3, 0.6, coloured=True)
    wait_for_tint(page, 0.7, 0.6, coloured=False)
    assert faults.seen == []


def test_nearly_all_frames_are_drawn_with_their_own_overlay(page: Page, served: Served) -> None:
    use_webcam(page, served.url)
    page.wait_for_timeout(1000)
    page.evaluate(RECORD)
    page.wait_for_function("() => window.drawn.length >= 60")
    events = drawn(page)
    assert sum(event["synced"] for event in events) >= 0.95 * len(events)
    assert len({event["rtp"] for event in events}) >= 0.9 * len(events)


def test_shift_click_excludes_and_drag_draws_a_box(page: Page, served: Served) -> None:
    use_webcam(page, served.url)
    drag(page, (0.5, 0.3), (0.9, 0.9))
    expect(item(page, 1)).to_be_visible()
    wait_for_tint(page, 0.7, 0.6, coloured=True)
    click(page, 0.7, 0.6, "Shift")
    wait_for_tint(page, 0.7, 0.6, coloured=False)
    expect(item(page, 2)).to_have_count(0)


def test_a_typed_word_is_followed_and_can_be_dropped_and_brought_back(page: Page, served: Served) -> None:
    use_webcam(page, served.url)
    page.keyboard.press("/")
    page.keyboard.type("per")
    expect(page.get_by_role("option", name="person")).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(item(page, 1)).to_contain_text("person")
    page.get_by_role("button", name="Stop following “person”").click()
    expect(item(page, 1)).to_have_count(0)
    page.locator(".toast").get_by_role("button", name="Undo").click()
    expect(item(page, 1)).to_contain_text("person")


def test_an_unknown_word_offers_the_nearest_known_ones(page: Page, served: Served) -> None:
    use_webcam(page, served.url)
    page.keyboard.press("/")
    page.keyboard.type("persn")
    page.keyboard.press("Enter")
    toast = page.locator(".toast")
    expect(toast).to_contain_text("“persn” is not known by name")
    toast.get_by_role("button", name="person").click()
    expect(item(page, 1)).to_contain_text("person")


def test_rename_hide_remove_undo(page: Page, served: Served) -> None:
    use_webcam(page, served.url)
    click(page, 0.3, 0.6)
    row = item(page, 1)
    row.locator(".object-main").dblclick()
    page.get_by_label("New name of #1").fill("left cup")
    page.keyboard.press("Enter")
    expect(row).to_contain_text("left cup")
    row.get_by_role("button", name="Hide #1 left cup").click()
    wait_for_tint(page, 0.3, 0.6, coloured=False)
    row.get_by_role("button", name="Hide #1 left cup").click()
    wait_for_tint(page, 0.3, 0.6, coloured=True)
    page.get_by_role("button", name="More about #1 left cup").click()
    page.get_by_role("button", name="Remove", exact=True).click()
    expect(row).to_have_count(0)
    page.keyboard.press("u")
    expect(row).to_contain_text("left cup")


def test_a_click_that_may_mean_two_things_offers_both(page: Page, served: Served) -> None:
    use_webcam(page, served.url)
    click(page, 0.05, 0.6)
    choices = page.get_by_role("group", name="What did you mean?")
    choices.get_by_role("button", name="Whole").click()
    expect(choices).to_be_hidden()
    wait_for_tint(page, 0.12, 0.6, coloured=True)
    expect(page.locator("#objects .object")).to_have_count(1)


def test_mirroring_turns_picture_overlay_and_clicks_together(page: Page, served: Served) -> None:
    use_webcam(page, served.url)
    page.keyboard.press("m")
    click(page, 0.3, 0.6)
    wait_for_tint(page, 0.3, 0.6, coloured=True)
    page.keyboard.press("m")
    wait_for_tint(page, 0.7, 0.6, coloured=True)
    wait_for_tint(page, 0.3, 0.6, coloured=False)


def test_zero_delay_and_pause_say_so(page: Page, served: Served) -> None:
    use_webcam(page, served.url)
    page.keyboard.press("z")
    expect(page.locator("#status-sync")).to_have_text("live picture")
    page.keyboard.press("z")
    page.keyboard.press("p")
    expect(page.locator("#badges")).to_contain_text("Paused")
    page.evaluate(RECORD)
    page.wait_for_timeout(500)
    assert [event for event in drawn(page) if not event["repeated"]] == []
    page.locator("#badges").get_by_role("button", name="Resume").click()
    page.wait_for_function("() => window.drawn.length > 5")


def test_a_click_on_a_followed_object_offers_what_can_be_done_with_it(page: Page, served: Served) -> None:
    use_webcam(page, served.url)
    click(page, 0.3, 0.6)
    wait_for_tint(page, 0.3, 0.6, coloured=True)
    click(page, 0.3, 0.6)
    menu = page.get_by_role("dialog", name="#1 thing")
    expect(menu.get_by_role("button", name="Remove")).to_be_visible()
    expect(item(page, 2)).to_have_count(0)
    menu.get_by_role("button", name="Follow what I clicked on its own").click()
    expect(item(page, 2)).to_be_visible()
