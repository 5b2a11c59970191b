"""Titles and texts of what is told, from templates with named fields: `$stream`, or `${stream}` before a letter."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from datetime import datetime
from string import Template
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from agent.types import EventFact
from stream.errors import BadInput

FIELDS = ("stream", "text", "label", "zone", "severity", "time", "link", "rule", "kind", "id")
TITLE = "$stream: $text"
TEXT = "$text\n\n$time, $stream, $severity\n$link"
MOST_TITLE_CHARS = 200
_REFERENCE = re.compile(r"\[#(\d+)\]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]+")


@dataclass(frozen=True, slots=True)
class Told:
    """An event with the names that its ids stand for. `zone` and `rule` are empty where it has none."""

    boot: str
    stream: str
    fact: EventFact
    stream_name: str = ""
    zone: str = ""
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Wording:
    """Checked at once: raises `BadInput` for an unknown field or a `$` that names none. `base_url` is the page's."""

    title: str = TITLE
    text: str = TEXT
    clock: str = "UTC"
    base_url: str = ""
    _templates: tuple[Template, Template] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        templates = (checked(self.title, "title"), checked(self.text, "text"))
        object.__setattr__(self, "_templates", templates)

    def of(self, told: Told) -> tuple[str, str]:
        """The title, on one line, and the text."""
        event = told.fact.event
        values = {
            "stream": told.stream_name or told.stream,
            "text": plain(event.text),
            "label": ", ".join(dict.fromkeys(event.labels)),
            "zone": told.zone,
            "severity": event.severity.value,
            "time": f"{self.at(event.at):%Y-%m-%d %H:%M:%S}",
            "link": link(self.base_url, told.stream, event.id),
            "rule": told.rule,
            "kind": event.kind.value,
            "id": event.id,
        }
        values = {name: one_line(value) for name, value in values.items()}
        title, text = (template.substitute(values) for template in self._templates)
        return one_line(title)[:MOST_TITLE_CHARS], text.strip()

    def at(self, moment: datetime) -> datetime:
        return moment.astimezone(ZoneInfo(self.clock))


def checked(text: str, key: str) -> Template:
    """Raises `BadInput` that names what is wrong with a template."""
    template = Template(text)
    if not template.is_valid():
        message = f"The template sinks.{key} has a “$” that begins no field."
        raise BadInput(message, action="Write $$ for a dollar sign, and fields as $stream or ${stream}.")
    for name in template.get_identifiers():
        if name not in FIELDS:
            near = difflib.get_close_matches(name, FIELDS, n=1)
            action = f"Did you mean ${near[0]}?" if near else f"There are: {', '.join(FIELDS)}."
            raise BadInput(f"The template sinks.{key} has no field “${name[:40]}”.", action=action)
    return template


def link(base_url: str, stream: str, event_id: str) -> str:
    """The page at the moment of an event; empty where the page's address is not known."""
    query = urlencode({"stream": stream, "event": event_id}, quote_via=quote)
    return f"{base_url.rstrip('/')}/?{query}" if base_url else ""


def plain(text: str) -> str:
    """An event's sentence with `[#3]` as #3."""
    return _REFERENCE.sub(r"#\1", text)


def one_line(text: str) -> str:
    """Without line ends and other control characters, which a header or a notification could not hold."""
    return _CONTROL.sub(" ", text).strip()
