"""What a database says when something is wrong, in words and with what to do about it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy import exc

from stream.errors import StoreError


class RowRefused(StoreError):
    """The database does not take what was to be written; it is well otherwise."""

    retryable = False


class StoreDamaged(StoreError):
    """The file cannot be read as a database."""

    retryable = False


@contextmanager
def explained(url: sa.URL) -> Iterator[None]:
    """Raises `StoreError` for whatever a database raises."""
    try:
        yield
    except (exc.SQLAlchemyError, sqlite3.Error, OSError, OverflowError) as error:
        raise store_error(error, url) from error
    except Exception as error:
        # asyncpg's own errors come through as they are while a connection is made; it is not always installed.
        if type(error).__module__.startswith("asyncpg"):
            raise store_error(error, url) from error
        raise


def store_error(error: Exception, url: sa.URL) -> StoreError:
    original = getattr(error, "orig", None) or error
    if _is_refusal(error, original):
        return RowRefused(f"The event store does not take an entry: {_first_line(original)}")
    if url.get_backend_name() == "sqlite":
        return _of_sqlite(original, url.database or "")
    where = url.render_as_string(hide_password=True)
    return StoreError(
        f"The event store at {where} cannot be used: {_first_line(original)}",
        action="Start that PostgreSQL server, or correct store.url in the configuration. What is live goes on.",
    )


def _is_refusal(error: Exception, original: BaseException) -> bool:
    """Whether the values are at fault: classes 22 and 23 of SQLSTATE."""
    if isinstance(error, exc.IntegrityError | exc.DataError) or isinstance(original, OverflowError):
        return True
    return str(getattr(original, "sqlstate", "")).startswith(("22", "23"))


def _of_sqlite(error: BaseException, path: str) -> StoreError:
    name = str(getattr(error, "sqlite_errorname", ""))
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return damaged(path, _first_line(error))
    if name.startswith("SQLITE_FULL"):
        return StoreError(
            f"There is no room left for the event store {path}.", action="Free some space on its disk; it goes on then."
        )
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StoreError(f"Another program holds the event store {path} locked.", action="End that program.")
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")) or isinstance(error, OSError):
        return StoreError(
            f"The event store {path} cannot be written to: {_first_line(error)}",
            action="Give Onlooker a data directory that it may write to: ONLOOKER_DATA_DIR, or store.url.",
        )
    return StoreError(
        f"The event store {path} failed: {_first_line(error)}",
        action="Check the disk that it is on; see the log.",
    )


def damaged(path: str, reason: str) -> StoreDamaged:
    return StoreDamaged(
        f"The event store {path} is damaged: {reason}",
        action=f"Stop Onlooker, move {path} away together with its -wal and -shm files, and start again; "
        "`sqlite3 FILE .recover` may save what is in it. What is live goes on without.",
    )


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).strip().splitlines()[0][:200]
