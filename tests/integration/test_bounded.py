"""A stream of any length costs no more than a short one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import numpy as np
import pytest

from stream.facts import KEPT_FACTS
from stream.hub import StreamHub
from stream.prompts import PromptDraft
from stream.sources.base import Received
from stream.sources.webrtc import WebRtcConfig
from stream.types import Frame, PromptKind, Track, TrackState, TrackUpdate
from tests.barcode import LOWER_HALF, BarcodeEngine
from tests.integration.test_streams import PushedSource, until
from tests.memory import Counts, Growth

STEPS = 100_000
SAMPLE_EVERY = 5_000


@pytest.fixture
async def hub() -> AsyncIterator[StreamHub]:
    async with StreamHub(BarcodeEngine(), webrtc=WebRtcConfig(addresses=("127.0.0.1",))) as hub:
        yield hub


def changing_tracks(step: int) -> tuple[Track, ...]:
    """Tracks that come, are lost, return and go, always under new ids."""
    tracks = []
    for slot in range(4):
        age = (step + slot * 13) % 50
        track_id = (step + slot * 13) // 50 * 4 + slot + 1
        state = TrackState.LIVE if age < 30 else TrackState.LOST if age < 49 else TrackState.GONE
        tracks.append(Track(track_id, "cup", 1.0, (0, 0, 9, 9), LOWER_HALF, state, 1, age / 30))
    return tuple(tracks)


async def test_the_state_of_a_stream_is_flat_over_a_hundred_thousand_updates(hub: StreamHub) -> None:
    """With a client that reads and one that never does, with tracks that come and go and names given to them."""
    session = await hub.open(PushedSource(), stream_id="long")
    reader, sleeper = session.facts.subscribe(), session.facts.subscribe()
    luma, chroma = np.zeros((48, 64), np.uint8), np.full((24, 32, 2), 128, np.uint8)
    growth, before = Growth(), None
    for step in range(STEPS):
        now_s = time.monotonic()
        frame = Frame(step, 1, step * 3000, step * 3000 & 0xFFFFFFFF, None, now_s, now_s, luma, chroma)
        session._deliver(replace(TrackUpdate.of(frame, changing_tracks(step))), frame)
        if step % 100 == 0:
            session.rename_track(session.latest.tracks[0].id, f"cup {step}")  # type: ignore[union-attr]
            await reader.next()
        if step % SAMPLE_EVERY == 0:
            growth.sample(step)
            before = before or Counts.now()
    assert growth.mib_per_10k_steps() <= 1.0
    assert Counts.now() == before
    assert len(session.labels) <= 4
    assert len(session.facts._kept) == KEPT_FACTS
    assert sleeper.too_slow


async def test_a_thousand_packets_leave_nothing_behind(hub: StreamHub) -> None:
    """Decoded, stepped and delivered, with prompts made and removed on the way. Memory is for the soak to weigh: these
    steps are too few."""
    source = PushedSource()
    session = await hub.open(source, stream_id="packets")
    await until(lambda: source.sink)
    source.push(30)
    before = Counts.now()
    for _ in range(35):
        source.push(30)
        prompt = await session.add_prompt(PromptDraft(PromptKind.TEXT, text="cup"))
        await session.remove_prompt(prompt.prompt.id)
        await asyncio.sleep(0.06)
    assert Counts.now() == before
    assert session.latest is not None
    assert session.latest.index > 700
    assert source.sink is not None
    source.sink.push(Received("H264", b"\0\0\0\1\x41rubbish", False, 1, None, time.monotonic()))
    source.push(30)
    await until(lambda: session.status().drops.get("decode"))
