"""Cameras in the page: tried and added by the dialog, side by side with exact overlays, lost and back again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.barcode import BarcodeEngine, write_clip
from tests.browser import wait_for
from tests.cameras.clips import Shape, make_clip
from tests.cameras.rtsp import RtspServer, mount
from tests.e2e.conftest import Faults
from tests.e2e.on_page import wait_for_picture
from tests.e2e.test_page_access import serious_violations
from tests.server import RunningServer
from web.tls import ensure_certificate

PROBE = (Path(__file__).parent / "exactness.js").read_text()
LOGIN = {"username": "admin", "password": "se@cret"}
FPS = 10
ENOUGH = 25
"""Drawn frames on which exactness is judged, of each picture."""


@dataclass
class Site:
    """A server that may reach loopback, and cameras there that ask for a login."""

    url: str
    cameras: RtspServer

    def add(self, stream: str, path: str) -> None:
        source = {"kind": "rtsp", "url": self.cameras.url(path), **LOGIN}
        body = {"id": stream, "name": stream.title(), "source": source}
        httpx.post(f"{self.url}/v1/streams", json=body).raise_for_status()

    def stats(self, stream: str) -> dict[str, Any]:
        return dict(httpx.get(f"{self.url}/v1/streams/{stream}/stats").json())


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    plain = make_clip(tmp_path / "plain", Shape(sizes=((320, 180),), fps=FPS, frames=4 * FPS, group=FPS))
    hevc = make_clip(tmp_path / "hevc", Shape(codec="HEVC", sizes=((320, 180),), fps=FPS, frames=4 * FPS, group=FPS))
    mounts = {"/door": mount(plain), "/yard": mount(hevc)}
    sources = {"allow_hosts": ["127.0.0.0/8"]}
    with (
        RtspServer(tmp_path / "rtsp", mounts, user=LOGIN["username"], password=LOGIN["password"]) as cameras,
        RunningServer(tmp_path, {"sources": sources}, engine=BarcodeEngine()) as server,
    ):
        yield Site(server.url, cameras)


def tile(page: Page, name: str) -> Locator:
    return page.locator(".tile", has_text=name)


def wait_for_viewers(page: Page, url: str, wanted: dict[str, int]) -> None:
    """Until each stream has so many."""
    with httpx.Client() as client:
        for _ in range(300):
            answers = {stream: client.get(f"{url}/v1/streams/{stream}/stats").json() for stream in wanted}
            if {stream: answer["viewers"] for stream, answer in answers.items()} == wanted:
                return
            page.wait_for_timeout(50)
    raise AssertionError(f"viewers are not {wanted}: {answers}")


def of_the_page(faults: Faults) -> list[str]:
    """Its own faults: an answer that says no, as to a wrong password, is none."""
    return [seen for seen in faults.seen if "Failed to load resource" not in seen]


def check_exact(page: Page, streams: list[str | None]) -> None:
    """At least 99 % of what is drawn from now on has its own frame's overlay."""
    page.evaluate("window.drawn.length = 0")
    for stream in streams:
        wanted = "null" if stream is None else f"'{stream}'"
        wait_for(page, f"window.drawn.filter((frame) => frame.stream === {wanted}).length >= {ENOUGH}", timeout_s=40)
    for stream in streams:
        drawn = [frame for frame in page.evaluate("window.drawn") if frame["stream"] == stream]
        exact = [frame for frame in drawn if frame["synced"] and str(frame["number"]) == frame["label"]]
        assert len(exact) >= 0.99 * len(drawn), f"{len(exact)} of {len(drawn)} overlays of {stream} are on their frame"


