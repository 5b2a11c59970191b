"""What labels mean: which objects a word of the user's stands for. Pure."""

from __future__ import annotations

from functools import lru_cache

from stream.engines.light.vocabulary import IRREGULAR_PLURALS, NARROWER
from stream.engines.light.words import resolve
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


def category(word: str) -> str | None:
    """The name in `CATEGORIES` that a word in the singular or plural stands for, or None."""
    plain = word.casefold()
    singulars = (plain, plain.removesuffix("s"), plain.removesuffix("ies") + "y")
    return next((_CATEGORY_OF[single] for single in singulars if single in _CATEGORY_OF), None)


def is_narrower(word: str) -> bool:
    """Whether a word means only some of its class, such as “man”, so that tracks cannot tell."""
    plain = word.casefold()
    return any(w in NARROWER for w in (plain, plain.removesuffix("s"), IRREGULAR_PLURALS.get(plain, plain)))


def is_of_its_own(word: str | None) -> bool:
    """Whether somebody who says `word` wants others of its class left out: “women” are not any people, while
    “guys” are, and a “puppy” is most often any dog."""
    if word is None or class_of(word) != "person":
        return False
    plain = word.casefold()
    return not any(w in _LOOSE for w in (plain, plain.removesuffix("s"), IRREGULAR_PLURALS.get(plain, plain)))


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
        return _singular(plain) in {_singular(word) for word in name.split()}
    if concept.ignored and not set(concept.ignored) <= set(name.split()):
        return False
    return class_of(label) == concept.label


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") else word
