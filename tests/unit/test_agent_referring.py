"""Phrases that say which one: the model chooses among those that the engine follows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.referring import MOST_PHRASES, SETTLED_S, Referring, says_which
from stream.facts import PromptFact
from stream.types import Prompt, PromptKind, PromptState
from tests.moments import BROKEN, FakeAgent, FakeBackend, block

PHRASE = "the person holding a phone"
ANN = block(5, "person", (200, 40, 280, 220), prompt_id=1)
BOB = block(6, "person", (20, 40, 100, 220), prompt_id=1)
EVE = block(7, "person", (110, 40, 190, 220), prompt_id=1)


def prompt(text: str = PHRASE, number: int = 1, state: PromptState = PromptState.ACTIVE) -> PromptFact:
    return PromptFact(Prompt(number, PromptKind.TEXT, text=text), state, None, ())


class Case:
    def __init__(self, *replies: Any, can: tuple[str, ...] = ("image",)) -> None:
        self.backend = FakeBackend(*replies, can=can)
        self.agent: Any = FakeAgent(self.backend, [ANN, BOB])
        self.referring = Referring(self.agent)
        self.referring.hear(prompt())

    async def see(self, t: float = 10.0) -> None:
        self.agent.see(lambda update, _: self.referring.consider(update), t)
        await self.agent.worker.run()

    @property
    def candidates(self) -> list[tuple[int, ...]]:
        return [asked[3] for asked in self.backend.asked]


@pytest.mark.parametrize(
    ("text", "which"),
    [
        (PHRASE, True), ("the red cup", True), ("man", True), ("women", True), ("the taxi", True),
        ("person", False), ("every dog", False), ("people", False), ("the cups", False), ("qwertz", False),
    ],
)  # fmt: skip
def test_which_phrases_say_which(text: str, which: bool) -> None:
    assert says_which(text) is which


async def test_the_chosen_one_is_kept_and_the_others_are_let_go() -> None:
    case = Case((6,))
    await case.see()
    assert case.candidates == [(5, 6)]
    assert case.agent.session.removed == [5]
    assert case.agent.session.told == [(1, f"The model took #6 for “{PHRASE}”.")]
    await case.see(11)
    assert len(case.backend.asked) == 1


async def test_who_comes_later_is_judged_beside_the_chosen_one() -> None:
    case = Case((6,), (6, 7))
    await case.see()
    case.agent.tracks = [BOB, EVE]
    await case.see(12)
    assert case.candidates == [(5, 6), (6, 7)]
    assert case.agent.session.removed == [5]


async def test_only_those_of_the_chosen_who_have_not_gone_are_named() -> None:
    case = Case((6,), (7,), ())
    await case.see()
    case.agent.tracks = [EVE]
    await case.see(12)
    case.agent.tracks = [replace(EVE, id=8)]
    await case.see(14)
    assert case.candidates == [(5, 6), (7,), (8,)]
    assert [said for _, said in case.agent.session.told] == [f"The model took #{n} for “{PHRASE}”." for n in (6, 7)]


async def test_beside_the_plain_word_the_chosen_one_is_named_and_nobody_let_go_until_that_word_is_gone() -> None:
    case = Case((6,))
    case.referring.hear(prompt("person", 2))
    case.agent.tracks = [replace(ANN, prompt_id=2), replace(BOB, prompt_id=2)]
    await case.see()
    assert case.candidates == [(5, 6)]
    assert case.agent.session.removed == []
    assert case.agent.session.told == [(1, f"The model took #6 for “{PHRASE}”.")]
    case.agent.tracks = [ANN, BOB]
    await case.see(12)
    assert case.agent.session.removed == [5]
    assert len(case.backend.asked) == 1


async def test_where_none_is_meant_yet_all_are_followed_and_it_is_said() -> None:
    case = Case(())
    await case.see()
    assert case.agent.session.removed == []
    assert case.agent.session.told == [(1, f"The model sees none that is “{PHRASE}” yet; all are followed.")]


async def test_a_fault_keeps_all_and_is_said() -> None:
    case = Case(BROKEN)
    await case.see()
    assert case.agent.session.removed == []
    assert "all are followed" in case.agent.session.told[0][1]
    await case.see(11)
    assert len(case.backend.asked) == 1, "it is not asked about the same ones again and again"


async def test_plain_words_others_prompts_and_who_has_just_come_are_not_judged() -> None:
    plain = Case()
    plain.referring.hear(prompt(state=PromptState.REMOVED))
    plain.referring.hear(prompt("person", 2))
    await plain.see()
    other = Case()
    other.agent.tracks = [
        block(5, "dog", (200, 40, 280, 220), prompt_id=2),
        block(6, "person", (20, 40, 100, 220), age_s=SETTLED_S / 2),
    ]
    await other.see()
    blind = Case(can=())
    await blind.see()
    assert plain.backend.asked == other.backend.asked == blind.backend.asked == []


async def test_one_judgement_at_a_time_and_a_dropped_one_is_asked_again() -> None:
    case = Case((5,))
    for t in (10, 11):
        case.agent.see(lambda update, _: case.referring.consider(update), t)
    (job,) = case.agent.worker.jobs
    job.dropped()
    case.agent.worker.jobs.clear()
    await case.see(12)
    assert case.candidates == [(5, 6)]


async def test_phrases_are_bounded() -> None:
    case = Case(*[(5, 6)] * (MOST_PHRASES + 9))
    for number in range(1, MOST_PHRASES + 10):
        case.referring.hear(prompt(number=number))
    case.agent.tracks = [block(5, "dog", (9, 9, 90, 90), prompt_id=1)]
    await case.see()
    assert case.backend.asked == [], "the oldest has been forgotten"
