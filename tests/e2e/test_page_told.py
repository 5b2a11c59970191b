"""What is told outside, in the page: notifications of other cameras, the places that alerts go to, and the way back."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser import wait_for
from tests.e2e.conftest import Faults
from tests.e2e.on_page import wait_for_picture
from tests.staged import BLUE, RED, StagedStream

NOTED = """
  globalThis.shown = [];
  globalThis.Notification = class extends EventTarget {
    static permission = "default";
    static async requestPermission() { return (Notification.permission = "granted"); }
    constructor(title, options) { super(); shown.push({ title, ...options, note: this }); }
    close() {}
  };
"""
"""A headless browser shows no notifications: these are noted instead."""


class Gone(BaseHTTPRequestHandler):
    """A program that takes nothing until it is told to."""

    answer = 410

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(type(self).answer)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def program() -> Iterator[str]:
    Gone.answer = 410
    with ThreadingHTTPServer(("127.0.0.1", 0), Gone) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join(5)


@pytest.fixture
def scene(tmp_path: Path, program: str) -> Iterator[StagedStream]:
    sinks = [{"url": program, "name": "siren", "min_severity": "warn"}]
    with StagedStream(tmp_path, blocks=(RED,), tables={"sinks": sinks}) as scene:
        yield scene


def alert(scene: StagedStream) -> None:
    path = f"{scene.server.url}/v1/streams/cam/watches"
    made = httpx.post(path, json={"condition": "a person appears", "severity": "warn"})
    assert made.status_code == 201, made.text
    scene.stage.blocks = [RED, BLUE]


def open_settings(page: Page) -> Any:
    page.get_by_role("button", name="Settings").click()
    return page.get_by_role("dialog", name="Settings")


def test_a_camera_that_is_not_on_screen_is_told_by_a_notification(
    context: BrowserContext, page: Page, scene: StagedStream, faults: Faults
) -> None:
    scene.server.open_stream("other").push(3)
    page.add_init_script(NOTED)
    page.goto(f"{scene.server.url}/#stream/other")
    settings = open_settings(page)
    expect(settings.get_by_role("button", name="Send a test notification")).to_be_hidden()
    assert page.evaluate("Notification.permission") == "default", "nobody is asked before it is wanted"
    settings.get_by_label("Notifications in this browser").check()
    settings.get_by_role("button", name="Send a test notification").click()
    wait_for(page, "shown.length === 1")
    page.keyboard.press("Escape")
    alert(scene)
    wait_for(page, "shown.length === 2")
    told = page.evaluate("shown.map(({ title, body, icon }) => ({ title, body, icon }))")
    assert told[0]["title"] == "Onlooker: a test"
    assert (told[1]["title"], told[1]["body"][:18]) == ("file", "a person appears: ")
    assert re.fullmatch(r"/v1/events/\w{32}/thumb\.jpg", told[1]["icon"])
    page.evaluate("shown[1].note.dispatchEvent(new Event('click'))")
    moment = page.get_by_role("region", name="What happened then")
    expect(moment).to_contain_text("a person appears: Person #5")
    page.keyboard.press("Escape")
    expect(moment).to_be_hidden()
    wait_for(page, "location.hash === '#stream/cam'")
    page.reload()
    assert page.evaluate("shown.length") == 0
    assert faults.seen == []


def test_what_is_on_screen_is_not_told_again(page: Page, scene: StagedStream, faults: Faults) -> None:
    page.add_init_script(NOTED)
    page.goto(f"{scene.server.url}/#stream/cam")
    wait_for_picture(page)
    open_settings(page).get_by_label("Notifications in this browser").check()
    page.get_by_role("button", name="Send a test notification").click()
    wait_for(page, "shown.length === 1")
    page.keyboard.press("Escape")
    alert(scene)
    expect(page.locator("#talk")).to_contain_text("a person appears")
    httpx.post(f"{scene.server.url}/v1/sinks/browser/test")
    wait_for(page, "shown.length >= 2")
    assert page.evaluate("shown.map(({ title }) => title)") == ["Onlooker: a test"] * 2
    assert faults.seen == []


def test_a_refused_permission_is_said(page: Page, scene: StagedStream) -> None:
    page.add_init_script(NOTED.replace('"granted"', '"denied"'))
    page.goto(f"{scene.server.url}/#stream/cam")
    settings = open_settings(page)
    choice = settings.get_by_label("Notifications in this browser")
    choice.click()
    expect(page.locator("#toasts")).to_contain_text("blocked for this page")
    expect(choice).not_to_be_checked()


def test_places_say_how_they_are_and_dead_letters_are_sent_again(
    page: Page, scene: StagedStream, faults: Faults
) -> None:
    page.goto(f"{scene.server.url}/#stream/cam")
    wait_for_picture(page)
    alert(scene)
    expect(page.locator("#talk")).to_contain_text("a person appears")
    state = next(found for found in scene.server.state.recording.sinks.states() if found.name == "siren")
    while not state.dead:
        page.wait_for_timeout(50)
    settings = open_settings(page)
    siren = settings.locator(".sink")
    expect(siren).to_contain_text("It answered 410.")
    expect(siren).to_contain_text("everything from warn on")
    siren.get_by_text("1 could not be delivered").click()
    expect(siren.locator(".letter").first).to_contain_text("a person appears: Person #5")
    Gone.answer = 200
    siren.get_by_role("button", name="Send again").click()
    while not state.delivered:
        page.wait_for_timeout(50)
    siren.get_by_role("button", name="Send a test to siren").click()
    expect(siren.get_by_role("status")).to_contain_text("The test was taken")
    page.keyboard.press("Escape")
    expect(open_settings(page).locator(".sink")).to_contain_text("1 delivered")
    assert faults.seen == []


def test_a_link_leads_to_its_moment(page: Page, scene: StagedStream, faults: Faults) -> None:
    page.goto(f"{scene.server.url}/#stream/cam")
    wait_for_picture(page)
    alert(scene)
    expect(page.locator("#talk")).to_contain_text("a person appears")
    found = httpx.get(f"{scene.server.url}/v1/events", params={"kind": "alert"}).json()["items"]
    while not found:
        page.wait_for_timeout(50)
        found = httpx.get(f"{scene.server.url}/v1/events", params={"kind": "alert"}).json()["items"]
    page.goto(f"{scene.server.url}/?stream=cam&event={found[0]['id']}")
    moment = page.get_by_role("region", name="What happened then")
    expect(moment).to_contain_text("a person appears: Person #5")
    page.keyboard.press("Escape")
    expect(moment).to_be_hidden()
    wait_for_picture(page)
    assert faults.seen == []
