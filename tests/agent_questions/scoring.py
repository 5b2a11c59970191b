"""Questions with their truth, and how an answer is judged by it.

An answer is *right* when all of its question's checks hold, *honest* when it says that it does not know, whatever else
it tells, and *wrong* when it claims something that the checks do not bear out. Not to know is right only where the
truth is `known = false`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from tests.agent_questions.story import START_AT

FOLDER = Path(__file__).parent
Verdict = Literal["right", "honest", "wrong"]

_REFERENCE = re.compile(r"\[#(\d+)\]")
_CLOCK = re.compile(r"\b(\d\d):(\d\d):(\d\d)\b")
_DURATION = re.compile(
    r"\b(?:(\d+)\s*(?:min|minutes?)\b(?:\s*(?:and\s*)?(\d+(?:\.\d+)?)\s*(?:s|sec|seconds?)\b)?"
    r"|(\d+(?:\.\d+)?)\s*(?:s|sec|seconds?)\b)"
)
_NUMBER_WORDS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"),
)
_NUMBER = re.compile(r"\b(\d+|" + "|".join(("no", "none", *_NUMBER_WORDS)) + r")\b")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question of a file and the checks of its truth; `source` is the file's name."""

    id: str
    source: str
    at: float
    text: str
    checks: dict[str, Any]
    follows: str | None = None
    track_ids: tuple[int, ...] = ()
    known: bool = True


@dataclass(frozen=True, slots=True)
class Judged:
    asked: Asked
    text: str
    verdict: Verdict
    failed: tuple[str, ...]
    """Names of the checks that do not hold."""


def load(*names: str) -> list[Asked]:
    """The questions of the files `NAME.toml`, in the order of time and, at the same time, of the files."""
    found = []
    for name in names:
        for entry in tomllib.loads((FOLDER / f"{name}.toml").read_text("utf-8"))["question"]:
            at, follows = float(entry.pop("at")), entry.pop("follows", None)
            ids, known = tuple(entry.pop("track_ids", ())), entry.pop("known", True)
            found.append(Asked(entry.pop("id"), name, at, entry.pop("ask"), entry, follows, ids, known))
    return sorted(found, key=lambda asked: asked.at)


def judge(asked: Asked, text: str, track_ids: Iterable[int], known: bool) -> Judged:
    """Compare one answer with the truth. `track_ids` must be those that the text names as `[#3]`."""
    if not asked.known:
        return Judged(asked, text, "wrong" if known else "right", ("known",) if known else ())
    ids = {int(number) for number in _REFERENCE.findall(text)}
    failed = [] if ids == set(track_ids) else ["references"]
    within = asked.checks.get("within", 2)
    for name, truth in asked.checks.items():
        if name != "within" and not _CHECKS[name](text, ids, truth, within):
            failed.append(name)
    if not known:
        return Judged(asked, text, "honest", tuple(failed))
    return Judged(asked, text, "wrong" if failed else "right", tuple(failed))


def _yes(text: str, _ids: set[int], truth: bool, _within: float) -> bool:
    return re.match(r"yes\b" if truth else r"no\b", text, re.IGNORECASE) is not None


def _count(text: str, _ids: set[int], truth: int, _within: float) -> bool:
    plain = re.sub(r"\[?#\d+\]?", " ", _DURATION.sub(" ", _CLOCK.sub(" ", text))).lower()
    found = _NUMBER.search(plain)
    if found is None:
        return False
    word = found[1]
    number = 0 if word in ("no", "none") else _NUMBER_WORDS.index(word) if word in _NUMBER_WORDS else int(word)
    return number == truth


def _time(text: str, _ids: set[int], truth: str, within: float) -> bool:
    found = _CLOCK.search(text)
    if found is None:
        return False
    return abs((_of_day(found[0]) - _of_day(truth)).total_seconds()) <= within


def _seconds(text: str, _ids: set[int], truth: float, within: float) -> bool:
    found = _DURATION.search(text)
    if found is None:
        return False
    minutes, rest, seconds = found.groups()
    total = float(minutes) * 60 + float(rest or 0) if minutes else float(seconds)
    return abs(total - truth) <= within


def _of_day(clock: str) -> datetime:
    hours, minutes, seconds = map(int, clock.split(":"))
    return START_AT.replace(hour=hours, minute=minutes, second=seconds)


_CHECKS: dict[str, Callable[[str, set[int], Any, float], bool]] = {
    "yes": _yes,
    "count": _count,
    "time": _time,
    "seconds": _seconds,
    "ids": lambda _text, ids, truth, _within: ids == set(truth),
    "has": lambda _text, ids, truth, _within: ids >= set(truth),
    "hasnt": lambda _text, ids, truth, _within: not ids & set(truth),
    "says": lambda text, _ids, truth, _within: all(re.search(p, text, re.IGNORECASE) for p in truth),
    "hides": lambda text, _ids, truth, _within: not any(re.search(p, text, re.IGNORECASE) for p in truth),
}
