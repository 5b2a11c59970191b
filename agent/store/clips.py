"""Clips in the store: which there are, of which events, and what is chosen for a stream's."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from agent.store.rows import clean
from agent.store.schema import clip_settings, clips, event_clips, event_tracks, events
from agent.store.store import EventStore

MOST_IDS = 500
"""In one statement."""


@dataclass(frozen=True, slots=True)
class EventInClip:
    """`offset_s`: where in the clip the event happened; None where it happened in another one beside it."""

    event_id: str
    offset_s: float | None


@dataclass(frozen=True, slots=True)
class Clip:
    """A file of compressed pictures. `at` is when the first was received; `suffix` names the container; `annotated`
    counts the lines of its annotations; `bytes` is what all its files take."""

    id: str
    boot: str
    stream: str
    at: datetime
    suffix: str
    codec: str
    width: int
    height: int
    duration_s: float
    pictures: int
    annotated: int
    bytes: int
    events: tuple[EventInClip, ...] = ()
    keep: bool = False
    """One of its events is kept."""
    seq: int = 0


@dataclass(frozen=True, slots=True)
class ClipSettings:
    """What was chosen for one stream; None: as the configuration has it."""

    enabled: bool | None = None
    max_age_days: float | None = None
    max_gb: float | None = None


@dataclass(frozen=True, slots=True)
class ClipQuery:
    """`before` is the `seq` that they come before."""

    stream: str | None = None
    event_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None
    limit: int = 100


async def add_clips(store: EventStore, added: Sequence[tuple[Clip, Collection[str]]]) -> None:
    """Note clips whose files are there; the events named with a clip stay with it."""
    rows = [
        {
            "id": clip.id,
            "boot": clip.boot,
            "stream": clip.stream,
            "at": clip.at,
            "suffix": clip.suffix,
            "codec": clip.codec,
            "width": clip.width,
            "height": clip.height,
            "duration_s": clip.duration_s,
            "pictures": clip.pictures,
            "annotated": clip.annotated,
            "bytes": clip.bytes,
        }
        for clip, _ in added
    ]
    links = [
        {"event_id": link.event_id, "clip_id": clip.id, "offset_s": link.offset_s}
        for clip, _ in added
        for link in clip.events
    ]
    kept = [event_id for _, keep in added for event_id in keep]
    async with store.writing() as connection:
        await connection.execute(clips.insert(), rows)
        if links:
            await connection.execute(event_clips.insert(), links)
        if kept:
            await connection.execute(events.update().where(events.c.id.in_(kept)).values(keep=True))


async def find_clips(store: EventStore, query: ClipQuery) -> list[Clip]:
    """Newest first."""
    wanted = sa.select(clips).order_by(clips.c.seq.desc()).limit(query.limit)
    if query.stream is not None:
        wanted = wanted.where(clips.c.stream == query.stream)
    if query.event_id is not None:
        of_event = sa.select(event_clips.c.clip_id).where(event_clips.c.event_id == query.event_id)
        wanted = wanted.where(clips.c.id.in_(of_event))
    if query.since is not None:
        wanted = wanted.where(clips.c.at >= query.since)
    if query.until is not None:
        wanted = wanted.where(clips.c.at < query.until)
    if query.before is not None:
        wanted = wanted.where(clips.c.seq < query.before)
    return await _clips(store, wanted)


async def get_clip(store: EventStore, clip_id: str) -> Clip | None:
    return next(iter(await _clips(store, sa.select(clips).where(clips.c.id == clip_id))), None)


async def clips_of(store: EventStore, event_ids: Collection[str]) -> list[Clip]:
    """Every clip that one of the events is in."""
    found: dict[str, Clip] = {}
    ids = list(event_ids)
    for first in range(0, len(ids), MOST_IDS):
        linked = sa.select(event_clips.c.clip_id).where(event_clips.c.event_id.in_(ids[first : first + MOST_IDS]))
        for clip in await _clips(store, sa.select(clips).where(clips.c.id.in_(linked)).order_by(clips.c.seq)):
            found[clip.id] = clip
    return list(found.values())


async def moments(store: EventStore, event_ids: Iterable[str]) -> dict[str, tuple[str, float]]:
    """By event: the clip in which it happened, and where in it."""
    ids = list(event_ids)
    wanted = sa.select(event_clips).where(event_clips.c.event_id.in_(ids), event_clips.c.offset_s.is_not(None))
    async with store.reading() as connection:
        rows = (await connection.execute(wanted)).mappings()
        return {row["event_id"]: (row["clip_id"], row["offset_s"]) for row in rows}


async def remove_clips(store: EventStore, clip_ids: Collection[str]) -> None:
    async with store.writing() as connection:
        await connection.execute(clips.delete().where(clips.c.id.in_(clip_ids)))


async def clip_ids(store: EventStore) -> set[str]:
    """All that there are."""
    async with store.reading() as connection:
        return set(await connection.scalars(sa.select(clips.c.id)))


async def used_by_clips(store: EventStore) -> dict[str, int]:
    """Bytes by stream."""
    wanted = sa.select(clips.c.stream, sa.func.sum(clips.c.bytes)).group_by(clips.c.stream)
    async with store.reading() as connection:
        return {stream: int(held or 0) for stream, held in await connection.execute(wanted)}


async def unkept_bytes(store: EventStore) -> int:
    """What the clips take that may go."""
    wanted = sa.select(sa.func.sum(clips.c.bytes)).where(clips.c.id.not_in(_kept()))
    async with store.reading() as connection:
        return int((await connection.execute(wanted)).scalar() or 0)


def _kept() -> sa.Select[Any]:
    """The clips of events that are kept."""
    return sa.select(event_clips.c.clip_id).join(events, events.c.id == event_clips.c.event_id).where(events.c.keep)


async def oldest_unkept(
    store: EventStore, *, stream: str | None = None, before: datetime | None = None, limit: int = 100
) -> list[tuple[str, int]]:
    """`(id, bytes)` of clips that may go, oldest first."""
    wanted = sa.select(clips.c.id, clips.c.bytes).where(clips.c.id.not_in(_kept()))
    if stream is not None:
        wanted = wanted.where(clips.c.stream == stream)
    if before is not None:
        wanted = wanted.where(clips.c.at < before)
    async with store.reading() as connection:
        found = await connection.execute(wanted.order_by(clips.c.at, clips.c.seq).limit(limit))
        return [(row[0], row[1]) for row in found]


# --- events -----------------------------------------------------------------------------------------------------------


async def change_event(store: EventStore, event_id: str, changes: Mapping[str, Any]) -> bool:
    """Set `keep` or `note` of an event; its note is searched as its words are. False where there is no such event."""
    values = dict(changes)
    async with store.writing() as connection:
        if "note" in values:
            row = (await connection.execute(sa.select(events).where(events.c.id == event_id))).mappings().first()
            if row is None:
                return False
            words = row["words"]
            before = row["note"]
            if before and words.endswith(f"\n{before}"):
                words = words[: -len(before) - 1]
            note = clean(values["note"]) if values["note"] else None
            values |= {"note": note, "words": f"{words}\n{note}" if note else words}
        done = await connection.execute(events.update().where(events.c.id == event_id).values(**values))
    return done.rowcount > 0


async def facets(store: EventStore, stream: str | None = None) -> dict[str, list[str]]:
    """What the events that are kept can be told apart by: `streams`, `kinds`, `labels` and `region_ids`."""
    of_stream = events.c.stream == stream if stream is not None else sa.true()
    labelled = sa.select(event_tracks.c.label).join(events, events.c.id == event_tracks.c.event_id).where(of_stream)
    queries = {
        "streams": sa.select(events.c.stream),
        "kinds": sa.select(events.c.kind).where(of_stream),
        "labels": labelled.where(event_tracks.c.label.is_not(None)),
        "region_ids": sa.select(events.c.region_id).where(of_stream, events.c.region_id.is_not(None)),
    }
    async with store.reading() as connection:
        return {
            name: sorted(row[0] for row in await connection.execute(query.distinct().limit(200)))
            for name, query in queries.items()
        }


# --- settings ---------------------------------------------------------------------------------------------------------


async def read_settings(store: EventStore) -> dict[str, ClipSettings]:
    """By stream."""
    async with store.reading() as connection:
        rows = (await connection.execute(sa.select(clip_settings))).mappings()
        return {row["stream"]: ClipSettings(row["enabled"], row["max_age_days"], row["max_gb"]) for row in rows}


async def write_settings(store: EventStore, stream: str, chosen: ClipSettings) -> None:
    row = {
        "stream": stream,
        "enabled": chosen.enabled,
        "max_age_days": chosen.max_age_days,
        "max_gb": chosen.max_gb,
    }
    async with store.writing() as connection:
        await connection.execute(clip_settings.delete().where(clip_settings.c.stream == stream))
        if chosen != ClipSettings():
            await connection.execute(clip_settings.insert(), row)


async def _clips(store: EventStore, wanted: sa.Select[Any]) -> list[Clip]:
    async with store.reading() as connection:
        found = list((await connection.execute(wanted)).mappings())
        ids = [row["id"] for row in found]
        of_clips = (
            sa.select(event_clips, events.c.keep)
            .outerjoin(events, events.c.id == event_clips.c.event_id)
            .where(event_clips.c.clip_id.in_(ids))
        )
        links: dict[str, list[sa.RowMapping]] = {}
        for link in (await connection.execute(of_clips)).mappings():
            links.setdefault(link["clip_id"], []).append(link)
    return [_clip(row, links.get(row["id"], [])) for row in found]


def _clip(row: Mapping[Any, Any], links: Iterable[Mapping[Any, Any]]) -> Clip:
    linked = list(links)
    return Clip(
        row["id"], row["boot"], row["stream"], row["at"], row["suffix"], row["codec"], row["width"], row["height"],
        row["duration_s"], row["pictures"], row["annotated"], row["bytes"],
        tuple(EventInClip(link["event_id"], link["offset_s"]) for link in linked),
        any(link["keep"] for link in linked), row["seq"],
    )  # fmt: skip
