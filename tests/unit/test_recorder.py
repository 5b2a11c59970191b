"""The recorder: nothing is lost while the disk is slow, what is lost is counted, and an alert waits for no disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from agent import recorder as recorder_module
from agent.keyframes import Keyframes
from agent.loop import StreamAgent
from agent.recorder import Recorder
from agent.recording import Recording
from agent.sinks.dispatch import Dispatcher
from agent.sinks.wording import Told
from agent.store.opening import open_store, store_url
from agent.store.retention import Limits
from agent.store.rows import Delivery, Entry
from agent.store.store import EventQuery, EventStore
from agent.types import DeltaFact, EventFact, EventKind, Region, RegionFact, RegionKind, Watch, WatchFact
from agent.watches import WatchBook
from stream.errors import StoreError
from stream.facts import FactLog, TrackFact
from tests.stored import BOOT, event

NOW = datetime.now(UTC)
NO_LIMITS = Limits(timedelta(days=36_500), 2**40)
FULL = StoreError("There is no room left.", action="Free some.")


class Disk:
    """A store whose next writes fail as the test says, or wait for it."""

    def __init__(self, store: EventStore) -> None:
        self.store = store
        self.write_really = store.write
        self.faults: list[Exception] = []
        self.free = asyncio.Event()
        self.free.set()
        self.tries = 0

    async def write(self, boot: str, stream: str, entries: list[Entry]) -> None:
        self.tries += 1
        await self.free.wait()
        if self.faults:
            raise self.faults.pop(0)
        await self.write_really(boot, stream, entries)


class Hooks(Dispatcher):
    def __init__(self) -> None:
        super().__init__((), lambda told: {})
        self.sent: list[str] = []

    def tell(self, told: Told) -> tuple[Delivery, ...]:
        event = told.fact.event
        return (Delivery(event.id, "one", event.id, "{}", event.at),)

    def send(self, deliveries: Any, most: int = 0) -> None:
        self.sent += [delivery.id for delivery in deliveries]


@dataclass
class Rig:
    recording: Recording
    disk: Disk
    hooks: Hooks
    facts: FactLog
    recorder: Recorder
    dropped: dict[str, int] = field(default_factory=dict)

    async def texts(self) -> list[str]:
        found = await self.disk.store.events(EventQuery(limit=100_000))
        return [stored.event.text for stored in reversed(found)]


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.005)


@asynccontextmanager
async def rigged(folder: Path) -> AsyncIterator[Rig]:
    hooks, dropped = Hooks(), dict[str, int]()
    url = store_url(None, folder)
    recording = Recording(lambda: open_store(url), boot=BOOT, where="here", limits=NO_LIMITS, sinks=hooks)
    async with recording:
        disk = Disk(recording.store)
        recording.store.write = disk.write  # type: ignore[method-assign,assignment]
        facts = FactLog()

        def drop(stage: str, count: int) -> None:
            dropped[stage] = dropped.get(stage, 0) + count

        session = SimpleNamespace(id="cam", name="Camera", facts=facts, dropped=drop)
        given = SimpleNamespace(session=session, keyframes=Keyframes(), regions=(), watches=WatchBook())
        agent = cast(StreamAgent, given)
        yield Rig(recording, disk, hooks, facts, recording.attach(agent), dropped)
        facts.close()


@pytest.fixture
async def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    monkeypatch.setattr(recorder_module, "RETRY_S", 0.01)
    async with rigged(tmp_path) as rig:
        yield rig


def tell(rig: Rig, *texts: str, kind: EventKind = EventKind.ENTER) -> None:
    for text in texts:
        rig.facts.publish(EventFact(event(text, kind=kind)))


async def test_only_what_is_worth_keeping_is_kept(rig: Rig) -> None:
    rig.facts.publish(TrackFact(3, "confirmed", "person"))
    rig.facts.publish(DeltaFact("a" * 32, 0, "word"))
    tell(rig, "one")
    await until(lambda: rig.disk.tries == 1 and rig.recorder.waiting == 0)
    assert await rig.texts() == ["one"]
    assert rig.recording.state().lost == 0


async def test_facts_wait_for_a_slow_disk_and_none_is_lost(rig: Rig) -> None:
    rig.disk.free.clear()
    for number in range(1500):
        tell(rig, f"number {number}")
        if number % 100 == 0:
            await asyncio.sleep(0)
    await until(lambda: rig.recorder.waiting == 1500)
    assert rig.recording.state().waiting == 1500
    rig.disk.free.set()
    await until(lambda: rig.recorder.waiting == 0)
    assert await rig.texts() == [f"number {number}" for number in range(1500)]
    assert rig.disk.tries < 100, "what waits is written together"
    assert (rig.recording.state().lost, rig.dropped) == (0, {})


async def test_what_is_too_much_to_wait_is_lost_and_counted(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "MOST_WAITING", 10)
    rig.disk.free.clear()
    tell(rig, *(f"number {number}" for number in range(15)))
    await until(lambda: rig.recording.state().lost == 5)
    rig.disk.free.set()
    await until(lambda: rig.recorder.waiting == 0)
    assert await rig.texts() == [f"number {number}" for number in range(10)]
    assert rig.dropped == {"store": 5}
    tell(rig, "after it")
    await until(lambda: rig.recorder.waiting == 0)
    assert (rig.recording.state().lost, rig.recording.state().losing) == (5, 0), "what can be written again is well"


async def test_waiting_pictures_are_bounded_in_bytes(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "MOST_WAITING_BYTES", 3000)
    rig.disk.free.clear()
    tell(rig, "one", "two", "three")
    await until(lambda: rig.recording.state().losing == 1)
    assert rig.recorder.waiting == 2
    rig.disk.free.set()


async def test_a_burst_beyond_the_subscription_is_read_again_from_the_log(rig: Rig) -> None:
    tell(rig, *(f"number {number}" for number in range(255)))
    await asyncio.sleep(0)
    tell(rig, *(f"more {number}" for number in range(255)))
    await until(lambda: rig.recorder.waiting == 0 and rig.disk.tries > 0)
    assert len(await rig.texts()) == 510
    tell(rig, *(f"flood {number}" for number in range(1000)))
    await until(lambda: rig.recording.state().lost > 0)
    await until(lambda: rig.recorder.waiting == 0)
    kept = [text for text in await rig.texts() if text.startswith("flood")]
    assert len(kept) + rig.recording.state().lost == 1000, "each is either kept or counted"
    assert kept[-1] == "flood 999"


async def test_a_fault_is_shown_until_it_has_passed_and_all_is_written_once(rig: Rig) -> None:
    rig.disk.faults = [FULL, FULL, FULL]
    tell(rig, "one", "two")
    await until(lambda: rig.recording.state().error is not None)
    assert rig.recording.state().error is FULL
    await until(lambda: rig.recorder.waiting == 0)
    assert await rig.texts() == ["one", "two"]
    state = rig.recording.state()
    assert (state.error, state.lost) == (None, 0)


async def test_one_bad_fact_does_not_keep_the_others(rig: Rig) -> None:
    tell(rig, "one")
    rig.facts.publish(EventFact(event("bad", pts=2**70)))
    tell(rig, "two")
    await until(lambda: rig.recording.state().lost == 1 and rig.recorder.waiting == 0)
    assert await rig.texts() == ["one", "two"]


async def test_an_alert_is_sent_on_once_it_is_written(rig: Rig) -> None:
    rig.disk.free.clear()
    tell(rig, "alert", kind=EventKind.ALERT)
    await until(lambda: rig.disk.tries == 1)
    assert rig.hooks.sent == []
    rig.disk.free.set()
    await until(lambda: len(rig.hooks.sent) == 1)


async def test_an_alert_that_cannot_be_written_is_sent_on_once(rig: Rig) -> None:
    rig.disk.faults = [FULL, FULL]
    tell(rig, "alert", kind=EventKind.ALERT)
    await until(lambda: len(rig.hooks.sent) == 1)
    await until(lambda: rig.recorder.waiting == 0)
    assert await rig.texts() == ["alert"]
    assert len(rig.hooks.sent) == 1


async def test_what_waits_at_the_end_is_still_written(tmp_path: Path) -> None:
    async with rigged(tmp_path) as rig:
        rig.disk.free.clear()
        tell(rig, "one", "two")
        await until(lambda: rig.recorder.waiting == 2)
        rig.disk.free.set()
    store = await open_store(store_url(None, tmp_path))
    assert len(await store.events(EventQuery())) == 2
    await store.close()


class Agent:
    """As much of a stream's agent as the recorder knows of."""

    def __init__(self) -> None:
        self.session = SimpleNamespace(id="cam", facts=FactLog(), dropped=lambda stage, count: None)
        self.keyframes = Keyframes()
        self.regions: tuple[Region, ...] = ()
        self.zones = SimpleNamespace(armed=True)
        self.watches = SimpleNamespace(all=lambda: self.watched)
        self.watched: list[Watch] = []

    def restore(self, regions: tuple[Region, ...], watches: tuple[Watch, ...], armed: bool) -> None:
        self.regions, self.watched, self.zones.armed = regions, list(watches), armed


