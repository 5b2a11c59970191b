"""Opening an event store: migrations, faults of the file and of its disk, and the end of a process mid-write."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from agent.store.faults import StoreDamaged
from agent.store.opening import MIGRATIONS, make_engine, open_store, store_url, upgrade
from agent.store.peek import peek
from agent.store.rows import Row, event_row, picture_rows, track_rows
from agent.store.schema import HEAD, event_tracks, events, metadata, pictures
from agent.store.store import EventQuery, EventStore
from agent.types import Event
from stream.errors import BadInput, StoreError
from tests.stored import BOOT, entry, event

NOBODY = 65534
SEARCHED = ("events", "captions", "questions")


async def opened(folder: Path) -> EventStore:
    return await open_store(store_url(None, folder))


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


# --- the schema ------------------------------------------------------------------------------------------------------


def test_the_newest_migration_is_the_one_that_is_named() -> None:
    assert ScriptDirectory(str(MIGRATIONS)).get_current_head() == HEAD


async def test_the_migrations_make_the_tables_that_are_used(tmp_path: Path) -> None:
    def unlike(connection: sa.Connection) -> list[object]:
        options = {"include_name": lambda name, kind, _: kind != "table" or not name.startswith(tuple(indexes))}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))

    indexes = [f"{table}_words" for table in SEARCHED]
    store = await opened(tmp_path)
    async with store.reading() as connection:
        assert await connection.run_sync(unlike) == []
    await store.close()


def columns_of(connection: sa.Connection, table: str) -> list[Any]:
    return list(sa.inspect(connection).get_columns(table))


def rows_of(told: Event, thumb: bytes) -> dict[sa.Table, list[Row]]:
    written = entry(told, thumb=thumb)
    return {
        events: [event_row(written, told, BOOT, "cam")],
        event_tracks: track_rows(told),
        pictures: picture_rows(written, told),
    }


async def test_an_older_store_is_brought_up_to_date_with_what_is_in_it(tmp_path: Path) -> None:
    url = store_url(None, tmp_path)
    engine = make_engine(url)
    await upgrade(engine, "0001")
    old = EventStore(engine)
    told = event("[#3] red cup came in.")
    async with old.writing() as connection:
        # By the columns that there were then.
        for table, rows in rows_of(told, b"jpeg").items():
            columns = [column["name"] for column in await connection.run_sync(columns_of, table.name)]
            for row in rows:
                known = {name: value for name, value in row.items() if name in columns}
                await connection.execute(table.insert(), known)
    await old.close()
    store = await open_store(url)
    async with store.reading() as connection:
        revision = (await connection.execute(sa.text("SELECT version_num FROM alembic_version"))).scalar()
        tables = await connection.run_sync(lambda sync: sa.inspect(sync).get_table_names())
    assert revision == HEAD
    assert "deliveries" in tables
    assert [stored.event for stored in await store.events(EventQuery(q="cups"))] == [told]
    assert await store.picture(told.id) == b"jpeg"
    await store.close()


def broken_migrations(folder: Path) -> Path:
    """A copy of the migrations, the last of which fails after its table is made."""
    for path in MIGRATIONS.rglob("*.py"):
        copy = folder / path.relative_to(MIGRATIONS)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    last = folder / "versions" / "v0002_deliveries.py"
    source = last.read_text(encoding="utf-8")
    broken = source.replace('op.create_index("deliveries_at", "deliveries", ["at"])', "raise OSError('the disk went')")
    assert broken != source
    last.write_text(broken, encoding="utf-8")
    return folder


async def test_a_migration_that_ends_halfway_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = store_url(None, tmp_path)

    copy = broken_migrations(tmp_path / "migrations")
    with monkeypatch.context() as patch:
        patch.setattr("agent.store.opening.MIGRATIONS", copy)
        with pytest.raises(StoreError, match="the disk went"):
            await open_store(url)
    with sqlite3.connect(url.database or "") as database:
        assert database.execute("SELECT name FROM sqlite_master").fetchall() == []
    database.close()
    await (await open_store(url)).close()


async def test_a_store_of_a_newer_onlooker_is_left_alone(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    async with store.writing() as connection:
        await connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    await store.close()
    with pytest.raises(StoreError, match="newer Onlooker") as caught:
        await opened(tmp_path)
    assert "store.url" in caught.value.action


@pytest.mark.parametrize("url", ["nonsense", "mysql://host/db", "sqlite://", "sqlite:///:memory:"])
def test_an_address_that_is_none_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        store_url(url, tmp_path)
    assert "postgresql://" in caught.value.action


def test_drivers_are_ours_to_choose(tmp_path: Path) -> None:
    assert store_url("sqlite:////srv/events.db", tmp_path).render_as_string() == "sqlite+aiosqlite:////srv/events.db"
    address = store_url("postgresql://me:secret@db/onlooker", tmp_path)
    assert address.drivername == "postgresql+asyncpg"
    assert "secret" not in address.render_as_string()


async def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    store = await opened(tmp_path / "data")
    await store.write(BOOT, "cam", [entry()])
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "data").iterdir()}
    await store.close()
    assert modes == {"onlooker.db": 0o600, "onlooker.db-wal": 0o600, "onlooker.db-shm": 0o600}


# --- faults ----------------------------------------------------------------------------------------------------------


async def test_what_is_no_database_is_told_as_damaged(tmp_path: Path) -> None:
    (tmp_path / "onlooker.db").write_bytes(b"something else" * 1000)
    with pytest.raises(StoreDamaged, match=r"onlooker\.db is damaged") as caught:
        await opened(tmp_path)
    assert "move" in caught.value.action
    assert not caught.value.retryable


async def test_damage_inside_is_found_by_the_check(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    await store.write(BOOT, "cam", [entry(event(f"number {n}"), thumb=bytes([n]) * 5000) for n in range(50)])
    await store.check()
    await store.close()
    path = tmp_path / "onlooker.db"
    content = bytearray(path.read_bytes())
    # The pictures, which are behind the schema.
    for page in range(len(content) // 8192, len(content) // 4096, 7):
        content[page * 4096 : page * 4096 + 200] = b"\xff" * 200
    path.write_bytes(content)
    store = await opened(tmp_path)
    with pytest.raises(StoreDamaged):
        await store.check()
    await store.close()


async def test_a_full_disk_is_told_and_passes(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    small = event("small")
    await store.write(BOOT, "cam", [entry(small)])

    async def allow(pages: int) -> None:
        """SQLite itself refuses to grow the file beyond so many pages, as a full disk would."""
        await store.engine.dispose()
        sa.event.listen(
            store.engine.sync_engine, "connect", lambda connection, _: connection.cursor().execute(
                f"PRAGMA max_page_count={pages}"
            ),
        )  # fmt: skip

    await allow(60)
    large = entry(event("large"), thumb=bytes(2_000_000))
    with pytest.raises(StoreError, match="no room left") as caught:
        await store.write(BOOT, "cam", [entry(event("with it")), large])
    assert caught.value.retryable
    assert [stored.event.text for stored in await store.events(EventQuery())] == ["small"], "all or none"
    await store.check()
    await allow(100_000)
    await store.write(BOOT, "cam", [large])
    assert [stored.event.text for stored in await store.events(EventQuery())] == ["large", "small"]
    await store.close()


async def test_a_locked_store_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.store.opening.BUSY_S", 0.05)
    store = await opened(tmp_path)
    held = sqlite3.connect(tmp_path / "onlooker.db", isolation_level=None)
    held.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreError, match="locked"):
        await store.write(BOOT, "cam", [entry()])
    held.rollback()
    held.close()
    await store.write(BOOT, "cam", [entry()])
    assert len(await store.events(EventQuery())) == 1
    await store.close()


@contextmanager
def another_user() -> Iterator[Path]:
    """A folder, while this process is somebody whom its rights concern: root may do anything."""
    with tempfile.TemporaryDirectory(dir="/tmp", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        was = os.geteuid()
        try:
            if was == 0:
                os.chown(folder, NOBODY, -1)
                os.seteuid(NOBODY)
            yield folder
        finally:
            os.seteuid(was)
            folder.chmod(0o755)


async def test_a_read_only_folder_is_told(tmp_path: Path) -> None:
    with another_user() as folder:
        folder.chmod(0o555)
        with pytest.raises(StoreError, match="cannot be written to") as caught:
            await opened(folder)
        folder.chmod(0o755)
        await (await opened(folder)).close()
        (folder / "onlooker.db").chmod(0o444)
        folder.chmod(0o555)
        with pytest.raises(StoreError, match="cannot be written to"):
            await opened(folder)
    assert "ONLOOKER_DATA_DIR" in caught.value.action


async def test_a_path_that_is_no_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written to"):
        await opened(tmp_path / "file")


async def test_a_server_that_is_not_there_is_told_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        await open_store(store_url("postgresql://me:hunter2@127.0.0.1:9/onlooker", tmp_path))
    assert caught.value.retryable
    assert "127.0.0.1:9/onlooker" in caught.value.message
    assert "hunter2" not in caught.value.message


WRITER = """
    import asyncio, sys
    from pathlib import Path
    from agent.store.opening import open_store, store_url
    from tests.stored import BOOT, entry, event

    async def main():
        store = await open_store(store_url(None, Path(sys.argv[1])))
        number = 0
        while True:
            batch = [event(f"number {number + n}") for n in range(3)]
            await store.write(BOOT, "cam", [entry(told, thumb=bytes(20_000)) for told in batch])
            for told in batch:
                print(told.id, flush=True)
            number += 3

    asyncio.run(main())
