"""Asking aloud: what is said while a key is held becomes a question, and its answer is read out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, expect

from tests.asking import PROBES
from tests.e2e.conftest import Faults
from tests.e2e.on_voice import QUESTION, Talk, talking
from tests.scripted_vlm import scripted_vlm
from tests.speech import RATE

SLOW_SESSION_MS = 1500


def test_what_is_said_while_the_key_is_held_is_asked_and_its_answer_read_out(talk: Talk, faults: Faults) -> None:
    faults.watch(talk.page)
    talk.transcriber.script = [QUESTION]
    talk.hold(2000)
    turn = talk.page.locator(".turn")
    expect(turn.locator(".asked")).to_have_text(QUESTION)
    expect(turn).to_have_attribute("data-state", "done")
    expect(turn.locator(".said")).to_have_text("There is 1 person: #5.")
    talk.wait("seen.said.length > 0")
    assert talk.seen("said") == [{"text": "There is 1 person: number 5.", "lang": "en", "rate": 1}]
    talk.wait_for_mood("off")
    order = {"listening": 0, "hearing": 0, "thinking": 1, "speaking": 2, "off": 3}
    moods = [order[mood] for mood in talk.seen("moods") if mood in order]
    moods = moods[moods.index(0) :]
    assert moods == sorted(moods)
    assert set(moods) == {0, 1, 2, 3}
    heard = talk.transcriber.heard[0]
    assert 1.9 < len(heard) / RATE < 3.5
    assert np.sqrt(np.mean(heard**2)) > 0.01, "somebody speaks in it"
    released = talk.sent("talk")[-1]
    assert released["on"] is False
    assert released["frame"]["epoch"] == 1
    assert faults.seen == []


def test_the_button_can_be_held_too_and_a_short_click_says_how(talk: Talk) -> None:
    talk.transcriber.script = [QUESTION]
    talk.button.click()
    expect(talk.page.locator(".voice-words")).to_have_text("Hold it while you speak")
    talk.wait_for_mood("off")
    assert talk.transcriber.heard == []
    talk.button.hover()
    talk.page.mouse.down()
    talk.wait_for_mood("listening", "hearing")
    talk.page.wait_for_timeout(1200)
    talk.page.mouse.up()
    expect(talk.page.locator(".turn .said")).to_have_text("There is 1 person: #5.")


def test_nothing_is_lost_of_what_is_said_before_there_is_a_way_to_the_server(talk: Talk) -> None:
    talk.transcriber.script = [QUESTION]

    def slowly(route: object) -> None:
        talk.page.wait_for_timeout(SLOW_SESSION_MS)
        route.continue_()  # type: ignore[attr-defined]

    talk.page.route("**/microphone?*", slowly)
    talk.hold(3000)
    expect(talk.page.locator(".turn .said")).to_have_text("There is 1 person: #5.")
    assert len(talk.transcriber.heard[0]) / RATE > 2.8, "the whole of it, not what was left after the connection"


def test_a_command_is_obeyed_and_shows_what_was_heard(talk: Talk) -> None:
    talk.transcriber.script = ["Follow the cat."]
    talk.hold()
    expect(talk.page.locator("#chips .chip")).to_contain_text("cat")
    turn = talk.page.locator(".turn")
    expect(turn).to_contain_text("Follow the cat")
    expect(turn.locator(".foot")).to_have_text("done")


def test_what_was_misheard_can_be_edited_and_sent_again(talk: Talk) -> None:
    talk.transcriber.script = ["Where is the bread cup?"]
    talk.hold()
    turn = talk.page.locator(".turn")
    expect(turn).to_have_attribute("data-state", "done")
    turn.hover()
    turn.get_by_role("button", name="Edit what was heard").click()
    field = talk.page.get_by_role("textbox", name="Ask the scene")
    expect(field).to_be_focused()
    expect(field).to_have_value("Where is the bread cup?")
    field.fill("Where is the red cup?")
    field.press("Enter")
    expect(talk.page.locator(".turn").last.locator(".asked")).to_have_text("Where is the red cup?")
    expect(talk.page.locator(".turn").last.locator(".object-link").first).to_have_text("#3")


def test_silence_and_nothing_understood_ask_nothing(talk: Talk) -> None:
    talk.transcriber.script = [""]
    talk.hold()
    expect(talk.page.locator(".voice-words")).to_have_text("Nothing was heard")
    assert talk.page.locator(".turn").count() == 0


def test_a_typed_question_is_read_out_only_by_choice(browser: Browser, talk: Talk, tmp_path: Path) -> None:
    talk.ask(QUESTION)
    expect(talk.page.locator(".turn")).to_have_attribute("data-state", "done")
    assert talk.said() == []
    with talking(browser, tmp_path / "always", settings='{"answers": "always", "rate": 1.5}') as always:
        always.ask(QUESTION)
        always.wait("seen.said.length > 0")
        assert always.seen("said") == [{"text": "There is 1 person: number 5.", "lang": "en", "rate": 1.5}]


def test_sentences_are_spoken_while_the_answer_streams_in_the_language_of_the_question(
    browser: Browser, tmp_path: Path
) -> None:
    sentences = ["Die Person [#5] ", "steht rechts. ", "Sie hält **nichts**. ", "Das ", "ist ", "alles."]
    with scripted_vlm() as vlm:
        vlm.script(*PROBES, {"tokens": sentences, "every_s": 0.4})
        with talking(browser, tmp_path, vlm=vlm.url, language="german") as talk:
            vlm.script({"tokens": sentences, "every_s": 0.4})
            talk.transcriber.script = ["Wo ist die Person?"]
            talk.hold()
            talk.wait("seen.said.length > 0")
            turn = talk.page.locator(".turn")
            assert turn.get_attribute("data-state") == "open", "it is still being answered"
            expect(turn).to_have_attribute("data-state", "done")
            talk.wait("seen.said.length === 3")
            assert talk.said() == ["Die Person Nummer 5 steht rechts.", "Sie hält nichts.", "Das ist alles."]
            assert {utterance["lang"] for utterance in talk.seen("said")} == {"de"}


def test_an_utterance_whose_end_never_comes_is_ended_and_the_next_one_spoken(browser: Browser, tmp_path: Path) -> None:
    with scripted_vlm() as vlm:
        vlm.script(*PROBES)
        with talking(browser, tmp_path, vlm=vlm.url) as talk:
            vlm.script({"tokens": ["One. ", "Two."]})
            talk.page.evaluate("() => { window.voiceMode = 'stuck'; }")
            talk.transcriber.script = [QUESTION]
            talk.hold()
            talk.wait("seen.said.length === 1")
            talk.wait_for_mood("speaking")
            talk.wait("seen.said.length === 2")
            assert talk.said() == ["One.", "Two."]
            assert len(talk.seen("cancelled")) == 1
            talk.wait_for_mood("off")
