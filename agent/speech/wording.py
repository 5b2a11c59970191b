"""Spoken words as they would have been typed: numbers of objects as figures. Pure."""

from __future__ import annotations

import re

_ONES = (
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
    "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_ALIKE = {"to": 2, "too": 2, "for": 4, "ate": 8, "won": 1, "tree": 3}
"""What a transcriber may write for a number that stands alone; only at the end, where these words do not stand."""
_VALUES = {word: value for value, word in enumerate(_ONES, 1)} | {
    word: value for value, word in zip(range(20, 100, 10), _TENS, strict=True)
}
_NUMBER = re.compile(
    rf"\b(number|object|person|no\.?)\s+(?:({'|'.join(_TENS)})(?:[\s-]+({'|'.join(_ONES[:9])}))?|({'|'.join(_ONES)}))\b",
    re.IGNORECASE,
)
_LAST = re.compile(rf"\b(number|object)\s+({'|'.join(_ALIKE)})\s*[.?!]*$", re.IGNORECASE)
_HASH = re.compile(r"\b(?:number|no\.|hash(?:tag)?)\s*#?\s*(\d{1,9})\b", re.IGNORECASE)


def as_typed(transcript: str) -> str:
    """“Stop tracking number three.” → “Stop tracking #3.”"""
    text = _NUMBER.sub(_figure, transcript)
    text = _LAST.sub(lambda found: f"{found[1]} {_ALIKE[found[2].casefold()]}", text)
    return _HASH.sub(r"#\1", text).strip()


def _figure(found: re.Match[str]) -> str:
    value = sum(_VALUES[word.casefold()] for word in found.groups()[1:] if word)
    return f"{found[1]} {value}"
