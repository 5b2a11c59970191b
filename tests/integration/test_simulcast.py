"""Senders that offer their picture in several sizes at once: one of them is taken, whole and in order."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import pytest

from stream.sources.webrtc import Publisher, WebRtcConfig
from tests.peers import Camera, PublishingPeer, Sink, numbers

CONFIG = WebRtcConfig(addresses=("127.0.0.1",))
LAYERS = "a=rid:q send\r\na=rid:h send\r\na=rid:f send\r\na=simulcast:send q;h;f\r\n"


async def test_an_offer_of_several_layers_is_answered_for_one() -> None:
    """A sender whose simulcast is not in the answer sends its first layer alone (RFC 8853, 5.3)."""
    peer = PublishingPeer(Camera("VP8"), "VP8")
    publisher, answer = await Publisher.accept(await peer.offer() + LAYERS, CONFIG)
    assert "simulcast" not in answer
    assert "a=rid" not in answer
    sink = Sink()
    run = asyncio.create_task(publisher.run(sink))
    await peer.take(answer)
    await sink.until(10)
    await peer.close()
    await asyncio.wait_for(run, 10)


@pytest.mark.parametrize("ahead", [1000, -1000])
async def test_of_a_sender_that_sends_all_its_layers_anyhow_one_is_taken(ahead: int) -> None:
    camera = Camera("VP8")
    peer = PublishingPeer(camera, "VP8")
    publisher, answer = await Publisher.accept(await peer.offer(), CONFIG)
    receiver: Any = publisher.connection.getReceivers()[0]
    handle = receiver._handle_rtp_packet

    async def handle_layers(packet: Any, arrival_time_ms: int) -> None:
        other = copy.copy(packet)
        other.ssrc = packet.ssrc ^ 1
        other.sequence_number = (packet.sequence_number + ahead) & 0xFFFF
        await handle(packet, arrival_time_ms)
        await handle(other, arrival_time_ms)

    receiver._handle_rtp_packet = handle_layers
    sink = Sink()
    run = asyncio.create_task(publisher.run(sink))
    await peer.take(answer)
    await sink.until(60)
    await peer.close()
    await asyncio.wait_for(run, 10)
    assert numbers("VP8", [received.data for received in sink.received]) == list(range(len(sink.received)))
    assert sink.drops == {}
    assert camera.keyframes_asked <= 1


async def test_a_camera_that_goes_on_under_another_ssrc_is_taken_over() -> None:
    camera = Camera("VP8")
    peer = PublishingPeer(camera, "VP8")
    publisher, answer = await Publisher.accept(await peer.offer(), CONFIG)
    receiver: Any = publisher.connection.getReceivers()[0]
    handle = receiver._handle_rtp_packet
    renamed = False

    async def handle_renamed(packet: Any, arrival_time_ms: int) -> None:
        packet.ssrc ^= renamed
        await handle(packet, arrival_time_ms)

    receiver._handle_rtp_packet = handle_renamed
    sink = Sink()
    run = asyncio.create_task(publisher.run(sink))
    try:
        await peer.take(answer)
        await sink.until(10)
        renamed, before = True, len(sink.received)
        async with asyncio.timeout(20):
            while len(sink.received) < before + 20:
                # Our request goes to the new SSRC, of which the peer knows nothing.
                camera.keyframe_wanted = len(sink.received) <= before
                await asyncio.sleep(0.05)
    finally:
        await peer.close()
        await asyncio.wait_for(run, 10)
    assert sink.received[before].keyframe
    assert None not in numbers("VP8", [received.data for received in sink.received])
