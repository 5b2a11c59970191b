"""Nothing scripted on the way from the microphone to the answer that is read out: Chromium, WebRTC, Whisper, tracks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from playwright.sync_api import expect

from tests.browser import chromium
from tests.e2e.conftest import Faults
from tests.e2e.on_voice import MICROPHONE_RATE, QUESTION, talking, write_microphone
from tests.speech import spoken, words

QUIET_S = 8.0
"""Between two of them, for the answer of the first."""


def test_a_question_asked_aloud_is_understood_answered_and_read_out(
    tmp_path: Path, whisper: Path, faults: Faults
) -> None:
    quiet = np.zeros(round(QUIET_S * MICROPHONE_RATE), np.float32)
    sound = np.concatenate([spoken(QUESTION, rate=MICROPHONE_RATE), quiet])
    with (
        chromium(microphone=write_microphone(tmp_path / "question.wav", sound)) as browser,
        talking(browser, tmp_path / "scene", settings='{"talk": "open"}', model=whisper) as talk,
    ):
        faults.watch(talk.page)
        talk.button.click()
        # The file may be in the middle of the question when the microphone opens: the next one is whole.
        turn = talk.page.locator(".turn", has_text="There is 1 person").first
        expect(turn.locator(".said")).to_have_text("There is 1 person: #5.", timeout=60_000)
        assert words(turn.locator(".asked").inner_text()) == words(QUESTION)
        talk.wait("seen.said.some(({ text }) => text === 'There is 1 person: number 5.')")
        assert faults.seen == []