async def test_a_store_that_comes_up_later_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "RETRY_S", 0.01)
    url = store_url(None, tmp_path)
    door = Region("1" * 32, "door", RegionKind.LINE, ((0.0, 0.0), (0.5, 0.0)))
    watch = Watch("3" * 32, "a cup appears", (), None)
    before = await open_store(url)
    await before.write(BOOT, "cam", [Entry(RegionFact(door), NOW), Entry(WatchFact(watch), NOW)])
    await before.close()
    down = [True]

    async def open_later() -> EventStore:
        if down[0]:
            raise FULL
        return await open_store(url)

    recording = Recording(open_later, boot=BOOT, where="", limits=NO_LIMITS, sinks=Hooks(), open_again_s=0.02)
    async with recording:
        agent = Agent()
        recorder = recording.attach(cast(StreamAgent, agent))
        agent.session.facts.publish(EventFact(event("one")))
        await until(lambda: recorder.waiting == 1)
        with pytest.raises(StoreError):
            _ = recording.store
        assert agent.regions == ()
        down[0] = False
        await until(lambda: recorder.waiting == 0)
        assert [stored.event.text for stored in await recording.store.events(EventQuery())] == ["one"]
        assert recording.state().error is None
        assert (agent.regions, agent.watched) == ((door,), [watch])
        agent.session.facts.close()


async def test_what_is_too_old_goes_by_itself(tmp_path: Path) -> None:
    url = store_url(None, tmp_path)
    store = await open_store(url)
    fresh = replace(event("fresh"), at=NOW)
    await store.write(BOOT, "cam", [Entry(EventFact(told), told.at) for told in (event("old"), fresh)])
    limits = Limits(timedelta(days=30), 2**40)
    recording = Recording(lambda: open_store(url), boot=BOOT, where="", limits=limits, sinks=Hooks())
    async with recording, asyncio.timeout(10):
        while len(found := await store.events(EventQuery())) > 1:
            await asyncio.sleep(0.01)
    assert [stored.event.text for stored in found] == ["fresh"]
    await store.close()


async def test_a_stream_that_opens_again_has_what_it_had(tmp_path: Path) -> None:
    async with rigged(tmp_path) as rig:
        agent = Agent()
        agent.session.id = "door"
        agent.watched = [Watch("3" * 32, "a cup appears", (), None)]
        rig.recording.release(cast(StreamAgent, agent))
        again = Agent()
        again.session.id = "door"
        rig.recording.attach(cast(StreamAgent, again))
        assert again.watched == agent.watched
        again.session.facts.close()
