"""A source at work for a while, and what comes out of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from stream.sources.base import Source
from tests.peers import Sink


@asynccontextmanager
async def watching(source: Source) -> AsyncIterator[Sink]:
    """Runs until the end of the block."""
    sink = Sink()
    task = asyncio.create_task(source.run(sink))
    try:
        yield sink
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until_lost(sink: Sink, count: int = 1) -> None:
    async with asyncio.timeout(60):
        while len(sink.losses) < count:
            await asyncio.sleep(0.005)
