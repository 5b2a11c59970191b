"""Answers from what was tracked, without any model: counts, places, directions, times, events.

A question is reduced to its meaning (`understand`), completed by what was spoken of before (`follow`), and answered
from a scene (`answers`, `places`, `timing`, `story`, `whether`). A question with a word that is not understood is not
answered: the tracks say nothing of colours, clothes, moods or texts, and a wrong answer is worse than none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import tzinfo

from agent.facts_answer import answers, language, places, story, times, timing
from agent.facts_answer.asked import Asked, CannotTell
from agent.facts_answer.carry import carry
from agent.facts_answer.follow import Talk, completed, referred, since_then, then_too, time_is_lost
from agent.facts_answer.meaning import Ask, Deed, Meaning
from agent.facts_answer.phrases import Wording
from agent.facts_answer.scope import check, narrowed, resolved
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
_CARRYING = frozenset({Deed.CARRY, Deed.BRING, Deed.TAKE, Deed.PUT, Deed.HAVE})
_MOST_QUESTIONS = 3
_MOST_TOLD_OF = 3
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
        talk = self._talk(previous, scene, moment)
        introduction, questions = _clauses(text)
        stated = Meaning()
        if introduction:
            stated = completed(understand(introduction, scene, moment.at, self._zone), talk, track_ids, scene)
            told = _those(stated, scene, Wording(scene, moment.at, self._zone))
            before = stated if stated.deed is not None and not stated.unknown else talk.before
            talk = replace(talk.after(stated, told, scene), before=before)
        said: list[str] = []
        first = Meaning()
        for question in questions[:_MOST_QUESTIONS]:
            meaning = completed(understand(question, scene, moment.at, self._zone), talk, track_ids, scene)
            meaning = then_too(since_then(meaning, stated, moment.at), first)
            first = meaning if first.ask is None else first
            asked = Asked(meaning, scene, Wording(scene, moment.at, self._zone), talk.ids)
            try:
                if time_is_lost(meaning, stated):
                    raise CannotTell("I do not know whether you mean that time or now")
                said.append(_answered(asked))
            except CannotTell as reason:
                # Half an answer to two questions would pass for the whole.
                return _honest(reason, asked)
            talk = talk.after(meaning, said[-1], scene)
        answer = " ".join(said)
        return FactsAnswer(answer, referred(answer), True)

    def _talk(self, previous: tuple[tuple[str, str], ...], scene: Scene, moment: Moment) -> Talk:
        talk = Talk()
        for question, said in previous[-KEPT_TURNS:]:
            for clause in _clauses(question)[1]:
                meaning = completed(understand(clause, scene, moment.at, self._zone), talk, (), scene)
                talk = talk.after(meaning, said, scene)
        return talk


def _clauses(text: str) -> tuple[str, tuple[str, ...]]:
    """What leads to the questions, and the questions, with the time or place that is said before them in each."""
    introduction, questions = language.clauses(text)
    plain = language.normalise(introduction)
    if plain and (times.only(plain) or language.is_adverbial(plain)):
        return "", tuple(f"{question.strip(' ?!.')} {introduction}" for question in questions)
    return introduction, questions


def _answered(asked: Asked) -> str:
    check(asked)
    asked = narrowed(resolved(asked))
    assert asked.meaning.ask is not None
    if asked.meaning.lasting is not None:
        said = timing.lasting(asked)
    elif asked.meaning.deed in _CARRYING:
        said = carry(asked)
    else:
        said = _ANSWERS[asked.meaning.ask](asked)
    read = "".join(f" (I read “{word}” as “{right}”.)" for word, right in asked.meaning.respelt)
    return said + read


def _those(stated: Meaning, scene: Scene, wording: Wording) -> str:
    """Who did what was said of somebody: “somebody came in, who was it?”"""
    if not stated.understood or not stated.subject.some or stated.deed in (None, Deed.BE):
        return ""
    try:
        return _answered(Asked(replace(stated, ask=Ask.WHICH), scene, wording))
    except CannotTell:
        return ""


def _honest(reason: CannotTell, asked: Asked) -> FactsAnswer:
    """Why there is no answer, and what is known of the things that were named."""
    meaning = asked.meaning
    named = (meaning.subject, meaning.second, meaning.place.subject if meaning.place is not None else None)
    meant = [s for s in named if s is not None and s.named and s.clause is None and not s.some]
    things = asked.things(meant[0]) if meant else []
    known = f" What I do know: {story.briefly(asked, things)}" if 0 < len(things) <= _MOST_TOLD_OF else ""
    said = f"{reason}.{known} {_ONLY} {_MORE}"
    return FactsAnswer(said, referred(said), False)
