"""The event store on SQLite and on a real PostgreSQL server: the same words find the same things."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from agent.store import outbox
from agent.store.clips import (
    Clip,
    ClipQuery,
    ClipSettings,
    EventInClip,
    add_clips,
    change_event,
    facets,
    find_clips,
    moments,
    oldest_unkept,
    read_settings,
    remove_clips,
    unkept_bytes,
    used_by_clips,
    write_settings,
)
from agent.store.faults import RowRefused
from agent.store.opening import open_store, store_url
from agent.store.retention import Limits, retain, used_bytes
from agent.store.rows import Delivery, Entry
from agent.store.store import EventQuery, EventStore
from agent.types import (
    AgentError,
    Answer,
    AnswerFact,
    AnswerState,
    Caption,
    CaptionFact,
    Event,
    EventKind,
    Evidence,
    Question,
    QuestionFact,
    Region,
    RegionFact,
    RegionKind,
    Severity,
    Watch,
    WatchFact,
)
from stream.types import FrameRef, Rle
from tests.postgres import postgres
from tests.stored import BOOT, NOON, entry, event


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> sa.URL:
    if request.param == "sqlite":
        return store_url(None, tmp_path)
    address = store_url(request.getfixturevalue("server"), tmp_path)
    engine = create_async_engine(address)
    async with engine.begin() as connection:
        await connection.execute(sa.text("DROP SCHEMA public CASCADE"))
        await connection.execute(sa.text("CREATE SCHEMA public"))
    await engine.dispose()
    return address


@pytest.fixture
async def store(url: sa.URL) -> AsyncIterator[EventStore]:
    opened = await open_store(url)
    yield opened
    await opened.close()


async def found(store: EventStore, **query: object) -> list[str]:
    """The texts of the events that a query finds."""
    return [stored.event.text for stored in await store.events(EventQuery(**query))]  # type: ignore[arg-type]


async def test_an_event_comes_back_as_it_was(store: EventStore, url: sa.URL) -> None:
    evidence = Evidence("a person in blue?", "gemma", FrameRef(1, 93_000), ((3, Rle((36, 64), "oT1d0")),))
    told = event(
        "in blue: [#3] and [#4]\0", 1.25, kind=EventKind.ALERT, severity=Severity.CRITICAL, track_ids=(3, 4),
        boxes_xyxy=((0.1, 0.2, 0.5, 0.75), (0.0, 0.0, 1.0, 1.0)), labels=("person", "naïve cup"),
        watch_id="e" * 32, region_id="f" * 32, value=2.5, evidence=evidence,
    )  # fmt: skip
    await store.write(BOOT, "cam", [entry(told, thumb=b"thumb", frame=b"frame")])
    await store.close()
    again = await open_store(url)
    stored = await again.event(told.id)
    assert stored is not None
    assert stored.event == replace(told, text="in blue: [#3] and [#4]\N{REPLACEMENT CHARACTER}")
    assert (stored.boot, stored.stream, stored.pictures) == (BOOT, "cam", {"thumb", "frame"})
    assert await again.picture(told.id) == b"thumb"
    assert await again.picture(told.id, "frame") == b"frame"
    assert await again.picture("0" * 32) is None
    assert await again.event("0" * 32) is None
    await again.close()


async def test_events_are_found_newest_first_by_what_they_are(store: EventStore) -> None:
    cam = [
        event("one", 0),
        event("two", 60, kind=EventKind.EXIT, labels=("cup",)),
        event("three", 120, kind=EventKind.ALERT, watch_id="e" * 32),
    ]
    await store.write(BOOT, "cam", map(entry, cam))
    await store.write(BOOT, "door", [entry(event("four", 180))])
    assert await found(store) == ["four", "three", "two", "one"]
    assert await found(store, stream="cam") == ["three", "two", "one"]
    assert await found(store, kind=EventKind.EXIT) == ["two"]
    assert await found(store, label="cup") == ["two"]
    assert await found(store, watch_id="e" * 32) == ["three"]
    assert await found(store, since=NOON + timedelta(seconds=60), until=NOON + timedelta(seconds=180)) == [
        "three",
        "two",
    ]
    first = await store.events(EventQuery(limit=3))
    assert await found(store, before=first[-1].seq) == ["one"]


@pytest.mark.parametrize(
    ("words", "texts"),
    [
        ("cup", ["[#3] red cup came in.", "[#4] two cups left by the door."]),
        ("CUPS", ["[#3] red cup came in.", "[#4] two cups left by the door."]),
        ("red cup", ["[#3] red cup came in."]),
        ("cup red", ["[#3] red cup came in."]),
        ("doo", ["[#4] two cups left by the door."]),
        ("person", ["[#5] Ann stands."]),
        ("ann stand", ["[#5] Ann stands."]),
        ('"red" OR (cup* NEAR', []),
        ("cup' & !red | :*", ["[#3] red cup came in."]),
        ("!!! --", []),
        ("", []),
        ("bicycle", []),
    ],
)
async def test_words_are_found_in_any_form_and_are_no_syntax(store: EventStore, words: str, texts: list[str]) -> None:
    told = [
        event("[#3] red cup came in.", labels=("thing",)),
        event("[#4] two cups left by the door.", labels=("thing",)),
        event("[#5] Ann stands.", labels=("person",)),
    ]
    await store.write(BOOT, "cam", map(entry, told))
    assert sorted(await found(store, q=words)) == texts


async def test_captions_and_answers_are_found(store: EventStore) -> None:
    frame = FrameRef(1, 90_000)
    question = Question("a" * 32, "What is on the table?", "c" * 32, frame, NOON, (3,), None, True)
    error = AgentError("vlm_unavailable", "It was cut.", "Ask again.", True)
    answer = Answer("a" * 32, AnswerState.FAILED, "A mug [#3]", (3,), frame, NOON, 20.5, 300.0, 900.0, "gemma", error)
    open_ = replace(question, id="d" * 32, text="Who is that?", follows="a" * 32)
    caption = Caption(3, "a blue mug with a crack", frame, NOON, "gemma")
    asked = [Entry(QuestionFact(question), NOON), Entry(QuestionFact(open_), NOON)]
    await store.write(BOOT, "cam", [*asked, Entry(CaptionFact(caption), NOON)])
    await store.write(BOOT, "cam", [Entry(AnswerFact(answer), NOON)])
    latest, first = await store.questions()
    assert (latest.question, latest.answer) == (open_, None)
    assert (first.question, first.answer) == (question, answer)
    assert [stored.question.id for stored in await store.questions(q="mugs")] == ["a" * 32]
    assert [stored.question.id for stored in await store.questions(q="table", stream="cam")] == ["a" * 32]
    assert await store.questions(q="table", stream="door") == []
    assert await store.captions(q="cracked") == [caption]
    assert await store.captions(q="mug", before=1) == []


async def test_watches_and_regions_are_kept_as_they_last_were(store: EventStore) -> None:
    door = Region("1" * 32, "door", RegionKind.ZONE, ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0)))
    line = Region("2" * 32, "line", RegionKind.LINE, ((0.0, 0.5), (1.0, 0.5)))
    watch = Watch("3" * 32, "a cup appears", (), None, 30.0, Severity.INFO, True)
    moved = replace(door, points=((0.1, 0.0), (0.5, 0.0), (0.5, 1.0)))
    facts = [RegionFact(door), RegionFact(line), WatchFact(watch), RegionFact(line, removed=True)]
    await store.write(BOOT, "cam", [Entry(fact, NOON) for fact in facts])
    later = [RegionFact(moved), WatchFact(replace(watch, enabled=False))]
    await store.write(BOOT, "cam", [Entry(fact, NOON) for fact in later])
    kept = await store.kept()
    assert list(kept) == ["cam"]
    assert kept["cam"].regions == (moved,)
    assert kept["cam"].watches == (replace(watch, enabled=False),)


async def test_writing_again_changes_nothing(store: EventStore) -> None:
    told = entry(event("a bicycle"), thumb=b"thumb")
    await store.write(BOOT, "cam", [told])
    await store.write(BOOT, "cam", [told])
    assert await found(store, q="bicycle") == ["a bicycle"]


async def test_a_refused_row_takes_the_whole_batch_with_it(store: EventStore) -> None:
    with pytest.raises(RowRefused):
        await store.write(BOOT, "cam", [entry(event("good")), entry(event("bad", pts=2**70))])
    assert await found(store) == []


async def test_many_write_at_once(store: EventStore) -> None:
    async def write(stream: str) -> None:
        for number in range(20):
            await store.write(BOOT, stream, [entry(event(f"{stream} {number}"))])

    await asyncio.gather(*(write(f"cam{number}") for number in range(4)))
    assert len(await found(store)) == 80


async def test_what_is_too_old_goes(store: EventStore) -> None:
    day = 86_400
    await store.write(BOOT, "cam", [entry(event(f"day {n}", n * day), thumb=b"x") for n in range(10)])
    region = Region("1" * 32, "door", RegionKind.LINE, ((0.0, 0.0), (0.5, 0.0)))
    await store.write(BOOT, "old", [Entry(RegionFact(region), NOON)])
    await store.write(BOOT, "cam", [Entry(RegionFact(region), NOON)])
    await store.touch(["cam"], NOON + timedelta(days=9))
    gone = await retain(store, Limits(timedelta(days=3), 2**40), NOON + timedelta(days=9))
    assert gone == 6
    assert await found(store) == ["day 9", "day 8", "day 7", "day 6"]
    assert await found(store, q="day 2") == []
    assert list(await store.kept()) == ["cam"]
    assert await retain(store, Limits(timedelta(days=3), 2**40), NOON + timedelta(days=9)) == 0


async def test_the_oldest_goes_until_it_fits(store: EventStore) -> None:
    jpeg = bytes(10_000)
    told = [event(f"number {n}", n) for n in range(600)]
    for start in range(0, 600, 100):
        await store.write(BOOT, "cam", [entry(one, thumb=jpeg) for one in told[start : start + 100]])
    before = await used_bytes(store)
    assert before > 6_000_000
    gone = await retain(store, Limits(timedelta(days=30), 3_000_000), NOON)
    assert gone == 400
    assert await used_bytes(store) <= 3_000_000
    left = await store.events(EventQuery(limit=1000))
    assert [stored.event.text for stored in left] == [f"number {n}" for n in reversed(range(400, 600))]
    assert await store.picture(told[0].id) is None
    assert await store.picture(told[-1].id) == jpeg
    if store.dialect == "sqlite":
        async with store.reading() as connection:
            pages = (await connection.execute(sa.text("PRAGMA page_count"))).scalar_one()
        assert pages * 4096 <= 3_000_000, "the file itself became smaller"


async def test_the_outbox_outlives_the_server(store: EventStore, url: sa.URL) -> None:
    told = event()
    waiting = Delivery("1" * 32, "webhook-1", told.id, "{}", NOON)
    refused = Delivery("2" * 32, "webhook-1", told.id, "{}", NOON + timedelta(seconds=1))
    done = Delivery("3" * 32, "webhook-1", told.id, "{}", NOON)
    await store.write(BOOT, "cam", [entry(told, deliveries=(waiting, refused, done))])
    await outbox.delivered(store, done)
    refused = replace(refused, tries=6, error="It answered 500.")
    await outbox.failed(store, refused, dead=True)
    await store.close()
    again = await open_store(url)
    assert await outbox.pending(again) == [waiting]
    assert await outbox.dead_letters(again, "webhook-1") == [refused]
    assert await outbox.dead_letters(again, "webhook-2") == []
    await again.close()


def clip_of(told: Event, number: int, stream: str = "cam", after_s: float = 0.0) -> Clip:
    at = NOON + timedelta(seconds=after_s)
    events = (EventInClip(told.id, 1.5), EventInClip("e" * 32, None))
    return Clip(f"{number:032x}", BOOT, stream, at, ".mp4", "H264", 640, 480, 3.0, 90, 88, 1000 + number, events)


async def test_clips_are_listed_by_stream_event_and_time_and_kept_with_their_events(store: EventStore) -> None:
    told = [event(f"number {n}", n, region_id="f" * 32) for n in range(4)]
    await store.write(BOOT, "cam", [entry(each) for each in told])
    streams = ("cam", "cam", "door", "cam")
    added = [clip_of(each, n, streams[n], n) for n, each in enumerate(told)]
    await add_clips(store, [(clip, (told[3].id,) if n == 3 else ()) for n, clip in enumerate(added)])
    everything = await find_clips(store, ClipQuery())
    assert [clip.id for clip in everything] == [clip.id for clip in reversed(added)]
    assert [clip.keep for clip in everything] == [True, False, False, False]
    assert replace(everything[-1], seq=0) == replace(added[0], events=everything[-1].events)
    assert set(everything[-1].events) == set(added[0].events)
    assert [clip.id for clip in await find_clips(store, ClipQuery(stream="door"))] == [added[2].id]
    assert [clip.id for clip in await find_clips(store, ClipQuery(event_id=told[1].id))] == [added[1].id]
    between = ClipQuery(since=NOON + timedelta(seconds=1), until=NOON + timedelta(seconds=3), limit=1)
    (newest,) = await find_clips(store, between)
    assert (newest.id, [clip.id for clip in await find_clips(store, replace(between, before=newest.seq))]) == (
        added[2].id,
        [added[1].id],
    )
    assert await moments(store, [each.id for each in told[:2]]) == {
        told[0].id: (added[0].id, 1.5),
        told[1].id: (added[1].id, 1.5),
    }
    assert await used_by_clips(store) == {"cam": 3004, "door": 1002}
    assert await unkept_bytes(store) == 3003
    assert [row[0] for row in await oldest_unkept(store, stream="cam")] == [added[0].id, added[1].id]
    await remove_clips(store, [added[0].id])
    assert await moments(store, [told[0].id]) == {}
    assert await found(store, with_clip=True) == ["number 3", "number 2", "number 1"]
    assert await found(store, keep=True) == ["number 3"]
    assert await found(store, region_id="f" * 32, label="person", q="number 2") == ["number 2"]


async def test_a_note_is_searched_and_what_is_kept_outlives_its_time(store: EventStore) -> None:
    told = [event("came in", 0), event("went out", 1)]
    await store.write(BOOT, "cam", [entry(each) for each in told])
    assert await change_event(store, told[0].id, {"note": "the postman \0"})
    assert await found(store, q="postmen came") == []
    assert await found(store, q="postman came") == ["came in"]
    assert await change_event(store, told[0].id, {"note": "a neighbour", "keep": True})
    assert await found(store, q="postman") == []
    (stored,) = await store.events(EventQuery(q="neighbours"))
    assert (stored.keep, stored.note) == (True, "a neighbour")
    assert not await change_event(store, "e" * 32, {"keep": True})
    assert await facets(store) == {
        "streams": ["cam"], "kinds": ["enter"], "labels": ["person"], "region_ids": [],
    }  # fmt: skip
    assert await facets(store, "door") == {"streams": ["cam"], "kinds": [], "labels": [], "region_ids": []}
    await retain(store, Limits(timedelta(days=1), 1), NOON + timedelta(days=9))
    assert await found(store) == ["came in"]
    assert await change_event(store, told[0].id, {"note": None, "keep": False})
    assert await found(store, q="neighbours") == []
    await retain(store, Limits(timedelta(days=1), 1 << 30), NOON + timedelta(days=9))
    assert await found(store) == []


async def test_what_was_chosen_for_a_stream_comes_back(store: EventStore) -> None:
    await write_settings(store, "cam", ClipSettings(False, 3.5, None))
    await write_settings(store, "cam", ClipSettings(True, None, 2.0))
    await write_settings(store, "door", ClipSettings(True))
    await write_settings(store, "door", ClipSettings())
    assert await read_settings(store) == {"cam": ClipSettings(True, None, 2.0)}