def test_a_camera_is_tried_added_changed_and_removed(page: Page, faults: Faults, site: Site) -> None:
    page.goto(f"{site.url}/#grid")
    page.locator("#grid-cover").get_by_role("button", name="Add a camera").click()
    dialog = page.get_by_role("dialog", name="Add a camera")
    dialog.get_by_label("Address").fill(site.cameras.url("/door").replace("rtsp://", "rtsp://admin:wrong@"))
    dialog.get_by_label("Name").fill("Front door")
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("alert")).to_contain_text("does not accept this user name and password")
    expect(dialog.get_by_label("Address")).to_have_value(site.cameras.url("/door"))

    dialog.get_by_label("Password").fill(LOGIN["password"])
    page.keyboard.press("Enter")
    expect(dialog.get_by_alt_text("What the camera shows")).to_be_visible()
    expect(dialog.locator(".camera-found")).to_have_text("H.264 · 320 × 180 · 10 pictures a second")
    page.keyboard.press("Enter")
    expect(tile(page, "Front door")).to_have_attribute("data-state", "live")
    assert LOGIN["password"] not in httpx.get(f"{site.url}/v1/streams").text

    tile(page, "Front door").get_by_role("button", name="More").click()
    page.get_by_role("button", name="Change…").click()
    dialog = page.get_by_role("dialog", name="Camera", exact=True)
    dialog.get_by_label("Address").fill(site.cameras.url("/yard"))
    dialog.get_by_label("Name").fill("Yard")
    dialog.get_by_role("button", name="Try it").click()
    expect(dialog.locator(".camera-note")).to_contain_text("transcoded")
    dialog.get_by_role("button", name="Save").click()
    expect(tile(page, "Yard").locator(".tile-note")).to_have_text("transcoded")

    tile(page, "Yard").get_by_role("button", name="More").click()
    page.get_by_role("button", name="Remove…").click()
    page.get_by_role("dialog", name="Camera", exact=True).get_by_role("button", name="Remove", exact=True).click()
    expect(page.get_by_role("heading", name="No cameras yet")).to_be_visible()
    assert of_the_page(faults) == []


def test_a_camera_with_a_certificate_of_its_own_is_added_by_choice(
    page: Page, faults: Faults, site: Site, tmp_path: Path
) -> None:
    own = ensure_certificate(tmp_path / "own", ["door.test"], ["127.0.0.1"])
    clip = make_clip(tmp_path / "clip", Shape(sizes=((320, 180),), fps=FPS))
    page.goto(f"{site.url}/#grid")
    page.locator("#grid-cover").get_by_role("button", name="Add a camera").click()
    dialog = page.get_by_role("dialog", name="Add a camera")
    choice = dialog.get_by_role("checkbox", name="Accept any certificate")
    expect(choice).to_be_hidden()
    with RtspServer(tmp_path / "rtsps", {"/door": mount(clip)}, tls=own) as camera:
        dialog.get_by_label("Address").fill(camera.url("/door"))
        page.keyboard.press("Enter")
        expect(dialog.get_by_role("alert")).to_contain_text("is not trusted")
        choice.check()
        expect(dialog.get_by_role("alert")).to_be_hidden()
        dialog.get_by_role("button", name="Try it").click()
        expect(dialog.get_by_alt_text("What the camera shows")).to_be_visible()
        dialog.get_by_role("button", name="Add the camera").click()
        expect(tile(page, "127.0.0.1")).to_have_attribute("data-state", "live")
        tile(page, "127.0.0.1").get_by_role("button", name="More").click()
        page.get_by_role("button", name="Change…").click()
        dialog = page.get_by_role("dialog", name="Camera", exact=True)
        expect(dialog.get_by_role("checkbox", name="Accept any certificate")).to_be_checked()
        expect(dialog.get_by_role("button", name="Save")).to_be_visible()
    assert of_the_page(faults) == []


def test_feeds_side_by_side_are_exact_and_open_by_keyboard(page: Page, faults: Faults, site: Site) -> None:
    site.add("door", "/door")
    site.add("yard", "/yard")
    page.add_init_script(PROBE)
    page.goto(f"{site.url}/#grid")
    for name in ("Door", "Yard"):
        expect(tile(page, name)).to_have_attribute("data-state", "live")
    expect(page.locator("#grid-count")).to_have_text("2 live")
    check_exact(page, ["door", "yard"])
    assert serious_violations(page) == []

    expect(page.locator(".tile:first-child .tile-link")).to_be_focused()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator("#source-name")).to_have_text("Yard")
    assert page.url.endswith("#stream/yard")
    wait_for_picture(page)
    wait_for_viewers(page, site.url, {"door": 0, "yard": 1})
    check_exact(page, [None])
    page.keyboard.press("Escape")
    expect(tile(page, "Yard").locator(".tile-link")).to_be_focused()
    page.go_back()
    expect(page.locator("#source-name")).to_have_text("Yard")
    assert of_the_page(faults) == []


