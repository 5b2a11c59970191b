"""Parameters that several parts of the HTTP API take, and pages of rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Protocol, TypeVar

from fastapi import Path, Query

from stream.errors import BadInput

PathId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]
"""Of an event, a clip, a region: whatever has a UUID4."""
StreamName = Annotated[str | None, Query(max_length=63)]
Limit = Annotated[int, Query(ge=1, le=200)]
After = Annotated[str | None, Query(max_length=64, description="`next` of the page before.")]
Since = Annotated[datetime | None, Query(description="RFC 3339; without a zone it is UTC.")]


class Row(Protocol):
    """Rows have growing numbers."""

    @property
    def seq(self) -> int: ...


R = TypeVar("R", bound=Row)


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


def paged(found: Sequence[R], limit: int) -> tuple[Sequence[R], str | None]:
    """The first `limit` of the rows that were found, and the `next` that leads on where one more was."""
    shown = found[:limit]
    return shown, str(shown[-1].seq) if len(found) > limit else None
