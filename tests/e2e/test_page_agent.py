"""The agent on the page: asking, watching, what happened; with a real model server that says what the test says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.asking import PROBES
from tests.e2e.conftest import Faults
from tests.e2e.on_page import item, wait_for_picture
from tests.scripted_vlm import ScriptedVlm, scripted_vlm
from tests.staged import BLUE, RED, Block, StagedStream
from web import vlm as connection


@pytest.fixture
def facts(tmp_path: Path) -> Iterator[StagedStream]:
    """Without any model."""
    with StagedStream(tmp_path, None) as scene:
        yield scene


@pytest.fixture(scope="module")
def running_vlm() -> Iterator[ScriptedVlm]:
    with scripted_vlm() as server:
        yield server


@pytest.fixture
def vlm(running_vlm: ScriptedVlm) -> ScriptedVlm:
    running_vlm.script(*PROBES)
    running_vlm.forget()
    return running_vlm


@pytest.fixture
def scene(tmp_path: Path, vlm: ScriptedVlm) -> Iterator[StagedStream]:
    with StagedStream(tmp_path, vlm.url) as scene:
        yield scene


def open_page(page: Page, scene: StagedStream, who: str) -> None:
    page.goto(scene.server.url)
    wait_for_picture(page)
    expect(item(page, 5)).to_contain_text("person")
    expect(page.locator("#ask-who")).to_have_text(who)


def ask(page: Page, text: str) -> None:
    field = page.get_by_role("textbox", name="Ask the scene")
    field.fill(text)
    field.press("Enter")


@pytest.mark.parametrize("height", [800, 650])
def test_in_a_low_window_the_answer_and_the_numbers_can_be_seen(page: Page, facts: StagedStream, height: int) -> None:
    page.set_viewport_size({"width": 1280, "height": height})
    open_page(page, facts, "answers from the tracks")
    for condition in ("someone leaves", "a car comes in"):
        ask(page, f"Tell me when {condition}")
        expect(page.locator("#watches")).to_contain_text(condition)
    ask(page, "How many people are there?")
    answer = page.locator(".turn").last
    expect(answer).to_contain_text("1 person")
    expect(answer).to_be_in_viewport(ratio=1)
    expect(page.locator("#ask-input")).to_be_in_viewport(ratio=1)
    page.locator("#status").click()
    expect(page.locator("#numbers dd").first).to_be_in_viewport(ratio=1)
    expect(answer).to_be_in_viewport(ratio=1)
    for one in ("#use-camera", "#use-screen"):
        assert page.locator(one).evaluate("(button) => button.scrollWidth <= button.clientWidth")


def test_a_question_is_answered_from_the_tracks_without_a_model(
    page: Page, facts: StagedStream, faults: Faults
) -> None:
    open_page(page, facts, "answers from the tracks")
    expect(page.locator("#local")).to_be_visible()
    expect(page.locator("#describe")).to_be_hidden()
    page.keyboard.press("a")
    page.keyboard.type("How many people are there?")
    page.keyboard.press("Enter")
    turn = page.locator(".turn")
    expect(turn.locator(".asked")).to_have_text("How many people are there?")
    expect(turn).to_have_attribute("data-state", "done")
    expect(turn.locator(".said")).to_have_text("There is 1 person: #5.")
    expect(turn.locator(".object-link")).to_have_text("#5")
    expect(turn.locator(".foot")).to_contain_text("first word")
    assert faults.seen == []


def test_what_is_named_in_an_answer_is_shown_in_the_picture(page: Page, facts: StagedStream) -> None:
    open_page(page, facts, "answers from the tracks")
    ask(page, "Where is the red cup?")
    link = page.locator(".turn .object-link").first
    expect(link).to_have_text("#3")
    link.hover()
    expect(page.locator("#objects .object[data-id='3']")).to_have_class("object marked")
    link.click()
    expect(page.locator("#objects .object[data-id='3'] .object-main")).to_have_attribute("aria-pressed", "true")


def test_the_answer_comes_word_by_word_and_can_be_stopped(page: Page, scene: StagedStream, vlm: ScriptedVlm) -> None:
    open_page(page, scene, "scripted-vision")
    vlm.script({"tokens": ["word "] * 400, "every_s": 0.05})
    ask(page, "Tell me a story")
    expect(page.locator("#local")).to_be_hidden()
    turn = page.locator(".turn")
    expect(turn.locator(".said")).to_contain_text("word word")
    expect(turn).to_have_attribute("data-state", "open")
    page.get_by_role("button", name="Stop the answer").click()
    expect(turn).to_have_attribute("data-state", "stopped")
    expect(page.get_by_role("button", name="Ask", exact=True)).to_be_visible()


def test_a_follow_up_and_an_explanation_of_one_object(page: Page, scene: StagedStream, vlm: ScriptedVlm) -> None:
    open_page(page, scene, "scripted-vision")
    vlm.forget()
    vlm.script({"tokens": ["A cup."]}, {"tokens": ["Red."]}, {"tokens": ["It is a cup, [#3]."]})
    ask(page, "What is that?")
    expect(page.locator(".turn").last).to_have_attribute("data-state", "done")
    ask(page, "Which colour?")
    expect(page.locator(".turn").last.locator(".said")).to_have_text("Red.")
    item(page, 3).get_by_role("button", name="More about").click()
    page.get_by_role("button", name="Explain this").click()
    expect(page.locator(".turn").last.locator(".said")).to_have_text("It is a cup, #3.")
    follow_up, explain = (request["body"]["messages"] for request in vlm.requests[1:])
    assert [message["content"] for message in follow_up[1:3]] == ["What is that?", "A cup."]
    assert explain[-1]["content"][-2]["text"] == "The question is about #3 alone."


def test_a_fault_says_what_to_do_and_can_be_tried_again(page: Page, scene: StagedStream, vlm: ScriptedVlm) -> None:
    open_page(page, scene, "scripted-vision")
    vlm.script({"status": 500}, {"tokens": ["All well."]})
    ask(page, "What is there?")
    turn = page.locator(".turn").first
    expect(turn).to_have_attribute("data-state", "failed")
    expect(turn).to_contain_text("The language model server failed (500). Ask again; look into its log.")
    turn.get_by_role("button", name="Ask again").click()
    expect(page.locator(".turn").last.locator(".said")).to_have_text("All well.")


def test_tell_me_when_becomes_a_watch_and_the_watch_an_alert(page: Page, facts: StagedStream) -> None:
    facts.stage.blocks = [RED, BLUE]
    open_page(page, facts, "answers from the tracks")
    ask(page, "Tell me when a dog appears")
    watch = page.locator("#watches .watch")
    expect(watch).to_have_text("a dog appears")
    watch.click()
    dialog = page.get_by_role("dialog", name="Watch")
    expect(dialog).to_contain_text("dog comes in, or dog appears")
    page.keyboard.press("Escape")
    facts.stage.blocks = [RED, BLUE, Block(9, "dog", (240, 240, 240), (130, 150, 180, 200))]
    alert = page.locator(".talk .alert")
    expect(alert).to_contain_text("a dog appears: Dog #9")
    expect(page.locator(".mark[data-kind='alert']")).to_have_count(1)
    watch.click()
    dialog.get_by_role("button", name="Pause it").click()
    expect(watch).to_have_attribute("data-enabled", "false")
    watch.click()
    dialog.get_by_role("textbox").fill("a cat appears")
    page.keyboard.press("Enter")
    expect(watch).to_have_text("a cat appears")
    watch.click()
    dialog.get_by_role("button", name="Remove").click()
    expect(page.locator("#watches")).to_be_hidden()


def test_free_words_follow_forget_and_undo(page: Page, facts: StagedStream) -> None:
    open_page(page, facts, "answers from the tracks")
    ask(page, "follow the cat")
    expect(page.locator("#chips .chip")).to_contain_text("cat")
    ask(page, "stop following #3")
    expect(item(page, 3)).to_have_count(0)
    ask(page, "undo")
    expect(item(page, 3)).to_have_count(1)
    expect(page.locator(".turn")).to_have_count(0)


def test_an_event_of_the_timeline_opens_its_picture(page: Page, facts: StagedStream) -> None:
    open_page(page, facts, "answers from the tracks")
    facts.stage.blocks = [RED]
    mark = page.locator(".mark[data-kind='lost'], .mark[data-kind='exit']").first
    mark.click()
    card = page.get_by_role("dialog", name="What happened")
    expect(card).to_contain_text("Person #5")
    image = card.locator("img")
    expect(image).to_be_visible()
    colour = image.evaluate(
        """async (image) => { await image.decode(); const canvas = document.createElement("canvas");
        canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
        const context = canvas.getContext("2d"); context.drawImage(image, 0, 0);
        return [...context.getImageData(240, 130, 1, 1).data]; }"""
    )
    assert colour[2] > 150, "the blue person is still in the picture of the moment when it left"
    assert colour[0] < 110


def test_the_conversation_and_the_timeline_outlive_a_reload(page: Page, facts: StagedStream) -> None:
    open_page(page, facts, "answers from the tracks")
    ask(page, "How many people are there?")
    expect(page.locator(".turn")).to_have_attribute("data-state", "done")
    said = page.locator(".turn .said").inner_text()
    marks = page.locator(".mark").count()
    page.reload()
    expect(page.locator(".turn .said")).to_have_text(said)
    expect(page.locator(".turn .object-link")).to_have_text("#5")
    assert page.locator(".mark").count() >= min(1, marks)


def test_a_description_stands_beside_its_object(page: Page, tmp_path: Path, vlm: ScriptedVlm, faults: Faults) -> None:
    hostile = '<img src=x onerror="window.hacked=1">'
    vlm.script(*PROBES, {"tokens": [hostile]}, {"tokens": [hostile]})
    with StagedStream(tmp_path, vlm.url, describe=True) as scene:
        page.goto(scene.server.url)
        caption = item(page, 3).locator(".object-caption")
        expect(caption).to_have_text(hostile)
        assert page.evaluate("() => window.hacked") is None
    assert faults.seen == []


def test_descriptions_are_switched_for_the_stream_and_the_choice_is_remembered(
    page: Page, tmp_path: Path, vlm: ScriptedVlm, faults: Faults
) -> None:
    with StagedStream(tmp_path, vlm.url) as scene:
        open_page(page, scene, "scripted-vision")
        switch = page.get_by_role("button", name="Descriptions")
        expect(switch).to_have_attribute("aria-pressed", "false")
        vlm.script({"tokens": ["A red cup"]}, {"tokens": ["Somebody in blue"]})
        switch.click()
        expect(switch).to_have_attribute("aria-pressed", "true")
        expect(page.locator(".object-caption:not([hidden])")).to_have_count(2)
        expect(item(page, 3).locator(".object-caption")).to_have_text("A red cup")
        agent = scene.server.state.agents.of(scene.server.state.hub.get("cam"))
        assert agent.describer.on
        agent.describer.on = False  # as after a new start
        page.reload()
        wait_for_picture(page)
        expect(switch).to_have_attribute("aria-pressed", "true")
        assert agent.describer.on
        switch.click()
        expect(switch).to_have_attribute("aria-pressed", "false")
        assert not agent.describer.on
    assert faults.seen == []


def test_a_model_server_that_dies_is_missed_and_one_that_comes_back_is_named(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, faults: Faults
) -> None:
    monkeypatch.setattr(connection, "AGAIN_S", 0.5)
    with scripted_vlm() as first:
        first.script(*PROBES)
        with StagedStream(tmp_path, first.url) as scene:
            open_page(page, scene, "scripted-vision")
            first.kill()
            who = page.locator("#ask-who")
            expect(who).to_have_text("model away: answers from the tracks")
            expect(who).to_have_attribute("title", re.compile("does not answer. Start it"))
            expect(page.locator("#local")).to_be_hidden()
            ask(page, "How many people are there?")
            turn = page.locator(".turn")
            expect(turn.locator(".said")).to_have_text("There is 1 person: #5.")
            expect(turn.locator(".foot")).to_contain_text("facts")
            with scripted_vlm(*PROBES, port=urlsplit(first.url).port or 0):
                expect(who).to_have_text("scripted-vision")
                expect(who).to_have_class("who")
    assert faults.seen == []


def test_a_phrase_is_told_as_what_the_model_made_of_it(
    page: Page, scene: StagedStream, vlm: ScriptedVlm, faults: Faults
) -> None:
    open_page(page, scene, "scripted-vision")
    toasts = page.locator(".toast")
    vlm.script({"tokens": ['{"ids": [5]}']})
    field = page.get_by_role("combobox", name="Track a thing by its name")
    field.fill("the person in a blue coat")
    field.press("Enter")
    expect(toasts).to_have_text(["The model took #5 for “the person in a blue coat”."])
    expect(page.locator("#chips .chip")).to_have_attribute("title", re.compile("The model took #5"))
    assert faults.seen == []
