"""From what a person types to the names that the detector knows."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from stream.engines.vocabulary import (
    AMBIGUOUS,
    COCO_NAMES,
    COLOURS,
    FILLERS,
    IRREGULAR_PLURALS,
    MEASURES,
    NARROWER,
    POSTMODIFIERS,
    RELATED,
    SAME,
)
from stream.errors import UnknownWord

__all__ = ["COCO_NAMES", "Concept", "resolve", "split_concepts"]

_KNOWN: dict[str, str] = {**NARROWER, **SAME, **{name: name for name in COCO_NAMES}}
_LONGEST = max(len(word.split()) for word in _KNOWN)
_TOKEN = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_SEPARATOR = re.compile(r"[,;/+&|\n]+|\b(?:and|or|plus|as well as)\b", re.IGNORECASE)
_MAX_TOKENS, _MAX_TOKEN_LENGTH, _MAX_NEAREST = 24, 32, 3


@dataclass(frozen=True, slots=True)
class Concept:
    """A class of the detector. `word` is what the user called it, `ignored` what else was said and is not used."""

    label: str
    word: str
    ignored: tuple[str, ...] = ()

    @property
    def note(self) -> str | None:
        """What the user should know where the word was wider or richer than what is followed, else None."""
        said = []
        if self.word in NARROWER:
            said.append(f"“{self.word}” is followed as any {self.label}")
        if self.ignored:
            said.append(f"“{' '.join(self.ignored)}” is not understood here and is not used")
        return "; ".join(said)[:1].upper() + "; ".join(said)[1:] + "." if said else None


def resolve(text: str) -> Concept:
    """The class that a noun phrase in English means: case, articles, plurals and common synonyms are understood.

    Adjectives and what follows the noun (“with a hat”) are put into `ignored`. Raises `UnknownWord` with up to three
    nearest known names, and nothing else.
    """
    tokens = _tokens(text)
    head, after = _split_phrase(tokens)
    for end in range(len(head), 0, -1):
        if end < len(head) and not head[end].endswith("ing"):
            break
        for start in range(max(0, end - _LONGEST), end):
            word = _known_word(head[start:end])
            if word is not None:
                ignored = tuple(token for token in head[:start] + head[end:] + after if token not in FILLERS)
                return Concept(_KNOWN[word], word, ignored)
    raise UnknownWord(text.strip()[:80], _nearest(head or tokens))


def split_concepts(text: str) -> list[str]:
    """`"person, dog and cup"` → `["person", "dog", "cup"]`; each part goes to `resolve`.

    Colours keep to their thing: `"black and white cat"` is one concept. Repetitions and empty parts are dropped.
    """
    parts: dict[str, None] = {}
    waiting: list[str] = []
    for raw in _SEPARATOR.split(text):
        part = raw.strip()
        tokens = [token for token in _tokens(part) if token not in FILLERS]
        if not tokens:
            continue
        if all(token in COLOURS for token in tokens) and _known_word(tokens) is None:
            waiting.append(part)
            continue
        parts[" ".join((*waiting, part))] = None
        waiting.clear()
    parts.update(dict.fromkeys(waiting))
    return list(parts)


def _tokens(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKC", text[:2000]).casefold()
    found = (re.sub(r"['’]s?$|['’]", "", token) for token in _TOKEN.findall(plain))
    return [token[:_MAX_TOKEN_LENGTH] for token in found if token][:_MAX_TOKENS]


def _split_phrase(tokens: list[str]) -> tuple[list[str], list[str]]:
    """The words up to and with the noun that is meant, and the words after it; measures and fillers are dropped."""
    head: list[str] = []
    for index, token in enumerate(tokens):
        if token == "of" and (not head or head[-1] in MEASURES):
            return _split_phrase(tokens[index + 1 :])
        if token in POSTMODIFIERS and head and _known_word(tokens[max(0, index - 1) : index + 2]) is None:
            return head, tokens[index:]
        if token not in FILLERS:
            head.append(token)
    return head, []


def _known_word(words: list[str]) -> str | None:
    """The known word that `words` spell, in the singular where they are plural."""
    if len(words) == 1 and words[0] in AMBIGUOUS:
        return None
    for last in _singulars(words[-1]):
        word = " ".join((*words[:-1], last))
        if word in _KNOWN:
            return word
    return None


def _singulars(token: str) -> Iterator[str]:
    yield token
    if token in IRREGULAR_PLURALS:
        yield IRREGULAR_PLURALS[token]
    if token.endswith("ies"):
        yield token[:-3] + "y"
    if token.endswith("es"):
        yield token[:-2]
    if token.endswith("s"):
        yield token[:-1]


def _nearest(tokens: list[str]) -> tuple[str, ...]:
    """Known names that may serve instead, at most three: by meaning, then by spelling, the noun's first."""
    found: dict[str, None] = {}
    for token in reversed(tokens):
        for single in _singulars(token):
            found.update(dict.fromkeys(AMBIGUOUS.get(single, RELATED.get(single, ()))))
    exact = (_known_word([token]) for token in reversed(tokens))
    found.update(dict.fromkeys(_KNOWN[word] for word in exact if word is not None))
    for candidate in (" ".join(tokens[-3:]), *reversed(tokens)):
        close = difflib.get_close_matches(candidate, _KNOWN, n=_MAX_NEAREST, cutoff=0.7)
        found.update(dict.fromkeys(_KNOWN[word] for word in close))
    return tuple(found)[:_MAX_NEAREST]
