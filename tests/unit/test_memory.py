"""Memory that is free goes back to the system."""

from __future__ import annotations

import asyncio
import gc
import sys

import pytest

from web import memory

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems' C libraries give back by themselves")
MIB = 2**20
PIECES, PIECE = 2000, 100_000


def held_and_holes() -> list[bytes]:
    """Every second of many pieces: between them glibc keeps what the others had."""
    pieces = [b"x" * PIECE for _ in range(PIECES)]
    return pieces[::2]


def resident_mib() -> float:
    resident = memory.resident_bytes()
    assert resident is not None
    return resident / MIB


def test_what_is_free_between_what_is_in_use_is_given_back() -> None:
    pieces = held_and_holes()
    before = resident_mib()
    assert memory.give_back()
    assert before - resident_mib() > 0.7 * len(pieces) * PIECE / MIB


async def test_it_is_given_back_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "GIVEN_BACK_EVERY_S", 0.01)
    async with memory.given_back():
        for _ in range(2):
            pieces = held_and_holes()
            before = resident_mib()
            while before - resident_mib() < 0.7 * len(pieces) * PIECE / MIB:
                await asyncio.sleep(0.01)


def test_what_was_there_at_the_start_is_not_looked_at_again() -> None:
    before = gc.get_freeze_count()
    memory.settle()
    try:
        assert gc.get_freeze_count() > before + 10_000
        assert len(gc.get_objects()) < 1000
    finally:
        gc.unfreeze()
