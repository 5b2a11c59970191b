"""What labels mean: which objects a word of the user's stands for. Pure."""

from __future__ import annotations

from functools import lru_cache

from stream.engines.vocabulary import AMBIGUOUS, COCO_NAMES, IRREGULAR_PLURALS, NARROWER, SAME
from stream.engines.words import resolve
from stream.errors import UnknownWord

CATEGORIES: dict[str, frozenset[str]] = {
    "animal": frozenset(["bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe"]),
    "vehicle": frozenset({"bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat"}),
    "bag": frozenset({"backpack", "handbag", "suitcase"}),
    "furniture": frozenset({"chair", "couch", "bed", "dining table", "bench"}),
    "fruit": frozenset({"banana", "apple", "orange"}),
    "food": frozenset(
        {"banana", "apple", "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake"}
    ),
    "cutlery": frozenset({"fork", "knife", "spoon"}),
    "electronics": frozenset({"tv", "laptop", "mouse", "remote", "keyboard", "cell phone"}),
}
"""Words for several classes of the detector at once."""

_CATEGORY_OF = {
    **{word: word for word in CATEGORIES},
    "pet": "animal",
    "creature": "animal",
    "beast": "animal",
    "luggage": "bag",
    "baggage": "bag",
}
_CLASS_WORDS = frozenset({*COCO_NAMES, *SAME, *NARROWER})
_LOOSE = frozenset({"guy", "dude", "bloke", "visitor", "pedestrian", "stranger", "customer", "walker", "tourist"})
BEINGS = CATEGORIES["animal"] | {"person"}
"""What comes and goes of its own accord."""


@lru_cache(maxsize=1024)
def class_of(label: str) -> str:
    """The detector's class that a label, given by the detector or by the user, stands for: `"red cup"` → `"cup"`;
    the label itself in small letters where it names no class."""
    plain = label.strip().casefold()
    try:
        return resolve(plain).label
    except UnknownWord:
        return plain


def names_a_class(phrase: str) -> bool:
    """Whether these very words, in the singular or plural, name a class of the detector."""
    if phrase.casefold() in AMBIGUOUS:
        return False
    head, _, last = phrase.casefold().rpartition(" ")
    return any(f"{head} {single}".strip() in _CLASS_WORDS for single in singulars(last))


def category(word: str) -> str | None:
    """The name in `CATEGORIES` that a word in the singular or plural stands for, or None."""
    return next((_CATEGORY_OF[single] for single in singulars(word.casefold()) if single in _CATEGORY_OF), None)


def is_narrower(word: str) -> bool:
    """Whether a word means only some of its class, such as “man”, so that tracks cannot tell."""
    return any(single in NARROWER for single in singulars(word.casefold()))


def is_of_its_own(word: str | None) -> bool:
    """Whether somebody who says `word` wants others of its class left out: “women” are not any people, while
    “guys” are, and a “puppy” is most often any dog."""
    if word is None or class_of(word) != "person":
        return False
    return not any(single in _LOOSE for single in singulars(word.casefold()))


@lru_cache(maxsize=4096)
def stands_for(wanted: str, label: str) -> bool:
    """Whether objects labelled `label` are meant by `wanted`: the same name, the same class, or a category of it.

    A name with more to it than its class, such as “red cup”, means only objects whose name has all of its words.
    """
    plain, name = wanted.strip().casefold(), label.strip().casefold()
    if plain == name:
        return True
    group = category(plain)
    if group is not None:
        return class_of(label) in CATEGORIES[group]
    try:
        concept = resolve(plain)
    except UnknownWord:
        return any(single in name.split() for single in singulars(plain))
    if concept.ignored and not set(concept.ignored) <= set(name.split()):
        return False
    return class_of(label) == concept.label


def singulars(phrase: str) -> tuple[str, ...]:
    """What a word, or the last one of several, may be the plural of; itself first."""
    forms = [phrase]
    if phrase.endswith("ies"):
        forms.append(phrase[:-3] + "y")
    if phrase.endswith("es"):
        forms.append(phrase[:-2])
    if phrase.endswith("s"):
        forms.append(phrase[:-1])
    if phrase in IRREGULAR_PLURALS:
        forms.append(IRREGULAR_PLURALS[phrase])
    return tuple(forms)
