"""A look at a store without changing anything."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa

from agent.store.faults import damaged, explained
from agent.store.opening import make_engine


def peek(url: sa.URL) -> str:
    """What is there, in words. Not for an event loop. Raises `StoreError`."""
    with explained(url):
        if url.get_backend_name() == "sqlite":
            return _file(Path(url.database or ""))
        return asyncio.run(_server(url))


def _file(path: Path) -> str:
    if not path.exists():
        return f"{path} will be made at the first start"
    # A file that nobody has open is read as it lies: SQLite would make others beside it.
    mode = "mode=ro" if path.with_name(path.name + "-wal").exists() else "mode=ro&immutable=1"
    with closing(sqlite3.connect(f"file:{quote(str(path))}?{mode}", uri=True)) as database:
        found = database.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise damaged(str(path), found)
        if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'events'").fetchone():
            return f"{path}, empty"
        events = database.execute("SELECT count(*) FROM events").fetchone()[0]
    return f"{path}, {events} events in {path.stat().st_size / 1e6:.1f} MB"


async def _server(url: sa.URL) -> str:
    engine = make_engine(url)
    where = url.render_as_string(hide_password=True)
    try:
        async with engine.connect() as connection:
            if not await connection.run_sync(lambda sync: sa.inspect(sync).has_table("events")):
                return f"{where}, empty"
            events = (await connection.execute(sa.text("SELECT count(*) FROM events"))).scalar()
            return f"{where}, {events} events"
    finally:
        await engine.dispose()
