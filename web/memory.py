"""What the process has in memory, as the system says, and what it gives back."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import resource
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from stream import tasks

STATM = Path("/proc/self/statm")
GIVEN_BACK_EVERY_S = 60.0
"""Giving back takes about 10 ms, in which other threads may wait for memory."""


def resident_bytes() -> int | None:
    """At present; None where the system does not say."""
    return int(STATM.read_text().split()[1]) * resource.getpagesize() if STATM.exists() else None


def settle() -> None:
    """To be called once the server has started. What there is by then stays, and is most of all that a full collection
    of garbage would look at, again and again, for a fifth of a second in which no thread may run."""
    gc.collect()
    gc.freeze()


def give_back() -> bool:
    """Give the system what is free between what is in use. False where the C library (glibc alone does) cannot.

    The pictures of many threads come and go all the time: what glibc keeps of them for later would grow for hours.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is None:
        return False
    trim(ctypes.c_size_t(0))
    return True


@contextlib.asynccontextmanager
async def given_back() -> AsyncIterator[None]:
    """Give back memory once a minute."""
    task = tasks.begin(_give_back_again_and_again(), "memory given back")
    try:
        yield
    finally:
        await tasks.end(task)


async def _give_back_again_and_again() -> None:
    while True:
        await asyncio.sleep(GIVEN_BACK_EVERY_S)
        if not await asyncio.to_thread(give_back):
            return
