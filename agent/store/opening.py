"""Opening a store: the connection's settings, and the schema brought up to date."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from agent.store.faults import explained
from agent.store.schema import HEAD
from agent.store.store import EventStore
from stream.errors import BadInput, StoreError

MIGRATIONS = Path(__file__).parent / "migrations"
FILE = "onlooker.db"
CONNECTIONS = 4
BUSY_S = 5.0
SILENT_S = 30.0
LEAST_SQLITE = (3, 35)
DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
PRAGMAS: Mapping[str, str] = {
    # Before WAL, which writes the first page: later it would have no effect without a VACUUM.
    "auto_vacuum": "INCREMENTAL",
    "journal_mode": "WAL",
    # An acknowledged write outlives a loss of power, not only the end of the process.
    "synchronous": "FULL",
    "foreign_keys": "ON",
    "journal_size_limit": str(16 * 1024 * 1024),
}
_UPGRADE_LOCK = 0x6F6E6C6F  # any number that other programs on the server do not use


def store_url(configured: str | None, folder: Path) -> sa.URL:
    """The database of `store.url`, by default a file in `folder`. Raises `BadInput`."""
    if configured is None:
        return sa.URL.create(DRIVERS["sqlite"], database=str(folder / FILE))
    try:
        url = sa.make_url(configured)
    except sa.exc.ArgumentError:
        raise _no_url("store.url is no address of a database.") from None
    driver = DRIVERS.get(url.get_backend_name())
    if driver is None:
        raise _no_url(f"An event store cannot be kept in {url.get_backend_name()}.")
    if driver.startswith("sqlite") and url.database in (None, "", ":memory:"):
        raise _no_url("store.url names no file.")
    return url.set(drivername=driver)


def _no_url(message: str) -> BadInput:
    return BadInput(message, action="Give sqlite:////path/to/file.db or postgresql://user@host/database.")


async def open_store(url: sa.URL) -> EventStore:
    """The store at `url`, made if there is none, its schema brought up to date. Raises `StoreError`."""
    sqlite = url.get_backend_name() == "sqlite"
    with explained(url):
        if sqlite:
            _require_sqlite()
            await asyncio.to_thread(_make_private, Path(url.database or ""))
        engine = make_engine(url)
    try:
        with explained(url):
            await upgrade(engine)
    except BaseException:
        await engine.dispose()
        raise
    return EventStore(engine)


async def upgrade(engine: AsyncEngine, revision: str = HEAD) -> None:
    """Bring the schema up to `revision` in one transaction. Raises `StoreError` for one that is newer than ours."""
    async with engine.execution_options(writes=True).begin() as connection:
        if connection.dialect.name != "sqlite":
            await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_UPGRADE_LOCK)))
        if await connection.run_sync(_revision) != revision:
            await connection.run_sync(_migrate, revision)


def _revision(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()


def _migrate(connection: sa.Connection, revision: str) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    present = _revision(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if present is not None and present not in known:
        where = connection.engine.url.render_as_string(hide_password=True)
        raise StoreError(
            f"The event store {where} was written by a newer Onlooker (revision {present}).",
            action="Install that version again, or name another file with store.url.",
        )
    command.upgrade(config, revision)


def make_engine(url: sa.URL) -> AsyncEngine:
    """Connections to `url` with the settings that the store needs. Raises `StoreError` where the driver is missing."""
    sqlite = url.get_backend_name() == "sqlite"
    # One for a connection, or for a lock of SQLite; a server that says nothing is as good as gone.
    connect: dict[str, Any] = {"timeout": BUSY_S} | ({} if sqlite else {"command_timeout": SILENT_S})
    try:
        engine = create_async_engine(
            url, pool_size=CONNECTIONS, max_overflow=0, pool_pre_ping=not sqlite, connect_args=connect
        )
    except ModuleNotFoundError:
        raise StoreError(
            "An event store on PostgreSQL needs asyncpg.", action="pip install 'onlooker[postgres]'"
        ) from None
    if sqlite:
        sa.event.listen(engine.sync_engine, "connect", _on_connect)
        sa.event.listen(engine.sync_engine, "begin", _on_begin)
    return engine


def _on_connect(connection: Any, _record: object) -> None:
    # Transactions begin where SQLAlchemy says, schema changes included, and not where the driver guesses.
    connection.isolation_level = None
    cursor = connection.cursor()
    for name, value in PRAGMAS.items():
        cursor.execute(f"PRAGMA {name}={value}")
    cursor.close()


def _on_begin(connection: sa.Connection) -> None:
    # A transaction that turns into a writer halfway may be refused at once; one that says so waits for its turn.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _require_sqlite() -> None:
    if sqlite3.sqlite_version_info < LEAST_SQLITE:
        raise StoreError(
            f"This Python has SQLite {sqlite3.sqlite_version}; the event store needs 3.35.",
            action="Use a newer Python, or a PostgreSQL server (store.url).",
        )


def _make_private(path: Path) -> None:
    """The file, for its owner alone; SQLite gives the files beside it the same rights."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
