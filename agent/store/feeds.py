"""Feeds that were made by the API or the page, so that they are there again after a restart."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from agent.store.schema import feeds
from agent.store.store import EventStore


@dataclass(frozen=True, slots=True)
class SavedFeed:
    """`settings` is the feed as JSON, without its password."""

    stream: str
    settings: dict[str, Any]
    password: str | None = field(default=None, repr=False)


async def saved_feeds(store: EventStore) -> list[SavedFeed]:
    """In the order in which they were made. Raises `StoreError`."""
    async with store.reading() as connection:
        found = await connection.execute(sa.select(feeds).order_by(feeds.c.seq))
        return [SavedFeed(row["stream"], row["settings"], row["password"]) for row in found.mappings()]


async def save_feed(store: EventStore, feed: SavedFeed) -> None:
    """A new one, or other settings for one that is there. Raises `StoreError`."""
    insert: Any = sqlite.insert if store.dialect == "sqlite" else postgresql.insert
    values = {"settings": feed.settings, "password": feed.password}
    put = insert(feeds).values(stream=feed.stream, **values)
    async with store.writing() as connection:
        await connection.execute(put.on_conflict_do_update(index_elements=["stream"], set_=values))


async def forget_feed(store: EventStore, stream: str) -> None:
    """Whether it is there or not. Raises `StoreError`."""
    async with store.writing() as connection:
        await connection.execute(feeds.delete().where(feeds.c.stream == stream))
