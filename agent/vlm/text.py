"""What models write around their answers, taken away: thoughts, special tokens, code fences."""

from __future__ import annotations

import json
import re
from typing import Any

_THOUGHTS = (
    ("<think>", "</think>"),
    ("<|channel>thought", "<channel|>"),
    ("<|channel|>analysis<|message|>", "<|end|>"),
)
_OPENERS = tuple(opener for opener, _ in _THOUGHTS)
_SPECIAL = re.compile(
    r"<\|[a-z_]{1,32}\|?>|<[a-z_]{1,32}\|>|</?(?:start_of_turn|end_of_turn|turn|bos|eos|pad|unused\d+)>(?:model\n?)?"
)
_ROLE = "model\n"
"""Follows the token that begins a turn, and goes with it."""
_LONGEST_MARK = 40
"""A special token is never longer: what could become one is held back for so many characters at most."""


class Cleaner:
    """Cleans a text that comes in pieces: a piece is handed on as soon as it cannot become part of a mark."""

    def __init__(self) -> None:
        self._held = ""
        self._until: str | None = None

    def feed(self, piece: str) -> str:
        """The text that is certain now."""
        self._held += piece
        out: list[str] = []
        while self._step(out):
            pass
        return "".join(out)

    def end(self) -> str:
        """What is left when no more comes; an unfinished thought is dropped."""
        rest, self._held = self._held, ""
        return "" if self._until is not None else _SPECIAL.sub("", rest)

    def _step(self, out: list[str]) -> bool:
        """Move on by one piece of text or one thought; False when more must come first."""
        if self._until is not None:
            _, found, after = self._held.partition(self._until)
            if not found:
                self._held = self._held[-len(self._until) :]
                return False
            self._held, self._until = after.lstrip("\n"), None
            return True
        start = self._held.find("<")
        if start < 0:
            out.append(self._held)
            self._held = ""
            return False
        out.append(self._held[:start])
        self._held = self._held[start:]
        for opener, closer in _THOUGHTS:
            if self._held.startswith(opener):
                self._held, self._until = self._held[len(opener) :], closer
                return True
        if any(opener.startswith(self._held) for opener in _OPENERS):
            return False
        special = _SPECIAL.match(self._held)
        if special is not None:
            if _ROLE.startswith(self._held[special.end() :]):
                return False
            self._held = self._held[special.end() :]
            return True
        if len(self._held) < _LONGEST_MARK and re.fullmatch(r"<[|/]?[a-z_0-9]*\|?>?", self._held):
            return False
        out.append("<")
        self._held = self._held[1:]
        return True


def clean(text: str) -> str:
    """`text` without thoughts and special tokens."""
    cleaner = Cleaner()
    return (cleaner.feed(text) + cleaner.end()).strip()


def parse_object(text: str) -> dict[str, Any] | None:
    """The first JSON object in `text`, also within a code fence or prose, also where its end was cut off; None where
    there is none."""
    text = clean(text)
    start = text.find("{")
    if start < 0:
        return None
    try:
        value, _ = json.JSONDecoder().raw_decode(text[start:])
    except json.JSONDecodeError:
        value = _mended(text[start:])
    return value if isinstance(value, dict) else None


def _mended(text: str) -> object:
    """A JSON text that was cut off, closed after the last value that is whole."""
    for cut in [len(text), *(match.start() for match in reversed(list(re.finditer(r"[,}\]]", text))))]:
        part = text[:cut].rstrip().rstrip(",`").rstrip()
        try:
            return json.loads(part + _closers(part))
        except json.JSONDecodeError:
            continue
    return None


def _closers(text: str) -> str:
    stack: list[str] = []
    in_string = escaped = False
    for char in text:
        if escaped:
            escaped = False
        elif in_string:
            escaped, in_string = char == "\\", char != '"'
        elif char == '"':
            in_string = True
        elif char in "{[":
            stack.append("}" if char == "{" else "]")
        elif char in "}]" and stack:
            stack.pop()
    return ('"' if in_string else "") + "".join(reversed(stack))
