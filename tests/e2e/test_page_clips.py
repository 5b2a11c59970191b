"""A clip of an alert plays in the page, and what is drawn on each of its pictures was computed from that picture."""

from __future__ import annotations

import io
import threading
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from agent.types import Event, EventKind, Severity
from stream.types import FrameRef
from tests.browser import wait_for
from tests.e2e.conftest import Faults
from tests.e2e.test_page_access import serious_violations
from tests.server import PushedSource, RunningServer

# At each picture that the player has drawn: the number in the composited canvas, and the one of its overlay.
PROBE = (Path(__file__).parent / "exactness.js").read_text()


class Filmed:
    """A server whose stream `cam` shows numbers, 25 a second, with short clips."""

    def __init__(self, folder: Path) -> None:
        self.server = RunningServer(folder, {"clips": {"before_s": 1, "after_s": 1}})
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._play, daemon=True)

    def _play(self) -> None:
        while not self._over.is_set():
            self.source.push(pause_s=0.035)

    def alert(self) -> None:
        """Something happens on the newest picture."""
        session = self.server.state.hub.get("cam")
        update = session.latest
        assert update is not None
        event = Event(
            "a" * 32, EventKind.ALERT, "Somebody came in.", (1,), FrameRef(update.epoch, update.rtp), update.pts,
            datetime.now(UTC), severity=Severity.WARN, labels=("person",),
        )  # fmt: skip

        async def tell() -> None:
            self.server.state.agents.of(session).tell(event)

        self.server.call(tell)

    def __enter__(self) -> Filmed:
        self.server.__enter__()
        self.source: PushedSource = self.server.open_stream("cam")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(10)
        self.server.__exit__(None, None, None)


@pytest.fixture
def filmed(tmp_path: Path) -> Iterator[Filmed]:
    with Filmed(tmp_path) as filmed:
        yield filmed


def drawn(page: Page) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = page.evaluate("() => window.clipDrawn")
    return found


def open_alert(page: Page, filmed: Filmed) -> Locator:
    """An alert's mark under the picture leads to its clip."""
    page.goto(filmed.server.url)
    page.evaluate(PROBE)
    expect(page.locator("#status-sync")).to_have_text("exact")
    filmed.alert()
    page.locator('.mark[data-kind="alert"]').click()
    page.get_by_role("dialog", name="What happened").get_by_role("button", name="Play the clip").click()
    sheet = page.locator("#history")
    expect(sheet.locator(".clip-player")).to_be_visible()
    wait_for(page, "window.clipDrawn.length > 5")
    return sheet


def open_clip(page: Page, filmed: Filmed) -> Locator:
    """Save a clip by hand, wait for it, and play it from the message that says so."""
    page.goto(filmed.server.url)
    page.evaluate(PROBE)
    expect(page.locator("#status-sync")).to_have_text("exact")
    page.locator("#tool-clip").click()
    toast = page.locator(".toast", has_text="Clip saved")
    toast.get_by_role("button", name="Show").click()
    sheet = page.get_by_role("dialog", name="What happened")
    expect(sheet.locator(".clip-player")).to_be_visible()
    wait_for(page, "window.clipDrawn.length > 5")
    return sheet


def test_the_overlay_of_a_clip_is_on_its_own_pictures(page: Page, filmed: Filmed, faults: Faults) -> None:
    sheet = open_alert(page, filmed)
    wait_for(page, "document.querySelector('.clip-stage video').ended")
    played = drawn(page)
    looked_at = [entry for entry in played if entry["label"] is not None]
    assert len(looked_at) > 10
    assert [entry["number"] for entry in looked_at] == [int(entry["label"]) for entry in looked_at]

    # One picture at a time, back from the end and forwards again.
    place = page.evaluate("window.clipDrawn.at(-1).place")
    for name, step in (("One picture back", -1), ("One picture back", -1), ("One picture on", 1)):
        place += step
        sheet.get_by_role("button", name=name).click()
        wait_for(page, f"window.clipDrawn.at(-1).place === {place}")
    # And anywhere, with the keyboard.
    sheet.get_by_label("Picture", exact=True).focus()
    page.keyboard.press("Home")
    wait_for(page, "window.clipDrawn.at(-1).place === 0")
    page.keyboard.press(".")
    wait_for(page, "window.clipDrawn.at(-1).place === 1")
    stepped = [entry for entry in drawn(page)[len(played) :] if entry["label"] is not None]
    assert [entry["number"] for entry in stepped] == [int(entry["label"]) for entry in stepped]
    assert faults.seen == []


def test_a_clip_is_downloaded_packed_with_others_and_deleted(page: Page, filmed: Filmed, faults: Faults) -> None:
    sheet = open_clip(page, filmed)
    assert serious_violations(page) == []
    detail = sheet.get_by_role("region", name="What happened then")
    with page.expect_download() as video:
        detail.get_by_role("link", name="Video").click()
    assert video.value.suggested_filename.endswith(".mp4")
    with page.expect_download() as lines:
        detail.get_by_role("link", name="Tracks").click()
    assert len(Path(lines.value.path()).read_text().splitlines()) > 10

    sheet.get_by_role("button", name="Select").click()
    sheet.locator(".history-row", has_text="saved by hand").get_by_role("button").click()
    expect(sheet.get_by_text("1 selected")).to_be_visible()
    with page.expect_download() as packed:
        sheet.get_by_role("button", name="Download ZIP").click()
    with zipfile.ZipFile(io.BytesIO(Path(packed.value.path()).read_bytes())) as archive:
        assert {name.partition("/")[0] for name in archive.namelist()} == {"clips", "pictures", "events.json"}

    row = sheet.locator(".history-row", has_text="saved by hand")
    row.get_by_role("button").click()
    detail.get_by_role("button", name="Delete clip").click()
    detail.get_by_role("button", name="Delete for good?").click()
    expect(detail.get_by_role("status")).to_have_text("The clip is deleted.")
    expect(row.get_by_text("Has a clip")).to_have_count(0)
    expect(detail.get_by_role("img", name="The picture at that moment")).to_be_visible()
    assert faults.seen == []


def test_a_stream_without_clips_says_so_and_how_to_turn_them_on(page: Page, filmed: Filmed) -> None:
    page.goto(filmed.server.url)
    expect(page.locator("#status-sync")).to_have_text("exact")
    filmed.server.state.hub.get("cam")._kind = "webrtc"
    page.keyboard.press("c")
    toast = page.locator(".toast", has_text="Clips of this stream are off")
    toast.get_by_role("button", name="Turn on").click()
    expect(page.locator(".toast", has_text="Clips are on: 1 s before and 1 s after")).to_be_visible()
    assert filmed.server.state.clips.is_on(filmed.server.state.hub.get("cam"))