"""


def killed_writer(folder: Path, acknowledged: int) -> list[str]:
    """The ids that a process acknowledged before it was killed in the middle of its work."""
    code = textwrap.dedent(WRITER)
    writer = subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    ids = [writer.stdout.readline().strip() for _ in range(acknowledged)]
    writer.send_signal(signal.SIGKILL)
    ids += writer.stdout.read().split()
    writer.wait()
    writer.stdout.close()
    return [name for name in ids if len(name) == 32]


@pytest.mark.parametrize("acknowledged", [3, 40, 150])
async def test_every_acknowledged_event_outlives_a_killed_process(tmp_path: Path, acknowledged: int) -> None:
    ids = killed_writer(tmp_path, acknowledged)
    assert len(ids) >= acknowledged
    store = await opened(tmp_path)
    await store.check()
    found = {stored.event.id: stored for stored in await store.events(EventQuery(limit=100_000))}
    assert set(ids) <= set(found)
    assert all(stored.pictures == {"thumb"} for stored in found.values()), "an event comes with all of its parts"
    assert len(await store.events(EventQuery(q="number", limit=100_000))) == len(found), "and can be found by word"
    await store.write(BOOT, "cam", [entry()])
    await store.close()


async def test_a_look_changes_nothing(tmp_path: Path) -> None:
    url = store_url(None, tmp_path)
    assert "will be made" in peek(url)
    assert names(tmp_path) == []
    store = await opened(tmp_path)
    await store.write(BOOT, "cam", [entry(), entry()])
    assert "2 events" in peek(url), "while it is in use"
    await store.close()
    assert "2 events" in peek(url)
    assert names(tmp_path) == ["onlooker.db"]
    (tmp_path / "onlooker.db").write_bytes(b"something else" * 1000)
    with pytest.raises(StoreDamaged):
        peek(url)


def test_the_commands_help_does_not_load_the_store() -> None:
    code = "import sys, web.cli; sys.exit(any(name.startswith(('sqlalchemy', 'alembic')) for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
