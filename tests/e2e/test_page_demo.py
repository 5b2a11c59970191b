"""The first view: a stream of the server, watched at once, with its overlays."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import DEMO, Faults, Served
from tests.e2e.on_page import RECORD, drawn, item, wait_for_picture

HOSTILE = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    server = Served(tmp_path, feeds=[{**DEMO, "prompts": ["person"]}])
    server.start()
    yield server
    server.stop()


def test_the_demo_plays_at_once_with_its_overlays_and_without_a_complaint(
    page: Page, served: Served, faults: Faults
) -> None:
    page.goto(served.url)
    wait_for_picture(page)
    expect(item(page, 1)).to_contain_text("person")
    page.evaluate(RECORD)
    page.wait_for_function("() => window.drawn.length >= 20")
    assert all(event["synced"] and event["label"] == "person" for event in drawn(page))
    expect(page.get_by_role("button", name="Use my webcam")).to_be_visible()
    expect(page.get_by_role("button", name="Share my screen")).to_be_visible()
    assert faults.seen == []


def test_labels_from_the_wire_are_text(page: Page, served: Served, faults: Faults) -> None:
    page.goto(served.url)
    wait_for_picture(page)
    item(page, 1).locator(".object-main").dblclick()
    page.get_by_label("New name of #1").fill(HOSTILE)
    page.keyboard.press("Enter")
    expect(item(page, 1).locator(".object-label")).to_have_text(HOSTILE)
    assert page.evaluate("() => window.hacked") is None
    assert page.locator("#objects img, #objects script").count() == 0
    assert faults.seen == []


def test_the_numbers_say_how_exact_the_overlay_is(page: Page, served: Served) -> None:
    page.goto(served.url)
    wait_for_picture(page)
    page.keyboard.press("n")
    numbers = page.locator("#numbers")
    expect(numbers).to_contain_text("0 frames")
    expect(numbers).to_contain_text("RTP timestamp")
    expect(numbers).to_contain_text("click on cpu")
    expect(page.locator("#status")).to_have_attribute("aria-expanded", "true")


def test_a_snapshot_is_a_png_of_the_picture_with_its_overlay(page: Page, served: Served) -> None:
    page.goto(served.url)
    wait_for_picture(page)
    with page.expect_download() as started:
        page.get_by_role("button", name="Save a snapshot").click()
    path = started.value.path()
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert started.value.suggested_filename.endswith(".png")
    size = page.evaluate(
        "async (data) => { const image = new Image(); image.src = 'data:image/png;base64,' + data;"
        " await image.decode(); return [image.width, image.height]; }",
        base64.b64encode(path.read_bytes()).decode(),
    )
    assert size == [768, 576]


def test_an_object_is_cut_out_along_its_mask(page: Page, served: Served) -> None:
    page.goto(served.url)
    wait_for_picture(page)
    page.get_by_role("button", name="More about #1 person").click()
    with page.expect_download() as started:
        page.get_by_role("button", name="Cut out as PNG").click()
    corner, middle = page.evaluate(
        """async (data) => {
          const image = new Image(); image.src = 'data:image/png;base64,' + data; await image.decode();
          const canvas = document.createElement('canvas'); canvas.width = image.width; canvas.height = image.height;
          const context = canvas.getContext('2d'); context.drawImage(image, 0, 0);
          const alpha = (x, y) => context.getImageData(x, y, 1, 1).data[3];
          return [alpha(1, 1), alpha(image.width / 2, image.height / 2)];
        }""",
        base64.b64encode(started.value.path().read_bytes()).decode(),
    )
    assert (corner, middle) == (0, 255)


def test_the_source_menu_closes_a_stream_and_the_page_says_so(page: Page, served: Served) -> None:
    page.goto(served.url)
    wait_for_picture(page)
    page.locator("#source").click()
    page.get_by_role("button", name="Close the stream Demo").click()
    card = page.locator("#cover")
    expect(card).to_contain_text("This stream is gone")
    card.get_by_role("button", name="Play the demo").click()
    wait_for_picture(page)
