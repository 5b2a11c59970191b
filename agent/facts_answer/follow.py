"""What a question leaves to the one before."""

from __future__ import annotations

import re
from dataclasses import replace

from agent.facts_answer.meaning import Ask, Deed, Meaning, Place, Subject, Window

_REFERENCE = re.compile(r"\[#(\d+)\]")


def referred(text: str) -> tuple[int, ...]:
    """The objects that an answer names, in its order."""
    return tuple(dict.fromkeys(int(number) for number in _REFERENCE.findall(text)))


def completed(
    meaning: Meaning, before: Meaning | None, spoken_of: tuple[int, ...], pointed: tuple[int, ...]
) -> Meaning:
    """`meaning` with its gaps filled: pronouns by what was pointed at, else by what was spoken of; a question that
    names only other objects by the question before; one that names none by its objects."""
    if before is not None and meaning.ask is None and not meaning.unknown:
        window = meaning.window if meaning.window != Window() else before.window
        meaning = replace(
            meaning, ask=before.ask, deed=meaning.deed or before.deed, most=meaning.most or before.most,
            place=meaning.place or before.place, window=window, past=before.past, second=meaning.second,
            subject=_like(meaning.subject, before.subject),
        )  # fmt: skip
        if not meaning.subject.named and not meaning.subject.generic and not meaning.subject.pronoun:
            meaning = replace(meaning, subject=before.subject)
        return _resolved(meaning, spoken_of, pointed)
    subject = meaning.subject
    if meaning.ask is None and not meaning.unknown and (subject.named or (subject.pronoun and pointed)):
        # “The red cup?”
        meaning = replace(meaning, ask=Ask.ABOUT)
    silent = not subject.named and not subject.generic and not subject.pronoun
    if silent and meaning.place is None and spoken_of and before is not None and not pointed:
        if meaning.ask in (
            Ask.WHEN,
            Ask.SINCE_WHEN,
            Ask.HOW_LONG,
            Ask.HOW_LONG_AGO,
            Ask.WHERE,
            Ask.DIRECTION,
            Ask.ORIGIN,
        ):
            deed = meaning.deed or (before.deed if meaning.ask not in (Ask.WHERE, Ask.DIRECTION, Ask.ORIGIN) else None)
            meaning = replace(meaning, deed=deed, subject=Subject(pronoun=True), place=_kept_place(meaning, before))
    elif subject.pronoun and before is not None and meaning.deed is None and meaning.ask is Ask.WHEN:
        meaning = replace(meaning, deed=before.deed)
    return _resolved(meaning, spoken_of, pointed)


def _kept_place(meaning: Meaning, before: Meaning) -> Place | None:
    return before.place if meaning.ask is not Ask.WHERE and before.deed in (None, Deed.BE, Deed.CROSS) else None


def _like(subject: Subject, before: Subject) -> Subject:
    """“The blue one” after a question about a cup is a cup."""
    if subject.qualities and not subject.words:
        kinds = tuple(word.split()[-1] for word in before.words)
        return replace(subject, words=kinds)
    return subject


def _resolved(meaning: Meaning, spoken_of: tuple[int, ...], pointed: tuple[int, ...]) -> Meaning:
    ids = pointed or spoken_of
    if not ids:
        return meaning
    subject = meaning.subject
    vague = not subject.named and not subject.generic
    if (subject.pronoun and not subject.ids) or (vague and pointed and meaning.place is None):
        meaning = replace(meaning, subject=replace(subject, ids=ids, pronoun=False))
    place = meaning.place
    if place is not None and place.subject is not None and place.subject.pronoun:
        meaning = replace(meaning, place=replace(place, subject=Subject(ids=ids)))
    if meaning.second is not None and meaning.second.pronoun:
        meaning = replace(meaning, second=Subject(ids=ids))
    return meaning
