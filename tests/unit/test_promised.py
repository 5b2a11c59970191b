"""What is known of a clip before it is there, and that nothing of it is kept when it never comes."""

from __future__ import annotations

import asyncio

import pytest

from agent.clips.promised import MOST_KNOWN, Promised


async def test_who_waits_for_a_clip_is_woken_when_it_is_written() -> None:
    promised = Promised()
    promised.told("e", "clip")
    assert not await promised.wait("clip", 0.001)
    assert promised.expected("e") == "clip"
    waiting = asyncio.create_task(promised.wait("clip", 30))
    await asyncio.sleep(0)
    promised.settle("clip")
    assert await waiting
    assert (promised.clip_of("e"), promised.expected("e")) == ("clip", None)
    assert await promised.wait("of another life of the server", 30)


@pytest.mark.parametrize("later", [0, MOST_KNOWN])
async def test_a_clip_that_is_broken_off_is_forgotten_however_many_events_came_since(later: int) -> None:
    promised = Promised()
    promised.told("e", "clip")
    for number in range(later):
        promised.told(str(number), "other")
    promised.break_off("clip", ["e"])
    assert promised.clip_of("e") is None
    assert await promised.wait("clip", 0.001)
