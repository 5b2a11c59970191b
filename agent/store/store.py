"""What is written to the store and read from it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from agent.store import rows
from agent.store.faults import damaged, explained
from agent.store.rows import Entry, Row, StoredEvent, StoredQuestion
from agent.store.schema import (
    arming,
    captions,
    deliveries,
    event_clips,
    event_tracks,
    events,
    pictures,
    questions,
    regions,
    watches,
)
from agent.store.search import matching
from agent.types import (
    AnswerFact,
    ArmedFact,
    Caption,
    CaptionFact,
    EventFact,
    EventKind,
    QuestionFact,
    Region,
    RegionFact,
    Watch,
    WatchFact,
)
from stream.types import FrameRef


@dataclass(frozen=True, slots=True)
class EventQuery:
    """Which events: `q` is looked for in their text and labels; `before` is the `seq` that they come before. What is
    None may be anything."""

    q: str | None = None
    stream: str | None = None
    kind: EventKind | None = None
    label: str | None = None
    watch_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None
    limit: int = 100
    region_id: str | None = None
    keep: bool | None = None
    with_clip: bool = False
    ids: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """What a stream had been given, for when it opens again. The watches come without their rules."""

    regions: tuple[Region, ...] = ()
    watches: tuple[Watch, ...] = ()
    armed: bool = True


@dataclass(slots=True)
class _Batch:
    """Rows by table, in the order in which they may be written."""

    inserts: dict[sa.Table, list[Row]] = field(default_factory=dict)
    answers: dict[str, Row] = field(default_factory=dict)
    kept: dict[tuple[sa.Table, str], Row | None] = field(default_factory=dict)
    """The last word on each region and watch; None where it was removed."""

    def insert(self, table: sa.Table, *added: Row) -> None:
        if added:
            self.inserts.setdefault(table, []).extend(added)


class EventStore:
    """An open store. Made by `opening.open_store`. All methods raise `StoreError`; event loop only."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self._writer = engine.execution_options(writes=True)
        self._writing = asyncio.Lock()
        self._insert: Any = sqlite.insert if self.dialect == "sqlite" else postgresql.insert

    @property
    def dialect(self) -> str:
        return self.engine.dialect.name

    @property
    def where(self) -> str:
        """For people: the file, or the address without its password."""
        url = self.engine.url
        return url.database or "" if self.dialect == "sqlite" else url.render_as_string(hide_password=True)

    async def close(self) -> None:
        await self.engine.dispose()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        with explained(self.engine.url):
            async with self.engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """One transaction, one at a time in this process."""
        async with self._writing:
            with explained(self.engine.url):
                async with self._writer.begin() as connection:
                    yield connection

    async def check(self) -> None:
        """Read the whole file of a SQLite store. Raises `StoreDamaged`."""
        if self.dialect != "sqlite":
            return
        async with self.reading() as connection:
            found = (await connection.execute(sa.text("PRAGMA quick_check(1)"))).scalar()
        if found != "ok":
            raise damaged(self.where, str(found))

    # --- writing --------------------------------------------------------------------------------------------------

    async def write(self, boot: str, stream: str, entries: Iterable[Entry]) -> None:
        """All of `entries` or, with an error, none. What is there already is left as it is."""
        batch = _batch(boot, stream, entries)
        async with self.writing() as connection:
            for table, added in batch.inserts.items():
                await connection.execute(self._insert(table).on_conflict_do_nothing(), added)
            for question_id, row in batch.answers.items():
                await self._answer(connection, question_id, row)
            for (table, item), kept in batch.kept.items():
                await self._keep(connection, table, stream, item, kept)

    async def _answer(self, connection: AsyncConnection, question_id: str, row: Row) -> None:
        words = questions.c.text + " " + row["answer"]
        await connection.execute(questions.update().where(questions.c.id == question_id).values(words=words, **row))

    async def _keep(
        self, connection: AsyncConnection, table: sa.Table, stream: str, item: str, row: Row | None
    ) -> None:
        if row is None:
            await connection.execute(table.delete().where(table.c.stream == stream, table.c.id == item))
        else:
            key = [column.name for column in table.primary_key]
            put = self._insert(table).on_conflict_do_update(index_elements=key, set_=row)
            await connection.execute(put, row)

    async def touch(self, streams: Iterable[str], now: datetime) -> None:
        """What these streams were given is in use."""
        names = list(streams)
        if not names:
            return
        async with self.writing() as connection:
            for table in (regions, watches, arming):
                await connection.execute(table.update().where(table.c.stream.in_(names)).values(seen_at=now))

    # --- reading --------------------------------------------------------------------------------------------------

    async def events(self, query: EventQuery) -> list[StoredEvent]:
        """Newest first."""
        wanted = self._wanted(query).order_by(events.c.seq.desc()).limit(query.limit)
        async with self.reading() as connection:
            found = list((await connection.execute(wanted)).mappings())
            return await self._whole(connection, found)

    async def event(self, event_id: str) -> StoredEvent | None:
        return next(iter(await self.events(EventQuery(ids=(event_id,)))), None)

    async def picture(self, event_id: str, kind: str = "thumb") -> bytes | None:
        """A JPEG: the event's objects (`thumb`), or an alert's whole `frame`."""
        wanted = sa.select(pictures.c.jpeg).where(pictures.c.event_id == event_id, pictures.c.kind == kind)
        async with self.reading() as connection:
            return (await connection.execute(wanted)).scalar()

    async def questions(
        self, *, q: str | None = None, stream: str | None = None, before: int | None = None, limit: int = 100
    ) -> list[StoredQuestion]:
        """Questions with their answers, newest first."""
        wanted = self._texts(questions, q, stream, before, limit)
        async with self.reading() as connection:
            return [rows.stored_question(row) for row in (await connection.execute(wanted)).mappings()]

    async def captions(
        self, *, q: str | None = None, stream: str | None = None, before: int | None = None, limit: int = 100
    ) -> list[Caption]:
        """Newest first."""
        wanted = self._texts(captions, q, stream, before, limit)
        async with self.reading() as connection:
            found = list((await connection.execute(wanted)).mappings())
        return [
            Caption(row["track"], row["words"], FrameRef(row["epoch"], row["rtp"]), row["at"], row["backend"])
            for row in found
        ]

    async def kept(self) -> dict[str, Kept]:
        """What every stream had been given."""
        async with self.reading() as connection:
            zones = list((await connection.execute(sa.select(regions))).mappings())
            watched = list((await connection.execute(sa.select(watches))).mappings())
            armed = {row["stream"]: row["armed"] for row in (await connection.execute(sa.select(arming))).mappings()}
        streams = {row["stream"] for row in (*zones, *watched)} | set(armed)
        return {
            stream: Kept(
                tuple(rows.kept_region(row) for row in zones if row["stream"] == stream),
                tuple(rows.kept_watch(row) for row in watched if row["stream"] == stream),
                armed.get(stream, True),
            )
            for stream in streams
        }

    def _wanted(self, query: EventQuery) -> sa.Select[Any]:
        labelled = sa.select(event_tracks.c.event_id).where(event_tracks.c.label == query.label)
        shown = sa.select(event_clips.c.event_id).where(event_clips.c.offset_s.is_not(None))
        conditions: list[tuple[object, Callable[[], sa.ColumnElement[bool]]]] = [
            (query.q, lambda: matching(events, query.q or "", self.dialect)),
            (query.stream, lambda: events.c.stream == query.stream),
            (query.kind, lambda: events.c.kind == query.kind),
            (query.watch_id, lambda: events.c.watch_id == query.watch_id),
            (query.region_id, lambda: events.c.region_id == query.region_id),
            (query.keep, lambda: events.c.keep == query.keep),
            (query.with_clip or None, lambda: events.c.id.in_(shown)),
            (query.label, lambda: events.c.id.in_(labelled)),
            (query.since, lambda: events.c.at >= query.since),
            (query.until, lambda: events.c.at < query.until),
            (query.before, lambda: events.c.seq < query.before),
            (query.ids, lambda: events.c.id.in_(query.ids or ())),
        ]
        return sa.select(events).where(*(condition() for given, condition in conditions if given is not None))

    def _texts(
        self, table: sa.Table, q: str | None, stream: str | None, before: int | None, limit: int
    ) -> sa.Select[Any]:
        wanted = sa.select(table).order_by(table.c.seq.desc()).limit(limit)
        if q is not None:
            wanted = wanted.where(matching(table, q, self.dialect))
        if stream is not None:
            wanted = wanted.where(table.c.stream == stream)
        if before is not None:
            wanted = wanted.where(table.c.seq < before)
        return wanted

    async def _whole(self, connection: AsyncConnection, found: list[sa.RowMapping]) -> list[StoredEvent]:
        """Events with their tracks, and the kinds of their pictures."""
        ids = [row["id"] for row in found]
        in_order = sa.select(event_tracks).where(event_tracks.c.event_id.in_(ids)).order_by(event_tracks.c.position)
        shown = sa.select(pictures.c.event_id, pictures.c.kind).where(pictures.c.event_id.in_(ids))
        tracks: dict[str, list[sa.RowMapping]] = {}
        for track in (await connection.execute(in_order)).mappings():
            tracks.setdefault(track["event_id"], []).append(track)
        kinds: dict[str, list[str]] = {}
        for event_id, kind in await connection.execute(shown):
            kinds.setdefault(event_id, []).append(kind)
        return [rows.stored_event(row, tracks.get(row["id"], ()), kinds.get(row["id"], ())) for row in found]


