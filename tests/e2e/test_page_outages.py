"""A picture that stands still, one that fails to come, and a connection that breaks: each in its own words."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from playwright.sync_api import Page, expect

from tests.e2e.conftest import Served
from tests.e2e.on_page import RECORD, drawn, wait_for_picture
from tests.server import PushedSource

SHARE_A_DRAWING = """
  let timer = 0, count = 0;
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: 640, height: 360 });
  const context = canvas.getContext("2d");
  const draw = () => {
    context.fillStyle = `rgb(${(count * 7) % 255}, 120, 90)`;
    context.fillRect(0, 0, 640, 360);
    count += 1;
  };
  window.moving = (on) => {
    clearInterval(timer);
    if (on) timer = setInterval(draw, 33);
  };
  navigator.mediaDevices.getDisplayMedia = async () => {
    window.moving(true);
    return canvas.captureStream();
  };
"""
BREAKABLE = """
  window.connections = [];
  window.broken = false;
  const Stock = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Stock {
    constructor(...args) {
      super(...args);
      window.connections.push(this);
    }
    get connectionState() {
      return this.failed ? "failed" : window.broken ? "connecting" : super.connectionState;
    }
    fail() {
      this.failed = true;
      this.dispatchEvent(new Event("connectionstatechange"));
    }
    async setRemoteDescription(description) {
      await super.setRemoteDescription(description);
      if (window.broken) setTimeout(() => this.fail(), 100);
    }
  };
"""


@contextmanager
def pictures(source: PushedSource) -> Iterator[Callable[[bool], None]]:
    """30 pictures a second as long as they are wanted."""
    wanted, over = threading.Event(), threading.Event()
    wanted.set()

    def push() -> None:
        while not over.is_set():
            if wanted.wait(0.1):
                source.push(1, pause_s=1 / 30)

    def want(on: bool) -> None:
        if on:
            wanted.set()
        else:
            wanted.clear()

    thread = threading.Thread(target=push)
    thread.start()
    try:
        yield want
    finally:
        over.set()
        thread.join()


def test_a_screen_that_does_not_change_is_still_and_not_stalled(page: Page, empty_server: Served) -> None:
    page.add_init_script(SHARE_A_DRAWING)
    page.goto(empty_server.url)
    page.locator("#cover").get_by_role("button", name="Share my screen").click()
    wait_for_picture(page)
    expect(page.locator("#source-name")).to_have_text("Screen")
    badges = page.locator("#badges")
    expect(badges).not_to_contain_text("Still")
    page.evaluate("() => window.moving(false)")
    expect(badges).to_contain_text("Still")
    words = badges.get_by_text("The picture does not change.").bounding_box()
    assert words is not None
    hit = "([x, y]) => document.elementFromPoint(x, y).id"
    assert page.evaluate(hit, [words["x"] + 20, words["y"] + 8]) == "scene", "the words are in the way of clicks"
    expect(page.locator("#status-state")).to_have_text("still")
    expect(page.locator("#scene")).to_be_visible()
    page.wait_for_timeout(6000)  # longer than a sender may be silent
    expect(badges).to_contain_text("Still")
    expect(badges).not_to_contain_text("Stalled")
    page.evaluate("() => window.moving(true)")
    expect(badges).not_to_contain_text("Still")
    wait_for_picture(page)


def test_a_source_without_a_sign_of_life_is_stalled_until_pictures_come_again(page: Page, empty_server: Served) -> None:
    source = empty_server.open_stream("cam")
    with pictures(source) as want:
        page.goto(f"{empty_server.url}?stream=cam")
        wait_for_picture(page)
        badges = page.locator("#badges")
        want(False)
        expect(badges).to_contain_text("Stalled")
        expect(badges.get_by_role("button", name="Connect again")).to_be_visible()
        expect(page.locator("#status-state")).to_have_text("stalled")
        want(True)
        expect(badges).not_to_contain_text("Stalled")
        wait_for_picture(page)


def test_a_broken_connection_is_made_again_by_itself(page: Page, served: Served) -> None:
    page.add_init_script(BREAKABLE)
    page.goto(served.url)
    page.get_by_role("button", name="Use my webcam").first.click()
    expect(page.locator("#start")).to_be_hidden()
    wait_for_picture(page)
    before = page.evaluate("() => window.connections.length")
    page.evaluate("() => window.connections.at(-1).fail()")
    expect(page.locator("#badges")).to_contain_text("Reconnecting")
    expect(page.locator("#badges")).not_to_contain_text("Reconnecting")
    assert page.evaluate("() => window.connections.length") == before + 1
    page.evaluate(RECORD)
    page.wait_for_function("() => window.drawn.filter((event) => event.synced).length > 10")
    assert drawn(page)


def test_video_that_never_gets_through_is_told_with_what_to_do(page: Page, served: Served) -> None:
    """Though the websocket works all the time, as behind a firewall without UDP."""
    page.add_init_script(BREAKABLE)
    page.add_init_script("window.broken = true;")
    page.goto(served.url)
    card = page.locator("#cover")
    expect(card).to_contain_text("The video connection failed")
    expect(card).to_contain_text("onlooker doctor")
    page.evaluate("() => { window.broken = false; }")
    card.get_by_role("button", name="Connect again").click()
    wait_for_picture(page)
    expect(card).to_be_hidden()
