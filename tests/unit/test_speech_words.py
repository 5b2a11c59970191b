"""Words as they were meant: the wake word, numbers, and what is no words at all."""

from __future__ import annotations

import string

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.commands import Wish, understand
from agent.speech import guards
from agent.speech.guards import Transcript
from agent.speech.types import SAMPLE_RATE, Ignored
from agent.speech.wake import after_wake_word
from agent.speech.wording import as_typed


@pytest.mark.parametrize(
    ("said", "rest"),
    [
        ("Onlooker, track the red cup.", "track the red cup."),
        ("On looker, track the red cup.", "track the red cup."),
        ("Hey Onlooker! What is he holding?", "What is he holding?"),
        ("Okay, unlooker what is he holding?", "what is he holding?"),
        ("Online looker, stop.", "stop."),
        ("Onlooker.", ""),
    ],
)
def test_a_wake_word_is_known_as_transcribers_spell_it(said: str, rest: str) -> None:
    assert after_wake_word(said, "onlooker") == rest


@pytest.mark.parametrize(
    "said",
    [
        "",
        "…",
        "What is he holding?",
        "I told the onlooker to go.",
        "Look at that.",
        "On the left is a cup.",
        "Hey you.",
    ],
)
def test_other_beginnings_are_not_the_wake_word(said: str) -> None:
    assert after_wake_word(said, "onlooker") is None


def test_wake_words_may_be_anything() -> None:
    assert after_wake_word("Hey Computer, undo that.", "computer") == "undo that."
    assert after_wake_word("Kamera, wer ist da?", "Kamera") == "wer ist da?"
    assert after_wake_word("Hey Jarvis who is there", "hey jarvis") == "who is there"
    assert after_wake_word("who is there", "!!") is None


@given(st.text(max_size=60), st.text(string.ascii_letters, min_size=2, max_size=20))
def test_the_rest_is_an_end_of_what_was_said(said: str, word: str) -> None:
    rest = after_wake_word(said, word)
    assert rest is None or said.endswith(rest)
    assert after_wake_word(f"{word}, {word} who", word) is not None


@pytest.mark.parametrize(
    ("said", "typed"),
    [
        ("Stop tracking number three.", "Stop tracking #3."),
        ("Stop tracking number 3.", "Stop tracking #3."),
        ("Forget number twenty-one.", "Forget #21."),
        ("Forget Number Forty Two", "Forget #42"),
        ("What is number two to the left of?", "What is #2 to the left of?"),
        ("Stop tracking number to.", "Stop tracking #2"),
        ("Follow object for", "Follow object 4"),
        ("A number of people", "A number of people"),
        ("There are three people", "There are three people"),
        ("Wie viele Leute sind da?", "Wie viele Leute sind da?"),
    ],
)
def test_numbers_of_objects_become_figures(said: str, typed: str) -> None:
    assert as_typed(said) == typed


def test_spoken_commands_name_their_objects() -> None:
    assert understand(as_typed("Stop tracking number three.")).track_ids == (3,)
    assert understand(as_typed("Rename number two to Anna.")).wish is Wish.RENAME
    assert understand(as_typed("Bring back number four.")).track_ids == (4,)


@given(st.text(max_size=200))
def test_nothing_else_changes(said: str) -> None:
    if not {"number", "object", "person", "no", "hash", "hashtag"} & {w.strip(".#") for w in said.casefold().split()}:
        assert as_typed(said) == said.strip()


@pytest.mark.parametrize(
    ("transcript", "why"),
    [
        (Transcript(""), Ignored.NOTHING),
        (Transcript(" . "), Ignored.NOISE),
        (Transcript("[Music]"), Ignored.NOISE),
        (Transcript("♪♪♪"), Ignored.NOISE),
        (Transcript("(wind blowing)"), Ignored.NOISE),
        (Transcript("Thanks for watching!", "en", 0.5, -0.4, 0.8), Ignored.NOISE),
        (Transcript("You", "en", 0.3, -0.3, 0.5), Ignored.NOISE),
        (Transcript("the the the the the the the", "en", 0.1, -0.2, 1.6), Ignored.NOISE),
        (Transcript("So, so, so", "en", 0.1, -0.2, 3.1), Ignored.NOISE),
        (Transcript("a kind of a thing", "en", 0.1, -1.5, 1.0), Ignored.NOISE),
        (Transcript("a kind of a thing", "en", 0.8, -0.9, 1.0), Ignored.NOISE),
        (Transcript("What is he holding?", "en", 0.2, -0.3, 0.9), None),
        (Transcript("What is he holding?"), None),
        (Transcript("Track the cup.", "en", 0.7, -0.3, 0.9), None),
        (Transcript("Thank you", "en", 0.02, -0.2, 0.9), None),
        (Transcript("Wo ist die rote Tasse?", "de", 0.1, -0.5, 0.9), None),
        (Transcript("誰がいますか", "ja", 0.1, -0.5, 0.9), None),
    ],
)
def test_what_is_taken_for_words(transcript: Transcript, why: Ignored | None) -> None:
    assert guards.after(transcript) is why


def test_what_is_not_worth_transcribing() -> None:
    time_s = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    tone = (0.2 * np.sin(2 * np.pi * 220 * time_s)).astype(np.float32)
    assert guards.before(np.zeros(SAMPLE_RATE, np.float32), None) is Ignored.NOTHING
    assert guards.before(tone * 1e-3, None) is Ignored.NOTHING
    assert guards.before(tone[:1000], 1.0) is Ignored.NOTHING
    assert guards.before(np.zeros(0, np.float32), None) is Ignored.NOTHING
    assert guards.before(tone, 0.03) is Ignored.NOISE
    assert guards.before(tone, 0.5) is None
    assert guards.before(tone, None) is None
    assert guards.loudest_dbfs(tone) == pytest.approx(20 * np.log10(0.2) - 3.01, abs=0.1)
