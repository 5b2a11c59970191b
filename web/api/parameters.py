"""Parameters that several parts of the HTTP API take."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Path, Query

from stream.errors import BadInput

EventId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]
StreamName = Annotated[str | None, Query(max_length=63)]
Limit = Annotated[int, Query(ge=1, le=200)]


def aware(at: datetime | None) -> datetime | None:
    """`at`, in UTC where it has no zone."""
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at


def cursor(after: str | None) -> int | None:
    """The `next` of a page of rows as a number. Raises `BadInput`."""
    if after is None:
        return None
    if not (after.isascii() and after.isdigit() and len(after) <= 18):
        raise BadInput("`after` is not a page of this list.", action="Give the `next` of the page before.")
    return int(after)
