"""What a question leaves to the one before it, and to what the user pointed at."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from agent.facts_answer.knowledge import meant
from agent.facts_answer.meaning import Ask, Deed, Meaning, Subject, Window
from agent.labels import is_of_its_own
from agent.scene import Scene

_REFERENCE = re.compile(r"\[#(\d+)\]")
_TIMES = frozenset({Ask.WHEN, Ask.SINCE_WHEN, Ask.HOW_LONG, Ask.HOW_LONG_AGO})
_PLACES = frozenset({Ask.WHERE, Ask.DIRECTION, Ask.ORIGIN})
_LISTS = frozenset({Ask.WHICH, Ask.HOW_MANY, Ask.HOW_OFTEN})
_DONE = frozenset({Deed.ENTER, Deed.LEAVE, Deed.RETURN, Deed.CROSS})
_NUMBERS = frozenset({Ask.HOW_MANY, Ask.HOW_OFTEN})
_MOST_SPOKEN_OF = 3


@dataclass(frozen=True, slots=True)
class Talk:
    """What was spoken of: the last question that was understood, the objects that its answer named, and those that
    were named further back."""

    before: Meaning | None = None
    ids: tuple[int, ...] = ()
    earlier: tuple[int, ...] = ()

    def after(self, meaning: Meaning, said: str, scene: Scene) -> Talk:
        """The talk once `meaning` was answered by `said`."""
        named = referred(said)
        if not named and meaning.subject.named and not meaning.subject.some:
            strict = is_of_its_own(meaning.subject.narrower)
            of_words = tuple(thing.id for thing in meant(meaning.subject, scene))
            named = of_words if len(of_words) <= (1 if strict else _MOST_SPOKEN_OF) else ()
        earlier = (*self.ids, *self.earlier) if named else self.earlier
        return Talk(meaning if meaning.understood else self.before, named or self.ids, earlier)


def referred(text: str) -> tuple[int, ...]:
    """The objects that an answer names, in its order."""
    return tuple(dict.fromkeys(int(number) for number in _REFERENCE.findall(text)))


def completed(meaning: Meaning, talk: Talk, pointed: tuple[int, ...], scene: Scene) -> Meaning:
    """`meaning` with its gaps filled: pronouns by what was pointed at, else by what was spoken of; a question that
    names only other objects by the question before; one that names none by its objects."""
    if meaning.unknown or meaning.beyond or not meaning.shaped:
        return meaning
    before = talk.before
    if meaning.again:
        if before is None:
            return replace(meaning, ask=None)
        subject = meaning.subject if before.subject.generic or _silent(before.subject) else before.subject
        meaning = replace(before, ask=Ask.WHICH, subject=subject, limit=None, negated=False)
    if before is not None and meaning.ask is None:
        meaning = _same_of_others(meaning, before)
    elif before is not None and _silent(meaning.subject) and meaning.ask is Ask.HOW_MANY and _says_what(meaning):
        # “How many on the left, and how many on the right?”
        meaning = replace(meaning, subject=before.subject)
    elif before is not None and _silent(meaning.subject) and meaning.place is None and not pointed:
        meaning = _more_of_the_same(meaning, before, talk)
    elif before is not None and meaning.subject.pronoun and meaning.ask is Ask.WHEN and meaning.deed is None:
        meaning = replace(meaning, deed=before.deed)
    if before is not None:
        meaning = replace(meaning, subject=_of_its_kind(meaning.subject, before.subject))
        meaning = then_too(meaning, before)
    if meaning.ask is None and (meaning.subject.named or (meaning.subject.pronoun and pointed)):
        # “The red cup?”, “People?”
        meaning = replace(
            meaning, ask=Ask.WHETHER if meaning.subject.plural or meaning.place or meaning.limit else Ask.ABOUT
        )
    meaning = replace(meaning, subject=_that(meaning.subject, (pointed, talk.ids, talk.earlier), scene))
    return _resolved(meaning, pointed or talk.ids, bool(pointed))


def since_then(meaning: Meaning, stated: Meaning, now: datetime) -> Meaning:
    """“I was away for a minute, what did I miss?” is about that minute."""
    said = stated.window
    if stated.lasting is not None:
        said = Window(since=now - timedelta(seconds=stated.lasting[1]))
    happened = meaning.ask is Ask.HAPPENED or (meaning.ask in _LISTS and meaning.deed in _DONE)
    if not happened or meaning.window != Window() or said.since is None:
        return meaning
    return replace(meaning, window=replace(said, until=None, instant=False) if said.instant else said)


def then_too(meaning: Meaning, first: Meaning) -> Meaning:
    """“Where was #3 at 10:00:30?”, “And who was near it?”: both are about then."""
    states = meaning.ask in (Ask.WHERE, Ask.WHICH, Ask.WHETHER, Ask.HOW_MANY) and meaning.deed in (None, Deed.BE)
    if not (first.window.instant and states and meaning.past and meaning.window == Window()):
        return meaning
    return replace(meaning, window=first.window)


