"""Which shapes of tokens are questions, and what each asks. The shapes are in `grammar.txt`.

A shape takes a question only as a whole: a word that has no place in one is not passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from agent.facts_answer.language import entries
from agent.facts_answer.meaning import Ask

_FILE = "grammar.txt"
_CLASS = re.compile(r"[A-Z]{2,}")


def _compiled(shape: str, parts: dict[str, str]) -> re.Pattern[str]:
    for _ in parts:
        for name, part in parts.items():
            shape = shape.replace(name, f"(?:{part})")
    return re.compile(_CLASS.sub(r"(?:\g<0>,)", shape).replace(" ", ""))


def _shapes() -> Iterator[tuple[Ask | None, re.Pattern[str]]]:
    parts = {name: " ".join(lines) for name, lines in entries("parts", _FILE)}
    for name, lines in entries("shapes", _FILE):
        for line in lines:
            yield (None if name == "FRAGMENT" else Ask[name]), _compiled(line, parts)


_SHAPES = tuple(_shapes())


def shape_of(classes: Iterable[str]) -> tuple[bool, Ask | None]:
    """Whether these classes of tokens, in their order, are a question or part of one; and what is asked."""
    text = "".join(f"{name}," for name in classes)
    return next(((True, ask) for ask, shape in _SHAPES if shape.fullmatch(text)), (False, None))
