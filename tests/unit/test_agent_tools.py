"""The tools that a model may call: what it writes is checked, and changes nothing where it is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from agent.tools import CHANGING, LOOKING, ToolResult, Tools, schemas
from stream.errors import NotFound

ALL = (*LOOKING, *CHANGING)


class Box:
    """Writes down what it is told to do."""

    def __init__(self) -> None:
        self.done: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        async def tool(*arguments: Any) -> ToolResult:
            self.done.append((name, *arguments))
            return ToolResult("Done.")

        return tool


@pytest.mark.parametrize(
    ("name", "arguments", "done"),
    [
        ("track", {"text": " red cup "}, ("track", "red cup")),
        ("untrack", {"id": 3}, ("untrack", 3)),
        ("untrack", {"id": 3.0}, ("untrack", 3)),
        ("zoom", {"id": 5, "budget": 560}, ("zoom", 5)),
        ("look_back", {"seconds": 30}, ("look_back", 30.0, 4)),
        ("look_back", {"seconds": 1, "n": 6}, ("look_back", 1.0, 6)),
        ("search_events", {"query": "dog"}, ("search_events", "dog", 3600.0)),
        ("search_events", {"query": "dog", "since": 60}, ("search_events", "dog", 60.0)),
        ("set_watch", {"condition": "a dog"}, ("set_watch", "a dog", 60.0)),
        ("set_watch", {"condition": "a dog", "cooldown_s": 5}, ("set_watch", "a dog", 5.0)),
        ("annotate", {"id": 3, "text": "Bob's"}, ("annotate", 3, "Bob's")),
    ],
)
async def test_a_good_call_is_done(name: str, arguments: dict[str, Any], done: tuple[Any, ...]) -> None:
    box = Box()
    assert (await Tools(box, ALL, {3, 5}).call(name, arguments)).text == "Done."
    assert box.done == [done]
    assert [type(value) for value in box.done[0]] == [type(value) for value in done]


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("fly", {}, "There is no tool 'fly' here."),
        ("x" * 500, {}, f"There is no tool '{'x' * 40}' here."),
        ("track", None, "The arguments of track were no JSON object."),
        ("track", {}, "track needs text"),
        ("track", {"text": ""}, "track needs text"),
        ("track", {"text": "  "}, "track needs text"),
        ("track", {"text": ["cup"]}, "track needs text"),
        ("track", {"text": "x" * 201}, "at most 200 characters"),
        ("untrack", {}, "untrack needs id: the object's number, a number."),
        ("untrack", {"id": "3"}, "a number."),
        ("untrack", {"id": True}, "a number."),
        ("untrack", {"id": None}, "a number."),
        ("untrack", {"id": 3.5}, "untrack: id is from 0"),
        ("untrack", {"id": -1}, "untrack: id is from 0"),
        ("untrack", {"id": float("nan")}, "untrack: id is from 0"),
        ("untrack", {"id": float("inf")}, "untrack: id is from 0"),
        ("zoom", {"id": 9}, "There is no object 9. Known: 3, 5."),
        ("annotate", {"id": 9, "text": "x"}, "There is no object 9."),
        ("annotate", {"id": 3}, "annotate needs text"),
        ("look_back", {"seconds": 0}, "look_back: seconds is from 1 to 60."),
        ("look_back", {"seconds": 61}, "look_back: seconds is from 1 to 60."),
        ("look_back", {"seconds": 5, "n": 7}, "look_back: n is from 1 to 6."),
        ("look_back", {"seconds": 5, "n": 2.5}, "look_back: n is from 1 to 6."),
        ("look_back", {"seconds": float("nan")}, "look_back: seconds is from 1 to 60."),
        ("search_events", {"query": "x", "since": 1e9}, "search_events: since is from 1 to 86400."),
        ("set_watch", {"condition": "x", "cooldown_s": 0}, "set_watch: cooldown_s is from 1 to 86400."),
    ],
)
async def test_a_bad_call_is_answered_and_changes_nothing(name: str, arguments: Any, said: str) -> None:
    box = Box()
    assert said in (await Tools(box, ALL, {3, 5}).call(name, arguments)).text
    assert box.done == []


@pytest.mark.parametrize("name", CHANGING)
async def test_who_may_only_look_changes_nothing(name: str) -> None:
    box = Box()
    good = {"text": "cup", "id": 3, "condition": "a dog"}
    assert "There is no tool" in (await Tools(box, LOOKING, {3}).call(name, good)).text
    assert box.done == []
    assert name not in [schema["function"]["name"] for schema in Tools(box, LOOKING).schemas]


async def test_what_cannot_be_done_is_said() -> None:
    class Gone(Box):
        async def untrack(self, track_id: int) -> ToolResult:
            raise NotFound(f"There is no track {track_id}.", action="Look again.")

    assert (await Tools(Gone(), ALL, {3}).call("untrack", {"id": 3})).text == "There is no track 3. Look again."


def test_the_schemas_are_flat() -> None:
    for schema in schemas(ALL):
        parameters = schema["function"]["parameters"]
        assert set(parameters) == {"type", "properties", "required"}
        for value in parameters["properties"].values():
            assert set(value) == {"type", "description"}
            assert value["type"] in ("string", "integer", "number")
