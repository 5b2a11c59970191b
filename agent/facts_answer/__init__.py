"""Answers from what was tracked, without any model: counts, places, directions, times, events.

A question is reduced to its meaning (`understand`), completed by what was spoken of before (`follow`), and answered
from a scene (`answers`, `places`, `timing`, `story`, `whether`). A question with a word that is not understood is not
answered: the tracks say nothing of colours, clothes, moods or texts, and a wrong answer is worse than none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import tzinfo

from agent.facts_answer import answers, language, places, story, timing
from agent.facts_answer.answers import Asked, CannotTell
from agent.facts_answer.follow import Talk, completed, referred, since_then
from agent.facts_answer.meaning import Ask, Meaning
from agent.facts_answer.phrases import Wording
from agent.facts_answer.scope import check, narrowed
from agent.facts_answer.understand import understand
from agent.facts_answer.whether import whether
from agent.scene import Scene
from agent.types import Moment

__all__ = ["FactsAnswer", "FactsAnswerer"]

KEPT_TURNS = 4
"""So many of the last questions are looked at for what a question leaves out."""

_ANSWERS: dict[Ask, Callable[[Asked], str]] = {
    Ask.HOW_MANY: answers.how_many, Ask.PEAK: answers.peak, Ask.HOW_OFTEN: answers.how_often,
    Ask.COMPARE: answers.compare, Ask.WHICH: answers.which, Ask.WHETHER: whether, Ask.WHERE: places.where,
    Ask.ORIGIN: places.origin, Ask.DIRECTION: places.direction, Ask.WHEN: timing.when,
    Ask.HOW_LONG_AGO: timing.when, Ask.SINCE_WHEN: timing.how_long, Ask.HOW_LONG: timing.how_long,
    Ask.HAPPENED: story.happened, Ask.ABOUT: story.about,
}  # fmt: skip
_ONLY = "I only know what is tracked: what there is, where, since when, and what happened."
_MORE = "For more, a vision model is needed: start with --vlm."


@dataclass(frozen=True, slots=True)
class FactsAnswer:
    """`text` names objects as `[#3]`, and `track_ids` are these. `known` is False where the answer is an honest no."""

    text: str
    track_ids: tuple[int, ...]
    known: bool


class FactsAnswerer:
    """Answers in English. `zone` is the time zone that times of day are in; None is the machine's own."""

    def __init__(self, zone: tzinfo | None = None) -> None:
        self._zone = zone

    def answer(
        self, text: str, scene: Scene, moment: Moment, *,
        track_ids: tuple[int, ...] = (), previous: tuple[tuple[str, str], ...] = (),
    ) -> FactsAnswer:  # fmt: skip
        """Answer `text` about `scene` as it was at `moment`. `track_ids` are what the user pointed at, `previous` the
        questions and answers that it goes on from, oldest first."""
        talk = Talk()
        for question, said in previous[-KEPT_TURNS:]:
            earlier = completed(understand(question, scene, moment.at, self._zone), talk, (), scene)
            talk = talk.after(earlier, said, scene)
        introduction, text = language.clauses(text)
        stated = Meaning()
        if introduction:
            stated = completed(understand(introduction, scene, moment.at, self._zone), talk, track_ids, scene)
            before = stated if stated.deed is not None and not stated.unknown else talk.before
            talk = replace(talk.after(stated, "", scene), before=before)
        meaning = completed(understand(text, scene, moment.at, self._zone), talk, track_ids, scene)
        meaning = since_then(meaning, stated)
        asked = Asked(meaning, scene, Wording(scene, moment.at, self._zone), talk.ids)
        try:
            check(asked)
            asked = narrowed(asked)
            assert asked.meaning.ask is not None
            said = _ANSWERS[asked.meaning.ask](asked)
        except CannotTell as reason:
            said = f"{reason}. {_ONLY} {_MORE}"
            return FactsAnswer(said, referred(said), False)
        return FactsAnswer(said, referred(said), True)
