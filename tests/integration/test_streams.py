"""A stream from its source to its clients, with real packets, decoder and engine thread."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from stream.errors import BadInput, Conflict, LimitReached, NotFound, OnlookerError, SourceError
from stream.facts import Fact, PromptFact, SourceFact, TrackFact
from stream.hub import HubLimits, StreamHub
from stream.prompts import PromptDraft
from stream.session import StreamSession
from stream.sources.base import MediaSink, Received
from stream.sources.file import FileSource
from stream.sources.webrtc import WebRtcConfig
from stream.status import QUIET_S, StreamState
from stream.types import PromptKind, PromptState, TrackUpdate
from tests.barcode import BarcodeEngine, picture, write_clip


class PushedSource:
    """A source whose pictures the test pushes by hand."""

    kind = "webrtc"
    url: str | None = None
    note: str | None = None

    def __init__(self) -> None:
        self.heard_s: float | None = None
        self.keyframes_asked = 0
        self.sink: MediaSink | None = None
        self.fail_with: OnlookerError | None = None
        self.ended = asyncio.Event()
        self._encoder = av.CodecContext.create("libx264", "w")
        self._encoder.width, self._encoder.height, self._encoder.pix_fmt = 320, 240, "yuv420p"
        self._encoder.options = {"preset": "ultrafast", "tune": "zerolatency"}
        self._count = 0

    async def run(self, sink: MediaSink) -> None:
        self.sink = sink
        sink.connected()
        await self.ended.wait()
        if self.fail_with:
            raise self.fail_with

    def request_keyframe(self) -> None:
        self.keyframes_asked += 1

    def push(self, count: int = 1) -> None:
        assert self.sink is not None
        for _ in range(count):
            frame = av.VideoFrame.from_ndarray(picture(self._count, 320, 240), format="rgb24")
            frame.pts = self._count
            for packet in self._encoder.encode(frame):
                received = Received(
                    "H264", bytes(packet), packet.is_keyframe, self._count * 3000, None, time.monotonic()
                )
                self.sink.push(received)
            self._count += 1
        self.heard_s = time.monotonic()


@pytest.fixture
async def hub() -> AsyncIterator[StreamHub]:
    limits = HubLimits(max_streams=3, linger_s=0.3)
    async with StreamHub(BarcodeEngine(), webrtc=WebRtcConfig(addresses=("127.0.0.1",)), limits=limits) as hub:
        yield hub
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith(("engine", "decoder"))]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "numbers.mp4"
    write_clip(path, codec="libx264", size=(320, 240), frames=60, options={"g": "30", "bf": "0", "preset": "ultrafast"})
    return path


async def until(check: Callable[[], object], timeout_s: float = 10.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not check():
        assert time.monotonic() < deadline_s, "it did not happen in time"
        await asyncio.sleep(0.01)


async def updates(session: StreamSession, count: int) -> tuple[list[TrackUpdate], list[Fact]]:
    subscription, seen, facts = session.facts.subscribe(), [], []
    while len(seen) < count and not subscription.ended:
        new_facts, update = await asyncio.wait_for(subscription.next(), 10)
        facts += new_facts
        if update is not None:
            seen.append(update)
    subscription.close()
    return seen, facts


async def test_every_frame_of_a_file_is_read_in_order_and_in_real_time(hub: StreamHub, clip: Path) -> None:
    started_s = time.monotonic()
    session = await hub.open(FileSource(clip, loop=False), stream_id="numbers")
    seen, _ = await updates(session, 40)
    labels = [int(update.tracks[0].label) for update in seen]
    assert labels == sorted(set(labels))
    assert [update.index for update in seen] == labels
    assert all(update.pts == update.index * 3000 for update in seen)
    assert (session.width, session.height, session.codec, session.epoch) == (320, 240, "H264", 1)
    assert time.monotonic() - started_s > 1.0
    await until(lambda: session.state is StreamState.ENDED)
    assert session.error is None


async def test_a_file_that_loops_goes_on_without_a_new_epoch(hub: StreamHub, clip: Path) -> None:
    session = await hub.open(FileSource(clip, loop=True))
    seen, _ = await updates(session, 75)
    assert seen[-1].index >= 74
    assert {update.epoch for update in seen} == {1}
    assert [update.pts for update in seen] == sorted({update.pts for update in seen})


async def test_a_source_that_cannot_be_opened_is_told_as_a_fact(hub: StreamHub, tmp_path: Path) -> None:
    session = await hub.open(FileSource(tmp_path / "missing.mp4", loop=False))
    await until(lambda: session.error)
    assert isinstance(session.error, SourceError)
    facts = [fact.body for fact in (await session.facts.subscribe(after=0).next())[0]]
    assert any(isinstance(fact, SourceFact) and fact.error for fact in facts)


async def test_prompts_and_tracks_are_added_removed_restored_and_renamed(hub: StreamHub, clip: Path) -> None:
    session = await hub.open(FileSource(clip, loop=True))
    await updates(session, 3)
    listener = session.facts.subscribe()
    first = await session.add_prompt(PromptDraft(PromptKind.TEXT, text="cup"))
    second = await session.add_prompt(PromptDraft(PromptKind.POINTS, points=((0.5, 0.5, True),)))
    assert (first.prompt.id, second.prompt.id) == (1, 2)
    assert (second.prompt.points[0].x_px, second.prompt.points[0].y_px) == (160, 120)
    (latest,), _ = await updates(session, 1)
    ids = {track.prompt_id: track.id for track in latest.tracks}
    session.rename_track(ids[1], "my cup")
    await session.remove_prompt(2)
    await session.remove_track(ids[1])
    (latest,), _ = await updates(session, 1)
    assert {track.prompt_id for track in latest.tracks} == {None}
    await session.restore_track(ids[1])
    await session.restore_prompt(2)
    (latest,), _ = await updates(session, 1)
    assert {track.prompt_id: track.id for track in latest.tracks} == ids
    assert {track.label for track in latest.tracks} >= {"my cup"}
    bodies = [fact.body for fact in (await listener.next())[0]]
    told = [(fact.prompt.id, fact.state) for fact in bodies if isinstance(fact, PromptFact)]
    active, removed = PromptState.ACTIVE, PromptState.REMOVED
    assert told == [(1, active), (2, active), (2, removed), (2, active)]
    changes = [fact.change for fact in bodies if isinstance(fact, TrackFact) and fact.track_id == ids[1]]
    assert changes == ["confirmed", "renamed", "removed", "restored"]
    assert [fact.prompt.id for fact in session.prompts] == [1, 2]


async def test_what_does_not_exist_is_said_so(hub: StreamHub, clip: Path) -> None:
    session = await hub.open(FileSource(clip, loop=True))
    await updates(session, 1)
    for call in (session.remove_prompt, session.restore_prompt, session.remove_track):
        with pytest.raises(NotFound):
            await call(99)
    with pytest.raises(NotFound):
        session.rename_track(99, "x")
    with pytest.raises(NotFound):
        hub.get("nothing")
    with pytest.raises(BadInput):
        await session.add_prompt(PromptDraft(PromptKind.POINTS, points=((1.5, 0.5, True),)))
    assert session.prompts == ()


async def test_refinements_do_not_use_up_the_prompts(hub: StreamHub, clip: Path) -> None:
    session = await hub.open(FileSource(clip, loop=True))
    await updates(session, 1)
    for _ in range(40):
        await session.add_prompt(PromptDraft(PromptKind.POINTS, points=((0.5, 0.5, False),), track_id=1))
    assert session.prompts == ()
    for _ in range(32):
        await session.add_prompt(PromptDraft(PromptKind.TEXT, text="cup"))
    with pytest.raises(LimitReached):
        await session.add_prompt(PromptDraft(PromptKind.TEXT, text="cup"))


async def test_ids_are_not_used_again_when_a_stream_is_opened_again(hub: StreamHub, clip: Path) -> None:
    session = await hub.open(FileSource(clip, loop=True), stream_id="again")
    await session.add_prompt(PromptDraft(PromptKind.TEXT, text="cup"))
    seen, _ = await updates(session, 2)
    before = {track.id for track in seen[-1].tracks}
    last_fact = session.facts.seq
    await hub.close("again")
    session = await hub.open(FileSource(clip, loop=True), stream_id="again")
    prompt = await session.add_prompt(PromptDraft(PromptKind.TEXT, text="cup"))
    seen, facts = await updates(session, 2)
    assert prompt.prompt.id == 2
    assert before.isdisjoint(track.id for track in seen[-1].tracks)
    assert all(fact.seq > last_fact for fact in facts)


async def test_a_snapshot_is_the_picture_and_with_overlay_its_masks(hub: StreamHub, clip: Path) -> None:
    session = await hub.open(FileSource(clip, loop=True))
    with pytest.raises(NotFound):
        await session.snapshot_jpeg(overlay=False)
    await updates(session, 2)
    plain, marked = await session.snapshot_jpeg(overlay=False), await session.snapshot_jpeg(overlay=True)
    for data in (plain, marked):
        assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape == (240, 320, 3)
    colourful = cv2.imdecode(np.frombuffer(marked, np.uint8), cv2.IMREAD_COLOR).astype(int)
    grey = cv2.imdecode(np.frombuffer(plain, np.uint8), cv2.IMREAD_COLOR).astype(int)
    assert np.ptp(colourful[150:200, 100:220], axis=2).mean() > 5 * np.ptp(grey[150:200, 100:220], axis=2).mean()


async def test_a_quiet_source_is_still_while_it_is_heard_and_stalled_when_it_is_not(hub: StreamHub) -> None:
    source = PushedSource()
    session = await hub.open(source, stream_id="screen")
    await until(lambda: source.sink)
    assert session.state is StreamState.WAITING
    source.push(3)
    assert session.state is StreamState.LIVE
    session._meters.received_s = time.monotonic() - QUIET_S
    source.heard_s = time.monotonic()
    assert session.state is StreamState.STILL
    source.heard_s = time.monotonic() - 60
    assert session.state is StreamState.STALLED


async def test_a_still_screen_takes_a_click(hub: StreamHub) -> None:
    source = PushedSource()
    session = await hub.open(source, stream_id="screen")
    await until(lambda: source.sink)
    source.push(2)
    await updates_after(session, lambda update: update.index == 1)
    await hub.run_on_engine(lambda: setattr(session._lane.tracker, "busy", True))  # type: ignore[union-attr]
    await session.add_prompt(PromptDraft(PromptKind.POINTS, points=((0.5, 0.5, True),)))
    update = await updates_after(session, lambda update: len(update.tracks) == 2)
    assert update.index == 1


async def updates_after(session: StreamSession, check: Callable[[TrackUpdate], bool]) -> TrackUpdate:
    await until(lambda: session.latest is not None and check(session.latest))
    assert session.latest is not None
    return session.latest


async def test_a_damaged_picture_costs_a_keyframe_request_and_not_the_stream(hub: StreamHub) -> None:
    source = PushedSource()
    session = await hub.open(source, stream_id="damaged")
    await until(lambda: source.sink)
    source.push(2)
    assert source.sink is not None
    for rtp in range(5):
        source.sink.push(
            Received("H264", b"\0\0\0\1\x65" + bytes(range(256)), True, 9000 + rtp, None, time.monotonic())
        )
    await until(lambda: source.keyframes_asked)
    source.push(3)
    update = await updates_after(session, lambda update: update.tracks[0].label == "4")
    assert update.tracks[0].label == "4"


async def test_limits_and_ids_are_checked(hub: StreamHub, clip: Path) -> None:
    for bad in ("UPPER", "-x", "a" * 64, "a/b", "ä"):
        with pytest.raises(BadInput):
            await hub.open(FileSource(clip, loop=True), stream_id=bad)
    await hub.open(FileSource(clip, loop=True), stream_id="one")
    with pytest.raises(Conflict):
        await hub.open(FileSource(clip, loop=True), stream_id="one")
    await hub.open(FileSource(clip, loop=True))
    await hub.open(FileSource(clip, loop=True))
    with pytest.raises(LimitReached):
        await hub.open(FileSource(clip, loop=True))
    await hub.close("one")
    await hub.open(FileSource(clip, loop=True))


async def test_closing_a_stream_wakes_its_clients(hub: StreamHub, clip: Path) -> None:
    session = await hub.open(FileSource(clip, loop=True), stream_id="short")
    subscription = session.facts.subscribe()
    await hub.close("short")
    while not subscription.ended:
        await asyncio.wait_for(subscription.next(), 5)
    assert hub.list() == []
    with pytest.raises(NotFound):
        await session.add_prompt(PromptDraft(PromptKind.TEXT, text="cup"))
