"""The things and places that a question names, taken out of its words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from agent.facts_answer.language import ANYBODY, DETERMINERS, GENERIC, NO_NOUNS, PRONOUNS
from agent.facts_answer.meaning import Subject
from agent.facts_answer.times import NUMBER_WORDS
from agent.labels import category, class_of, is_narrower, names_a_class, singulars
from agent.scene import Scene
from agent.types import Region, RegionKind
from stream.engines.vocabulary import IRREGULAR_PLURALS, SAME

_LONGEST = 4
ORDINALS = {"first": 1, "1st": 1, "second": 2, "2nd": 2, "third": 3, "3rd": 3, "fourth": 4, "4th": 4, "fifth": 5,
             "last": -1, "latest": -1, "newest": -1}  # fmt: skip
_BARE = re.compile(
    r"(?<!more than )(?<!less than )(?<!fewer than )(?<!at least )(?<!at most )(?<![:.#])(?<!# )\b(\d{1,3})\b"
    r"(?= (?:or|and|is|was|has|did|come|came|leave|left|go|went|gone|enter\w*|arriv\w*|return\w*|mov\w*|here|there|at"
    r"|in|on|near|away|still|first|last|been|ever|than|doing|cross\w*|back|out|by)\b| ?$)"
)
"""A number alone that is no amount: “where did 3 go?”"""
_EVERY = frozenset({"all", "every", "each", "both"})
_THAT = frozenset({"this", "that", "these", "those"})
_OTHER = frozenset({"other", "another", "others"})
_NONE = frozenset({"nobody", "noone", "none", "nothing", "no"})
_SOME = re.compile(r"(?:any|some|no)(?:body|one|thing)?|none")


@dataclass(frozen=True, slots=True)
class Named:
    """A question with placeholders: `N0`, `N1` … for `subjects`, `R0`, `R1` … for `regions`."""

    text: str
    subjects: tuple[Subject, ...]
    regions: tuple[Region, ...]


def mark_ids(text: str) -> str:
    """`object 3`, `no. 3`, `person 7` and `# 3` as `#3`."""
    text = re.sub(r"(?:\b(?:number|no|nr|object|track|id|item)\.? ?)?# ?(\d+)\b", r" #\1 ", text)
    words = r"(?:number|no|nr|object|track|id|item|thing)"
    text = re.sub(rf"\b{words} (\d+)\b(?! ?(?:s|sec|seconds?|min|minutes?|times)\b)", r" #\1 ", text)
    text = _BARE.sub(r" #\1 ", text)
    follows = r"(?! ?(?:s|sec|secs|seconds?|min|mins|minutes?|hours?|times)\b|:)"
    return re.sub(rf"\b([a-z]+) (\d{{1,4}})\b{follows}", _id_after_noun, text)


def mark_regions(text: str, regions: Sequence[Region]) -> tuple[str, tuple[Region, ...]]:
    """Names of zones and lines, with or without the word; “the zone” where there is only one."""
    found: list[Region] = []
    for region in sorted(regions, key=lambda region: -len(region.name)):
        name = re.escape(region.name.casefold().removeprefix("the "))
        kind = r"(?:zone|area|region|line|region of interest|door)"
        pattern = rf"\b(?:the |my |our )?(?:{kind} )?{name}(?:s)?(?: {kind})?\b"
        text, count = re.subn(pattern, f" R{len(found)} ", text)
        if count:
            found.append(region)
    for word, kind in (("zone|area|region", RegionKind.ZONE), ("line", RegionKind.LINE)):
        only = [region for region in regions if region.kind is kind]
        if len(only) == 1 and only[0] not in found:
            text, count = re.subn(rf"\b(?:the|that|this) (?:{word})\b", f" R{len(found)} ", text)
            if count:
                found.append(only[0])
    return re.sub(r"\s+", " ", text).strip(), tuple(found)


def mark_nouns(text: str, scene: Scene, regions: tuple[Region, ...]) -> Named:
    """Put `N0`, `N1` … where things are named, with the words around them that say which ones."""
    labels = _label_words(scene)
    tokens, i = text.split(), 0
    out: list[str] = []
    subjects: list[Subject] = []
    while i < len(tokens):
        subject, used = _noun_at(tokens, i, labels)
        if subject is None:
            out.append(tokens[i])
            i += 1
            continue
        if _is_relative(tokens, i, out):
            out.append(tokens[i])
            i += 1
            continue
        if _SOME.fullmatch(tokens[i]):
            subject = replace(subject, some=True, none=tokens[i] in _NONE)
        last = tokens[i + used - 1]
        if subject.words and (last.endswith("s") or last in IRREGULAR_PLURALS) and last not in subject.words[0].split():
            subject = replace(subject, plural=True)
        subject = _with_modifiers(subject, out, labels.qualities)
        before = f"N{len(subjects) - 1}"
        listed = (
            out[-1:] == [before] and bool(subjects[-1].ids) and tokens[i + used : i + used + 1] in (["and"], ["or"])
        )
        if subject.ids and listed:
            # “#3, #4 and #7”
            subjects[-1] = replace(subjects[-1], ids=(*subjects[-1].ids, *subject.ids))
        elif subject.ids and out[-1:] == [before] and subjects[-1].ordinal is None and not subjects[-1].ids:
            # “Person #4” is #4.
            subjects[-1] = subject
        elif out[-1:] == [before] and subject.words and subject.words == subjects[-1].words:
            # “A kitty cat” is one.
            subjects[-1] = replace(subjects[-1], narrower=subject.narrower)
        elif subject.ids and out[-2:] in ([before, "and"], [before, "or"]) and subjects[-1].ids:
            both = out.pop() == "and"
            ids = (*subjects[-1].ids, *subject.ids)
            subjects[-1] = replace(subjects[-1], ids=ids, every=both, some=not both)
        else:
            out.append(f"N{len(subjects)}")
            subjects.append(subject)
        i += used
    return Named(" ".join(out), tuple(subjects), regions)


def _is_relative(tokens: Sequence[str], i: int, out: Sequence[str]) -> bool:
    """“That” right after a thing is no thing of its own: “the one that left”."""
    return tokens[i] == "that" and bool(out) and re.fullmatch(r"N\d+", out[-1]) is not None and i + 1 < len(tokens)


@dataclass(frozen=True, slots=True)
class _Labels:
    names: frozenset[str]
    qualities: frozenset[str]
    """Words of labels of more than one word, but for the last."""


def _label_words(scene: Scene) -> _Labels:
    names = frozenset(name.casefold() for thing in scene.objects for name in thing.labels)
    return _Labels(names, frozenset(word for name in names for word in name.split()[:-1]))


def _noun_at(tokens: Sequence[str], i: int, labels: _Labels) -> tuple[Subject | None, int]:
    """The thing that is named from token `i` on, and the number of tokens that name it."""
    word = tokens[i]
    if word.startswith("#") and word[1:].isdigit():
        return Subject(ids=(int(word[1:]),)), 1
    for length in range(min(_LONGEST, len(tokens) - i), 0, -1):
        phrase = " ".join(tokens[i : i + length])
        if any(name in labels.names for name in singulars(phrase)):
            name = next(name for name in singulars(phrase) if name in labels.names)
            return Subject(words=(name,)), length
    if word in ("everyone", "everybody"):
        return Subject(words=("person",), every=True), 1
    if word in ANYBODY or (word == "no" and tokens[i + 1 : i + 2] == ["one"]):
        return Subject(words=("person",)), 2 if word == "no" else 1
    if word in GENERIC:
        # “All cups” are cups.
        after = i + 2 if tokens[i + 1 : i + 2] in (["the"], ["my"], ["these"], ["those"], ["of"]) else i + 1
        of_something = word in _EVERY and after < len(tokens) and _noun_at(tokens, after, labels)[0] is not None
        return (None, 0) if of_something else (Subject(generic=True, every=word in (*_EVERY, "everything")), 1)
    pronoun = _pronoun_at(tokens, i, labels)
    if pronoun is not None:
        return pronoun
    for length in range(min(_LONGEST, len(tokens) - i), 0, -1):
        known = _known(tokens[i : i + length])
        if known is not None:
            return known, length
    return None, 0


def _pronoun_at(tokens: Sequence[str], i: int, labels: _Labels) -> tuple[Subject | None, int] | None:
    word = tokens[i]
    of_the = word == "the" and tokens[i - 1 : i] == ["of"]
    if (word in PRONOUNS or of_the) and _counted_or_one(word, tokens[i + 1 :], labels):
        return Subject(pronoun=True), 2
    if word not in PRONOUNS:
        return None
    # “That dog” is about a dog; “that” alone is about what was spoken of.
    following = _noun_at(tokens, i + 1, labels)[0] if i + 1 < len(tokens) else None
    determiner = following is not None or (tokens[i + 1 : i + 2] and tokens[i + 1] in labels.qualities)
    return (None, 0) if determiner else (Subject(pronoun=True), 1)


def _counted_or_one(word: str, after: Sequence[str], labels: _Labels) -> bool:
    """“This one”, “those two”, “of the two”: what was pointed at or spoken of."""
    if after[:1] == ["one"]:
        return word in ("this", "that") and after[1:2] != ["of"]
    alone = len(after) < 2 or _noun_at(after, 1, labels)[0] is None
    return bool(after) and after[0] in NUMBER_WORDS and alone


def _known(words: Sequence[str]) -> Subject | None:
    """A category or a class of the detector that is spelt by exactly these words."""
    phrase = " ".join(words)
    if not phrase.replace(" ", "").replace("-", "").isalpha() or not phrase.islower() or phrase in NO_NOUNS:
        return None
    if words[0] in DETERMINERS or words[0] in ORDINALS:
        return None
    group = category(phrase)
    if group is not None:
        return Subject(words=(group,))
    if not names_a_class(phrase):
        return None
    return Subject(words=(class_of(phrase),), narrower=phrase if is_narrower(phrase) else None)


def _with_modifiers(subject: Subject, out: list[str], qualities: frozenset[str]) -> Subject:
    """Take from the end of `out` the words before a noun that say which ones."""
    while out:
        word = out[-1]
        if word in qualities:
            subject = replace(subject, qualities=(word, *subject.qualities), generic=False)
        elif word in _OTHER:
            subject = replace(subject, other=True)
        elif word in _EVERY:
            subject = replace(subject, every=True)
        elif _SOME.fullmatch(word):
            subject = replace(subject, some=True, none=word in _NONE)
        elif word == "new" and out[-2:-1] == ["the"]:
            subject = replace(subject, ordinal=-1)
        elif word in ORDINALS and not subject.pronoun and not subject.ids:
            subject = replace(subject, ordinal=ORDINALS[word])
        elif word in _THAT and subject.words:
            subject = replace(subject, pronoun=True)
        elif word not in DETERMINERS:
            break
        out.pop()
    return subject


def synonyms(labels: Iterable[str]) -> set[str]:
    """Other words for the classes of `labels`: `"television"` for `"tv"`."""
    classes = {class_of(label) for label in labels}
    return {word for word, name in SAME.items() if name in classes and " " not in word}


def _id_after_noun(found: re.Match[str]) -> str:
    """“Person 7” is an id; “least 2” is a number."""
    word, number = found[1], found[2]
    noun = word in ANYBODY or word in GENERIC or _known([word]) is not None
    return f"{word} #{number}" if noun else found[0]
