"""What happened longer ago: from the store, page by page, searched in words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from agent.store.rows import Entry
from agent.types import Event, EventFact, EventKind, Severity
from stream.types import FrameRef
from tests.e2e.conftest import Faults
from tests.e2e.on_page import item, wait_for_picture
from tests.staged import StagedStream

EARLIER = 100


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[StagedStream]:
    """A stream of which a hundred older events are kept, one a minute."""
    with StagedStream(tmp_path) as scene:
        now = datetime.now(UTC)
        entries = [_entry(number, now - timedelta(minutes=3 + number)) for number in reversed(range(EARLIER))]
        recording = scene.server.state.recording
        scene.server.call(lambda: recording.write("cam", entries))
        yield scene


def _entry(number: int, at: datetime) -> Entry:
    text = "Somebody took a parcel" if number == 70 else f"Old event {number}"
    kind = EventKind.ALERT if number == 70 else EventKind.ENTER
    severity = Severity.WARN if number == 70 else Severity.INFO
    event = Event(f"{number:032x}", kind, text, (3,), FrameRef(0, 1), 1, at, severity=severity, labels=("person",))
    return Entry(EventFact(event), at)


def test_earlier_events_are_listed_by_pages_and_searched(page: Page, scene: StagedStream, faults: Faults) -> None:
    page.goto(scene.server.url)
    wait_for_picture(page)
    expect(item(page, 5)).to_contain_text("person")
    page.get_by_role("button", name="What happened earlier").click()
    sheet = page.get_by_role("dialog", name="What happened")
    rows = sheet.locator(".history-row")
    expect(rows).to_have_count(40)
    expect(rows.last).to_contain_text("Old event")
    more = sheet.get_by_role("button", name="Load earlier")
    more.click()
    expect(rows).to_have_count(80)
    more.click()
    expect(more).to_be_hidden()
    expect(rows.last).to_contain_text("Old event 99")
    assert rows.count() >= EARLIER
    search = sheet.get_by_role("searchbox", name="Search what happened")
    search.fill("parcels")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("Somebody took a parcel")
    expect(rows).to_have_attribute("data-kind", "alert")
    search.fill("elephant")
    expect(sheet.locator("#history-note")).to_have_text("Nothing of that kind has been kept.")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(sheet).to_be_hidden()
    assert faults.seen == []


def test_an_event_is_shown_in_full_kept_and_noted(page: Page, scene: StagedStream, faults: Faults) -> None:
    page.goto(scene.server.url)
    wait_for_picture(page)
    expect(page.locator(".mark").first).to_be_attached()
    page.get_by_role("button", name="What happened earlier").click()
    sheet = page.get_by_role("dialog", name="What happened")
    sheet.get_by_label("Kind").select_option("Appeared")
    opener = page.locator(".history-open").first
    opener.click()
    expect(opener).to_have_attribute("aria-current", "true")
    detail = sheet.get_by_role("region", name="What happened then")
    expect(detail.get_by_role("img", name="The picture at that moment")).to_have_attribute(
        "src", re.compile(r"/v1/events/[0-9a-f]{32}/")
    )
    expect(detail.get_by_role("button", name="Delete clip")).to_be_hidden()
    detail.get_by_role("button", name="Keep").click()
    expect(detail.get_by_role("button", name="Kept")).to_have_attribute("aria-pressed", "true")
    expect(opener.get_by_text("Kept")).to_be_attached()
    detail.get_by_label("Note").fill("the blue one is Ann")
    detail.get_by_label("Note").blur()
    expect(detail.get_by_role("status")).to_have_text("The note is saved.")
    page.locator("#history-input").fill("ann")
    expect(page.locator(".history-row")).to_have_count(1)
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(sheet).to_be_hidden()
    assert faults.seen == []


def test_the_list_is_narrowed_down_by_kind_class_and_time(page: Page, scene: StagedStream) -> None:
    page.goto(scene.server.url)
    wait_for_picture(page)
    page.get_by_role("button", name="What happened earlier").click()
    sheet = page.get_by_role("dialog", name="What happened")
    rows = sheet.locator(".history-row")
    sheet.get_by_label("Kind").select_option("Alerts")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("Somebody took a parcel")
    sheet.get_by_label("Time").select_option("Last hour")
    expect(sheet.locator("#history-note")).to_have_text("Nothing of that kind has been kept.")
    sheet.get_by_label("Kind").select_option("All kinds")
    sheet.get_by_label("Class").select_option("red cup")
    expect(rows).to_have_count(1)
    sheet.get_by_label("Camera").select_option("All cameras")
    expect(rows.first).to_contain_text("·")


def test_it_stops_growing_and_says_how_to_find_the_rest(page: Page, scene: StagedStream) -> None:
    now = datetime.now(UTC)
    entries = [_entry(number, now - timedelta(hours=3, seconds=number)) for number in reversed(range(1000, 1500))]
    recording = scene.server.state.recording
    scene.server.call(lambda: recording.write("cam", entries))
    page.goto(scene.server.url)
    wait_for_picture(page)
    page.get_by_role("button", name="What happened earlier").click()
    more = page.get_by_role("button", name="Load earlier")
    for pages in range(1, 10):
        expect(page.locator(".history-row")).to_have_count(40 * pages)
        more.click()
    expect(page.locator(".history-row")).to_have_count(400)
    expect(more).to_be_hidden()
    expect(page.locator("#history-note")).to_have_text("Search for what is older.")
