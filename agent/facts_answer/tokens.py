"""The words of a question as tokens, each of a class that `grammar` knows, and what belongs together as one.

Every word is of some class: `UNKNOWN` where it is in no list, and then the question is not understood.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import dropwhile, takewhile

from agent.facts_answer import language
from agent.facts_answer.meaning import Deed, Meaning, Most, Place, Relation, Subject
from agent.facts_answer.nouns import ORDINALS, Named
from agent.types import Region

_DEEDS = {
    "BEFORE": Deed.BEFORE, "STAYBEHIND": Deed.STAY_BEHIND, "OWN": Deed.OWN, "RETURN": Deed.RETURN,
    "CROSS": Deed.CROSS, "MEET": Deed.MEET, "LEAVE": Deed.LEAVE, "VANISH": Deed.VANISH, "ENTER": Deed.ENTER,
    "REST": Deed.REST, "MOVE": Deed.MOVE, "CARRY": Deed.CARRY, "BRING": Deed.BRING, "TAKE": Deed.TAKE,
    "AWAYWITH": Deed.TAKE, "UNMOVED": Deed.MOVE, "PUT": Deed.PUT, "HAVE": Deed.HAVE,
}  # fmt: skip
_SIDES = {"SLEFT": "left", "SRIGHT": "right", "STOP": "top", "SBOTTOM": "bottom", "SMIDDLE": "middle"}
_RELATIONS = {
    "OTHERTHAN": Relation.OTHER_THAN, "LEFTOF": Relation.LEFT_OF, "RIGHTOF": Relation.RIGHT_OF,
    "ABOVE": Relation.ABOVE, "BELOW": Relation.BELOW, "AT": Relation.AT, "NEAR": Relation.NEAR,
    "INSIDE": Relation.AT, "ON": Relation.AT, "BY": Relation.AT, "FROM": Relation.AT,
}  # fmt: skip
_OF_THE_WAY = frozenset({"AT", "INSIDE", "BY", "NEAR"})
"""Where they stand before nothing they belong to the verb: “the way he came in by”."""
_EVENTS = {"ARRIVALS": Deed.ENTER, "DEPARTURES": Deed.LEAVE, "RETURNS": Deed.RETURN, "CROSSINGS": Deed.CROSS}
_COMPARED = {"FASTER": Most.FASTEST, "SLOWER": Most.SLOWEST, "BIGGER": Most.BIGGEST, "SMALLER": Most.SMALLEST,
             "NEARER": Most.NEAREST, "FARTHER": Most.FARTHEST, "LONGER": Most.LONGEST, "EARLIER": Most.FIRST,
             "LATER": Most.LAST}  # fmt: skip
_ADVERBS = frozenset({"HOWMANY", "HOWOFTEN", "HOWLONG", "HOWLONGAGO", "SINCEWHEN", "WHEN", "WHERE", "WHICHWAY", "FROM"})
_QUESTION_WORDS = _ADVERBS - {"FROM"} | {"WHO", "WHAT", "WHICH", "WHOSE", "PEAKED"}
_ALONE = frozenset({Deed.ENTER, Deed.RETURN, Deed.VANISH, Deed.MOVE, Deed.REST})
"""What is done to nobody, so that who stands after it does it."""
_JOINING = frozenset({"THAT", "WHO", "WHICH", "WITH"})
_IN_CLAUSE = frozenset({"REGION", "PLACE", "HERE", "FIRST", "LAST"})
_ANYWAY = frozenset({"WHERE", "SUP", "PEAKED", "SIDE", "ATONCE"})
"""What is in the picture in any case."""
_MOST = {most.name: most for most in Most if most not in (Most.FIRST, Most.LAST)}


@dataclass(frozen=True, slots=True)
class Token:
    """One token: its class, the word that it was, and what it stands for."""

    cls: str
    word: str
    subject: Subject | None = None
    region: Region | None = None
    place: Place | None = None
    deed: Deed | None = None
    most: Most | None = None
    relation: str | None = None
    """The word between this place and what stands before it."""


_FIXED = {
    **{word: Token("SIDE", word, place=Place(sides=(side,))) for word, side in _SIDES.items()},
    **{word: Token("DEED", word, deed=deed) for word, deed in _DEEDS.items()},
    **{word: Token("EVENTS", word, deed=deed) for word, deed in _EVENTS.items()},
    **{word: Token("SUP", word, most=most) for word, most in _MOST.items()},
    **{word: Token("CMP", word, most=most) for word, most in _COMPARED.items()},
    **{word: Token("FROM" if word == "FROM" else "REL", word) for word in _RELATIONS},
}


def tokens_of(named: Named) -> list[Token]:
    """The tokens of a question whose phrases are marked; words that say nothing are left out."""
    found = [_token(word, named) for word in named.text.split() if word not in language.SAYS_NOTHING]
    for step in (_deeds, _sides, _superlatives, _relations, _quantifiers, _relative_clauses):
        found = step(found)
    return found


def _token(word: str, named: Named) -> Token:
    if re.fullmatch(r"N\d+", word):
        return Token("NP", word, subject=named.subjects[int(word[1:])])
    if re.fullmatch(r"R\d+", word):
        return Token("REGION", word, region=named.regions[int(word[1:])])
    if word in _FIXED:
        return _FIXED[word]
    if word in ("first", "last"):
        return Token(word.upper(), word)
    if word in ORDINALS:
        return Token("ORD", word)
    return Token(language.CLASSES.get(word, word if word.isupper() else "UNKNOWN"), word)


def _deeds(tokens: Sequence[Token]) -> list[Token]:
    """“Left … behind” is one deed, “interesting events” are events, what is new came in, and all is in the picture."""
    out: list[Token] = []
    for token in tokens:
        before = out[-1] if out else None
        again = token.word in ("STAYBEHIND", "HAPPENED") and any(t.word == token.word for t in out)
        framed = token.word == "INPICTURE" and before is not None and before.cls in _ANYWAY
        if again or framed:
            continue
        if before is not None and token.word == "ENTER" and before.cls == "NEW" and len(out) > 1:
            out.pop()
        if before is not None and token.word == "HAPPENED" and before.cls == "THAT":
            out.pop()
        if before is not None and before.word == "MOVE" and token.cls == "NP" and _somebody(out[:-1]):
            out[-1] = replace(before, word="CARRY", deed=Deed.CARRY)
        out.append(token)
    return out


def _somebody(tokens: Sequence[Token]) -> bool:
    """Whether somebody is named that may do something to what follows: “who moved it”."""
    return any(token.cls in ("NP", "WHO", "ELSE") for token in tokens)


def _sides(tokens: Sequence[Token]) -> list[Token]:
    """Sides of the picture that stand together are a corner; with “or” between them a choice."""
    out: list[Token] = []
    moving = any(token.word == "MOVE" for token in tokens)
    towards = False
    for token in tokens:
        if token.cls == "TOWARDS":
            towards = moving
            continue
        if token.cls == "SIDE" and token.place is not None and towards:
            token = replace(token, place=replace(token.place, relation=Relation.TOWARDS))
        if token.cls != "SIDE":
            out.append(token)
        elif len(out) > 1 and out[-1].cls == "OR" and out[-2].cls == "PLACE" and out[-2].relation == "SIDE":
            out[-2:] = [Token("OPTION", "or")]
        elif out and out[-1].cls == "PLACE" and out[-1].relation == "SIDE" and token.place and out[-1].place:
            both = dict.fromkeys((*out[-1].place.sides, *token.place.sides))
            out[-1] = replace(out[-1], place=replace(out[-1].place, sides=tuple(both)))
        else:
            out.append(replace(token, cls="PLACE", relation="SIDE"))
    return out


def _superlatives(tokens: Sequence[Token]) -> list[Token]:
    """“Nearest to the door”, “the nearest person to the door” and “the farthest from it” with what they are near."""
    out: list[Token] = []
    rest = list(tokens)
    while rest:
        token = rest.pop(0)
        out.append(token)
        if token.most not in (Most.NEAREST, Most.FARTHEST):
            continue
        if len(rest) > 2 and rest[0].cls == "NP" and rest[1].cls in ("TO", "FROM") and rest[2].cls in ("NP", "REGION"):
            place = _place("AT", rest[2])
            out[-1:] = [replace(token, place=place), rest[0]]
            rest = rest[3:]
        elif rest and rest[0].cls == "REGION":
            out[-1] = replace(token, place=_place("AT", rest.pop(0)))
        elif len(rest) > 1 and rest[0].cls in ("TO", "FROM") and rest[1].cls in ("NP", "REGION"):
            out[-1] = replace(token, place=_place("AT", rest[1]))
            rest = rest[2:]
    return out


def _relations(tokens: Sequence[Token]) -> list[Token]:
    """A relation with what follows it is a place; after a passive, “by” is who did it."""
    out: list[Token] = []
    passive = any(t.cls == "DEED" for t in tokens) and any(t.cls == "AUX" for t in tokens)
    i = 0
    while i < len(tokens):
        token = tokens[i]
        after = tokens[i + 1] if i + 1 < len(tokens) else None
        if token.cls in ("REL", "FROM") and after is not None and after.cls in ("NP", "REGION"):
            if token.word == "BY" and after.cls == "NP" and passive:
                out.append(replace(after, cls="AGENT"))
            else:
                out.append(Token("PLACE", after.word, place=_place(token.word, after), relation=token.word))
            i += 1
        elif token.cls == "REL" and token.word in _OF_THE_WAY and after is None and out and out[-1].cls == "DEED":
            pass
        else:
            out.append(token)
        i += 1
    return out


def _place(relation: str, token: Token) -> Place:
    if token.region is not None:
        return Place(_RELATIONS[relation], region_id=token.region.id)
    return Place(_RELATIONS[relation], subject=token.subject)


def _quantifiers(tokens: Sequence[Token]) -> list[Token]:
    """“They all”, “the cups both”: all of those before."""
    out: list[Token] = []
    for token in tokens:
        before = out[-1] if out else None
        bare = token.cls == "NP" and token.subject is not None and token.subject == Subject(generic=True, every=True)
        if bare and before is not None and before.cls == "WHO":
            continue
        if (
            token.cls == "NP"
            and len(out) > 1
            and before is not None
            and before.cls == "OF"
            and token.subject is not None
        ):
            part = out[-2]
            if part.cls == "HOWMANY":
                out[-1] = token
                continue
            if part.cls == "ALL" or (part.cls == "NP" and part.subject is not None and part.subject.generic):
                out[-2:] = [replace(token, subject=_part_of(token.subject, part.subject))]
                continue
        if bare and before is not None and before.cls == "NP" and before.subject is not None:
            out[-1] = replace(before, subject=replace(before.subject, every=True))
        else:
            out.append(token)
    return out


def _part_of(whole: Subject, part: Subject | None) -> Subject:
    """“All of them”, “one of the cups”, “none of these”."""
    if part is None:
        return replace(whole, every=True)
    return replace(whole, every=part.every, some=not part.every, none=part.none, ordinal=part.ordinal)


def _relative_clauses(tokens: Sequence[Token]) -> list[Token]:
    """“The person that left” with its clause; “the one that is at the door” is the one at the door."""
    out: list[Token] = []
    rest = list(tokens)
    while rest:
        token = rest.pop(0)
        before = out[-1] if out and out[-1].cls == "NP" else None
        if before is None or not rest or len(out) + len(rest) < 2 or token.cls not in _JOINING:
            out.append(token)
        elif token.cls == "WITH":
            out[-1] = _with_thing(before, rest.pop(0))
        elif not _relative_clause(out, rest, before):
            out.append(token)
    return out


def _relative_clause(out: list[Token], rest: list[Token], before: Token) -> bool:
    """Put what follows “that” into the thing `before` it, the last of `out`. False where it is no clause of these."""
    negated = any(token.cls == "NOT" for token in takewhile(lambda t: t.cls in ("AUX", "NOT"), rest))
    rest[:] = dropwhile(lambda t: t.cls in ("AUX", "NOT"), rest)
    kind = rest[0].cls if rest else ""
    deed = rest[0].deed if rest else None
    if negated and kind == "HERE":
        out[-1] = _with_clause(before, [Token("DEED", "VANISH", deed=Deed.VANISH)])
        rest[:] = dropwhile(lambda t: t.cls == "HERE", rest)
    elif negated and deed is Deed.MOVE:
        out[-1] = _with_clause(before, [replace(rest.pop(0), deed=Deed.REST)])
    elif negated:
        return False
    elif kind == "DEED":
        clause = [rest.pop(0), *takewhile(lambda t: t.cls in _IN_CLAUSE, rest)]
        rest[:] = rest[len(clause) - 1 :]
        if clause[-1].cls in ("FIRST", "LAST") and rest and rest[0].cls == "SEE":
            rest.insert(0, clause.pop())  # “When was the one that left last seen?”
        out[-1] = _with_clause(before, clause)
    elif kind == "HERE" and len(rest) > 1 and rest[1].cls in ("FIRST", "LAST"):
        out[-1] = _with_clause(before, [Token("DEED", "ENTER", deed=Deed.ENTER), rest[1]])
        del rest[:2]
    elif kind in ("HERE", "PLACE") and before.subject is not None and before.subject.every:
        out[-1] = replace(before, subject=replace(before.subject, every=False))
    return not rest or kind in ("PLACE", "HERE", "POSTURE", "BEING", "SEE", "DEED")


def _with_thing(token: Token, thing: Token) -> Token:
    """“The person with the bag” is who had it last."""
    assert token.subject is not None
    if thing.subject is None:
        return replace(token, subject=replace(token.subject, unclear=True))
    meaning = Meaning(deed=Deed.CARRY, subject=replace(token.subject, pronoun=False), second=thing.subject)
    return replace(token, subject=replace(token.subject, clause=meaning))


def _with_clause(token: Token, clause: Sequence[Token]) -> Token:
    assert token.subject is not None
    most = next((Most[t.cls] for t in clause if t.cls in ("FIRST", "LAST")), None)
    ordinal = token.subject.ordinal
    if most is None and ordinal in (1, -1):
        most, ordinal = Most.FIRST if ordinal == 1 else Most.LAST, None
    base = replace(token.subject, ordinal=ordinal, pronoun=False)
    if token.subject.pronoun and not token.subject.words:
        base = replace(base, generic=True)
    places = [place_of(t) for t in clause if t.cls in ("PLACE", "REGION")]
    meaning = Meaning(deed=clause[0].deed, subject=base, place=places[0] if places else None, most=most)
    unclear = len(places) > 1 or ordinal is not None
    return replace(token, subject=replace(base, ordinal=None, clause=meaning, unclear=unclear))


def orders(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    """The tokens as they stand, then as English has them: the question word first, who does it before what is done."""
    yield list(tokens)
    classes = [token.cls for token in tokens]
    asking = [i for i, name in enumerate(classes) if name in _QUESTION_WORDS]
    if len(asking) == 1 and asking[0] > 0 and classes[asking[0]] in _ADVERBS:
        tokens = [*tokens[asking[0] :], *tokens[: asking[0]]]
        yield list(tokens)
    done = [i for i, token in enumerate(tokens) if token.deed in _ALONE or token.cls == "POSTURE"]
    if len(done) == 1 and not set(classes) & {"WHO", "WHAT", "WHICH"} and classes.count("NP") == 1:
        [i] = done
        if i + 1 < len(tokens) and tokens[i + 1].cls == "NP":
            yield [*tokens[:i], tokens[i + 1], tokens[i], *tokens[i + 2 :]]


def place_of(token: Token) -> Place:
    """The place that a token of class PLACE or REGION is."""
    if token.place is not None:
        return token.place
    return _place("AT", token)
