"""From the words of a question to its meaning. What is not understood is named, never guessed.

The question becomes tokens (`tokens`), the tokens must have the shape of a question as a whole (`grammar`), and then
each of them has its part in the meaning.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo

from agent.facts_answer import language, times
from agent.facts_answer.grammar import shape_of
from agent.facts_answer.meaning import Ask, Deed, Meaning, Most, Place, Relation, Subject, Window
from agent.facts_answer.moments import timed
from agent.facts_answer.nouns import ORDINALS, mark_ids, mark_nouns, mark_regions, synonyms
from agent.facts_answer.reading import Reading
from agent.facts_answer.tokens import orders, place_of, tokens_of
from agent.labels import CATEGORIES, class_of
from agent.scene import Scene

_BEYOND = {
    "FUTURE": "I cannot tell what will be", "WHY": "I cannot tell why", "HOWOLD": "I cannot tell how old anybody is",
    "YOURSELF": "I answer questions about this stream", "COMMAND": "That is not a question",
}  # fmt: skip
_MOST_WORDS = 60
"""What is longer is not one question."""
_TOO_MUCH = "That is too much at once for me"
_BEYOND_WORDS = (
    (re.compile(r"(?:N\d+|\bwho) (?:has|have|had)(?: got)? N\d+|\bdo(?:es)? N\d+ have N\d+|N\d+ got N\d+"),
     "I cannot tell who has what"),
    (re.compile(r"\bwhat (?:did|has|have|do|does) N\d+ LEAVE\b"), "I cannot tell what was left"),
)  # fmt: skip
_LIMITS = {"at least": ">=", "at most": "<=", "more than": ">", "over": ">", "fewer than": "<", "less than": "<",
           "under": "<", "exactly": "==", "only": "==", "just": "=="}  # fmt: skip
_LIMIT = re.compile(rf"\b(?:({'|'.join(_LIMITS)}) )?(\d+|{'|'.join(times.NUMBER_WORDS)}) (?=N\d+\b)")
_COMPARED = {"MORE": ">", "FEWER": "<", "EQUAL": "=="}
_EVENTFUL = frozenset({Deed.ENTER, Deed.LEAVE, Deed.RETURN, Deed.CROSS, Deed.VANISH})
_OPPOSITE = {Deed.BE: Deed.VANISH, Deed.VANISH: Deed.BE, Deed.LEAVE: Deed.BE, Deed.MOVE: Deed.REST}
_JUST_DID = re.compile(r"\bjust (?:ENTER|LEAVE|RETURN|CROSS|VANISH)\b")
_OF_STATES = frozenset({Ask.HOW_MANY, Ask.WHICH, Ask.WHETHER, Ask.COMPARE})
_STATES = frozenset({None, Deed.BE, Deed.MOVE, Deed.REST})
_OVER = re.compile(r"\b(?:was|were|did|stayed|spent|remained|had)\b")
_UNDER_WAY = re.compile(r"\b(?:is|are)\b.*\b(?:com|leav|enter|arriv|exit|return|cross|go)ing\b")
_JUST = timedelta(seconds=10)
"""What is under way has begun by now."""
_LATELY = timedelta(seconds=15)
"""What has just happened."""
_GONE = re.compile(r"\b(?:is|are|has|have|all|being|been|was|were)\b.*\bgone\b|^(?:\w+ ){1,3}gone$")
_LEFT_OVER = re.compile(r"^(?:was|were) there\b.* left$")
_OF_TWO = frozenset({"MEET", "STAYBEHIND", "LEAVE", "CARRY", "BRING", "TAKE", "AWAYWITH", "PUT", "HAVE"})
"""What one does with, or to, another."""
_AGAIN = re.compile(r"\b(?:again|once more|a second time|twice)\b")
_THEN = re.compile(
    r"\b(?:was|were|did|had)\b.* (?:then|meanwhile|(?:by|at) (?:the|that|this) time)$"
    r"|^(?:who|what|which|where|how)\b.*\b(?:was|were|did|had)\b.* earlier(?: on| today)?$"
    r"|\b(?:seconds?|secs?|minutes?|mins?|hours?|while|bit|moments?|was|were|did) (?:\w+ )*(?:later|afterwards?)$"
    r"|\b(?:just|right|shortly|immediately|moments?|directly|long) (?:before|after)\b"
)
_UNTIL = re.compile(r"\b(?:until|till)\b(?! now)")
_DONE = re.compile(r"\b(?:was|were|did)\b")


def understand(question: str, scene: Scene, now: datetime, zone: tzinfo | None) -> Meaning:
    """What `question` asks about `scene` at `now`; `zone` is where its times of day belong."""
    meaning = _understood(question, scene, now, zone)
    names = {word for thing in scene.objects for word in thing.label.casefold().split()}
    names |= synonyms(thing.label for thing in scene.objects)
    names |= {word for region in scene.regions for word in region.name.casefold().split()}
    words = [word for word in meaning.unknown if word.isalpha()]
    respelt = tuple((word, right) for word in words if (right := language.spelt(word, names)) is not None)
    if not respelt or len(respelt) < len(words):
        return meaning
    for word, right in respelt:
        question = re.sub(rf"\b{re.escape(word)}\b", right, question, flags=re.IGNORECASE)
    return replace(_understood(question, scene, now, zone), respelt=respelt)


def _understood(question: str, scene: Scene, now: datetime, zone: tzinfo | None) -> Meaning:
    said = language.normalise(question)
    plain, tagged = language.bare(said)
    if len(plain.split()) > _MOST_WORDS:
        return Meaning(shaped=False)
    text, lasting = times.lasting(plain)
    text, window = times.parse(text, now, zone)
    text, regions = mark_regions(mark_ids(text), scene.regions)
    named = mark_nouns(language.mark_questions(text), scene, regions)
    text, limit = _take_limit(named.text)
    marked = language.mark_deeds(text, plain)
    tokens = tokens_of(replace(named, text=marked))
    told = timed(tokens, scene, window)
    tokens, window = list(told.tokens), told.window
    shaped, ask = window != Window() and not tokens, None
    for order in orders(tokens) if tokens else ():
        shaped, ask = shape_of(token.cls for token in order)
        if shaped:
            tokens = order
            break
    reading = Reading(tuple(tokens), plain, marked, tagged)
    meaning = _assembled(reading, ask, window, now)
    unknown = tuple(dict.fromkeys(token.word.lower() for token in tokens if token.cls == "UNKNOWN"))
    then = ("I do not know which time you mean",) if _THEN.search(said) else ()
    meaning = replace(meaning, beyond=(*meaning.beyond, *told.beyond, *then))
    return replace(meaning, limit=limit or meaning.limit, lasting=lasting, shaped=shaped, unknown=unknown)


def _take_limit(text: str) -> tuple[str, tuple[str, int] | None]:
    """“At least two N0”: the number goes, and is kept."""
    found = _LIMIT.search(text)
    if found is None:
        return text, None
    limit = (_LIMITS[found[1] or "exactly"], int(times.number(found[2])))
    return text[: found.start()] + text[found.end() :], limit


def _assembled(reading: Reading, ask: Ask | None, window: Window, now: datetime) -> Meaning:
    subject, second = _roles(reading, ask)
    place, unplaced = _place(reading)
    ask, deed = _asked(reading, ask, subject), _deed(reading)
    negated = ("NOT" in reading.classes and not reading.tagged) != ("UNMOVED" in reading.words)
    past = reading.past or window.since is not None or window.until is not None
    elsewhere = place is not None and deed in (None, Deed.BE)
    never = "never" in reading.words and deed is not Deed.MOVE
    if (
        negated
        and ask is not Ask.WHETHER
        and window.since is None
        and not elsewhere
        and not never
        and (deed or Deed.BE) in _OPPOSITE
    ):
        # “Who has not left?” is about who is here.
        past, negated = past and deed is Deed.MOVE, False
        deed = _OPPOSITE[deed or Deed.BE]
    if deed is Deed.LEAVE and second is not None and "CMP" not in reading.classes:
        deed = Deed.STAY_BEHIND
    subject, most, unordered = _ordered(reading, ask, deed, subject)
    if reading.classes & {"NEW", "NEWEST"} and ask is Ask.WHICH and deed is None:
        deed, most = Deed.ENTER, Most.LAST
    if most in (Most.NEAREST, Most.FARTHEST) and place is None and second is not None and ask is Ask.WHICH:
        # “Who is nearest the bag?”
        place, second = Place(Relation.AT, subject=second), None
    if _is_its_clause(reading, ask, subject, deed) and subject.clause is not None:
        # “List those who left” asks who left.
        unordered = [*unordered, *([_TOO_MUCH] if most is not None else [])]
        place, deed, most, subject = (
            subject.clause.place,
            subject.clause.deed,
            subject.clause.most,
            subject.clause.subject,
        )
    compared = next((_COMPARED[t.cls] for t in reading.tokens if t.cls in _COMPARED), None)
    return Meaning(
        ask, deed, subject, second, place, _window(reading, window, (ask, deed, most), now), most, past,
        done=_DONE.search(reading.marked) is not None,
        negated=_flipped(reading, negated, subject),
        limit=(compared, 0) if compared is not None else None,
        again=reading.classes <= {"WHO", "WHICH", "NP"} and reading.classes & {"WHO", "WHICH"} != set(),
        event="HAPPENED" in reading.classes and ask in (Ask.WHEN, Ask.HOW_LONG_AGO, Ask.WHERE),
        beyond=(*_beyond(reading, ask, window != Window()), *unplaced, *unordered),
    )  # fmt: skip


def _is_its_clause(reading: Reading, ask: Ask | None, subject: Subject, deed: Deed | None) -> bool:
    there = [token.cls for token in reading.tokens[:2]] == ["AUX", "HERE"]
    of_them = ask in (Ask.WHICH, Ask.HOW_MANY) or (ask is Ask.WHETHER and there)
    return of_them and deed is None and reading.tokens[-1].subject is subject


def _ordered(
    reading: Reading, ask: Ask | None, deed: Deed | None, subject: Subject
) -> tuple[Subject, Most | None, list[str]]:
    """“The last thing that left” is not the last thing: the subject, the superlative, and what cannot be told."""
    most = _most(reading, ask)
    if "ELSE" in reading.classes:
        subject = replace(subject, other=True)
    there = ask is Ask.WHICH and _place(reading)[0] is not None and reading.past
    if subject.ordinal in (1, -1) and (deed in _EVENTFUL or ask is Ask.HAPPENED or there):
        most = most or (Most.FIRST if subject.ordinal == 1 else Most.LAST)
        return replace(subject, ordinal=None, generic=not subject.named), most, []
    if subject.ordinal is not None and deed in _EVENTFUL - {Deed.ENTER}:
        return subject, most, ["I do not keep that order"]
    if deed is Deed.ENTER and ask in (Ask.WHICH, Ask.WHEN) and subject.ordinal is None:
        subject = replace(subject, ordinal=next((ORDINALS[t.word] for t in reading.tokens if t.cls == "ORD"), None))
    elif "ORD" in reading.classes:
        return subject, most, ["I do not keep that order"]
    return subject, most, []


def _flipped(reading: Reading, negated: bool, subject: Subject) -> bool:
    """Whether yes means that it is not so: “is nobody there?”, but not “isn't he there?” or “he isn't, is he?”"""
    if reading.tagged:
        return "UNMOVED" in reading.words
    outer = [token.cls for token in reading.tokens[:2]] == ["AUX", "NOT"]
    empty = "EMPTY" in reading.classes
    return (negated and not outer) != (subject.none or empty)


def _window(
    reading: Reading, window: Window, what: tuple[Ask | None, Deed | None, Most | None], now: datetime
) -> Window:
    """The window that the tense gives where no time is said."""
    ask, deed, most = what
    if most in (Most.LONGEST, Most.SHORTEST) and _OVER.search(reading.plain):
        return replace(window, ever=True)
    if "UNMOVED" in reading.words and window.instant:
        return Window(since=window.since)
    summed = ask in _OF_STATES and deed in _STATES and most is None
    if window.ever and summed and reading.sums_up_now:
        return replace(window, ever=False)
    if _JUST_DID.search(reading.marked) and most is None and window == Window():
        return Window(since=now - _LATELY)
    if _UNDER_WAY.search(reading.plain) and deed in _EVENTFUL and window == Window():
        return Window(since=now - _JUST)
    return window


def _place(reading: Reading) -> tuple[Place | None, list[str]]:
    """The one place of the question, and what makes it more than can be answered."""
    place: Place | None = None
    beyond = []
    for token in reading.tokens:
        found = token.place or (place_of(token) if token.cls == "REGION" else None)
        if found is None:
            continue
        if place is not None and found.sides and not place.sides and "CROSS" in reading.words:
            place = replace(place, sides=found.sides)
            continue
        if place is not None and place != found:
            beyond.append(_TOO_MUCH)
        place = found
        if found.region_id is not None and found.relation in (Relation.ABOVE, Relation.BELOW, Relation.OTHER_THAN):
            beyond.append("I only know what is at a zone or line, or left or right of it")
        electronic = found.subject is not None and any(
            class_of(word) in CATEGORIES["electronics"] for word in found.subject.words
        )
        if found.subject is not None and token.relation == "INSIDE":
            # Boxes that overlap do not say that one thing is in the other, nor what a screen shows.
            beyond.append("I cannot tell what is in it")
        elif token.relation == "ON" and electronic:
            beyond.append("I cannot tell what it shows")
    return place, beyond


def _beyond(reading: Reading, ask: Ask | None, timed: bool) -> Iterable[str]:
    """What is asked that tracks do not tell."""
    yield from (words for token, words in _BEYOND.items() if token in reading.words)
    yield from (words for pattern, words in _BEYOND_WORDS if pattern.search(reading.marked))
    if _AGAIN.search(reading.plain) and reading.words & {"LEAVE", "CROSS", "MEET", "VANISH", "MOVE"}:
        yield "I would have to tell one time from the next"
    if reading.were_people_left:
        yield "I keep which things were left behind, not who went away from whom"
    if _LEFT_OVER.search(reading.plain):
        yield "I keep which things were left behind, not what was left over"
    if "UNMOVED" in reading.words and not timed:
        yield "I would have to know since when"
    named = reading.named
    joined = [t.cls for t in reading.tokens]
    pairs = [(a, b) for a, b, c in zip(named, named[1:], joined, strict=False) if {"AND", "OR"} & set(joined)]
    mixed = any(bool(a.ids) != bool(b.ids) for a, b in pairs) and not reading.words & {"MEET"}
    deed = reading.classes & {"DEED", "PLACE", "REGION"}
    unheard = "WHO" not in reading.classes and deed and any(s.pronoun and not s.named for s in named) and len(named) > 1
    if unheard and not reading.words & _OF_TWO and any(s.named for s in named):
        yield _TOO_MUCH
    if [t.cls for t in reading.tokens] == ["AUX", "NP", "NP"] and "was" in reading.plain:
        yield from (_TOO_MUCH for s in named[:1] if s.pronoun and not s.ids)
    stays = not any(token.deed not in (None, Deed.BE) for token in reading.tokens)
    if timed and stays and ask is not Ask.HAPPENED and _UNTIL.search(reading.plain):
        yield "I cannot tell until when that was meant to last"
    last_of = any(subject.generic and subject.ordinal for subject in named[:-1])
    agents = "AGENT" in reading.classes and "OWN" in reading.words
    if mixed or last_of or agents or {"MEET", "MOVE"} <= reading.words or any(s.unclear for s in named):
        yield _TOO_MUCH


def _asked(reading: Reading, ask: Ask | None, subject: Subject) -> Ask | None:
    """What the shape asks, where the things that are named make another question of it."""
    if ask is None and (subject.some or "STILLHERE" in reading.words):
        return Ask.WHETHER
    one = subject.clause is not None or subject.ordinal is not None
    if ask is Ask.ABOUT and one and reading.classes & {"WHO", "WHAT"} and reading.tokens[-1].cls == "NP":
        return Ask.WHICH
    if ask is Ask.ABOUT and subject.generic and "HAPPENED" in reading.classes:
        return Ask.HAPPENED
    if ask in (Ask.DIRECTION, Ask.WHERE) and reading.words & {"ENTER", "RETURN"}:
        return Ask.ORIGIN
    return ask


def _deed(reading: Reading) -> Deed | None:
    deeds = [token.deed for token in reading.tokens if token.deed is not None]
    deed = deeds[0] if deeds else None
    if deed is Deed.ENTER and _AGAIN.search(reading.plain):
        return Deed.RETURN
    if deed is Deed.MOVE and "AGENT" in reading.classes:
        return Deed.CARRY
    if reading.classes & {"WHOSE", "OWNER"}:
        return Deed.OWN
    if "STILLHERE" in reading.words and deed in (None, Deed.REST):
        return Deed.BE
    if deed is Deed.LEAVE and reading.was_left:
        return Deed.STAY_BEHIND
    if deed is Deed.LEAVE and _GONE.search(reading.plain):
        return Deed.VANISH
    return Deed.BE if deed is None and "SEE" in reading.classes else deed


def _most(reading: Reading, ask: Ask | None) -> Most | None:
    """The superlative; the first or last time or one, where that is meant."""
    found = next((token.most for token in reading.tokens if token.most is not None), None)
    if found is not None:
        return found
    if reading.classes & {"FIRST", "FIRSTTIME"}:
        return Most.FIRST
    if "AWAYWITH" in reading.words:
        return Most.LAST
    just = ask is Ask.WHICH and _JUST_DID.search(reading.marked) is not None
    return Most.LAST if just or reading.classes & {"LAST", "LASTTIME", "NEWEST"} else None


def _roles(reading: Reading, ask: Ask | None) -> tuple[Subject, Subject | None]:
    """Who it is about, and the other one, if any. “Who” is a person unless more is said."""
    main = [*reading.named, *(t.subject for t in reading.tokens if t.cls == "AGENT" and t.subject is not None)]
    if len(main) == 2 and "WHO" not in reading.classes and (reading.words & _OF_TWO or "AGENT" in reading.classes):
        joined = bool({"AND", "OR"} & reading.classes) or main[1].clause is not None or main[1].ordinal is not None
        asked_of = reading.tokens[0].cls in ("WHICH", "WHAT") and reading.tokens[-1].cls == "DEED"
        if not joined and asked_of:
            # “Which cup did he take?”
            return main[1], main[0]
        if not joined:
            return (main[1], main[0]) if "AGENT" in reading.classes else (main[0], main[1])
    firm = [subject for subject in main if subject.named or subject.ordinal or subject.other]
    vague = [subject for subject in main if subject not in firm]
    if "HEADS" in reading.classes:
        return Subject(words=("person",)), None
    if "WHO" in reading.classes and ask is not Ask.ABOUT:
        return _who(reading, firm, vague)
    if len(firm) == 2 and {"AND", "OR"} & reading.classes and ask is not Ask.HOW_MANY and not firm[1].ids:
        words = (*firm[0].words, *firm[1].words)
        if words and not any(s.qualities or s.narrower or s.ids or s.clause for s in firm):
            return replace(firm[0], words=words, every="AND" in reading.classes), None
    if len(firm) > 1 and firm[1].generic and firm[1].ordinal is not None and ask is Ask.WHICH:
        # “Which person was the last one to leave?”
        return replace(firm[0], ordinal=firm[1].ordinal), None
    if firm:
        return firm[0], firm[1] if len(firm) > 1 else None
    pronouns = [subject for subject in vague if subject.pronoun]
    generic = [subject for subject in vague if subject.generic]
    return (pronouns or generic or [Subject(generic=bool(reading.classes & {"EMPTY", "EVENTS"}))])[0], None


def _who(reading: Reading, firm: Sequence[Subject], vague: Sequence[Subject]) -> tuple[Subject, Subject | None]:
    those = any(subject.pronoun for subject in vague) and "OF" in reading.classes
    asked = Subject(words=("person",), pronoun=those, some=True)
    if not firm:
        object_of = reading.words & {"LEAVE", "STAYBEHIND", "OWN"} and not those
        return asked, next((subject for subject in vague if subject.pronoun and object_of), None)
    nobody_named = firm[0].generic and firm[0].ordinal is not None
    if (firm[0].words == ("person",) or nobody_named) and not firm[0].ids:
        # “Who is the person that …”, “who was the last one to …”
        person = replace(firm[0], words=("person",), generic=False, pronoun=False)
        return person, firm[1] if len(firm) > 1 else None
    return (firm[0], None) if reading.classes & {"SUP", "CMP", "FIRST", "LAST"} and firm[0].ids else (asked, firm[0])