def time_is_lost(meaning: Meaning, stated: Meaning) -> bool:
    """Whether a time that was said before the question is not in it, though it may be about then."""
    said, asked = stated.window, meaning.window
    if (said.since is None and said.until is None) or asked.since is not None or asked.until is not None:
        return False
    return meaning.past or not stated.understood


def _says_what(meaning: Meaning) -> bool:
    return meaning.place is not None or meaning.deed is not None


def _silent(subject: Subject) -> bool:
    return not subject.named and not subject.generic and not subject.pronoun


def _same_of_others(meaning: Meaning, before: Meaning) -> Meaning:
    """“And the cups?”, “And at the door?”, “And in the last minute?”"""
    window = meaning.window if meaning.window != Window() else before.window
    subject = before.subject if _silent(meaning.subject) else meaning.subject
    return replace(
        meaning, ask=before.ask, deed=meaning.deed or before.deed, most=meaning.most or before.most,
        place=meaning.place or before.place, window=window, past=before.past, subject=subject,
    )  # fmt: skip


def _more_of_the_same(meaning: Meaning, before: Meaning, talk: Talk) -> Meaning:
    """“When?”, “Where?”, “How many?”"""
    if meaning.ask in _NUMBERS and meaning.deed is None:
        window = meaning.window if meaning.window != Window() else before.window
        return replace(
            meaning, subject=before.subject, deed=before.deed, place=before.place, window=window, past=before.past
        )
    if talk.ids and meaning.ask is Ask.WHETHER:
        # “Still there?”
        return replace(meaning, subject=Subject(pronoun=True))
    if not talk.ids or meaning.ask not in _TIMES | _PLACES:
        return meaning
    if meaning.ask is Ask.WHERE and before.deed in (Deed.ENTER, Deed.LEAVE):
        asked = Ask.ORIGIN if before.deed is Deed.ENTER else Ask.WHERE
        return replace(meaning, ask=asked, deed=before.deed, subject=Subject(pronoun=True), most=before.most)
    crossing = before.deed is Deed.CROSS and meaning.ask is not Ask.WHERE
    deed = before.deed if meaning.ask in _TIMES or crossing else None
    kept = crossing or (meaning.ask in _TIMES and before.deed in (None, Deed.BE))
    place = before.place if kept else None
    then = meaning.ask is Ask.WHERE and before.window.instant and meaning.window == Window()
    window = before.window if then else meaning.window
    subject = Subject(pronoun=True)
    return replace(meaning, deed=meaning.deed or deed, subject=subject, place=place, window=window)


def _of_its_kind(subject: Subject, before: Subject) -> Subject:
    """“The blue one”, or the other one, after a question about a cup is a cup."""
    counted = subject.generic and (subject.other or subject.ordinal is not None)
    if (subject.qualities or counted) and not subject.words and before.words:
        return replace(subject, words=tuple(word.split()[-1] for word in before.words), generic=False)
    return subject


def _that(subject: Subject, spoken_of: tuple[tuple[int, ...], ...], scene: Scene) -> Subject:
    """“That person”, or “who of them”: the newest of its kind that was spoken of."""
    if not (subject.pronoun and subject.words) or subject.ids:
        return subject
    of_its_kind = {thing.id for thing in meant(subject, scene)}
    for ids in spoken_of:
        same = tuple(i for i in ids if i in of_its_kind)
        if same:
            return replace(subject, ids=same, pronoun=False)
    return replace(subject, pronoun=False)


def _resolved(meaning: Meaning, ids: tuple[int, ...], pointed: bool) -> Meaning:
    if not ids:
        return meaning
    subject = meaning.subject
    if (subject.pronoun and not subject.ids) or (pointed and _silent(subject) and meaning.place is None):
        meaning = replace(meaning, subject=replace(subject, ids=ids, pronoun=False))
    place = meaning.place
    if place is not None and place.subject is not None and place.subject.pronoun:
        meaning = replace(meaning, place=replace(place, subject=Subject(ids=ids)))
    if meaning.second is not None and meaning.second.pronoun:
        meaning = replace(meaning, second=Subject(ids=ids))
    return meaning
