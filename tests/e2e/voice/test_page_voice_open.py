"""An open microphone: it hears until it is muted, can be talked over, and never hears the voice that reads out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from tests.asking import PROBES
from tests.browser import chromium
from tests.e2e.on_voice import MICROPHONE_RATE, QUESTION, talking, write_microphone
from tests.e2e.voice.test_page_voice_barge import STORY, WITHIN_MS
from tests.scripted_vlm import scripted_vlm
from tests.speech import RATE, spoken

QUIET_S = 6.0
"""Between two questions of the fake microphone: longer than it takes to answer the first and begin to read it out."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    quiet = np.zeros(round(QUIET_S * MICROPHONE_RATE), np.float32)
    sound = np.concatenate([spoken(QUESTION, rate=MICROPHONE_RATE), quiet])
    with chromium(microphone=write_microphone(tmp_path_factory.mktemp("microphone") / "q.wav", sound)) as browser:
        yield browser


def test_a_muted_open_microphone_sends_nothing_and_says_so(browser: Browser, tmp_path: Path) -> None:
    with talking(browser, tmp_path, settings='{"talk": "open"}') as talk:
        assert talk.seen("tracks") == [], "nothing is opened before somebody wants it"
        talk.button.click()
        talk.wait("seen.came.some(({ type, state }) => type === 'speech' && state === 'hearing')")
        expect(talk.button).to_have_accessible_name("Mute the microphone")
        assert talk.listens()
        talk.button.click()
        expect(talk.button).to_have_accessible_name("Turn the microphone on")
        expect(talk.button).to_have_attribute("aria-pressed", "false")
        assert not talk.listens()
        talk.page.wait_for_timeout(500)
        before, heard = talk.packets(), len(talk.transcriber.heard)
        talk.page.wait_for_timeout(2500)
        assert talk.packets() == before
        assert len(talk.transcriber.heard) == heard


def test_an_open_microphone_asks_and_can_be_talked_over_but_never_hears_the_voice(
    browser: Browser, tmp_path: Path
) -> None:
    """The fake microphone asks, is quiet, and asks again into the answer that is being read out by then."""
    with talking(browser, tmp_path, settings='{"talk": "open"}') as talk:
        talk.transcriber.script = [QUESTION, "Where is the red cup?"]
        talk.page.evaluate("() => { window.msAChar = 1500; }")
        expect(talk.button).to_have_attribute("aria-pressed", "false")
        talk.page.keyboard.press("v")
        expect(talk.button).to_have_attribute("aria-pressed", "true")
        expect(talk.page.locator(".turn .asked").first).to_have_text(QUESTION, timeout=30_000)
        talk.wait_for_mood("speaking")
        talk.page.wait_for_function("() => seen.cancelled.length > 0", timeout=30_000)
        assert talk.said() == ["There is 1 person: number 5."], "silenced before its end"
        expect(talk.page.locator(".turn .asked").nth(1)).to_have_text("Where is the red cup?", timeout=30_000)
        first, second = talk.transcriber.heard[:2]
        assert len(second) / RATE > 0.75 * len(first) / RATE, "what was said before it was noticed counts as well"


def test_being_heard_stops_an_answer_that_streams(browser: Browser, tmp_path: Path) -> None:
    with scripted_vlm() as vlm:
        vlm.script(*PROBES)
        with talking(browser, tmp_path, vlm=vlm.url, settings='{"talk": "open", "answers": "off"}') as talk:
            talk.button.click()
            talk.transcriber.script = ["Tell me a story.", QUESTION]
            vlm.script(STORY)
            first = talk.page.locator(".turn").first
            expect(first.locator(".said")).to_contain_text("Once upon a time", timeout=30_000)
            expect(first).to_have_attribute("data-state", "stopped", timeout=30_000)
            came = [m for m in talk.seen("came") if m["type"] == "speech" and m["state"] == "hearing"]
            stops = [m["now"] for m in talk.sent("ask.stop")]
            assert any(0 <= stops[-1] - message["now"] < WITHIN_MS for message in came)
            expect(talk.page.locator(".turn .asked").nth(1)).to_have_text(QUESTION, timeout=30_000)
