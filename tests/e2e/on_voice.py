"""Talking to the page: a fake microphone that plays a file, a speech server that is told what to hear, and what is
seen of the page's own voice."""

from __future__ import annotations

import contextlib
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser, Page, expect

from tests.e2e.on_page import item, wait_for_picture
from tests.scripted_transcriber import ScriptedTranscriber
from tests.speech import F32
from tests.staged import StagedStream

INSTRUMENTS = Path(__file__).with_name("voice.js")
MICROPHONE_RATE = 48_000
QUESTION = "How many people are there?"
"""What the fake microphone says."""


def write_microphone(path: Path, samples: F32) -> Path:
    """`(n,)` float32 samples at 48 kHz as a file that Chromium's fake microphone plays over and over."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(MICROPHONE_RATE)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path


@dataclass
class Talk:
    """A page before a scene, a person who talks to it, and a speech server that hears them."""

    page: Page
    scene: StagedStream
    transcriber: ScriptedTranscriber

    @property
    def form(self) -> Any:
        return self.page.locator("#ask-form")

    @property
    def button(self) -> Any:
        return self.page.locator("#talk-button")

    def seen(self, what: str) -> Any:
        """One of the lists that `voice.js` keeps."""
        return self.page.evaluate(f"() => seen.{what}")

    def said(self) -> list[str]:
        return [utterance["text"] for utterance in self.seen("said")]

    def sent(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.seen("sent") if message["type"] == kind]

    def hold(self, ms: int = 1500, key: str = "v") -> None:
        """Hold the key until the page listens, and then for so long."""
        self.page.keyboard.down(key)
        self.wait_for_mood("listening", "hearing")
        self.page.wait_for_timeout(ms)
        self.page.keyboard.up(key)

    def listens(self) -> bool:
        """Whether the microphone hears at its source."""
        return bool(
            self.page.evaluate("() => seen.tracks.some(({ enabled, readyState }) => enabled && readyState === 'live')")
        )

    def packets(self) -> int:
        """Of sound, sent by this page so far."""
        return int(self.page.evaluate("() => packetsOfSound()"))

    def stopped_ms(self, key: str) -> tuple[float, float]:
        """From the key that was pressed last to the silence, and to the command that stops the answer, by the page's
        own clock."""
        pressed = [entry["now"] for entry in self.seen("keys") if entry["key"] == key][-1]
        self.wait("seen.sent.some(({ type }) => type === 'ask.stop')")
        return self.seen("cancelled")[-1] - pressed, self.sent("ask.stop")[-1]["now"] - pressed

    def wait_for_mood(self, *moods: str) -> None:
        self.wait(f"{list(moods)}.includes(document.querySelector('#ask-form').dataset.mood)")

    def wait(self, condition: str) -> None:
        self.page.wait_for_function(f"() => {condition}", polling=50)

    def ask(self, text: str) -> None:
        field = self.page.get_by_role("textbox", name="Ask the scene")
        field.fill(text)
        field.press("Enter")


@contextlib.contextmanager
def talking(
    browser: Browser,
    folder: Path,
    *,
    vlm: str | None = None,
    settings: str = "{}",
    hears: bool = True,
    model: Path | None = None,
    touch: bool = False,
    viewport: tuple[int, int] = (1280, 800),
    language: str = "english",
) -> Iterator[Talk]:
    """The page of a staged scene. `settings` are the page's own, as JSON; `hears`: there is a speech server;
    `model`: a real Whisper's folder in its place."""
    folder.mkdir(exist_ok=True)
    context = browser.new_context(
        viewport={"width": viewport[0], "height": viewport[1]}, color_scheme="dark", has_touch=touch, is_mobile=touch
    )
    context.set_default_timeout(15_000)
    context.add_init_script(path=INSTRUMENTS)
    context.add_init_script(
        f"localStorage.getItem('onlooker.settings') ?? localStorage.setItem('onlooker.settings', {settings!r})"
    )
    with ScriptedTranscriber(language) as transcriber:
        voice = {"model": str(model)} if model else {"url": transcriber.url}
        tables = {"voice": voice} if hears or model else {}
        with StagedStream(folder, vlm, tables=tables) as scene:
            page = context.new_page()
            page.goto(scene.server.url)
            wait_for_picture(page)
            expect(item(page, 5)).to_contain_text("person")
            try:
                yield Talk(page, scene, transcriber)
            finally:
                context.close()
