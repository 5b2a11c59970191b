"""Answers without any model: from what was tracked, in plain words, honest about what that cannot show."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

from agent.backend import AlertQuery, Query, Sense
from agent.facts_answer import FactsAnswerer
from agent.scene import Scene
from agent.types import Moment, Verdict, VerdictKind
from stream.errors import ModelServerError

WORD_S = 0.02
"""Words come one by one, as a model's do, so that whoever reads along is not startled."""

LANGUAGE = "en"
ENGLISH_ONLY = (
    "Without a language model I understand and speak English only. Ask in English, or connect a model with --vlm."
)


class FactsBackend:
    """The tracks and what happened, and no eyes."""

    name = "facts"
    is_model = False
    can: frozenset[Sense] = frozenset()

    def __init__(self, missing: ModelServerError | None = None) -> None:
        self.missing = missing
        self._answerer = FactsAnswerer()

    def speaks(self, language: str | None) -> str | None:
        return LANGUAGE

    async def answer(self, query: Query) -> AsyncIterator[str]:
        previous = tuple((turn.question, turn.answer) for turn in query.previous)
        question = query.question
        found = self._answerer.answer(
            question.text, query.scene, query.moment, track_ids=question.track_ids, previous=previous
        )
        foreign = not found.known and question.language not in (None, LANGUAGE)
        for word in re.findall(r"\S+\s*", ENGLISH_ONLY if foreign else found.text):
            yield word
            await asyncio.sleep(WORD_S)

    async def describe(self, track_id: int, moment: Moment, scene: Scene) -> str | None:
        return None

    async def verify(self, query: AlertQuery) -> Verdict:
        """The rule has decided."""
        return Verdict(VerdictKind.YES, query.event.track_ids, "", query.watch.severity)

    async def choose(self, phrase: str, moment: Moment, scene: Scene, candidates: tuple[int, ...]) -> tuple[int, ...]:
        return candidates

    async def close(self) -> None:
        pass
