"""The tools that a model may call while it answers: flat, checked, and never more than the asker may do.

Rules decide and the model describes: a call that names an unknown object, leaves an argument out or gives one of the
wrong kind is answered with words that say so, and changes nothing. Background work gets the tools that only look;
only a person's own question may change what is followed or watched, since what can be read in the scene may ask for
anything.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from stream.errors import OnlookerError

MOST_ROUNDS = 3
MAX_TEXT_CHARS = 200
LOOKING = ("zoom", "look_back", "search_events")
CHANGING = ("track", "untrack", "set_watch", "annotate")


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool says, and the pictures that it shows, as JPEG."""

    text: str
    pictures: tuple[bytes, ...] = ()


class Toolbox(Protocol):
    """What the tools do. Raises `OnlookerError` where it cannot be done."""

    async def track(self, text: str) -> ToolResult: ...
    async def untrack(self, track_id: int) -> ToolResult: ...
    async def zoom(self, track_id: int) -> ToolResult: ...
    async def look_back(self, seconds: float, count: int) -> ToolResult: ...
    async def search_events(self, text: str, seconds: float) -> ToolResult: ...
    async def set_watch(self, condition: str, cooldown_s: float) -> ToolResult: ...
    async def annotate(self, track_id: int, text: str) -> ToolResult: ...


@dataclass(frozen=True, slots=True)
class _Argument:
    kind: str
    about: str
    low: float = 0
    high: float = 0
    default: float | None = None


_ID = _Argument("integer", "the object's number", 0, 2**53)
_TOOLS: dict[str, tuple[str, dict[str, _Argument]]] = {
    "track": ("Start to follow every object that a word names.", {"text": _Argument("string", "a word, as cup")}),
    "untrack": ("Stop following one object.", {"id": _ID}),
    "zoom": ("Look at one object from near, without marks.", {"id": _ID}),
    "look_back": (
        "See pictures from before.",
        {"seconds": _Argument("number", "how far back", 1, 60), "n": _Argument("integer", "how many", 1, 6, 4)},
    ),
    "search_events": (
        "Search in what happened.",
        {
            "query": _Argument("string", "words to look for"),
            "since": _Argument("number", "seconds back", 1, 86400, 3600),
        },
    ),
    "set_watch": (
        "Tell the user when something happens from now on.",
        {
            "condition": _Argument("string", "what to wait for"),
            "cooldown_s": _Argument("number", "seconds between alerts", 1, 86400, 60),
        },
    ),
    "annotate": ("Keep a short note on one object.", {"id": _ID, "text": _Argument("string", "the note")}),
}


def schemas(names: Collection[str]) -> tuple[dict[str, Any], ...]:
    """The tools of those names as a model is told of them: flat, without nested definitions."""
    return tuple(_schema(name) for name in _TOOLS if name in names)


@dataclass(slots=True)
class Tools:
    """The tools of one answer: `allowed` names them, `ids` are the objects that the model has been shown."""

    box: Toolbox
    allowed: Collection[str]
    ids: set[int] = field(default_factory=set)

    @property
    def schemas(self) -> tuple[dict[str, Any], ...]:
        return schemas(self.allowed)

    async def call(self, name: str, arguments: Mapping[str, Any] | None) -> ToolResult:
        """Do what the model asks for, or say why not. Never raises for what the model wrote."""
        if name not in _TOOLS or name not in self.allowed:
            return ToolResult(f"There is no tool {name[:40]!r} here.")
        checked = _checked(name, arguments)
        if isinstance(checked, str):
            return ToolResult(checked)
        if "id" in checked and checked["id"] not in self.ids:
            known = ", ".join(map(str, sorted(self.ids))) or "none"
            return ToolResult(f"There is no object {checked['id']}. Known: {known}.")
        try:
            return await self._do(name, checked)
        except OnlookerError as error:
            return ToolResult(f"{error.message} {error.action}")

    async def _do(self, name: str, given: dict[str, Any]) -> ToolResult:
        box = self.box
        match name:
            case "track":
                return await box.track(given["text"])
            case "untrack":
                return await box.untrack(given["id"])
            case "zoom":
                return await box.zoom(given["id"])
            case "look_back":
                return await box.look_back(given["seconds"], int(given["n"]))
            case "search_events":
                return await box.search_events(given["query"], given["since"])
            case "set_watch":
                return await box.set_watch(given["condition"], given["cooldown_s"])
            case _:
                return await box.annotate(given["id"], given["text"])


def _schema(name: str) -> dict[str, Any]:
    about, arguments = _TOOLS[name]
    properties = {key: {"type": argument.kind, "description": argument.about} for key, argument in arguments.items()}
    required = [key for key, argument in arguments.items() if argument.default is None]
    parameters = {"type": "object", "properties": properties, "required": required}
    return {"type": "function", "function": {"name": name, "description": about, "parameters": parameters}}


def _checked(name: str, arguments: Mapping[str, Any] | None) -> dict[str, Any] | str:
    """The arguments with defaults filled in, or what is wrong with them."""
    if arguments is None:
        return f"The arguments of {name} were no JSON object."
    found: dict[str, Any] = {}
    for key, argument in _TOOLS[name][1].items():
        value = arguments.get(key, argument.default)
        if argument.kind == "string":
            if not isinstance(value, str) or not value.strip() or len(value) > MAX_TEXT_CHARS:
                return f"{name} needs {key}: {argument.about}, at most {MAX_TEXT_CHARS} characters."
            found[key] = value.strip()
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"{name} needs {key}: {argument.about}, a number."
        if not argument.low <= value <= argument.high or (argument.kind == "integer" and value != int(value)):
            return f"{name}: {key} is from {argument.low:g} to {argument.high:g}."
        found[key] = int(value) if argument.kind == "integer" else float(value)
    return found
