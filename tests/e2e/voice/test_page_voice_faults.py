"""Without a microphone, a voice or a transcriber: said in words with a way out, and typing works."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.browser import chromium
from tests.e2e.on_voice import QUESTION, Talk, talking


def press(talk: Talk) -> None:
    talk.page.keyboard.down("v")
    talk.page.wait_for_timeout(400)
    talk.page.keyboard.up("v")


def expect_typing_works(talk: Talk) -> None:
    talk.ask(QUESTION)
    expect(talk.page.locator(".turn .said").last).to_have_text("There is 1 person: #5.")
    talk.page.keyboard.press("Escape")  # out of the field, where the key is a letter


def test_a_refused_microphone(tmp_path: Path) -> None:
    with chromium("--use-fake-ui-for-media-stream=deny") as browser, talking(browser, tmp_path) as talk:
        press(talk)
        notice = talk.page.locator("#voice-notice")
        expect(notice).to_contain_text("The microphone is blocked")
        expect(notice).to_contain_text("Allow it at the left of the address bar")
        notice.get_by_role("button", name="Try again").click()
        expect(notice).to_contain_text("The microphone is blocked")
        expect_typing_works(talk)
        notice.get_by_role("button", name="Close").click()
        expect(notice).to_be_hidden()


def test_no_microphone_at_all(tmp_path: Path) -> None:
    with chromium(devices=False) as browser, talking(browser, tmp_path) as talk:
        press(talk)
        expect(talk.page.locator("#voice-notice")).to_contain_text("No microphone found")
        expect(talk.page.get_by_role("button", name="Look again")).to_be_visible()
        expect_typing_works(talk)


def test_a_microphone_that_another_program_has(talk: Talk) -> None:
    talk.page.evaluate(
        """() => {
          const open = navigator.mediaDevices.getUserMedia;
          navigator.mediaDevices.getUserMedia = async () => {
            navigator.mediaDevices.getUserMedia = open;
            throw new DOMException("Could not start audio source", "NotReadableError");
          };
        }"""
    )
    press(talk)
    expect(talk.page.locator("#voice-notice")).to_contain_text("The microphone is in use")
    talk.page.get_by_role("button", name="Try again").click()
    expect(talk.page.locator(".voice-words")).to_have_text("The microphone is ready")
    talk.transcriber.script = [QUESTION]
    talk.hold()
    expect(talk.page.locator(".turn .said")).to_have_text("There is 1 person: #5.")


def test_a_microphone_that_is_unplugged_while_it_listens(talk: Talk) -> None:
    talk.page.keyboard.down("v")
    talk.wait_for_mood("listening", "hearing")
    talk.page.evaluate("() => seen.tracks[0].dispatchEvent(new Event('ended'))")
    expect(talk.page.locator("#voice-notice")).to_contain_text("The microphone was unplugged")
    talk.page.keyboard.up("v")
    expect(talk.form).to_have_attribute("data-mood", "off")
    assert talk.page.evaluate("() => seen.tracks[0].readyState") == "ended"
    talk.transcriber.script = [QUESTION]
    talk.hold()
    expect(talk.page.locator("#voice-notice")).to_be_hidden()
    expect(talk.page.locator(".turn .said")).to_have_text("There is 1 person: #5.")


def test_a_transcriber_that_fails(talk: Talk) -> None:
    talk.transcriber.script = [500, QUESTION]
    talk.hold()
    expect(talk.page.locator("#voice-notice")).to_contain_text("The speech server failed (500).")
    expect_typing_works(talk)
    talk.hold()
    expect(talk.page.locator("#voice-notice")).to_be_hidden()
    expect(talk.page.locator(".turn")).to_have_count(2)


def test_speech_that_is_not_set_up_says_how_it_is(browser: Browser, tmp_path: Path) -> None:
    with talking(browser, tmp_path, hears=False) as talk:
        expect(talk.button).to_have_accessible_name("Talking is not set up: what is missing?")
        expect(talk.page.locator("#ask-input")).to_have_attribute("placeholder", "Ask the scene…")
        talk.button.click()
        expect(talk.page.locator("#voice-notice")).to_contain_text("onlooker models fetch voice")
        assert talk.seen("tracks") == [], "nothing is opened for nothing"
        expect_typing_works(talk)


def test_a_browser_without_a_voice_says_so_once(talk: Talk) -> None:
    talk.page.evaluate(
        """() => {
          speechSynthesis.speak = (utterance) => {
            seen.said.push({ text: utterance.text });
            setTimeout(() => utterance.onerror?.(Object.assign(new Event("error"), { error: "synthesis-failed" })));
          };
        }"""
    )
    talk.transcriber.script = [QUESTION]
    talk.hold()
    expect(talk.page.locator(".voice-words")).to_have_text("This browser has no voice that works")
    expect(talk.page.locator(".turn .said")).to_have_text("There is 1 person: #5.")
    assert len(talk.said()) == 1


def test_a_connection_that_was_lost_is_made_anew_with_the_microphone(talk: Talk) -> None:
    """A session ends with the websocket of its client, and the next one has another address."""
    talk.transcriber.script = [QUESTION, QUESTION]
    talk.hold()
    expect(talk.page.locator(".turn")).to_have_count(1)
    talk.page.evaluate("() => seen.sockets.at(-1).close(4000)")
    talk.wait("seen.came.filter(({ type }) => type === 'hello').length === 2")
    first, second = [message["microphone"] for message in talk.seen("came") if message["type"] == "hello"]
    assert first != second
    talk.hold()
    expect(talk.page.locator(".turn")).to_have_count(2)
    expect(talk.page.locator("#voice-notice")).to_be_hidden()