def _batch(boot: str, stream: str, entries: Iterable[Entry]) -> _Batch:
    batch = _Batch()
    for entry in entries:
        match entry.body:
            case EventFact(event):
                batch.insert(events, rows.event_row(entry, event, boot, stream))
                batch.insert(event_tracks, *rows.track_rows(event))
                batch.insert(pictures, *rows.picture_rows(entry, event))
            case CaptionFact(caption):
                batch.insert(captions, rows.caption_row(caption, boot, stream))
            case QuestionFact(question):
                batch.insert(questions, rows.question_row(question, boot, stream))
            case AnswerFact(answer):
                batch.answers[answer.question_id] = rows.answer_row(answer)
            case RegionFact(region, removed):
                batch.kept[regions, region.id] = None if removed else rows.region_row(region, stream, entry.at)
            case ArmedFact(armed):
                batch.kept[arming, stream] = {"stream": stream, "armed": armed, "seen_at": entry.at}
            case WatchFact(watch, removed):
                batch.kept[watches, watch.id] = None if removed else rows.watch_row(watch, stream, entry.at)
            case _:
                raise TypeError(f"{type(entry.body).__name__} is not stored")
        for delivery in entry.deliveries:
            batch.insert(deliveries, rows.delivery_row(delivery))
    return batch
