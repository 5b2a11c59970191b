"""Alerts that wait to be delivered, and those that could not be: they outlive the server."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from agent.store.rows import Delivery, delivery_row, stored_delivery
from agent.store.schema import deliveries
from agent.store.store import EventStore

MOST_IDS = 500
"""In one statement."""


async def pending(store: EventStore) -> list[Delivery]:
    """What was still to be delivered when the server ended, oldest first."""
    wanted = sa.select(deliveries).where(sa.not_(deliveries.c.dead)).order_by(deliveries.c.at)
    async with store.reading() as connection:
        return [stored_delivery(row) for row in (await connection.execute(wanted)).mappings()]


async def dead_letters(store: EventStore, sink: str, limit: int = 1000) -> list[Delivery]:
    """What was given up on, newest first."""
    wanted = sa.select(deliveries).where(deliveries.c.dead, deliveries.c.sink == sink)
    async with store.reading() as connection:
        found = await connection.execute(wanted.order_by(deliveries.c.at.desc(), deliveries.c.id).limit(limit))
        return [stored_delivery(row) for row in found.mappings()]


async def delivered(store: EventStore, delivery: Delivery) -> None:
    async with store.writing() as connection:
        await connection.execute(deliveries.delete().where(deliveries.c.id == delivery.id))


async def replaced(store: EventStore, ids: Sequence[str], told: Delivery) -> None:
    """One delivery in the place of several."""
    async with store.writing() as connection:
        for first in range(0, len(ids), MOST_IDS):
            wanted = deliveries.c.id.in_(ids[first : first + MOST_IDS])
            await connection.execute(deliveries.delete().where(wanted))
        await connection.execute(deliveries.insert().values(**delivery_row(told)))


async def failed(store: EventStore, delivery: Delivery, *, dead: bool) -> bool:
    """Note a try that failed; `dead` where it was the last. False where the store does not have the delivery."""
    noted = deliveries.update().where(deliveries.c.id == delivery.id)
    async with store.writing() as connection:
        done = await connection.execute(noted.values(tries=delivery.tries, error=delivery.error, dead=dead))
    return done.rowcount > 0
