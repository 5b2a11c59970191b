"""A question as tokens, and what its tense and voice say."""

from __future__ import annotations

import re
from dataclasses import dataclass

from agent.facts_answer.meaning import Subject
from agent.facts_answer.tokens import Token

_PAST = re.compile(r"\b(?:was|were|did|had|has|have|been)\b")
_PAST_VERB = re.compile(r"\b(?:went|ran|stood|sat|drove|took|brought|put|got|set|made|\w{3,}ed)\b")
_PRESENT = re.compile(r"\b(?:is|are|am|do|does|can|remains?)\b")
_POSSESSES = re.compile(r"\b(?:do|does|can|could)\b.*\bhave\b")
_LEFT = re.compile(r"\bleft\b(?! the\b)")
_WAS_LEFT = re.compile(
    r"\b(?:was|were|been)(?: (?:N\d+|R\d+"
    r"|(?!(?:since|when|before|after|until|till|while|as|once|that|which|who|whom|time|moment)\b)[a-z]+))*"
    r" (?:LEAVE|STAYBEHIND)\b"
)
_IN_TOTAL = re.compile(r"\b(?:in total|in all|overall|altogether)\b")
_SO_FAR = re.compile(r"\b(?:so far|ever|(?:until|till|up to) now|to date|at any time)\b")


@dataclass(frozen=True, slots=True)
class Reading:
    """A question as tokens; `plain` is the text before any became one, `marked` after."""

    tokens: tuple[Token, ...]
    plain: str
    marked: str
    tagged: bool

    @property
    def words(self) -> frozenset[str]:
        return frozenset(token.word for token in self.tokens)

    @property
    def classes(self) -> frozenset[str]:
        return frozenset(token.cls for token in self.tokens)

    @property
    def named(self) -> list[Subject]:
        return [token.subject for token in self.tokens if token.cls == "NP" and token.subject is not None]

    @property
    def past(self) -> bool:
        if "UNMOVED" in self.words:
            return True
        if "AUX" in self.classes:
            return _PAST.search(self.marked) is not None and _POSSESSES.search(self.marked) is None
        return (_PAST_VERB.search(self.plain) or _PAST.search(self.marked)) is not None

    @property
    def was_left(self) -> bool:
        """“Was the bag left?” is about who went away from it, “How long has it been since the bag left?” is not."""
        return _LEFT.search(self.plain) is not None and _WAS_LEFT.search(self.marked) is not None

    @property
    def were_people_left(self) -> bool:
        """“Who was left?”, “Was everybody left alone?”"""
        people = all(subject.words == ("person",) for subject in self.named)
        return self.was_left and people and (bool(self.named) or "WHO" in self.classes)

    @property
    def sums_up_now(self) -> bool:
        """“How many are there in total?” adds up what is there, not what ever was."""
        if self.past or _IN_TOTAL.search(self.plain) is None or _SO_FAR.search(self.plain) is not None:
            return False
        if any(subject.pronoun for subject in self.named) and not self.classes & {"HERE", "PLACE", "REGION", "SEE"}:
            return False  # “Who came in?”, “How many is that in total?”
        here = "AUX" not in self.classes and self.classes & {"HERE", "PLACE", "REGION"}
        return bool(here) or _PRESENT.search(self.plain) is not None
