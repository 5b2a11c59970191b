"""Moments that are told by what happened then: “after the dog left”, “when #3 came in”."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from agent.facts_answer import knowledge
from agent.facts_answer.asked import HAPPENINGS
from agent.facts_answer.meaning import Deed, Window
from agent.facts_answer.tokens import Token, place_of
from agent.scene import Scene

_SIDE_BY_SIDE = frozenset({Deed.MEET, Deed.STAY_BEHIND})
_AFTER = frozenset({"after", "since"})
_JUST_AFTER = timedelta(milliseconds=50)
"""What happened then is not what happened after it."""


@dataclass(frozen=True, slots=True)
class Timed:
    """What is left of a question, the window that was told in it, and why it cannot be told, if so."""

    tokens: tuple[Token, ...]
    window: Window
    beyond: tuple[str, ...] = ()


def timed(tokens: Sequence[Token], scene: Scene, window: Window) -> Timed:
    """Take “… before the dog left” off the end of a question."""
    unchanged = Timed(tuple(tokens), window)
    at = next((i for i, token in enumerate(tokens) if i and token.cls in ("CONJ", "WHEN")), None)
    if at is None or window.since is not None or window.until is not None:
        return unchanged
    clause = [token for token in tokens[at + 1 :] if token.cls not in ("AUX", "HERE")]
    if [token.cls for token in clause] not in (["NP", "DEED"], ["NP", "DEED", "REGION"], ["NP", "DEED", "PLACE"]):
        return unchanged
    subject, deed = clause[0].subject, clause[1].deed
    if subject is None or deed not in HAPPENINGS - _SIDE_BY_SIDE or not subject.named or subject.clause is not None:
        return unchanged
    place = place_of(clause[2]) if len(clause) > 2 else None
    found = knowledge.deals(deed, knowledge.meant(subject, scene), scene, Window(), place)
    word = tokens[at].word
    if not found or (len(found) > 1 and word not in _AFTER):
        why = "I have not seen that happen" if not found else "That happened more than once"
        return Timed(tuple(tokens[:at]), window, (why,))
    return Timed(tuple(tokens[:at]), _window(word, found[-1].at))


def _window(word: str, at: datetime) -> Window:
    if word in _AFTER:
        return Window(since=at + _JUST_AFTER)
    if word in ("before", "until"):
        return Window(until=at - _JUST_AFTER)
    return Window(since=at, until=at, instant=True)
