"""The page with a model that has no eyes, on a real llama.cpp server."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.e2e.conftest import Faults
from tests.e2e.on_page import wait_for_picture
from tests.llama_server import FILE, llama_server
from tests.staged import StagedStream


def test_the_page_says_that_the_model_has_no_eyes_and_shows_its_answer(
    page: Page, tmp_path: Path, faults: Faults
) -> None:
    with llama_server() as url, StagedStream(tmp_path, url) as scene:
        page.goto(scene.server.url)
        wait_for_picture(page)
        expect(page.locator("#ask-who")).to_have_text(f"{FILE.removesuffix('.gguf')}, without eyes", timeout=30_000)
        field = page.get_by_role("textbox", name="Ask the scene")
        field.fill("What is there?")
        field.press("Enter")
        turn = page.locator(".turn")
        expect(turn).to_have_attribute("data-state", "done", timeout=60_000)
        expect(turn.locator(".said")).not_to_be_empty()
        expect(turn.locator(".foot")).to_contain_text("first word")
    assert faults.seen == []
