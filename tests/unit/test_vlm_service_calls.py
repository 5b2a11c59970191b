"""Gemma's tool calls: read from its answer, and forced by a grammar."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from agent.vlm.service.calls import CallFinder, call_grammar, read_call
from agent.vlm.service.grammar import Grammars
from stream.errors import BadInput
from tests.tiny_gemma4 import SPECIALS, tiny_tokenizer
from tests.vlm_requests import tool

WRITTEN: list[tuple[str, str, dict[str, Any]]] = [
    ("call:stop{}", "stop", {}),
    ('call:track{text:<|"|>a red cup<|"|>}', "track", {"text": "a red cup"}),
    ("call:zoom{id:3,budget:560}", "zoom", {"id": 3, "budget": 560}),
    ("call: zoom { id : 3 , close : true }", "zoom", {"id": 3, "close": True}),
    ('call:note{text:<|"|>say "hi", {ok}: [x]<|"|>,ids:[1,2]}', "note", {"text": 'say "hi", {ok}: [x]', "ids": [1, 2]}),
    ('call:note{text:"quoted \\"so\\"",at:-1.5,to:null}', "note", {"text": 'quoted "so"', "at": -1.5, "to": None}),
    ('call:deep{a:{b:[{c:<|"|>d<|"|>}]}}', "deep", {"a": {"b": [{"c": "d"}]}}),
    ('call:words{<|"|>odd key<|"|>:1,"other":2}', "words", {"odd key": 1, "other": 2}),
]


@pytest.mark.parametrize(("text", "name", "arguments"), WRITTEN)
def test_calls_are_read(text: str, name: str, arguments: dict[str, Any]) -> None:
    call = read_call(text)
    assert (call.name, call.arguments) == (name, arguments)


@pytest.mark.parametrize(
    "text",
    [
        *("", "zoom{}", "call:{}", "call:zoom", "call:zoom{id:}", "call:zoom{id:3", "call:zoom{id:3}}", "call:zoom[1]"),
        *('call:zoom{t:<|"|>open}', "call:zoom{id 3}", "call:a{b:" + "[" * 99 + "]" * 99 + "}", "call:a{b:word}"),
    ],
)
def test_what_is_no_call(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  that it is one is the contract
        read_call(text)


@given(st.text())
def test_no_text_breaks_the_reader(text: str) -> None:
    try:
        read_call("call:a{" + text)
    except ValueError:
        return


ANSWER = "I look.<|tool_call>call:zoom{id:3}<tool_call|> and <b> <|tool_call>call:stop{}<tool_call|>!"


@given(st.lists(st.integers(0, len(ANSWER)), max_size=12))
def test_calls_are_found_however_the_text_is_cut(cuts: list[int]) -> None:
    ends = sorted({0, *cuts, len(ANSWER)})
    finder = CallFinder()
    text = "".join(finder.feed(ANSWER[a:b]) for a, b in pairwise(ends)) + finder.end()
    assert text == "I look. and <b> !"
    assert finder.calls == ["call:zoom{id:3}", "call:stop{}"]


def test_an_unfinished_call_is_dropped() -> None:
    finder = CallFinder()
    assert finder.feed("so <|tool_call>call:zoom{id") + finder.end() == "so "
    assert finder.calls == []


TOOLS = [
    tool(
        "set_watch",
        ("condition", "severity"),
        condition={"type": "string"},
        severity={"type": "string", "enum": ["info", "critical"]},
        cooldown_s={"type": "number"},
        once={"type": "boolean"},
    ),
    tool("look_back", seconds={"type": "integer"}, ids={"type": "array", "items": {"type": "integer"}}),
    tool("stop"),
]


def forced(grammars: Grammars, grammar: str, vocabulary: int, seed: int) -> list[int]:
    """What a model that likes nothing in particular says under `grammar`; ends with the token that ends it."""
    torch.manual_seed(seed)
    constraint, ids = grammars.constraint(grammar), torch.zeros(1, 1, dtype=torch.long)
    for _ in range(300):
        scores = torch.randn(1, vocabulary)
        scores[0, : len(SPECIALS)] += 4  # so that texts come to an end
        ids = torch.cat([ids, constraint(ids, scores).argmax(1, keepdim=True)], 1)
        if int(ids[0, -1]) == 1:
            break
    return [int(token) for token in ids[0, 1:]]


def test_forced_calls_are_calls_of_the_tools() -> None:
    tokenizer = tiny_tokenizer()
    grammars = Grammars(tokenizer, len(tokenizer), [tokenizer.eos_token_id])
    grammar = grammars.call(TOOLS)
    names = set()
    for seed in range(12):
        ids = forced(grammars, grammar, len(tokenizer), seed)
        finder = CallFinder()
        assert finder.feed(tokenizer.decode(ids)).strip() == "<eos>"
        call = read_call(finder.calls[0])
        names.add(call.name)
        if call.name == "set_watch":
            assert {"condition", "severity"} <= set(call.arguments) <= {"condition", "severity", "cooldown_s", "once"}
            assert call.arguments["severity"] in ("info", "critical")
        elif call.name == "look_back":
            assert set(call.arguments) <= {"seconds", "ids"}
            assert isinstance(call.arguments.get("seconds", 0), int)
    assert names == {"set_watch", "look_back", "stop"}


def test_nested_parameters_are_refused() -> None:
    nested = tool("a", where={"type": "object", "properties": {"x": {"type": "integer"}}})
    with pytest.raises(BadInput, match="“where” is not flat"):
        call_grammar([nested], {"<|tool_call>": 1, "<tool_call|>": 2, '<|"|>': 3})


def test_a_schema_that_cannot_be_kept_to_is_refused() -> None:
    tokenizer = tiny_tokenizer()
    grammars = Grammars(tokenizer, len(tokenizer), [tokenizer.eos_token_id])
    with pytest.raises(BadInput, match="Invalid type"):
        grammars.schema({"type": "object", "properties": {"a": {"type": "colour"}}})
