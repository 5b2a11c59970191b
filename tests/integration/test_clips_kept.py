"""Clips stay as long and as many as they may, whatever happens to the server or its disk."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.clips import service
from agent.clips.files import remove_parts
from agent.clips.retention import GB, ClipLimits
from agent.clips.service import Clips
from agent.store.clips import ClipQuery, ClipSettings, change_event, find_clips, get_clip, moments
from agent.store.opening import open_store, store_url
from agent.store.retention import Limits, retain
from agent.store.rows import Entry
from agent.store.schema import clips as clips_table
from agent.store.store import EventQuery, EventStore
from agent.types import EventFact
from stream.types import EncodedFrame
from tests.clip_frames import Camera, labels_in, numbers_in
from tests.clip_killed import BOOT, Stream, happened, make_clips, record

ALL = EventQuery(limit=5000)


@asynccontextmanager
async def opened(folder: Path, limits: ClipLimits | None = None) -> AsyncIterator[tuple[EventStore, Clips]]:
    store = await open_store(store_url(None, folder))
    try:
        async with make_clips(folder, store, limits) as clips:
            yield store, clips
    finally:
        await store.close()


def files(folder: Path) -> set[str]:
    return {path.name for path in (folder / "clips").iterdir()}


def lose_database(folder: Path) -> None:
    for path in folder.glob("onlooker.db*"):
        path.unlink()


async def whole(store: EventStore, clips: Clips) -> int:
    """How many clips there are, each of which can be played and has its annotations."""
    found = await find_clips(store, ClipQuery(limit=5000))
    for clip in found:
        decoded = numbers_in(clips.path(clip).read_bytes())
        labels = labels_in(clips.annotations_path(clip).read_text().splitlines())
        assert {pts: str(number) for pts, number in decoded.items()} == labels
        assert len(decoded) == clip.pictures == clip.annotated
    return len(found)


@pytest.mark.soak
async def test_a_thousand_events_are_cut_found_and_let_go(tmp_path: Path) -> None:
    count = 1000
    now = datetime.now(UTC)
    # One group of pictures, played over and over: what is cut is written, not encoded.
    filmed = Camera(size=(64, 48), fps=10, group=5).film(20)
    async with opened(tmp_path) as (store, clips):
        stream = Stream()
        cut = clips.attach(stream.session)
        told: list[str] = []
        entries: list[Entry] = []
        for number in range(count):
            for frame in again(filmed, number):
                stream.show(frame)
                if frame.pts % 180_000 == 90_000:
                    event = happened(frame, f"Event {number} at the gate.", now - timedelta(days=(count - number) / 50))
                    assert cut.expect(event) is not None
                    told.append(event.id)
                    entries.append(Entry(EventFact(event), event.at))
            if number % 50 == 49:
                await store.write(BOOT, "cam", entries)
                entries.clear()
                await asyncio.sleep(0)
        clips.release(cut)
        await asyncio.wait_for(clips._waiting.join(), 60)
        assert clips.state().written == count
        assert clips.state().given_up == 0
        found = await moments(store, told)
        assert len(found) == count
        assert len({clip_id for clip_id, _ in found.values()}) == count

        # Found by word, and the one that is found is the one that was filmed.
        (stored,) = await store.events(replace(ALL, q="event 437", with_clip=True))
        assert stored.event.id == told[437]
        clip = await get_clip(store, found[told[437]][0])
        assert clip is not None
        assert clip.events[0].offset_s is not None
        assert clip.pictures == len(numbers_in(clips.path(clip).read_bytes()))

        # Events and clips grow old alike; what is kept stays with its clip.
        async with store.writing() as connection:
            for event_id, (clip_id, _) in found.items():
                at = now - timedelta(days=(count - told.index(event_id)) / 50)
                await connection.execute(clips_table.update().where(clips_table.c.id == clip_id).values(at=at))
        assert await change_event(store, told[3], {"keep": True})
        clips.limits = replace(clips.limits, max_age_days=10)
        await clips.retain()
        await retain(store, Limits(timedelta(days=10), 1 << 30), datetime.now(UTC))
        kept = {clip.id for clip in await find_clips(store, ClipQuery(limit=5000))}
        assert kept == {found[event_id][0] for event_id in [told[3], *told[501:]]}
        assert {name.partition(".")[0] for name in files(tmp_path)} == kept
        assert {stored.event.id for stored in await store.events(ALL)} == {told[3], *told[501:]}

        # By size: the oldest go first, of this stream and then of all.
        bytes_each = clips.state().bytes / len(kept)
        await clips.choose("cam", {"max_gb": 100 * bytes_each / GB})
        await clips.retain()
        left = {clip.id for clip in await find_clips(store, ClipQuery(limit=5000))}
        assert 95 <= len(left) <= 101
        assert found[told[3]][0] in left
        assert found[told[-1]][0] in left


def again(filmed: list[EncodedFrame], number: int) -> list[EncodedFrame]:
    """The same pictures two seconds later."""
    return [
        replace(
            frame,
            pts=frame.pts + number * 180_000,
            rtp=(frame.rtp + number * 180_000) % 2**32,
            received_s=frame.received_s + number * 2,
        )
        for frame in filmed
    ]


async def test_a_server_that_is_killed_loses_at_most_the_clip_that_it_was_writing(tmp_path: Path) -> None:
    acknowledged: list[str] = []
    for lines_before in (1, 4, 7):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.clip_killed", str(tmp_path), stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        for _ in range(lines_before):
            line = await asyncio.wait_for(process.stdout.readline(), 60)
            acknowledged.append(line.decode().strip())
        process.send_signal(signal.SIGKILL)
        rest = (await process.stdout.read()).decode().split("\n")
        acknowledged += [line for line in rest[:-1] if line]
        assert await process.wait() == -signal.SIGKILL
        async with opened(tmp_path) as (store, clips):
            await store.check()
            there = {clip.id for clip in await find_clips(store, ClipQuery(limit=5000))}
            assert set(acknowledged) <= there
            assert await whole(store, clips) == len(there) <= len(acknowledged) + 3
            names = files(tmp_path)
            assert {name.partition(".")[0] for name in names} == there
            assert not [name for name in names if name.endswith(".part")]


async def test_what_was_being_written_is_removed_at_the_next_start(tmp_path: Path) -> None:
    async with opened(tmp_path) as (store, clips):
        kept = await record(Stream(), clips, store, Camera(group=5).film(30), "Once.")
    folder = tmp_path / "clips"
    for name in ("a" * 32 + ".mp4.part", "b" * 32 + ".jsonl", "c" * 32 + ".mp4", "notes.txt"):
        (folder / name).write_bytes(b"half")
    async with opened(tmp_path):
        assert files(tmp_path) == {f"{kept}.mp4", f"{kept}.jsonl", "notes.txt"}


async def test_clips_beside_a_new_database_are_left_alone(tmp_path: Path) -> None:
    async with opened(tmp_path) as (store, clips):
        kept = await record(Stream(), clips, store, Camera(group=5).film(30), "Once.")
    lose_database(tmp_path)
    async with opened(tmp_path):
        assert files(tmp_path) == {f"{kept}.mp4", f"{kept}.jsonl"}


async def test_a_full_disk_costs_the_clip_and_nothing_else(tmp_path: Path) -> None:
    """A real limit of the system on the size of files: the database is within it, no clip is."""
    async with opened(tmp_path) as (store, clips):
        await record(Stream(), clips, store, Camera(group=5).film(30), "Before.")
    before = files(tmp_path)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.clip_killed", str(tmp_path), str(4 << 20), stdout=subprocess.PIPE
    )
    said, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0
    lines = said.decode().splitlines()
    assert lines[0].startswith("3 0 Clips are given up: there is no room left in"), lines
    # All four events are there.
    assert lines[1] == "4"
    assert files(tmp_path) == before


async def test_the_oldest_go_where_the_disk_is_nearly_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = Camera(group=5).film(30)
    async with opened(tmp_path) as (store, clips):
        first = await record(Stream(), clips, store, frames, "First.")
        second = await record(Stream(), clips, store, frames, "Second.")
        (oldest,) = await store.events(replace(ALL, q="first"))
        await change_event(store, oldest.event.id, {"keep": True})
        held = clips.state().bytes
        # The disk holds what is there, and nothing more.
        monkeypatch.setattr(service.files, "free_bytes", lambda folder: free(tmp_path, held))
        monkeypatch.setattr(service.files.shutil, "disk_usage", lambda folder: Usage(free(tmp_path, held)))
        third = await record(Stream(), clips, store, frames, "Third.")
        assert {clip.id for clip in await find_clips(store, ClipQuery())} == {first, third}
        assert clips.state().error is None
        # What is kept does not go: the next one is given up, and that is said.
        (newest,) = await store.events(replace(ALL, q="third"))
        await change_event(store, newest.event.id, {"keep": True})
        fourth = await record(Stream(), clips, store, frames, "Fourth.")
        assert second is not None
        assert {clip.id for clip in await find_clips(store, ClipQuery())} == {first, third} - {fourth}
        state = clips.state()
        assert state.error is not None
        assert "would be left free" in state.error.message
        assert (state.given_up, state.written) == (1, 3)
        # Room again, and all is well.
        monkeypatch.undo()
        assert await record(Stream(), clips, store, frames, "Fifth.") is not None
        assert clips.state().error is None


async def test_a_disk_that_something_else_has_filled_does_not_cost_all_clips(tmp_path: Path) -> None:
    frames = Camera(group=5).film(30)
    async with opened(tmp_path) as (store, clips):
        there = {await record(Stream(), clips, store, frames, f"Number {n}.") for n in range(3)}
        each = clips.state().bytes // 3
        usage = service.files.free_bytes(tmp_path)
        clips.limits = replace(clips.limits, spare_bytes=usage + 100 * GB)
        await clips.retain()
        assert {clip.id for clip in await find_clips(store, ClipQuery())} == there

        async def nearly() -> int:
            return 1000

        clips._free = nearly  # type: ignore[method-assign]
        clips.limits = replace(clips.limits, spare_bytes=1000 + each)
        await clips.retain()
        assert len(await find_clips(store, ClipQuery())) in (1, 2)


class Usage:
    def __init__(self, free: int) -> None:
        self.free = free


def free(folder: Path, room: int) -> int:
    return room - sum(path.stat().st_size for path in (folder / "clips").iterdir())


async def test_a_clip_waits_for_a_store_that_is_away(tmp_path: Path) -> None:
    store = await open_store(store_url(None, tmp_path))
    away = True

    def there() -> EventStore:
        if away:
            raise service.StoreError("The event store is away.")
        return store

    clips = Clips(tmp_path / "clips", there, lambda *_: "{}", boot=BOOT, lengths=make_clips(tmp_path, store).lengths)
    async with clips:
        stream = Stream()
        clip_id = await record(stream, clips, store, Camera(group=5).film(30), "Once.")
        assert clip_id is not None
        assert await get_clip(store, clip_id) is None
        away = False
        await clips._note_late()
        assert await get_clip(store, clip_id) is not None
    await store.close()


async def test_what_is_chosen_for_a_stream_is_over_what_is_configured(tmp_path: Path) -> None:
    async with opened(tmp_path) as (_, clips):
        clips._configured["cam"] = ClipSettings(False, 3.0, None)
        assert clips.settings("cam") == ClipSettings(False, 3.0, None)
        assert not clips.is_on(Stream().session)
        await clips.choose("cam", {"enabled": True})
        assert clips.settings("cam") == ClipSettings(True, 3.0, None)
        assert clips.is_on(Stream().session)
    async with opened(tmp_path) as (_, clips):
        assert clips.settings("cam") == ClipSettings(True, None, None)
        await clips.choose("cam", {"enabled": None})
    async with opened(tmp_path) as (_, clips):
        assert clips.settings("cam") == ClipSettings()


def test_only_what_is_a_clip_in_the_making_is_removed(tmp_path: Path) -> None:
    assert remove_parts(tmp_path / "nowhere") == 0
    (tmp_path / "x.mp4.part").touch()
    (tmp_path / "x.mp4").touch()
    assert remove_parts(tmp_path) == 1
    assert os.listdir(tmp_path) == ["x.mp4"]