def test_a_camera_that_is_lost_says_so_and_comes_back(page: Page, site: Site) -> None:
    site.add("door", "/door")
    page.add_init_script(PROBE)
    page.goto(f"{site.url}/#grid")
    door = tile(page, "Door")
    expect(door).to_have_attribute("data-state", "live")
    site.cameras.kill()
    expect(door).to_have_attribute("data-state", "offline")
    expect(door.locator(".tile-cover")).to_contain_text("Offline since")
    expect(door.locator(".tile-cover")).to_contain_text("127.0.0.1")
    expect(page.locator("#grid-count")).to_have_text("0 live · 1 without a picture")
    site.cameras.start()
    expect(door).to_have_attribute("data-state", "live", timeout=30_000)
    assert site.stats("door")["viewers"] == 1
    # Of the picture that was cut off with the line, half may be drawn.
    wait_for(page, "window.drawn.some((frame) => frame.epoch === 2)", timeout_s=40)
    check_exact(page, ["door"])


@pytest.fixture
def many(tmp_path: Path) -> Iterator[RunningServer]:
    """Four streams, and places for two viewers."""
    options = {"preset": "ultrafast", "bf": "0", "g": "10"}
    write_clip(tmp_path / "clip.mp4", codec="libx264", size=(320, 180), frames=40, fps=FPS, options=options)
    feeds = [{"id": f"cam-{n}", "name": f"Camera {n}", "path": str(tmp_path / "clip.mp4")} for n in range(4)]
    with RunningServer(tmp_path, {"feeds": feeds, "webrtc": {"max_viewers": 2}}, engine=BarcodeEngine()) as server:
        yield server


def test_only_what_is_in_sight_is_watched_and_full_places_are_told(browser: Browser, many: RunningServer) -> None:

    def watched(*viewers: int) -> dict[str, int]:
        return {f"cam-{number}": count for number, count in enumerate(viewers)}

    context = browser.new_context(viewport={"width": 390, "height": 400})
    page = context.new_page()
    page.goto(f"{many.url}/#grid")
    wait_for_viewers(page, many.url, watched(1, 1, 0, 0))
    page.locator(".tile").nth(3).scroll_into_view_if_needed()
    page.mouse.wheel(0, 2000)
    wait_for_viewers(page, many.url, watched(0, 0, 1, 1))

    page.set_viewport_size({"width": 1280, "height": 800})
    told = page.locator(".tile-cover", has_text="All places for viewers are taken")
    expect(told).to_have_count(2)
    expect(page.locator(".tile-still:visible")).to_have_count(2)
    hide = "Object.defineProperty(document, 'hidden', {value: HIDDEN, configurable: true});"
    tell = "document.dispatchEvent(new Event('visibilitychange'));"
    page.evaluate(hide.replace("HIDDEN", "true") + tell)
    wait_for_viewers(page, many.url, watched(0, 0, 0, 0))
    context.close()


def test_an_alert_is_marked_until_it_was_looked_at(page: Page, many: RunningServer) -> None:
    page.goto(f"{many.url}/#grid")
    camera = page.locator(".tile[data-id='cam-1']")
    expect(camera).to_be_visible()
    api = f"{many.url}/v1/streams/cam-1"
    httpx.post(f"{api}/watches", json={"condition": "a person appears"}).raise_for_status()
    httpx.post(f"{api}/prompts", json={"kind": "text", "text": "person"}).raise_for_status()
    expect(camera.locator(".tile-alert")).to_contain_text("a person appears")
    expect(page.locator(".tile[data-alert]")).to_have_count(1)
    camera.locator(".tile-link").click()
    expect(page.locator("#source-name")).to_have_text("Camera 1")
    page.locator("#open-grid").click()
    expect(camera).to_be_visible()
    expect(page.locator(".tile-alert:visible")).to_have_count(0)
