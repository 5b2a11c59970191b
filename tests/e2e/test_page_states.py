"""Everything that can go wrong has words and a way out."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, Route, expect

from tests.e2e.conftest import Served
from tests.e2e.on_page import click, item, use_webcam, wait_for_picture, wait_for_tint

END_TRACK = """() => {
  const track = document.querySelector("#video").srcObject.getVideoTracks()[0];
  track.stop();
  track.dispatchEvent(new Event("ended"));
}"""


@pytest.mark.parametrize(
    ("fault", "words"),
    [("NotFoundError", "No camera found"), ("NotReadableError", "The camera is in use")],
)
def test_a_camera_that_cannot_be_opened_is_told_beside_the_running_picture(
    page: Page, served: Served, fault: str, words: str
) -> None:
    page.add_init_script(
        f"navigator.mediaDevices.getUserMedia = async () => {{ throw new DOMException('no', '{fault}'); }}"
    )
    page.goto(served.url)
    wait_for_picture(page)
    page.get_by_role("button", name="Use my webcam").click()
    expect(page.locator(".toast")).to_contain_text(words)
    expect(page.locator("#cover")).to_be_hidden()


def test_an_unplugged_camera_is_told_and_its_prompts_are_kept(page: Page, served: Served) -> None:
    use_webcam(page, served.url)
    click(page, 0.3, 0.6)
    expect(item(page, 1)).to_be_visible()
    page.evaluate(END_TRACK)
    card = page.locator("#cover")
    expect(card).to_contain_text("The camera was unplugged")
    card.get_by_role("button", name="Use the camera again").click()
    wait_for_picture(page)
    expect(item(page, 1)).to_contain_text("thing")


def test_a_screen_share_that_was_stopped_from_the_browsers_bar(page: Page, served: Served) -> None:
    page.goto(served.url)
    page.get_by_role("button", name="Share my screen").click()
    expect(page.locator("#start")).to_be_hidden()
    expect(page.locator("#cover")).to_be_hidden()
    page.evaluate(END_TRACK)
    expect(page.locator("#cover")).to_contain_text("Screen sharing ended")
    page.locator("#cover").get_by_role("button", name="Share again").click()
    expect(page.locator("#cover")).to_be_hidden()


def test_the_page_comes_back_by_itself_after_the_server_was_started_anew(page: Page, served: Served) -> None:
    page.goto(served.url)
    wait_for_picture(page)
    served.stop()
    expect(page.locator("#badges")).to_contain_text("The server is gone")
    served.start()
    wait_for_picture(page)
    expect(page.locator("#badges")).not_to_contain_text("The server is gone")


def test_a_published_webcam_comes_back_with_what_was_typed(page: Page, served: Served) -> None:
    use_webcam(page, served.url)
    page.keyboard.press("/")
    page.keyboard.type("cup")
    page.keyboard.press("Enter")
    expect(item(page, 1)).to_contain_text("cup")
    served.stop()
    expect(page.locator("#badges")).to_contain_text("The server is gone")
    served.start()
    expect(page.locator("#badges")).not_to_contain_text("The server is gone", timeout=20_000)
    wait_for_picture(page)
    expect(item(page, 1)).to_contain_text("cup")


def test_a_hidden_tab_says_so_and_shows_the_present_when_it_is_back(page: Page, served: Served) -> None:
    page.goto(served.url)
    wait_for_picture(page)
    hide = """(hidden) => {
      Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }"""
    page.evaluate(hide, True)
    expect(page).to_have_title("In the background – Onlooker")
    page.evaluate(hide, False)
    expect(page.locator("#badges")).to_contain_text("Tracking went on")
    wait_for_picture(page)


def test_masks_come_though_their_worker_could_not_be_loaded_at_first(page: Page, served: Served) -> None:
    """As when the server goes away just then."""
    asked: list[str] = []

    def gone_at_first(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) == 1:
            route.abort()
        else:
            route.continue_()

    page.route("**/mask-worker.js", gone_at_first)
    use_webcam(page, served.url)
    wait_for_picture(page)
    click(page, 0.3, 0.6)
    wait_for_tint(page, 0.3, 0.6, coloured=True)
    assert len(asked) == 2
