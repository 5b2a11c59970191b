"""What can be chosen about the voice, and talking on a phone and with the rules of accessibility."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.on_voice import QUESTION, Talk, talking
from tests.e2e.test_page_access import serious_violations
from tests.staged import BLUE, RED, Block

DOG = Block(9, "dog", (240, 240, 240), (130, 150, 180, 200))


def test_the_microphone_is_chosen_by_name_once_it_is_known(talk: Talk) -> None:
    page = talk.page
    talk.hold(300)
    device = "() => seen.tracks.at(-1).getSettings().deviceId"
    first = page.evaluate(device)
    page.locator("#open-settings").click()
    chooser = page.locator("#setting-microphone")
    expect(chooser.locator("option")).not_to_have_count(1)
    chooser.select_option(index=2)
    chosen = chooser.input_value()
    assert chosen not in ("", first)
    page.keyboard.press("Escape")
    talk.hold(300)
    talk.wait("seen.tracks.length === 2")
    assert page.evaluate(device) == chosen
    assert page.evaluate("() => seen.tracks[0].readyState") == "ended", "the other one has been given back"


def test_what_is_chosen_is_told_to_the_server_and_kept(talk: Talk) -> None:
    page = talk.page
    page.locator("#open-settings").click()
    page.get_by_label("I speak").select_option("de")
    page.get_by_label("Listen").select_option("open")
    wake_word = page.get_by_label("Wake word")
    wake_word.fill("computer")
    wake_word.press("Enter")
    expect(page.locator("#settings")).to_be_visible()
    page.get_by_label("Read answers out").select_option("off")
    expect(page.get_by_label("Speed of speaking")).to_have_count(0)
    page.keyboard.press("Escape")
    told = talk.sent("listen")[-1]
    assert (told["open"], told["muted"], told["wake_word"], told["language"]) == (True, True, "computer", "de")
    page.reload()
    talk.wait("seen.sent.some(({ type, open }) => type === 'listen' && open)")
    assert talk.sent("listen")[0]["wake_word"] == "computer"
    talk.button.click()
    expect(page.locator(".voice-words")).to_have_text("Say “computer” and ask")


def test_a_voice_of_the_language_and_its_speed_can_be_tried(talk: Talk) -> None:
    page = talk.page
    page.evaluate(
        """() => {
          const voice = (name, lang) => ({ name, lang, voiceURI: name.toLowerCase() });
          speechSynthesis.getVoices = () => [voice("Anna", "de-DE"), voice("Sam", "en-US")];
          const { speak } = speechSynthesis;
          speechSynthesis.speak = ({ text, rate, lang, onstart, onend }) => speak({ text, rate, lang, onstart, onend });
          Object.defineProperty(SpeechSynthesisUtterance.prototype, "voice", { writable: true, value: null });
        }"""
    )
    page.locator("#open-settings").click()
    page.get_by_label("Speed of speaking").fill("1.5")
    page.locator("#setting-voice").select_option("sam")
    talk.wait("seen.said.length > 0")
    assert talk.seen("said") == [{"text": "This is how answers sound.", "lang": "en-US", "rate": 1.5}]


def test_alerts_are_read_out_by_choice(browser: Browser, tmp_path: Path) -> None:
    with talking(browser, tmp_path, settings='{"alerts": true}') as talk:
        talk.ask("Tell me when a dog appears")
        expect(talk.page.locator("#watches .watch")).to_have_text("a dog appears")
        talk.scene.stage.blocks = [RED, BLUE, DOG]
        expect(talk.page.locator(".talk .alert")).to_contain_text("a dog appears")
        talk.wait("seen.said.length > 0")
        assert "number 9" in " ".join(talk.said())


def test_the_meter_stands_still_where_motion_is_not_wanted(talk: Talk) -> None:
    tall = """() => {
      const canvas = document.querySelector(".voice-meter");
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      const drawn = (y) => data.subarray(4 * canvas.width * y, 4 * canvas.width * (y + 1)).some((value) => value > 0);
      return Array.from({ length: canvas.height }, (_, y) => y).filter(drawn).length / devicePixelRatio;
    }"""
    talk.page.keyboard.down("v")
    talk.wait_for_mood("listening", "hearing")
    talk.page.wait_for_function(f"() => ({tall})() > 8", polling=50)
    talk.page.emulate_media(reduced_motion="reduce")
    talk.page.wait_for_function(f"() => ({tall})() <= 6", polling=50)
    talk.page.keyboard.up("v")


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_no_serious_violation_of_the_accessibility_rules(browser: Browser, tmp_path: Path, theme: str) -> None:
    with talking(browser, tmp_path, settings=f'{{"theme": "{theme}"}}') as talk:
        talk.transcriber.script = [QUESTION, 500]
        talk.hold()
        expect(talk.page.locator(".turn")).to_have_attribute("data-state", "done")
        talk.hold()
        expect(talk.page.locator("#voice-notice")).to_be_visible()
        assert serious_violations(talk.page) == []
        talk.page.keyboard.down("v")
        talk.wait_for_mood("listening", "hearing")
        expect(talk.page.locator("#voice-live")).to_have_text("Listening")
        assert serious_violations(talk.page) == []
        talk.page.keyboard.press("Escape")
        talk.page.locator("#open-settings").click()
        assert serious_violations(talk.page) == []


def test_on_a_phone_the_microphone_is_within_reach_of_the_thumb(browser: Browser, tmp_path: Path) -> None:
    with talking(browser, tmp_path, touch=True, viewport=(390, 844)) as talk:
        talk.transcriber.script = [QUESTION]
        expect(talk.button).to_be_in_viewport(ratio=1)
        expect(talk.page.locator("#scene")).to_be_in_viewport(ratio=1)
        assert talk.page.evaluate("() => document.documentElement.scrollWidth") <= 390
        box = talk.button.bounding_box()
        assert min(box["width"], box["height"]) >= 40
        finger = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
        session = talk.page.context.new_cdp_session(talk.page)
        session.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [finger]})
        talk.wait_for_mood("listening", "hearing")
        talk.page.wait_for_timeout(1200)
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        said = talk.page.locator(".turn .said")
        expect(said).to_have_text("There is 1 person: #5.")
        expect(said).to_be_in_viewport()
        assert talk.page.evaluate("() => document.documentElement.scrollWidth") <= 390
