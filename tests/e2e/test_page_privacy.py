"""Hiding people from the page: the picture that comes by WHEP is hidden, and the overlay is still on its frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from stream.types import Frame, Track
from tests.barcode import BarcodeTracker
from tests.browser import wait_for
from tests.e2e.conftest import Served
from tests.private import COLOURS, MOST_SHOWN, NEAR, SIZE, Box, TruthEngine, TruthTracker, picture

FRAMES = 120
SHOWN = 0.4
"""The least share of the thing's pixels that have its colours on the canvas when it is not hidden."""
NUMBERS = (Path(__file__).parent / "exactness.js").read_text()
SHARES = """
  window.shares = [];
  document.addEventListener("onlooker:drawn", (event) => {
    const scene = event.target, { number } = window.drawn.at(-1) ?? {};
    if (event.detail.repeated || number === null || number === undefined) return;
    const x = 20 + (4 * number) % 220, scale = scene.width / 320;
    const data = scene.getContext("2d").getImageData(x * scale, 50 * scale, 60 * scale, 60 * scale).data;
    let near = 0;
    for (let at = 0; at < data.length; at += 4)
      if (COLOURS.some((one) => Math.hypot(...one.map((value, i) => value - data[at + i])) < NEAR)) near += 1;
    window.shares.push(near / (data.length / 4));
  });
""".replace("COLOURS", str([list(colour) for colour in COLOURS])).replace("NEAR", str(NEAR))


def walks(number: int) -> Sequence[Box]:
    x = 20 + (4 * number) % 220
    return [(x, 50, x + 60, 110)]


class NumberedTracker(TruthTracker):
    def tracks(self, frame: Frame) -> tuple[Track, ...]:
        """One, labelled with the frame's number, in the lower half of the picture."""
        return BarcodeTracker.tracks(self, frame)[:1]


class NumberedEngine(TruthEngine):
    def open_tracker(self, first_track_id: int = 1) -> NumberedTracker:
        tracker = NumberedTracker(first_track_id)
        tracker.truth = self.truth
        return tracker


def write_scene(path: Path) -> None:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=Fraction(20), options={"crf": "12", "bf": "0", "g": "20"})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for number in range(FRAMES):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture(number, walks), format="rgb24")))
        out.mux(stream.encode(None))


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Served]:
    write_scene(tmp_path / "yard.mp4")
    feed: dict[str, Any] = {"id": "yard", "name": "Yard", "path": str(tmp_path / "yard.mp4")}
    server = Served(tmp_path, feeds=[feed], engine=NumberedEngine(walks))
    server.start()
    yield server
    server.stop()


def shares(page: Page) -> list[float]:
    return list(page.evaluate("window.shares"))


def test_people_are_hidden_from_the_page_and_shown_again(yard: Served, browser: Browser) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    try:
        page.add_init_script(NUMBERS + SHARES)
        page.goto(f"{yard.url}?stream=yard")
        wait_for(page, f"window.shares.filter((share) => share > {SHOWN}).length > 20")
        page.get_by_role("button", name="Settings").click()
        people = page.get_by_label("People")
        expect(people).to_have_value("")
        people.select_option("person")
        expect(page.locator(".hidden-badge")).to_have_text("Hidden: person")
        page.keyboard.press("Escape")
        before = len(shares(page))
        wait_for(page, f"window.shares.length > {before + 40}", 40)
        seen = shares(page)
        first = next(at for at, share in enumerate(seen) if share <= MOST_SHOWN)
        assert max(seen[first:]) <= MOST_SHOWN
        assert len(seen[first:]) > 30
        drawn = [one for one in page.evaluate("window.drawn") if one["synced"] and one["number"] is not None]
        assert len(drawn) > 30
        assert all(str(one["number"]) == one["label"] for one in drawn)
        page.get_by_role("button", name="Settings").click()
        expect(people).to_have_value("person")
        page.get_by_label("Other things").fill("dragon")
        page.get_by_label("Other things").press("Enter")
        expect(page.locator(".privacy-problem")).to_contain_text("dragon")
        assert httpx.get(f"{yard.url}v1/streams/yard").json()["privacy"]["classes"] == ["person"]
        page.get_by_label("Other things").fill("")
        people.select_option("")
        page.keyboard.press("Escape")
        wait_for(page, f"window.shares.slice({len(shares(page))}).filter((share) => share > {SHOWN}).length > 10", 40)
        expect(page.locator(".hidden-badge")).to_be_hidden()
    finally:
        context.close()
