"""What counts as holding the key, what ends it, and that nothing is sent while nobody talks."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from agent.speech import listener
from agent.speech.ear import Ear
from agent.speech.endpoint import EndpointRules
from tests.e2e.on_voice import QUESTION, Talk, talking


def pressed(talk: Talk) -> list[bool]:
    """The edges of talking that the server has been told."""
    return [message["on"] for message in talk.sent("talk")]


def start(talk: Talk) -> None:
    """Hold the key until it is heard."""
    talk.page.keyboard.down("v")
    talk.wait("seen.came.some(({ type, state }) => type === 'speech' && state === 'hearing')")
    assert talk.listens()


def expect_ended(talk: Talk) -> None:
    talk.wait("seen.sent.some(({ type, on }) => type === 'talk' && !on)")
    assert not talk.listens()


def test_a_text_field_takes_the_letter(talk: Talk) -> None:
    for name in ("Ask the scene", "Track a thing by its name"):
        field = talk.page.get_by_label(name)
        field.focus()
        talk.page.keyboard.down("v")
        talk.page.wait_for_timeout(500)
        talk.page.keyboard.up("v")
        expect(field).to_have_value("v")
        field.fill("")
    assert pressed(talk) == []
    assert talk.seen("tracks") == []


@pytest.mark.parametrize("modifier", ["Control", "Alt", "Meta", "Shift"])
def test_with_a_modifier_it_is_another_key(talk: Talk, modifier: str) -> None:
    talk.page.keyboard.down(modifier)
    talk.page.keyboard.down("v")
    talk.page.wait_for_timeout(400)
    talk.page.keyboard.up("v")
    talk.page.keyboard.up(modifier)
    assert talk.seen("tracks") == []


def test_what_is_too_long_is_taken_as_far_as_it_goes(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page does not go on listening, as it seems, to what nobody hears."""
    monkeypatch.setattr(listener, "Ear", partial(Ear, rules=EndpointRules(cap_s=2.0)))
    start(talk)
    talk.wait("seen.words.some((words) => words.includes('as long as it can be'))")
    expect_ended(talk)
    talk.wait("seen.came.some(({ type }) => type === 'heard')")
    talk.page.keyboard.up("v")
    assert pressed(talk) == [True, False]


def test_repetition_does_not_press_anew(talk: Talk) -> None:
    """A key that is still down when its hold has been ended by something else goes on repeating."""
    start(talk)
    talk.page.evaluate("() => dispatchEvent(new Event('blur'))")
    expect_ended(talk)
    for _ in range(5):
        talk.page.keyboard.down("v")  # of a key that is down already: marked as a repetition
    talk.page.wait_for_timeout(500)
    assert pressed(talk) == [True, False]
    talk.page.keyboard.up("v")
    start(talk)
    assert pressed(talk) == [True, False, True]
    talk.page.keyboard.up("v")


def test_a_page_that_is_hidden_stops_listening(talk: Talk) -> None:
    start(talk)
    talk.page.evaluate(
        """() => {
          Object.defineProperty(document, "hidden", { value: true, configurable: true });
          document.dispatchEvent(new Event("visibilitychange"));
        }"""
    )
    expect_ended(talk)


def test_going_to_a_text_field_stops_listening_and_types_nothing(talk: Talk) -> None:
    start(talk)
    field = talk.page.get_by_label("Ask the scene")
    field.focus()
    expect_ended(talk)
    talk.page.keyboard.up("v")
    expect(field).to_have_value("")


def test_a_finger_that_is_taken_away_by_the_system_stops_listening(browser: Browser, tmp_path: Path) -> None:
    with talking(browser, tmp_path, touch=True) as talk:
        session = talk.page.context.new_cdp_session(talk.page)
        box = talk.button.bounding_box()
        finger = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
        session.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [finger]})
        talk.wait("seen.came.some(({ type, state }) => type === 'speech' && state === 'hearing')")
        session.send("Input.dispatchTouchEvent", {"type": "touchCancel", "touchPoints": []})
        expect_ended(talk)


def test_escape_throws_away_what_was_said(talk: Talk) -> None:
    start(talk)
    talk.page.wait_for_timeout(700)
    talk.page.keyboard.press("Escape")
    expect_ended(talk)
    talk.wait("seen.came.some(({ type, ignored }) => type === 'heard' && ignored === 'cancelled')")
    assert talk.sent("talk")[-1]["cancel"] is True
    assert talk.transcriber.heard == []


def test_the_button_is_held_by_space_and_toggled_by_a_screen_reader(talk: Talk) -> None:
    talk.transcriber.script = [QUESTION, QUESTION]
    talk.button.focus()
    talk.page.keyboard.down("Space")
    talk.wait_for_mood("listening", "hearing")
    talk.page.wait_for_timeout(1500)
    talk.page.keyboard.up("Space")
    expect(talk.page.locator(".turn")).to_have_count(1)
    talk.button.evaluate("(button) => button.click()")
    talk.wait_for_mood("listening", "hearing")
    talk.page.wait_for_timeout(1500)
    talk.button.evaluate("(button) => button.click()")
    expect(talk.page.locator(".turn")).to_have_count(2)


def test_nothing_is_sent_while_nobody_talks(talk: Talk) -> None:
    start(talk)
    talk.page.wait_for_timeout(500)
    assert talk.packets() > 10
    talk.page.keyboard.up("v")
    expect_ended(talk)
    talk.page.wait_for_timeout(800)
    before = talk.packets()
    talk.page.wait_for_timeout(2000)
    assert talk.packets() == before
    assert not talk.listens()


def test_a_minute_without_a_word_gives_the_microphone_back(talk: Talk) -> None:
    talk.page.evaluate("() => { window.minuteMs = 1000; }")
    talk.hold(500)
    talk.wait("seen.tracks[0].readyState === 'ended'")
    # What stays is that of the picture.
    talk.wait("seen.peers.filter((peer) => peer.connectionState !== 'closed').length === 1")
    talk.transcriber.script = [QUESTION]
    talk.transcriber.heard.clear()
    talk.hold(1500)
    expect(talk.page.locator(".turn .asked")).to_have_text(QUESTION)


def test_the_key_can_be_another_one_and_is_listed_and_kept(talk: Talk) -> None:
    page = talk.page
    page.locator("#open-settings").click()
    chooser = page.get_by_label("Key to hold")
    chooser.click()
    page.keyboard.press("p")
    expect(page.locator("#settings")).to_contain_text("P does something else here.")
    page.keyboard.press("j")
    expect(chooser).to_have_text("J")
    page.keyboard.press("Escape")
    page.reload()
    expect(page.locator("#ask-input")).to_have_attribute("placeholder", "Ask, or hold J to talk…")
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_contain_text("Jtalk to the scene while it is held")
    page.keyboard.press("Escape")
    talk.transcriber.script = [QUESTION]
    talk.hold(key="j")
    expect(page.locator(".turn .asked")).to_have_text(QUESTION)
