"""A spoken question: its sound for a model that hears, its language for the one that answers."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

from agent import query as build
from agent.backend import Query
from agent.conversation import new_question
from agent.types import Speech
from agent.vlm.facts import ENGLISH_ONLY, FactsBackend
from tests.moments import block, moment, question, scene

CUP = block(3, "red cup", (40, 60, 120, 180))
WAV = b"RIFF, and so on"


def asked(text: str, language: str | None) -> Query:
    known = replace(question(text), spoken=True, language=language)
    return Query(known, moment((CUP,)), scene((CUP,)), wav=WAV)


def parts(query: Query, *, hears: bool) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = build.answer_messages(query, sees=False, look_back=False, hears=hears)[-1]["content"]
    return found


async def said(query: Query) -> str:
    return "".join([piece async for piece in FactsBackend().answer(query)])


def test_a_model_that_hears_gets_the_sound_before_the_words() -> None:
    found = parts(asked("Wo ist sie?", "de"), hears=True)
    (place,) = [number for number, part in enumerate(found) if part["type"] == "input_audio"]
    sound = found[place]["input_audio"]
    assert (base64.b64decode(sound["data"]), sound["format"]) == (WAV, "wav")
    assert found[-1]["text"] == "Wo ist sie?"
    assert "German" in found[-2]["text"]
    assert place < len(found) - 2


def test_a_model_that_does_not_hear_gets_the_words_alone() -> None:
    found = parts(asked("Where is it?", None), hears=False)
    assert all(part["type"] == "text" for part in found)
    assert not any("answer in it" in part["text"] for part in found)
    assert "language of the question" in build.SYSTEM


def test_a_language_that_has_no_name_here_is_given_by_its_code() -> None:
    assert build.language_name("de") == "German"
    assert "“haw”" in build.language_name("haw")


async def test_the_tracks_answer_in_english_and_say_so_to_others() -> None:
    assert await said(asked("Wie viele Tassen stehen da?", "de")) == ENGLISH_ONLY
    assert "[#3]" in await said(asked("How many cups are there?", "en"))
    assert "[#3]" in await said(asked("How many cups are there?", "cy"))
    assert await said(asked("What is the meaning of the sign?", "en")) != ENGLISH_ONLY
    assert FactsBackend().speaks("de") == "en"


def test_a_question_says_that_it_was_spoken_and_in_which_language() -> None:
    still = moment((CUP,))
    typed = new_question("Who?", client="c", moment=still, track_ids=(), follows=None)
    spoken = new_question("Who?", client="c", moment=still, track_ids=(), follows=None, speech=Speech("de", WAV))
    assert (typed.spoken, typed.language) == (False, None)
    assert (spoken.spoken, spoken.language) == (True, "de")
