"""Gemma's tool calls: found in its answer, and a grammar for calls that must be made.

A call is written `<|tool_call>call:name{key:value,…}<tool_call|>`; texts stand between two `<|"|>`, unescaped; keys are
bare; numbers, true, false, null, lists and objects are as in JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.vlm.service.faults import refuse

OPEN, CLOSE, QUOTE = "<|tool_call>", "<tool_call|>", '<|"|>'
MAX_DEPTH = 16

_NAME = re.compile(r"\s*call:\s*([\w.-]+)\s*")
_KEY = re.compile(r'\s*(?:<\|"\|>(.*?)<\|"\|>|"([^"]*)"|([^\s:{}\[\],"<>]+))\s*:', re.DOTALL)
_LITERAL = re.compile(r"\s*([^\s,{}\[\]<>\"]+)")
_WORDS = {"true": True, "false": False, "null": None, "None": None, "True": True, "False": False}


@dataclass(frozen=True, slots=True)
class Call:
    name: str
    arguments: dict[str, Any]


def read_call(text: str) -> Call:
    """The call in what stands between its two tokens. Raises `ValueError` where it is none."""
    named = _NAME.match(text)
    if named is None:
        raise ValueError("no name")
    value, end = _value(text, named.end(), 0)
    if not isinstance(value, dict) or text[end:].strip():
        raise ValueError("no arguments")
    return Call(named[1], value)


def _value(text: str, at: int, depth: int) -> tuple[Any, int]:
    if depth > MAX_DEPTH:
        raise ValueError("too deep")
    at = _blank(text, at)
    if text.startswith(QUOTE, at):
        end = text.index(QUOTE, at + len(QUOTE))
        return text[at + len(QUOTE) : end], end + len(QUOTE)
    if text.startswith('"', at):
        return json.JSONDecoder().raw_decode(text, at)
    if text.startswith("{", at):
        return _object(text, at + 1, depth)
    if text.startswith("[", at):
        return _list(text, at + 1, depth)
    literal = _LITERAL.match(text, at)
    if literal is None:
        raise ValueError("no value")
    word = literal[1]
    return (_WORDS[word] if word in _WORDS else json.loads(word)), literal.end()


def _object(text: str, at: int, depth: int) -> tuple[dict[str, Any], int]:
    found: dict[str, Any] = {}
    at = _blank(text, at)
    while not text.startswith("}", at):
        key = _KEY.match(text, at)
        if key is None:
            raise ValueError("no key")
        found[next(group for group in key.groups() if group is not None)], at = _value(text, key.end(), depth + 1)
        at = _after(text, at, "}")
    return found, at + 1


def _list(text: str, at: int, depth: int) -> tuple[list[Any], int]:
    found: list[Any] = []
    at = _blank(text, at)
    while not text.startswith("]", at):
        value, at = _value(text, at, depth + 1)
        found.append(value)
        at = _after(text, at, "]")
    return found, at + 1


def _after(text: str, at: int, closer: str) -> int:
    """Past the comma behind a value, or at what closes."""
    at = _blank(text, at)
    if text.startswith(",", at):
        return _blank(text, at + 1)
    if not text.startswith(closer, at):
        raise ValueError("no end")
    return at


def _blank(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


class CallFinder:
    """Takes the calls out of a text that comes in pieces; what they hold back is never more than a token's text."""

    def __init__(self) -> None:
        self._held = ""
        self._inside = False
        self.calls: list[str] = []
        """What stood between the tokens of each call, in order."""

    def feed(self, piece: str) -> str:
        """The text outside of calls that is certain now."""
        self._held += piece
        out: list[str] = []
        while True:
            mark = CLOSE if self._inside else OPEN
            before, found, after = self._held.partition(mark)
            if not found:
                break
            self._held = after
            if self._inside:
                self.calls.append(before)
            else:
                out.append(before)
            self._inside = not self._inside
        if not self._inside:
            keep = held_back(self._held, OPEN)
            out.append(self._held[: len(self._held) - keep])
            self._held = self._held[len(self._held) - keep :]
        return "".join(out)

    def end(self) -> str:
        """What is left; a call that was not finished is dropped."""
        rest, self._held = self._held, ""
        return "" if self._inside else rest


def held_back(text: str, mark: str) -> int:
    """How many characters at the end of `text` could be the beginning of `mark`."""
    return next((n for n in range(min(len(text), len(mark) - 1), 0, -1) if mark.startswith(text[-n:])), 0)


def call_grammar(tools: Sequence[Mapping[str, Any]], ids: Mapping[str, int]) -> str:
    """A Lark grammar for llguidance: one call of one of `tools`, whose parameters must be flat.

    `ids` are the tokens' numbers of `OPEN`, `CLOSE` and `QUOTE`. Raises `BadInput` for nested parameters.
    """
    quote = f"<[{ids[QUOTE]}]>"
    names = " | ".join(f"tool{i}" for i in range(len(tools)))
    rules = [f'start: <[{ids[OPEN]}]> "call:" ({names}) <[{ids[CLOSE]}]>']
    for i, tool in enumerate(tools):
        function = tool["function"]
        rules.append(f'tool{i}: {json.dumps(function["name"] + "{")} {_arguments(function, quote)} "}}"')
    rules += [
        f"text: {quote} /[^<>]*/ {quote}",
        "whole: /-?(0|[1-9][0-9]{0,8})/",
        r"number: /-?(0|[1-9][0-9]{0,8})(\.[0-9]{1,6})?/",
        'truth: "true" | "false"',
    ]
    return "\n".join(rules)


def _arguments(function: Mapping[str, Any], quote: str) -> str:
    """Those that are required, in their order, then any of the others."""
    parameters = function.get("parameters") or {}
    properties: Mapping[str, Any] = parameters.get("properties") or {}
    required = [name for name in properties if name in (parameters.get("required") or ())]
    optional = [name for name in properties if name not in required]
    made = {name: f"{json.dumps(name + ':')} {_kind(name, properties[name], quote)}" for name in properties}
    if required:
        rest = "".join(f' ("," {made[name]})?' for name in optional)
        return ' "," '.join(made[name] for name in required) + rest
    chains = [
        made[name] + "".join(f' ("," {made[later]})?' for later in optional[i + 1 :]) for i, name in enumerate(optional)
    ]
    return f"({' | '.join(chains)})?" if chains else '""'


def _kind(name: str, schema: Any, quote: str) -> str:
    schema = schema if isinstance(schema, dict) else {}
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        words = ((json.dumps(word), isinstance(word, str)) for word in schema["enum"])
        options = [f"{quote} {word} {quote}" if is_text else json.dumps(word) for word, is_text in words]
        return f"({' | '.join(options)})"
    kinds = {"string": "text", "integer": "whole", "number": "number", "boolean": "truth"}
    if schema.get("type") in kinds:
        return kinds[schema["type"]]
    items = schema.get("items")
    if schema.get("type") == "array" and isinstance(items, dict) and items.get("type") in kinds:
        item = kinds[items["type"]]
        return f'"[" ({item} ("," {item})*)? "]"'
    raise refuse(f"The parameter “{name}” is not flat.", action="Use texts, numbers, truth values and lists of these.")
