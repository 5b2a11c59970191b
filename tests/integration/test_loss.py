"""What lost packets cost: a retransmission's time, and never a stall."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from typing import Any

import pytest

from stream.jitter import GIVE_UP_S
from stream.sources.webrtc import Publisher, WebRtcConfig
from stream.types import Codec
from tests.peers import Camera, PublishingPeer, Sink, numbers

CONFIG = WebRtcConfig(addresses=("127.0.0.1",))
MAX_STALL_S = 0.3
LOOP_TURNS = 3
"""A lost packet is noticed, asked for and received: each may have to wait for the event loop."""

Lost = Callable[[int, bool], bool]
"""Whether a packet is lost: its sequence number on the wire, and whether it is a retransmission."""


class Hindrance:
    """How long the event loop, which both sides share, was held up by the machine."""

    worst_s = 0.0

    async def watch(self) -> None:
        while True:
            asked_s = time.monotonic()
            await asyncio.sleep(0.005)
            self.worst_s = max(self.worst_s, time.monotonic() - asked_s - 0.005)


@contextlib.asynccontextmanager
async def lossy(
    codec: Codec, lost: Lost, size: tuple[int, int] = (320, 240)
) -> AsyncIterator[tuple[Camera, Sink, Hindrance]]:
    """A camera behind a network that loses packets after they were decrypted, media and retransmissions alike."""
    camera = Camera(codec, {0: size})
    peer = PublishingPeer(camera, codec)
    publisher, answer = await Publisher.accept(await peer.offer(), CONFIG)
    receiver: Any = publisher.connection.getReceivers()[0]
    handle = receiver._handle_rtp_packet
    rtx = {int(line.split(":")[1].split()[0]) for line in answer.splitlines() if "rtx/90000" in line}

    async def handle_some(packet: Any, arrival_time_ms: int) -> None:
        again = packet.payload_type in rtx
        seq = int.from_bytes(packet.payload[:2], "big") if again else packet.sequence_number
        if not lost(seq, again):
            await handle(packet, arrival_time_ms)

    receiver._handle_rtp_packet = handle_some
    sink = Sink()
    hindrance = Hindrance()
    run = asyncio.create_task(publisher.run(sink))
    watch = asyncio.create_task(hindrance.watch())
    try:
        await peer.take(answer)
        yield camera, sink, hindrance
    finally:
        watch.cancel()
        await peer.close()
        await asyncio.wait_for(run, 10)


def delays_s(camera: Camera, sink: Sink) -> list[float]:
    """From sending to having each picture whole."""
    offset_s = time.time() - time.monotonic()
    base = sink.received[0].rtp
    places = [((received.rtp - base) & 0xFFFFFFFF) // 3000 for received in sink.received]
    return [
        received.received_s + offset_s - camera.sent_unix_us[place] / 1e6
        for place, received in zip(places, sink.received, strict=True)
    ]


@pytest.mark.parametrize(("codec", "rate"), [("H264", 0.01), ("H264", 0.02), ("VP8", 0.02)])
async def test_random_loss_costs_no_picture_and_no_stall(codec: Codec, rate: float) -> None:
    random_numbers = random.Random(7)
    losses: list[bool] = []

    def lost(seq: int, again: bool) -> bool:
        losses.append(len(losses) > 10 and random_numbers.random() < rate)
        return losses[-1]

    async with lossy(codec, lost) as (camera, sink, hindrance):
        await sink.until(200, 30)
    assert sum(losses) >= 3
    assert numbers(codec, [received.data for received in sink.received]) == list(range(len(sink.received)))
    assert sink.drops == {}
    assert max(delays_s(camera, sink)) < MAX_STALL_S + LOOP_TURNS * hindrance.worst_s


async def test_a_retransmission_that_is_lost_too_is_asked_for_again() -> None:
    """Without a repeated request the picture would wait until another packet is lost."""
    first: list[int] = []
    tries = 0

    def lost(seq: int, again: bool) -> bool:
        nonlocal tries
        first.append(seq)
        if len(first) > 60 and seq == first[60]:
            tries += 1
            return tries <= 2
        return False

    async with lossy("VP8", lost) as (camera, sink, hindrance):
        await sink.until(60)
    assert tries >= 3
    assert numbers("VP8", [received.data for received in sink.received]) == list(range(len(sink.received)))
    assert max(delays_s(camera, sink)) < MAX_STALL_S + LOOP_TURNS * hindrance.worst_s


async def test_a_packet_that_never_comes_costs_a_keyframe_and_not_the_stream() -> None:
    first: list[int] = []

    def lost(seq: int, again: bool) -> bool:
        first.append(seq)
        return len(first) > 60 and seq == first[60]

    async with lossy("VP8", lost) as (camera, sink, _):
        await sink.until(60)
        assert camera.keyframes_asked >= 1
    places = [((received.rtp - sink.received[0].rtp) & 0xFFFFFFFF) // 3000 for received in sink.received]
    (jump,) = [place for place, (before, after) in enumerate(pairwise(places), 1) if after != before + 1]
    assert sink.received[jump].keyframe
    assert sink.drops["network"] > 0
    resumed_s = sink.received[jump].received_s + time.time() - time.monotonic()
    assert GIVE_UP_S <= resumed_s - camera.sent_unix_us[places[jump - 1] + 1] / 1e6 < 2
    assert None not in numbers("VP8", [received.data for received in sink.received])
