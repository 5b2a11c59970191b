"""What streams hide, and who looked at what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from agent.store.schema import accesses, privacy
from agent.store.store import EventStore
from stream.privacy.settings import Privacy, Style, Zone

MOST_STREAMS = 10_000
MOST_ACCESSES = 100_000


@dataclass(frozen=True, slots=True)
class Access:
    """Somebody saw something. `who` stands for a session or token without giving it away; `what` names the picture,
    clip or viewing; `seq` is given by the store."""

    at: datetime
    who: str
    address: str
    action: str
    stream: str | None = None
    what: str | None = None
    seq: int = 0


async def kept(store: EventStore) -> dict[str, Privacy]:
    """By stream. Raises `StoreError`."""
    async with store.reading() as connection:
        found = (await connection.execute(sa.select(privacy.c.stream, privacy.c.settings))).all()
    return {stream: _privacy(settings) for stream, settings in found}


async def keep(store: EventStore, stream: str, chosen: Privacy | None, now: datetime) -> None:
    """Raises `StoreError`."""
    async with store.writing() as connection:
        await connection.execute(privacy.delete().where(privacy.c.stream == stream))
        if chosen is not None:
            await connection.execute(privacy.insert(), {"stream": stream, "settings": _json(chosen), "at": now})
            newest = sa.select(privacy.c.stream).order_by(privacy.c.at.desc()).limit(MOST_STREAMS)
            await connection.execute(privacy.delete().where(privacy.c.stream.not_in(newest)))


async def note(store: EventStore, seen: Sequence[Access], forget_before: datetime) -> None:
    """Write what was seen, and let go of what is too old or too much. Raises `StoreError`."""
    rows = [
        {"at": one.at, "who": one.who, "address": one.address, "action": one.action, "stream": one.stream,
         "what": one.what}
        for one in seen
    ]  # fmt: skip
    async with store.writing() as connection:
        await connection.execute(accesses.insert(), rows)
        await connection.execute(accesses.delete().where(accesses.c.at < forget_before))
        newest = (await connection.execute(sa.select(sa.func.max(accesses.c.seq)))).scalar() or 0
        await connection.execute(accesses.delete().where(accesses.c.seq <= newest - MOST_ACCESSES))


async def seen(
    store: EventStore, *, stream: str | None, since: datetime | None, before: int | None, limit: int
) -> list[Access]:
    """Newest first. Raises `StoreError`."""
    wanted = sa.select(accesses).order_by(accesses.c.seq.desc()).limit(limit)
    if stream is not None:
        wanted = wanted.where(accesses.c.stream == stream)
    if since is not None:
        wanted = wanted.where(accesses.c.at >= since)
    if before is not None:
        wanted = wanted.where(accesses.c.seq < before)
    async with store.reading() as connection:
        found = (await connection.execute(wanted)).mappings().all()
    return [
        Access(row["at"], row["who"], row["address"], row["action"], row["stream"], row["what"], row["seq"])
        for row in found
    ]


def _json(chosen: Privacy) -> dict[str, Any]:
    zones = [{"points": [list(point) for point in zone.points], "region": zone.region_id} for zone in chosen.zones]
    return {"classes": list(chosen.classes), "zones": zones, "style": chosen.style.value}


def _privacy(settings: dict[str, Any]) -> Privacy:
    zones = tuple(
        Zone(tuple((float(x), float(y)) for x, y in zone["points"]), zone["region"]) for zone in settings["zones"]
    )
    return Privacy(tuple(settings["classes"]), zones, Style(settings["style"]))
