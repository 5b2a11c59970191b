"""Which times each answer takes into account. What is not listed here is not answered together with a time."""

from __future__ import annotations

from agent.facts_answer.asked import HAPPENINGS
from agent.facts_answer.meaning import Ask, Deed, Meaning, Most

_STILL = (None, Deed.BE)
_ORDER = frozenset({Most.FIRST, Most.LAST})
_CARRYING = frozenset({Deed.CARRY, Deed.BRING, Deed.TAKE, Deed.PUT, Deed.HAVE})
_DATED = HAPPENINGS | _CARRYING | {Deed.VANISH}
"""What is kept with its time."""
_OF_STATES = frozenset({Ask.WHICH, Ask.WHETHER, Ask.HOW_MANY})
_TIMED = _OF_STATES | {Ask.HOW_OFTEN, Ask.PEAK, Ask.HAPPENED, Ask.WHEN, Ask.HOW_LONG_AGO, Ask.WHERE}


def takes_window(meaning: Meaning) -> bool:
    """Whether the answer to `meaning` is about the time that is asked about."""
    window = meaning.window
    if meaning.ask is Ask.WHERE and window.ever and meaning.past:
        return False
    if window.through and not _takes_through(meaning):
        return False
    return (window.since is None and window.until is None) or _takes_span(meaning)


def _takes_through(meaning: Meaning) -> bool:
    """Of “all the time”, “from the start” and “at first”."""
    through, deed = meaning.window.through, meaning.deed
    if meaning.ask is Ask.HAPPENED:
        return through != "outset"
    if deed in _STILL:
        counted = meaning.ask in (Ask.PEAK, Ask.HOW_OFTEN) and through != "outset"
        return counted or (meaning.ask in _OF_STATES and meaning.most is None and meaning.limit is None)
    if deed is Deed.REST:
        return through != "outset" and meaning.past and meaning.ask in _OF_STATES
    return through == "start" and deed in HAPPENINGS


def _takes_span(meaning: Meaning) -> bool:
    """Of a moment, or a time from or to one."""
    window, deed, ask = meaning.window, meaning.deed, meaning.ask
    second, place = meaning.second, meaning.place
    named = (meaning.subject, second, place.subject if place is not None else None)
    if ask not in _TIMED or any(subject is not None and subject.clause is not None for subject in named):
        # In “the one who left, at 10:00” either may have been then.
        return False
    if meaning.most is not None and (meaning.most not in _ORDER or (deed in _STILL and ask is not Ask.HAPPENED)):
        return False
    if ask is Ask.WHICH and deed in _STILL and meaning.subject.ordinal is not None:
        return False
    if ask is Ask.WHERE:
        return window.instant and place is None and deed in (*_STILL, *_CARRYING)
    if deed in (Deed.MOVE, Deed.REST):
        return ask in _OF_STATES and meaning.past and not window.instant and window.until is None
    if ask in (Ask.WHEN, Ask.HOW_LONG_AGO):
        return deed in _DATED
    if deed is Deed.VANISH and ask in _OF_STATES:
        return window.until is None
    return not (deed is Deed.MEET and ask is Ask.WHETHER and window.instant)
