"""When objects are described: once, again after a change or long after, within a budget, when nobody waits."""

from __future__ import annotations

from typing import Any

import pytest

from agent.describe import AGAIN_S, REST_S, SETTLED_S, Describer
from agent.types import CaptionFact, EventKind
from agent.worker import Job, Priority
from tests.moments import BROKEN, FakeAgent, FakeBackend, block, event

CUP = block(3, "cup", (40, 60, 120, 180))


class Case:
    def __init__(self, *replies: Any, can: tuple[str, ...] = ("image",)) -> None:
        self.backend = FakeBackend(*replies, can=can)
        self.agent: Any = FakeAgent(self.backend, [CUP])
        self.describer = Describer(self.agent)

    async def see(self, *times: float) -> None:
        for t in times:
            self.agent.see(self.describer.consider, t)
            await self.agent.worker.run()

    @property
    def captions(self) -> list[tuple[int, str]]:
        facts = self.agent.session.published
        return [(f.caption.track_id, f.caption.text) for f in facts if isinstance(f, CaptionFact)]


async def test_an_object_is_described_once() -> None:
    case = Case("a red cup")
    await case.see(10, 11, 12, 60)
    assert case.captions == [(3, "a red cup")]
    assert case.agent.scene.snapshot().get(3).caption == "a red cup"


async def test_again_when_it_looks_different() -> None:
    case = Case("a red cup", "a broken cup")
    await case.see(10)
    case.describer.changed(event(20, EventKind.CHANGE, "[#3] cup looks different.", 3))
    case.describer.changed(event(20, EventKind.CHANGE, "[#9] never seen.", 9))
    await case.see(21, 22)
    assert case.captions == [(3, "a red cup"), (3, "a broken cup")]


async def test_again_long_after_and_the_same_words_are_not_told_twice() -> None:
    case = Case("a red cup", "a red cup")
    await case.see(10, 10 + AGAIN_S - 1)
    assert len(case.backend.asked) == 1
    await case.see(10 + AGAIN_S + 1)
    assert len(case.backend.asked) == 2
    assert case.captions == [(3, "a red cup")]


async def test_the_budget_is_kept_and_comes_back() -> None:
    case = Case(*[f"cup {k}" for k in range(9)])
    case.agent.tracks = [block(k, "cup", (40 * k, 60, 40 * k + 30, 180), age_s=50 - k) for k in range(1, 7)]
    await case.see(10, 11, 12, 13, 14)
    assert [asked[0] for asked in case.backend.asked] == [1, 2, 3], "three a minute, the oldest first"
    await case.see(69, 71, 72, 73)
    assert len(case.backend.asked) == 6


async def test_who_was_never_described_comes_before_who_changed() -> None:
    case = Case("one", "two")
    await case.see(10)
    case.describer.changed(event(11, EventKind.CHANGE, "changed", 3))
    case.agent.tracks = [CUP, block(4, "cup", (150, 60, 220, 180), age_s=2)]
    await case.see(12)
    assert [asked[0] for asked in case.backend.asked] == [3, 4]


async def test_nothing_is_described_while_anybody_waits() -> None:
    case = Case("a red cup")

    async def work() -> None: ...

    case.agent.worker.submit(Job(Priority.QUESTION, "q", work))
    case.agent.see(case.describer.consider, 10)
    assert [job.priority for job in case.agent.worker.jobs] == [Priority.QUESTION]


@pytest.mark.parametrize(
    "track",
    [
        block(3, "cup", (40, 60, 120, 180), age_s=SETTLED_S / 2),
        block(3, "cup", (40, 60, 46, 180)),
        block(3, "cup", (40, 60, 120, 64)),
    ],
    ids=["passes by", "too narrow", "too low"],
)
async def test_what_would_show_nothing_is_not_described(track: Any) -> None:
    case = Case()
    case.agent.tracks = [track]
    await case.see(10)
    assert case.backend.asked == []


async def test_without_eyes_or_switched_off_nothing_is_described() -> None:
    blind = Case(can=("tools",))
    await blind.see(10)
    off = Case()
    off.describer.on = False
    await off.see(10)
    assert blind.backend.asked == off.backend.asked == []


async def test_after_a_fault_it_rests() -> None:
    case = Case(BROKEN, "a red cup")
    await case.see(10, 10 + REST_S - 1)
    assert len(case.backend.asked) == 1
    await case.see(10 + REST_S + 1)
    assert case.captions == [(3, "a red cup")]


async def test_no_description_is_none_and_not_asked_for_again() -> None:
    case = Case(None)
    await case.see(10, 20)
    assert case.captions == []
    assert len(case.backend.asked) == 1
