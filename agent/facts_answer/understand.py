"""From the words of a question to its meaning. What is not understood is named, never guessed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, tzinfo

from agent.facts_answer import language, times
from agent.facts_answer.meaning import Ask, Deed, Meaning, Most, Place, Relation, Subject, Window
from agent.facts_answer.nouns import ORDINALS, Named, mark_firsts, mark_ids, mark_nouns, mark_regions
from agent.labels import CATEGORIES, class_of
from agent.scene import Scene

_ASKS = {
    "PEAKED": Ask.PEAK, "HOWOFTEN": Ask.HOW_OFTEN, "HOWLONGAGO": Ask.HOW_LONG_AGO, "SINCEWHEN": Ask.SINCE_WHEN,
    "HOWLONG": Ask.HOW_LONG, "HOWMANY": Ask.HOW_MANY, "WHICHWAY": Ask.DIRECTION, "WHEN": Ask.WHEN, "WHERE": Ask.WHERE,
    "HEADS": Ask.HOW_MANY, "BECAME": Ask.HAPPENED, "ABOUT": Ask.ABOUT,
}  # fmt: skip
"""In the order in which they win over each other."""
_DEEDS = {
    "BEFORE": Deed.BEFORE,
    "STAYBEHIND": Deed.STAY_BEHIND, "OWN": Deed.OWN, "RETURN": Deed.RETURN, "CROSS": Deed.CROSS, "MEET": Deed.MEET,
    "LEAVE": Deed.LEAVE, "VANISH": Deed.VANISH, "ENTER": Deed.ENTER, "REST": Deed.REST, "MOVE": Deed.MOVE,
}  # fmt: skip
_SIDES = {"SLEFT": "left", "SRIGHT": "right", "STOP": "top", "SBOTTOM": "bottom", "SMIDDLE": "middle"}
_RELATIONS = {
    "OTHERTHAN": Relation.OTHER_THAN,
    "LEFTOF": Relation.LEFT_OF, "RIGHTOF": Relation.RIGHT_OF, "ABOVE": Relation.ABOVE, "BELOW": Relation.BELOW,
    "AT": Relation.AT, "NEAR": Relation.NEAR, "INSIDE": Relation.AT, "ON": Relation.AT,
    "BY": Relation.AT, "FROM": Relation.AT,
}  # fmt: skip
_MOST = {most.name: most for most in Most}
_KNOWN_TOKENS = frozenset(
    {*_ASKS, *_DEEDS, *_SIDES, *_MOST, "SEEN", "STILLHERE", "HAPPENED", "INPICTURE", "LASTTIME", "FIRSTTIME", "MORE",
     "ATONCE", "NEWEST", "POLITE", "ASKED", "NEW", "ORDER", "BECAME", "HEADS"}
)  # fmt: skip
_NEGATIONS = frozenset({"not", "no", "never"})
_BEYOND = {
    "FUTURE": "I cannot tell what will be", "WHY": "I cannot tell why", "HOWOLD": "I cannot tell how old anybody is",
    "YOURSELF": "I answer questions about this stream", "COMMAND": "That is not a question",
}  # fmt: skip
_TOO_MUCH = "That is too much at once for me"
_POSSESSION = re.compile(r"(?:N\d+|\bwho) (?:has|have|had)(?: got)? N\d+|\bdo(?:es)? N\d+ have N\d+|N\d+ got N\d+")
_DONE_TO = re.compile(r"\bMOVE N\d+")
_AUXILIARY = re.compile(
    r"^(?:so |then |but |well |hey |and |or |please )*"
    r"(?:is|are|was|were|do|does|did|has|have|had|any|am|can|could|STILLHERE)\b"
)
_COMMAND = re.compile(r"^(?:please |can you |could you |help me )*(?:find|locate|spot|show)\b")
_LIMITS = {"at least": ">=", "at most": "<=", "more than": ">", "over": ">", "fewer than": "<", "less than": "<",
           "under": "<", "exactly": "==", "only": "==", "just": "=="}  # fmt: skip
_LIMIT = re.compile(rf"\b(?:({'|'.join(_LIMITS)}) )?(\d+|{'|'.join(times.NUMBER_WORDS)}) (?=N\d+\b)")
_JOINED = re.compile(r"\bN\d+ (?:and|or) N\d+\b")
_WHO = re.compile(r"\b(?:who|whom)\b")
_WHICH = re.compile(r"\b(?:who|whom|what|which|list|name|show|give)\b")
_DOING = re.compile(r"\bwhat (?:did|does|do|has|have|is|was|are|were)\b.*\b(?:do|doing|done)$")
_IDENTITY = re.compile(r"\b(?:what|who) (?:is|are|was|were) N\d+$")
_LOGICAL = re.compile(r"\b(?:not|no longer|never|nobody|noone|no one|nothing|none|no(?! #?\d))\b")
_EVENTFUL = frozenset({Deed.ENTER, Deed.LEAVE, Deed.RETURN, Deed.CROSS, Deed.VANISH})
_NOT = re.compile(r"\b(?:not|no longer)\b")
_JUST_DID = re.compile(r"\bjust (?:ENTER|LEAVE|RETURN|CROSS|VANISH)\b")
_ANYBODY_THERE = re.compile(r"^(?:any|some)(?:one|body|thing)(?: \w+)*? (?:here|there|around|about)(?: yet| now)?$")
_OPPOSITE = {Deed.BE: Deed.VANISH, Deed.MOVE: Deed.REST}
_OVER = re.compile(r"\b(?:was|were|did|stayed|spent|remained|had)\b")
_HAPPENINGS = re.compile(r"\b(?:how many|number of) (?:\w+ )?(?:crossings|arrivals|departures|exits|visits|returns)\b")
_UNDER_WAY = re.compile(r"\b(?:is|are)\b.*\b(?:com|leav|enter|arriv|exit|return|cross|go)ing\b")
_JUST = timedelta(seconds=10)
"""What is under way has begun by now."""
_WHAT_LEFT = re.compile(r"\bwhat (?:did|has|have|do|does) N\d+ LEAVE\b")
_GONE = re.compile(r"\b(?:is|are|has|have|all|being|been|was|were)\b.*\bgone\b")
_PAST = re.compile(r"\b(?:was|were|did|had|has|have|been)\b")
_POSSESSES = re.compile(r"\b(?:do|does|can|could)\b.*\bhave\b")


@dataclass
class _Reading:
    """A question half read. `left` are tokens that nothing has taken yet."""

    named: Named
    left: list[str]
    place: Place | None = None
    main: list[Subject] = field(default_factory=list)
    beyond: list[str] = field(default_factory=list)
    said: frozenset[str] = frozenset()
    limit: tuple[str, int] | None = None
    before: str = ""
    """The text before its verbs became tokens."""


def understand(question: str, scene: Scene, now: datetime, zone: tzinfo | None) -> Meaning:
    """What `question` asks about `scene` at `now`; `zone` is where its times of day belong."""
    plain = language.normalise(question)
    text, window = times.parse(plain, now, zone)
    text, regions = mark_regions(mark_ids(mark_firsts(text, scene)), scene.regions)
    named = mark_nouns(language.mark_questions(text), scene, regions)
    text, limit = _take_limit(named.text)
    text = language.mark_deeds(text, plain)
    reading = _Reading(replace(named, text=text), text.split(), said=frozenset(text.split()), limit=limit, before=plain)
    _take_places(reading)
    _take_subjects(reading)
    meaning = _assemble(reading, window, now)
    return replace(meaning, unknown=tuple(_unknown_words(reading)), beyond=tuple(reading.beyond))


def _take_limit(text: str) -> tuple[str, tuple[str, int] | None]:
    """“At least two N0”: the number goes, and is kept."""
    found = _LIMIT.search(text)
    if found is None:
        return text, None
    limit = (_LIMITS[found[1] or "exactly"], int(times.number(found[2])))
    return text[: found.start()] + text[found.end() :], limit


def _take_places(reading: _Reading) -> None:
    """Relations with what follows them, and sides of the picture."""
    tokens, kept, sides, i = _active(reading), [], [], 0
    while i < len(tokens):
        token = tokens[i]
        following = next((t for t in tokens[i + 1 : i + 3] if t not in ("the", "a", "POSS")), "")
        if token in _SIDES:
            sides.append(_SIDES[token])
        elif token in _RELATIONS and re.fullmatch(r"[NR]\d+", following):
            i = tokens.index(following, i)
            _set_place(reading, token, following)
        elif token in ("NEAREST", "FARTHEST") and re.fullmatch(r"[NR]\d+", following):
            i = tokens.index(following, i)
            kept.append(token)
            if tokens[i + 1 : i + 2] in (["to"], ["from"]) and re.fullmatch(r"[NR]\d+", "".join(tokens[i + 2 : i + 3])):
                # “The nearest thing to the door”
                kept.append(following)
                i, following = i + 2, tokens[i + 2]
            _set_place(reading, "AT", following)
        elif re.fullmatch(r"R\d+", token):
            _set_place(reading, "AT", token)
        elif token in _RELATIONS:
            kept.extend(
                [] if token in ("BY", "INSIDE", "AT", "NEAR") and reading.said & {"ENTER", "RETURN"} else [token]
            )
        else:
            kept.append(token)
        i += 1
    if sides and reading.place is not None and not reading.said & {"CROSS"}:
        reading.beyond.append(_TOO_MUCH)
    if sides:
        reading.place = replace(reading.place or Place(), sides=tuple(dict.fromkeys(sides)))
    reading.left = kept


def _active(reading: _Reading) -> list[str]:
    """“The gate was crossed by N0” without the “by”, which here is no place."""
    text = " ".join(reading.left)
    passive = re.search(r"\bBY N\d+", text) is not None and bool(reading.said & _DEEDS.keys())
    if passive and reading.said & {"STAYBEHIND", "OWN"}:
        reading.beyond.append(_TOO_MUCH)
    return (re.sub(r"\bBY (?=N\d+)", "", text) if passive else text).split()


def _set_place(reading: _Reading, relation: str, token: str) -> None:
    if token[0] == "R":
        place = Place(_RELATIONS[relation], region_id=reading.named.regions[int(token[1:])].id)
    else:
        subject = reading.named.subjects[int(token[1:])]
        place = Place(_RELATIONS[relation], subject=subject)
        electronic = any(class_of(word) in CATEGORIES["electronics"] for word in subject.words)
        if relation == "INSIDE" or (relation == "ON" and electronic):
            # Boxes that overlap do not say that one thing is in the other, nor what a screen shows.
            reading.beyond.append(
                "I cannot tell what is in it" if relation == "INSIDE" else "I cannot tell what it shows"
            )
    if reading.place is not None and reading.place != place:
        reading.beyond.append(_TOO_MUCH)
    reading.place = place if reading.place is None else reading.place


def _take_subjects(reading: _Reading) -> None:
    for token in reading.left:
        if re.fullmatch(r"N\d+", token):
            reading.main.append(reading.named.subjects[int(token[1:])])
    reading.left = [token for token in reading.left if not re.fullmatch(r"N\d+", token)]


def _assemble(reading: _Reading, window: Window, now: datetime) -> Meaning:
    said, text = reading.said, reading.named.text
    reading.beyond += _beyond(reading)
    subject, second = _roles(reading)
    if "else" in reading.left:
        reading.left.remove("else")
        subject = replace(subject, other=True)
    if "HEADS" in said and not subject.named:
        subject = Subject(words=("person",))
    deed = _deed(reading)
    if _NOT.search(text) and _ask(reading, deed, None) is not Ask.WHETHER:
        deed = _OPPOSITE.get(deed or Deed.BE, deed)
    if deed is Deed.LEAVE and second is not None:
        deed = Deed.STAY_BEHIND
    ask = _ask(reading, deed, next((most for token, most in _MOST.items() if token in said), None))
    most = _most(reading, ask)
    if subject.ordinal in (1, -1) and (deed in _EVENTFUL or ask is Ask.HAPPENED):
        # “The last thing that left” is not the last thing.
        most = most or (Most.FIRST if subject.ordinal == 1 else Most.LAST)
        subject = replace(subject, ordinal=None, generic=not subject.named)
    elif subject.ordinal is not None and deed in _EVENTFUL - {Deed.ENTER}:
        reading.beyond.append("I do not keep that order")
    elif deed is Deed.ENTER and ask in (Ask.WHICH, Ask.WHEN) and subject.ordinal is None:
        subject = replace(subject, ordinal=next((ORDINALS[t] for t in reading.left if ORDINALS.get(t, 0) > 1), None))
    if "NEW" in said and ask is Ask.WHICH and deed is None:
        deed, most = Deed.ENTER, Most.LAST
    if ask is Ask.WHERE and reading.place is not None and len(set(_SIDES) & said) > 1 and " or " in text:
        # “On the left or on the right?”
        reading.place = None
    window = _window(reading, window, deed, most, now)
    past = bool(_PAST.search(text)) and not _POSSESSES.search(text)
    negated = bool(_LOGICAL.search(reading.before)) and deed not in (Deed.REST, Deed.VANISH)
    event = "HAPPENED" in said and ask in (Ask.WHEN, Ask.HOW_LONG_AGO, Ask.WHERE)
    return Meaning(ask, deed, subject, second, reading.place, window, most, past, negated, reading.limit, event)


def _window(reading: _Reading, window: Window, deed: Deed | None, most: Most | None, now: datetime) -> Window:
    """The window that the tense gives where no time is said."""
    if most in (Most.LONGEST, Most.SHORTEST) and _OVER.search(reading.before):
        return replace(window, ever=True)
    if _UNDER_WAY.search(reading.before) and deed in _EVENTFUL and window == Window():
        return Window(since=now - _JUST)
    return window


def _beyond(reading: _Reading) -> Iterable[str]:
    """What is asked that tracks do not tell."""
    yield from (words for token, words in _BEYOND.items() if token in reading.said)
    if _POSSESSION.search(reading.named.text):
        yield "I cannot tell who has what"
    if _DONE_TO.search(reading.named.text):
        yield "I cannot tell who moved what"
    if _WHAT_LEFT.search(reading.named.text):
        yield "I cannot tell what was left"
    deeds = {"ENTER", "LEAVE", "CROSS", "MEET"} & reading.said
    earlier = "BEFORE" in reading.said and len(_DEEDS.keys() & reading.said) > 1
    asks = [token for token in reading.named.text.split() if token in _ASKS]
    joined = _JOINED.search(reading.named.text) is not None and not reading.said & {"HOWMANY", "MEET", "MORE"}
    mixed = joined and len({bool(subject.ids) for subject in reading.main}) > 1
    together = {"MEET", "MOVE"} <= reading.said or ("ATONCE" in reading.said and "PEAKED" not in reading.said)
    last_of = len(reading.main) > 1 and any(subject.generic and subject.ordinal for subject in reading.main)
    if earlier or mixed or together or last_of or len(deeds) > 1 or len(asks) > 1 or len(reading.main) > 2:
        yield _TOO_MUCH


def _deed(reading: _Reading) -> Deed | None:
    said = reading.said
    deed = next((deed for token, deed in _DEEDS.items() if token in said), None)
    if "STILLHERE" in said and deed in (None, Deed.REST):
        return Deed.BE
    if deed is Deed.LEAVE and _GONE.search(reading.before):
        return Deed.VANISH
    return Deed.BE if deed is None and "SEEN" in said else deed


def _most(reading: _Reading, ask: Ask | None) -> Most | None:
    """The superlative; the first or last time or one, where that is meant."""
    said = reading.said
    for token, most in _MOST.items():
        if token in said:
            return most
    by_time = ask in (Ask.WHEN, Ask.WHERE, Ask.HOW_LONG_AGO)
    which = ask is Ask.WHICH
    which = which or ask is Ask.HAPPENED
    if "FIRSTTIME" in said or (which and "first" in reading.left) or (ask is Ask.WHEN and "first" in said):
        return Most.FIRST
    last = "LASTTIME" in said or "NEWEST" in said or (which and _JUST_DID.search(reading.named.text) is not None)
    return Most.LAST if last or (which and "last" in reading.left) or (by_time and "last" in said) else None


def _roles(reading: _Reading) -> tuple[Subject, Subject | None]:
    """Who it is about, and the other one, if any. “Who” is a person unless more is said."""
    firm = [subject for subject in reading.main if subject.named or subject.ordinal or subject.other]
    vague = [subject for subject in reading.main if subject not in firm]
    who = _WHO.search(reading.named.text) is not None
    if who and not (firm and reading.said & {"ABOUT"}):
        those = any(subject.pronoun for subject in vague) and " of N" in reading.named.text
        asked = Subject(words=("person",), pronoun=those)
        if not firm:
            object_of = reading.said & {"LEAVE", "STAYBEHIND", "OWN"} and not those
            return asked, next((subject for subject in vague if subject.pronoun and object_of), None)
        nobody_named = firm[0].generic and firm[0].ordinal is not None
        if (firm[0].words == ("person",) or nobody_named) and not firm[0].ids:
            # “Who is the person that …”, “who was the last one to …”
            person = replace(firm[0], words=("person",), generic=False, pronoun=False)
            return person, firm[1] if len(firm) > 1 else None
        if reading.said & {"LEAVE", "STAYBEHIND", "OWN", "MEET", "CROSS", "ENTER"} or not reading.said & _DEEDS.keys():
            return asked, firm[0]
    if len(firm) == 2 and _JOINED.search(reading.named.text) and "HOWMANY" not in reading.said and not firm[1].ids:
        both = " and " in reading.named.text
        words = (*firm[0].words, *firm[1].words)
        if words and not any(subject.qualities or subject.narrower or subject.ids for subject in firm):
            return replace(firm[0], words=words, every=both), None
    if firm:
        return firm[0], firm[1] if len(firm) > 1 else None
    pronouns = [subject for subject in vague if subject.pronoun]
    generic = [subject for subject in vague if subject.generic]
    return (pronouns or generic or [Subject()])[0], None


def _ask(reading: _Reading, deed: Deed | None, most: Most | None) -> Ask | None:
    said, text = reading.said, reading.named.text
    asks = [ask for token, ask in _ASKS.items() if token in said]
    if "MORE" in said and len(reading.main) > 1:
        return Ask.COMPARE
    if len(set(_SIDES) & said) > 1 and " or " in text and not asks:
        return Ask.WHERE
    if "ORDER" in said:
        return Ask.WHICH
    if {"MOVE", "REST"} <= said and " or " in text:
        return Ask.ABOUT
    if _HAPPENINGS.search(reading.before):
        return Ask.HOW_OFTEN
    if asks:
        return Ask.ORIGIN if Ask.WHERE in asks and "FROM" in said else asks[0]
    which_new = re.search(r"\bwhich\b|N\d+ (?:is|are) NEW|NEW N\d+", text) is not None
    if "HAPPENED" in said or ("NEW" in said and deed is None and not which_new):
        return Ask.HAPPENED
    if "ASKED" in said:
        return Ask.WHETHER
    return _open_or_closed(reading, deed, most)


def _open_or_closed(reading: _Reading, deed: Deed | None, most: Most | None) -> Ask | None:
    """Whether yes or no is wanted, or which, where no other word says so."""
    text, text_before = reading.named.text, reading.before
    if reading.said & {"SEEN"} and _COMMAND.search(reading.before) and reading.main:
        return Ask.WHERE
    closed = _AUXILIARY.search(text) or reading.before.startswith(("any ", "no ")) or _ANYBODY_THERE.search(text_before)
    which = _WHICH.search(text) is not None or "whose" in text_before.split()
    if closed and not which:
        return Ask.WHETHER
    if _DOING.search(text) or _IDENTITY.search(text):
        return Ask.ABOUT
    if which or most is not None:
        return Ask.WHICH
    if reading.main and reading.main[0].ordinal is not None and deed is not None:
        return Ask.WHICH
    stated = reading.main and (reading.limit or deed is not None or reading.place is not None or "SEEN" in reading.said)
    if stated or _AUXILIARY.search(text):
        return Ask.WHETHER
    return Ask.ABOUT if "INPICTURE" in reading.said else None


def _unknown_words(reading: _Reading) -> Iterable[str]:
    """Words that were not understood. Slips of the pen in words that say nothing do not matter."""
    placed = reading.place is not None
    posture_alone = not placed and "REST" not in reading.said
    for token in reading.left:
        if token in _KNOWN_TOKENS or token in _BEYOND:
            continue
        if token in _RELATIONS:
            known = token == "FROM" and "WHERE" in reading.said
        elif token in language.POSTURES:
            known = not posture_alone
        else:
            known = token in language.FILLERS or token in _NEGATIONS or (token == "than" and "MORE" in reading.said)
            known = known or (token == "longer" and "no longer" in reading.before)
        if not known:
            yield token.lower()
