"""What is told of the streams themselves, beside what happens in them: who is there, connected or not, and how many of
which. Plain values, read from the streams when they are wanted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.rules.words import rule_words
from agent.sinks.wording import Told
from agent.types import EventFact
from stream.status import StreamState
from stream.types import PromptKind, TrackState

if TYPE_CHECKING:
    from agent.loop import StreamAgent

MOST_LABELS = 24


@dataclass(frozen=True, slots=True)
class Presence:
    """One stream now. `watches` and `rules` are `(id, words)` of those that are on; `counts` objects in sight by
    label."""

    id: str
    name: str
    source: str
    state: str
    connected: bool
    watches: tuple[tuple[str, str], ...] = ()
    rules: tuple[tuple[str, str], ...] = ()
    labels: tuple[str, ...] = ()
    counts: tuple[tuple[str, int], ...] = ()


def presence_of(agent: StreamAgent, seen: Iterable[str]) -> Presence:
    """`seen` are labels that were there before; at most 24 in all are told apart."""
    session = agent.session
    connected = session.state in (StreamState.LIVE, StreamState.STILL)
    update = session.latest if connected else None
    tracks = update.tracks if update is not None else ()
    counts = Counter(track.label for track in tracks if track.state is TrackState.LIVE)
    followed = [fact.prompt.text for fact in session.prompts if fact.prompt.kind is PromptKind.TEXT]
    labels = tuple(dict.fromkeys([*seen, *(text for text in followed if text), *sorted(counts)]))[:MOST_LABELS]
    return Presence(
        session.id,
        session.name,
        session.kind,
        session.state.value,
        connected,
        tuple((watch.id, watch.condition) for watch in agent.watches.all() if watch.enabled),
        tuple((rule.id, rule_words(rule, region)) for region in agent.regions for rule in region.rules if rule.enabled),
        labels,
        tuple((label, counts.get(label, 0)) for label in labels),
    )


def told_of(agent: StreamAgent, boot: str, fact: EventFact) -> Told:
    """An event of a stream with the names that its ids stand for."""
    event, session = fact.event, agent.session
    region = next((region for region in agent.regions if region.id == event.region_id), None)
    watch = next((watch for watch in agent.watches.all() if watch.id == event.watch_id), None)
    words = watch.condition if watch is not None else ""
    if region is not None and event.rule_id is not None:
        words = next((rule_words(rule, region) for rule in region.rules if rule.id == event.rule_id), "")
    return Told(boot, session.id, fact, session.name, region.name if region is not None else "", words)


def picture_of(agent: StreamAgent) -> bytes | None:
    """The newest small JPEG of a stream, as it may be seen outside; None where there is none."""
    newest = agent.keyframes.newest_jpeg
    return newest.jpeg if newest is not None else None
