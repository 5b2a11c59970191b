"""Facts reach every client in order and are replayed; state is the newest only; slow clients are let go."""

from __future__ import annotations

import asyncio

import pytest

from stream.errors import LimitReached
from stream.facts import KEPT_FACTS, WAITING_FACTS_LIMIT, FactLog, GapFact, TrackFact
from stream.types import TrackUpdate


def update(index: int) -> TrackUpdate:
    return TrackUpdate(1, index, index * 3000, index * 3000, None, 640, 480, ())


async def test_a_client_gets_all_facts_and_only_the_newest_update() -> None:
    log = FactLog()
    client = log.subscribe()
    for i in range(5):
        log.publish(TrackFact(i, "confirmed"))
        log.publish_update(update(i))
    facts, newest = await client.next()
    assert [fact.seq for fact in facts] == [1, 2, 3, 4, 5]
    assert newest is not None
    assert newest.index == 4
    assert client.updates_dropped == 4


async def test_next_waits_for_news_and_wakes_at_the_end() -> None:
    log = FactLog()
    client = log.subscribe()
    waiting = asyncio.create_task(client.next())
    await asyncio.sleep(0)
    assert not waiting.done()
    log.close()
    assert await waiting == ([], None)
    assert client.ended


async def test_facts_after_a_number_are_replayed() -> None:
    log = FactLog()
    for i in range(10):
        log.publish(TrackFact(i, "confirmed"))
    facts, _ = await log.subscribe(after=7).next()
    assert [fact.seq for fact in facts] == [8, 9, 10]


async def test_facts_that_are_no_longer_kept_come_as_a_gap() -> None:
    log = FactLog()
    for i in range(KEPT_FACTS + 100):
        log.publish(TrackFact(i, "confirmed"))
    facts, _ = await log.subscribe(after=3).next()
    gap = facts[0].body
    assert isinstance(gap, GapFact)
    assert gap.first == 4
    assert gap.last + 1 == facts[1].seq
    assert facts[-1].seq == log.seq
    assert [fact.seq for fact in facts[1:]] == list(range(facts[1].seq, log.seq + 1))


async def test_a_client_that_does_not_read_is_let_go_and_holds_no_more_than_the_limit() -> None:
    log = FactLog()
    client = log.subscribe()
    for i in range(WAITING_FACTS_LIMIT + 50):
        log.publish(TrackFact(i, "confirmed"))
    with pytest.raises(LimitReached):
        await client.next()


async def test_a_closed_client_hears_nothing_more() -> None:
    log = FactLog()
    client = log.subscribe()
    client.close()
    client.close()
    assert log.subscribers == 0
    log.publish(TrackFact(1, "confirmed"))
    assert log.seq == 1


def test_numbers_go_on_from_where_an_earlier_life_of_the_stream_ended() -> None:
    assert FactLog(41).publish(TrackFact(1, "lost")).seq == 42


async def test_who_wants_facts_alone_is_not_woken_by_updates() -> None:
    log = FactLog()
    listener = log.subscribe(updates=False)
    waiting = asyncio.create_task(listener.next())
    await asyncio.sleep(0)
    log.publish_update(update(1))
    await asyncio.sleep(0)
    assert not waiting.done()
    log.publish(TrackFact(1, "confirmed"))
    facts, newest = await waiting
    assert ([fact.seq for fact in facts], newest) == ([1], None)
