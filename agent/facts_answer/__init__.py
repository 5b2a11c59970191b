"""Answers from what was tracked, without any model: counts, places, directions, times, events.

A question is reduced to its meaning (`understand`), completed by what was spoken of before (`follow`), and answered
from a scene (`answers`, `places`, `timing`, `story`, `whether`). A question with a word that is not understood is not
answered: the tracks say nothing of colours, clothes, moods or texts, and a wrong answer is worse than none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import tzinfo

from agent.facts_answer import answers, places, story, timing
from agent.facts_answer.answers import HAPPENINGS, Asked, CannotTell
from agent.facts_answer.follow import Talk, completed, referred
from agent.facts_answer.meaning import Ask, Meaning
from agent.facts_answer.phrases import Wording, grouped, plural, word_for
from agent.facts_answer.understand import understand
from agent.facts_answer.whether import whether
from agent.labels import is_of_its_own
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
_OF_SOMETHING = frozenset(
    {Ask.WHETHER, Ask.WHERE, Ask.ORIGIN, Ask.DIRECTION, Ask.WHEN, Ask.HOW_LONG_AGO, Ask.SINCE_WHEN, Ask.HOW_LONG}
)
"""What can be asked of objects that are named only."""
_TELLING_APART = frozenset({Ask.HOW_MANY, Ask.PEAK, Ask.WHETHER, Ask.WHICH, Ask.COMPARE})
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
        meaning = completed(understand(text, scene, moment.at, self._zone), talk, track_ids, scene)
        asked = Asked(meaning, scene, Wording(scene, moment.at, self._zone), talk.ids)
        try:
            said = self._said(asked)
        except CannotTell as reason:
            said = f"{reason}. {_ONLY} {_MORE}"
            return FactsAnswer(said, referred(said), False)
        return FactsAnswer(said, referred(said), True)

    def _said(self, asked: Asked) -> str:
        meaning = asked.meaning
        if meaning.unknown:
            words = ", ".join(f"“{word}”" for word in meaning.unknown[:3])
            raise CannotTell(f"I do not know about {words}")
        if meaning.ask is None:
            raise CannotTell("I did not understand the question")
        missing = [i for i in meaning.subject.ids if asked.scene.get(i) is None]
        if missing:
            raise CannotTell(f"I know no object number {missing[0]}")
        if meaning.subject.pronoun and not meaning.subject.named:
            raise CannotTell("I do not know which object is meant")
        if meaning.ask in _OF_SOMETHING and _silent(meaning):
            raise CannotTell("I do not know which object is meant")
        strict = meaning.subject.narrower if is_of_its_own(meaning.subject.narrower) else None
        if strict is not None and (len(asked.things()) != 1 or meaning.ask in _TELLING_APART):
            others = f": I know of {grouped(asked.things())}" if asked.things() else ""
            raise CannotTell(f"I cannot tell a {strict} from {plural(word_for(meaning.subject))} in general{others}")
        return _ANSWERS[meaning.ask](asked)


def _silent(meaning: Meaning) -> bool:
    """Whether nothing is said about which objects are meant, and no deed or place says it."""
    subject = meaning.subject
    said = subject.named or subject.generic or subject.pronoun or subject.ordinal is not None
    happened = meaning.deed in HAPPENINGS and meaning.place is not None
    return not said and not happened and not (meaning.ask is Ask.WHETHER and meaning.place is not None)
