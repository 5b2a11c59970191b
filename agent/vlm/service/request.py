"""A chat completion request, read and checked: plain values, or `BadInput` that says what is wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from agent.vlm.service.faults import TooLarge, refuse
from agent.vlm.service.media import Picture, Sound, read_picture, read_sound

MAX_TURNS = 200
MAX_IMAGES = 16
MAX_TOOLS = 32
MAX_STOPS = 4
MAX_STOP_CHARS = 64
MAX_SCHEMA_CHARS = 64 * 1024
DEFAULT_TOKENS = 1024
IMAGE_TOKENS = (70, 140, 280, 560, 1120)
"""What Gemma 4 knows as budgets of a picture."""

Role = Literal["system", "user", "assistant", "tool"]
Part = str | Picture | Sound
Choice = Literal["auto", "none", "required"]

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}


@dataclass(frozen=True, slots=True)
class Called:
    """A tool call of an earlier turn."""

    id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Turn:
    role: Role
    parts: tuple[Part, ...]
    calls: tuple[Called, ...] = ()
    answers: str | None = None
    """The id of the call that a `tool` turn answers."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """Temperature 0 takes the likeliest token each time."""

    max_tokens: int = DEFAULT_TOKENS
    temperature: float = 1.0
    top_p: float = 0.95
    seed: int | None = None
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ChatRequest:
    turns: tuple[Turn, ...]
    model: str | None = None
    sampling: Sampling = Sampling()
    image_tokens: int = 280
    schema: Mapping[str, Any] | None = None
    tools: tuple[Mapping[str, Any], ...] = ()
    choice: Choice = "auto"
    thinking: bool = False
    stream: bool = False
    usage: bool = False
    """Whether a stream ends with what it cost."""


def read_request(body: bytes) -> ChatRequest:
    """Raises `BadInput` or `TooLarge`."""
    try:
        given = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise refuse("The body is no JSON.") from error
    if not isinstance(given, dict):
        raise refuse("The body is no JSON object.")
    if given.get("n") not in (None, 1):
        raise refuse("n must be 1.")
    turns = _turns(given.get("messages"))
    tools = _tools(given.get("tools"))
    tools, choice = _choice(given.get("tool_choice"), tools)
    schema = _schema(given.get("response_format"))
    if schema is not None and choice == "required":
        raise refuse("An answer cannot both call a tool and keep to response_format.")
    options = given.get("stream_options")
    template = given.get("chat_template_kwargs")
    return ChatRequest(
        turns,
        model=_typed(given, "model", str, None),
        sampling=_sampling(given),
        image_tokens=_image_tokens(given.get("mm_processor_kwargs")),
        schema=schema,
        tools=tools,
        choice=choice,
        thinking=isinstance(template, dict) and template.get("enable_thinking") is True,
        stream=_typed(given, "stream", bool, False),
        usage=isinstance(options, dict) and options.get("include_usage") is True,
    )


def _turns(given: Any) -> tuple[Turn, ...]:
    if not isinstance(given, list) or not given:
        raise refuse("messages is missing or empty.")
    if len(given) > MAX_TURNS:
        raise TooLarge(f"There are more than {MAX_TURNS} messages.")
    turns = tuple(_turn(entry, f"messages[{i}]") for i, entry in enumerate(given))
    parts = [part for turn in turns for part in turn.parts]
    if sum(isinstance(part, Picture) for part in parts) > MAX_IMAGES:
        raise TooLarge(f"There are more than {MAX_IMAGES} pictures.")
    if sum(isinstance(part, Sound) for part in parts) > 1:
        raise TooLarge("There is more than one sound.")
    if turns[-1].role == "assistant":
        raise refuse("The last message must not be the assistant's.")
    return turns


def _turn(given: Any, place: str) -> Turn:
    if not isinstance(given, dict):
        raise refuse(f"{place} is no object.")
    role = _ROLES.get(given["role"]) if isinstance(given.get("role"), str) else None
    if role is None:
        raise refuse(f"{place}.role must be one of {', '.join(_ROLES)}.")
    parts = _parts(given.get("content"), place)
    if role != "user" and not all(isinstance(part, str) for part in parts):
        raise refuse(f"{place}: pictures and sounds come in the user's messages.")
    calls = given.get("tool_calls") or ()
    if calls and (role != "assistant" or not isinstance(calls, list)):
        raise refuse(f"{place}.tool_calls is a list in the assistant's messages.")
    if not parts and not calls and role != "tool":
        raise refuse(f"{place}.content is missing.")
    answers = given.get("tool_call_id")
    if role == "tool" and not isinstance(answers, str):
        raise refuse(f"{place}.tool_call_id is missing.")
    return Turn(role, parts, tuple(_called(call, place) for call in calls), answers if role == "tool" else None)


def _parts(given: Any, place: str) -> tuple[Part, ...]:
    if given is None:
        return ()
    if isinstance(given, str):
        return (given,)
    if not isinstance(given, list):
        raise refuse(f"{place}.content is neither text nor a list of parts.")
    return tuple(_part(part, f"{place}.content[{i}]") for i, part in enumerate(given))


def _part(given: Any, place: str) -> Part:
    kind = given.get("type") if isinstance(given, dict) else None
    if kind == "text" and isinstance(given.get("text"), str):
        return cast(str, given["text"])
    if kind == "image_url":
        url = given.get("image_url")
        return read_picture(url.get("url") if isinstance(url, dict) else url)
    if kind == "input_audio":
        return read_sound(given.get("input_audio"))
    raise refuse(f"{place} is no text, image_url or input_audio.")


def _called(given: Any, place: str) -> Called:
    function = given.get("function") if isinstance(given, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise refuse(f"{place}.tool_calls has an entry without function.name.")
    try:
        arguments = json.loads(function.get("arguments") or "{}")
    except (ValueError, TypeError, RecursionError):
        arguments = None
    if not isinstance(arguments, dict):
        raise refuse(f"{place}.tool_calls has arguments that are no JSON object.")
    return Called(str(given.get("id", "")), function["name"], arguments)


def _tools(given: Any) -> tuple[Mapping[str, Any], ...]:
    if given is None:
        return ()
    if not isinstance(given, list):
        raise refuse("tools is no list.")
    if len(given) > MAX_TOOLS:
        raise TooLarge(f"There are more than {MAX_TOOLS} tools.")
    for i, tool in enumerate(given):
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not function["name"]:
            raise refuse(f"tools[{i}].function.name is missing.")
        if not isinstance(function.get("parameters", {}), dict):
            raise refuse(f"tools[{i}].function.parameters is no object.")
    return tuple(given)


def _choice(given: Any, tools: tuple[Mapping[str, Any], ...]) -> tuple[tuple[Mapping[str, Any], ...], Choice]:
    """The tools on offer and whether one must be called; a named one is the only one on offer."""
    if given in (None, "auto", "none"):
        return (() if given == "none" else tools), "none" if given == "none" else "auto"
    if given == "required" and tools:
        return tools, "required"
    function = given.get("function") if isinstance(given, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    named = tuple(tool for tool in tools if tool["function"]["name"] == name)
    if not named:
        raise refuse("tool_choice asks for a tool that is not among tools.")
    return named, "required"


def _schema(given: Any) -> Mapping[str, Any] | None:
    if given is None:
        return None
    kind = given.get("type") if isinstance(given, dict) else None
    if kind == "text":
        return None
    if kind == "json_object":
        return {"type": "object"}
    named = given.get("json_schema") if kind == "json_schema" else None
    schema = named.get("schema") if isinstance(named, dict) else None
    if not isinstance(schema, dict):
        raise refuse("response_format must be text, json_object, or json_schema with json_schema.schema.")
    if len(json.dumps(schema)) > MAX_SCHEMA_CHARS:
        raise TooLarge("The schema is too large.")
    return schema


def _sampling(given: dict[str, Any]) -> Sampling:
    limit = given.get("max_completion_tokens")
    stop = given.get("stop") or ()
    stops = (stop,) if isinstance(stop, str) else tuple(stop) if isinstance(stop, list | tuple) else (None,)
    if len(stops) > MAX_STOPS or not all(isinstance(s, str) and 0 < len(s) <= MAX_STOP_CHARS for s in stops):
        raise refuse(f"stop is a text, or up to {MAX_STOPS} of {MAX_STOP_CHARS} characters.")
    wanted = given if limit is None else {"max_tokens": limit}
    return Sampling(
        max_tokens=int(_within(wanted, "max_tokens", 1, 1 << 20, DEFAULT_TOKENS, whole=True)),
        temperature=_within(given, "temperature", 0, 2, 1.0),
        top_p=_within(given, "top_p", 0, 1, 0.95),
        seed=None
        if given.get("seed") is None
        else int(_within(given, "seed", -(1 << 63), (1 << 63) - 1, 0, whole=True)),
        stop=cast(tuple[str, ...], stops),
    )


def _within(
    given: Mapping[str, Any], name: str, low: float, high: float, default: float, *, whole: bool = False
) -> float:
    value = given.get(name)
    if value is None:
        return default
    kinds = int if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
        raise refuse(f"{name} must be {'a whole number' if whole else 'a number'} from {low} to {high}.")
    return value


def _image_tokens(given: Any) -> int:
    value = given.get("max_soft_tokens") if isinstance(given, dict) else None
    if value is None:
        return 280
    if isinstance(value, bool) or value not in IMAGE_TOKENS:
        raise refuse(f"mm_processor_kwargs.max_soft_tokens must be one of {', '.join(map(str, IMAGE_TOKENS))}.")
    return int(value)


def _typed(given: Mapping[str, Any], name: str, kind: type, default: Any) -> Any:
    value = given.get(name)
    if value is not None and not isinstance(value, kind):
        raise refuse(f"{name} must be {'a text' if kind is str else 'true or false'}.")
    return default if value is None else value
