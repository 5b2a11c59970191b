"""Facts for the event store, and what a server says of it."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from agent.store.rows import Entry
from agent.types import Event, EventFact, EventKind, Severity
from stream.types import FrameRef

BOOT = "b" * 32
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def event(text: str = "[#3] a person came in.", after_s: float = 0.0, **values: Any) -> Event:
    """An event that happened `after_s` after noon."""
    labels = values.pop("labels", ("person",))
    track_ids = values.pop("track_ids", (3,))
    return Event(
        id=values.pop("id", None) or uuid.uuid4().hex,
        kind=values.pop("kind", EventKind.ENTER),
        text=text,
        track_ids=track_ids,
        frame=values.pop("frame", FrameRef(1, 90_000)),
        pts=values.pop("pts", 90_000),
        at=NOON + timedelta(seconds=after_s),
        boxes_xyxy=values.pop("boxes_xyxy", ((0.1, 0.2, 0.5, 0.75),)),
        labels=labels,
        severity=values.pop("severity", Severity.INFO),
        **values,
    )


def entry(told: Event | None = None, **values: Any) -> Entry:
    told = told or event()
    return Entry(EventFact(told), told.at, **values)


async def stored(http: httpx.AsyncClient, count: int = 1, **query: Any) -> list[dict[str, Any]]:
    """What a query finds, once it finds `count`."""
    async with asyncio.timeout(15):
        while True:
            answer = await http.get("/v1/events", params=query)
            assert answer.status_code == 200, answer.text
            items: list[dict[str, Any]] = answer.json()["items"]
            if len(items) >= count:
                return items
            await asyncio.sleep(0.05)


async def health(http: httpx.AsyncClient, name: str) -> dict[str, Any]:
    checks = (await http.get("/health")).json()["checks"]
    return next(check for check in checks if check["name"] == name)
