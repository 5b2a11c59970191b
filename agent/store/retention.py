"""Keeping the store small: what is too old goes, then the oldest until it fits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from agent.store.schema import arming, captions, deliveries, events, questions, regions, watches
from agent.store.store import EventStore

BATCH = 200
"""Rows of a table that go in one transaction: others write in between."""
ROW_BYTES = 1024
"""About what a row takes, with its place in the indexes."""
TIMED = (events, captions, questions)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is kept."""

    max_age: timedelta
    max_bytes: int


async def retain(store: EventStore, limits: Limits, now: datetime) -> int:
    """Delete what is beyond `limits`. Returns the number of events, captions and questions that went."""
    gone = await _delete_before(store, now - limits.max_age)
    await _forget_before(store, now - limits.max_age)
    while await used_bytes(store) > limits.max_bytes:
        cut = await _oldest(store)
        if cut is None:
            break
        gone += await _delete_before(store, cut + timedelta(microseconds=1), rounds=1)
        await _give_back(store)
    await _give_back(store)
    return gone


async def used_bytes(store: EventStore) -> int:
    """What the store holds: pages in use of a SQLite file; on PostgreSQL, which gives deleted room back later, an
    estimate from the rows."""
    async with store.reading() as connection:
        if store.dialect == "sqlite":
            pages, free, size = [await _pragma(connection, n) for n in ("page_count", "freelist_count", "page_size")]
            return (pages - free) * size
        jpegs = sa.select(sa.func.coalesce(sa.func.sum(events.c.picture_bytes), 0))
        counts = [(await connection.execute(sa.select(sa.func.count()).select_from(table))).scalar() for table in TIMED]
        held = (await connection.execute(jpegs)).scalar()
        return int(held or 0) + ROW_BYTES * sum(count or 0 for count in counts)


async def _pragma(connection: AsyncConnection, name: str) -> int:
    return int((await connection.execute(sa.text(f"PRAGMA {name}"))).scalar() or 0)


async def _oldest(store: EventStore) -> datetime | None:
    """The time by which the oldest rows, at most a batch of each table, have happened; None where there are none."""
    cuts: list[datetime] = []
    async with store.reading() as connection:
        for table in TIMED:
            first = sa.select(table.c.at).where(_may_go(table)).order_by(table.c.at).limit(BATCH).subquery()
            cut = (await connection.execute(sa.select(sa.func.max(first.c.at)))).scalar()
            if cut is not None:
                cuts.append(cut)
    return min(cuts, default=None)


def _may_go(table: sa.Table) -> sa.ColumnElement[bool]:
    """What somebody marked to be kept stays."""
    return sa.not_(table.c.keep) if table is events else sa.true()


async def _delete_before(store: EventStore, before: datetime, rounds: int | None = None) -> int:
    """Delete what happened before then, batch by batch."""
    gone = 0
    while rounds is None or rounds > 0:
        deleted = 0
        async with store.writing() as connection:
            for table in TIMED:
                old = sa.select(table.c.seq).where(table.c.at < before, _may_go(table)).order_by(table.c.at)
                deleted += (await connection.execute(table.delete().where(table.c.seq.in_(old.limit(BATCH))))).rowcount
        gone += deleted
        if deleted == 0:
            break
        rounds = None if rounds is None else rounds - 1
    return gone


async def _forget_before(store: EventStore, before: datetime) -> None:
    """Dead letters, and what streams were given that have not been seen since then."""
    async with store.writing() as connection:
        await connection.execute(deliveries.delete().where(deliveries.c.at < before))
        for table in (regions, watches, arming):
            await connection.execute(table.delete().where(table.c.seen_at < before))


async def _give_back(store: EventStore) -> None:
    """Make a SQLite file as small as what it holds."""
    if store.dialect != "sqlite":
        return
    async with store.writing() as connection:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        # Each step of this statement frees one page, and only a script is stepped to its end.
        await driver.executescript("PRAGMA incremental_vacuum")
