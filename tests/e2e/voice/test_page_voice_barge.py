"""Cutting the voice short: by talking, by typing, by Esc and by the button."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.asking import PROBES
from tests.e2e.on_voice import QUESTION, Talk, talking
from tests.scripted_vlm import ScriptedVlm, scripted_vlm

WITHIN_MS = 200
STORY = {"tokens": ["Once upon a time there was a cup. ", *["And it was red and it was there. "] * 300], "every_s": 0.1}


@pytest.fixture(scope="module")
def running_vlm() -> Iterator[ScriptedVlm]:
    with scripted_vlm() as server:
        yield server


@pytest.fixture
def telling(browser: Browser, tmp_path: Path, running_vlm: ScriptedVlm) -> Iterator[Talk]:
    """While a long answer is being given and read out."""
    running_vlm.script(*PROBES)
    with talking(browser, tmp_path, vlm=running_vlm.url) as talk:
        running_vlm.script(STORY)
        talk.transcriber.script = ["Tell me a story."]
        talk.page.evaluate("() => { window.msAChar = 400; }")
        talk.hold()
        talk.wait_for_mood("speaking")
        expect(talk.page.locator(".turn")).to_have_attribute("data-state", "open")
        yield talk


def expect_silence(talk: Talk) -> None:
    expect(talk.page.locator(".turn").first).to_have_attribute("data-state", "stopped")
    said = len(talk.said())
    talk.page.wait_for_timeout(700)
    assert len(talk.said()) == said, "nothing of it is said any more"


def test_the_key_to_talk_stops_voice_and_answer_and_asks_anew(telling: Talk) -> None:
    telling.transcriber.script = [QUESTION]
    telling.page.keyboard.down("v")
    silence_ms, stop_ms = telling.stopped_ms("v")
    assert silence_ms < WITHIN_MS
    assert stop_ms < WITHIN_MS
    telling.wait_for_mood("listening", "hearing")
    expect_silence(telling)
    telling.page.wait_for_timeout(800)
    telling.page.keyboard.up("v")
    expect(telling.page.locator(".turn").last.locator(".asked")).to_have_text(QUESTION)


def test_escape_stops_voice_and_answer_and_nothing_else(telling: Talk) -> None:
    telling.page.keyboard.press("]")
    selected = telling.page.locator("#objects .object-main[aria-pressed='true']")
    expect(selected).to_have_count(1)
    telling.page.keyboard.press("Escape")
    silence_ms, stop_ms = telling.stopped_ms("Escape")
    assert silence_ms < WITHIN_MS
    assert stop_ms < WITHIN_MS
    expect_silence(telling)
    expect(selected).to_have_count(1)
    telling.page.keyboard.press("Escape")
    expect(selected).to_have_count(0)


def test_typing_silences_the_voice_and_asking_stops_the_answer(telling: Talk) -> None:
    telling.page.keyboard.press("a")
    telling.page.keyboard.type("H")
    pressed = telling.seen("keys")[-1]["now"]
    telling.wait("seen.cancelled.length > 0")
    assert telling.seen("cancelled")[0] - pressed < WITHIN_MS
    expect(telling.page.locator(".turn")).to_have_attribute("data-state", "open")
    telling.page.keyboard.type("ow many people are there?")
    telling.page.keyboard.press("Enter")
    assert telling.stopped_ms("Enter")[1] < WITHIN_MS
    expect_silence(telling)
    expect(telling.page.locator(".turn").last.locator(".asked")).to_have_text(QUESTION)


def test_the_button_that_stops_the_answer_stops_the_voice(telling: Talk) -> None:
    telling.page.get_by_role("button", name="Stop the answer").click()
    expect_silence(telling)
    telling.wait_for_mood("off")
    expect(telling.page.get_by_role("button", name="Ask", exact=True)).to_be_visible()


def test_escape_before_the_words_are_known_leaves_the_question_unanswered(browser: Browser, tmp_path: Path) -> None:
    with talking(browser, tmp_path) as talk:
        talk.transcriber.script, talk.transcriber.delay_s = [QUESTION, QUESTION], 2.0
        talk.hold()
        talk.wait_for_mood("thinking")
        talk.wait("seen.came.some(({ type, state }) => type === 'speech' && state === 'thinking')")
        talk.page.keyboard.press("Escape")
        talk.wait("seen.came.some(({ type }) => type === 'heard')")
        talk.wait("seen.sent.some(({ type, question_id }) => type === 'ask.stop' && question_id)")
        talk.page.wait_for_timeout(500)
        assert talk.said() == []
        talk.hold()
        talk.wait("seen.said.length > 0")
        assert talk.said() == ["There is 1 person: number 5."]
