"""Wall clock on the wire."""

from __future__ import annotations

from datetime import UTC, datetime


def time_at(at: datetime) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
