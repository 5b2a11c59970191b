"""Each private name is there in the tested version, and where one is gone only its own feature is."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import aioice.ice
import aiortc.rtcrtpsender
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCRtpSender, RTCRtpTransceiver
from aiortc.rtp import RtcpSenderInfo, RtcpSrPacket
from hypothesis import given
from hypothesis import strategies as st

from stream import aiortc_patches
from stream.aiortc_patches import (
    BITRATE_FLOOR,
    ESTIMATE_EVERY_MS,
    ReceiverTap,
    SenderReport,
    gathering,
    install,
    sent_timestamp,
    works,
)
from stream.errors import SourceError
from stream.sources.webrtc import Publisher, WebRtcConfig
from tests.peers import Camera, PublishingPeer, Sink

FEATURES = [
    "pictures", "sender clock", "bitrate floor", "viewer clock", "viewer keyframes", "history", "gathering",
    "connecting", "consent",
]  # fmt: skip


def init_without_attributes(self: Any) -> None:
    """Stands for an `__init__` that sets none of the private attributes."""


def remove(feature: str, monkeypatch: pytest.MonkeyPatch) -> None:
    match feature:
        case "pictures":
            monkeypatch.delattr(RTCRtpReceiver, "_send_rtcp_pli")
        case "sender clock":
            monkeypatch.delattr(RTCRtpReceiver, "_handle_rtcp_packet")
        case "bitrate floor":
            monkeypatch.setattr(RTCRtpReceiver, "__init__", init_without_attributes)
        case "viewer clock":
            monkeypatch.setattr(RTCRtpSender, "__init__", init_without_attributes)
        case "viewer keyframes":
            monkeypatch.delattr(RTCRtpSender, "_send_keyframe")
        case "history":
            monkeypatch.delattr(aiortc.rtcrtpsender, "RTP_HISTORY_SIZE")
        case "gathering":
            monkeypatch.delattr(aioice.ice, "get_host_addresses")
        case "connecting":
            monkeypatch.delattr(RTCPeerConnection, "_RTCPeerConnection__connect")
        case "consent":
            monkeypatch.delattr(aioice.ice.Connection, "build_request")


def test_every_name_is_there_in_the_tested_version() -> None:
    assert all(works(feature) for feature in FEATURES)
    assert install() == install() == ()
    assert aiortc.rtcrtpsender.RTP_HISTORY_SIZE == 1024  # type: ignore[attr-defined]


@pytest.mark.parametrize("feature", FEATURES)
def test_a_name_that_is_gone_is_told_with_what_to_do(
    feature: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    remove(feature, monkeypatch)
    assert not works(feature)
    notes = install()
    assert notes
    assert all("aiortc==1.16" in note.action for note in notes)
    assert len([record for record in caplog.records if record.levelname == "WARNING"]) == len(notes)
    kept = [
        other for other in FEATURES if other != feature and not (feature == "bitrate floor" and other == "pictures")
    ]
    assert all(works(other) for other in kept)


def test_attributes_that_only_instances_have_are_found_by_their_mangled_name(monkeypatch: pytest.MonkeyPatch) -> None:
    class Renamed:
        def __init__(self) -> None:
            self.__jitter_queue = None

    monkeypatch.setattr(RTCRtpTransceiver, "__init__", Renamed.__init__)
    assert not works("pictures")
    assert works("bitrate floor")


async def test_without_the_optional_names_pictures_still_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stock behaviour for what is missing: no capture times, no floor, the peer's default keyframes."""
    stock = aiortc_patches.works
    gone = {"sender clock", "bitrate floor", "viewer keyframes", "connecting", "consent"}
    monkeypatch.setattr(aiortc_patches, "works", lambda feature: feature not in gone and stock(feature))
    peer = PublishingPeer(Camera("VP8"), "VP8")
    publisher, answer = await Publisher.accept(await peer.offer(), WebRtcConfig(addresses=("127.0.0.1",)))
    sink = Sink()
    run = asyncio.create_task(publisher.run(sink))
    await peer.take(answer)
    await sink.until(50)
    assert await aiortc_patches.answers(publisher.connection), "nobody is sent away who cannot be asked"
    assert {received.captured_unix_us for received in sink.received} == {None}
    await peer.close()
    await asyncio.wait_for(run, 10)


async def test_without_the_receivers_names_a_publisher_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    peer = PublishingPeer(Camera("VP8"), "VP8")
    offer = await peer.offer()
    remove("pictures", monkeypatch)
    with pytest.raises(SourceError, match="aiortc") as refused:
        await Publisher.accept(offer, WebRtcConfig())
    assert "pip install" in refused.value.action
    monkeypatch.undo()
    await peer.close()


async def test_without_the_senders_name_a_viewers_clock_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    sender = connection.addTransceiver("video").sender
    assert sent_timestamp(sender) == 0
    remove("viewer clock", monkeypatch)
    assert sent_timestamp(sender) is None
    await connection.close()


async def test_only_the_given_addresses_are_gathered_and_only_inside() -> None:
    install()
    outside = aioice.ice.get_host_addresses(True, True)
    with gathering(("127.0.0.1", "::1")):
        assert aioice.ice.get_host_addresses(True, True) == ["127.0.0.1", "::1"]
        with gathering(()):
            assert aioice.ice.get_host_addresses(True, True) == outside
        in_task = await asyncio.create_task(asyncio.to_thread(aioice.ice.get_host_addresses, True, True))
        assert in_task == ["127.0.0.1", "::1"]
    assert aioice.ice.get_host_addresses(True, True) == outside
    assert "127.0.0.1" not in outside


async def test_an_address_that_cannot_be_bound_is_left_out() -> None:
    install()
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connection.addTransceiver("video")
    with gathering(("203.0.113.9", "127.0.0.1")):
        await connection.setLocalDescription()
    hosts = [
        line.split()[4] for line in connection.localDescription.sdp.splitlines() if line.startswith("a=candidate:")
    ]
    assert hosts == ["127.0.0.1"]
    await connection.close()


@given(unix_us=st.integers(0, 4 * 10**15), rtp=st.integers(0, 0xFFFFFFFF), later=st.integers(-(2**30), 2**30))
def test_a_sender_report_places_every_timestamp_near_it(unix_us: int, rtp: int, later: int) -> None:
    """Across the wrap of the RTP timestamp, before and after the report, to the microsecond."""
    seconds, rest = divmod(unix_us, 1_000_000)
    ntp = (seconds + 2_208_988_800) << 32 | -(-(rest << 32) // 1_000_000)
    report = SenderReport.of(ntp, rtp)
    assert report.unix_us == unix_us
    assert abs(report.unix_us_at((rtp + later) & 0xFFFFFFFF) - (unix_us + later * 1e6 / 90_000)) <= 1


async def tapped() -> tuple[RTCPeerConnection, ReceiverTap, Any]:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    transceiver = connection.addTransceiver("video", "recvonly")
    return connection, ReceiverTap(transceiver, lambda *_: None), transceiver.receiver


async def test_reports_are_kept_per_sender_bounded_and_only_once_it_has_sent() -> None:
    connection, tap, receiver = await tapped()

    async def hear(ssrc: int, ntp: int, rtp: int) -> None:
        await receiver._handle_rtcp_packet(RtcpSrPacket(ssrc, RtcpSenderInfo(ntp, rtp, 1, 1)))

    await hear(1, 0, 7)
    assert tap.report(1) is None
    assert tap.heard_s is not None
    await hear(1, 3_900_000_000 << 32, 100)
    await hear(2, 3_900_000_001 << 32, 200)
    first, second = tap.report(1), tap.report(2)
    assert first is not None
    assert second is not None
    assert (first.rtp, second.rtp) == (100, 200)
    assert second.unix_us - first.unix_us == 1_000_000
    for ssrc in range(10, 60):
        await hear(ssrc, 3_900_000_002 << 32, 0)
    assert len([ssrc for ssrc in range(100) if tap.report(ssrc)]) == aiortc_patches.MAX_CLOCKS
    await connection.close()


async def test_the_bitrate_estimate_never_goes_below_the_floor() -> None:
    connection, _, receiver = await tapped()
    estimator = getattr(receiver, "_RTCRtpReceiver__remote_bitrate_estimator")  # noqa: B009
    estimates = []
    for place in range(400):
        sent = (place * 20 << 18) // 1000 & 0xFFFFFF
        arrival = place * 20 + place * place // 8  # an ever longer queue in the network
        estimates.append(estimator.add(arrival_time_ms=arrival, abs_send_time=sent, payload_size=200, ssrc=1))
    told = [estimate[0] for estimate in estimates if estimate]
    assert told
    assert min(told) == BITRATE_FLOOR
    await connection.close()


async def test_the_same_bitrate_estimate_is_not_sent_with_every_packet() -> None:
    connection, _, receiver = await tapped()
    estimator = getattr(receiver, "_RTCRtpReceiver__remote_bitrate_estimator")  # noqa: B009
    told: list[tuple[int, int]] = []
    arrival = 0
    for place in range(400):
        sent = (place * 20 << 18) // 1000 & 0xFFFFFF
        arrival = place * 20 + place * place // 8
        estimate = estimator.add(arrival_time_ms=arrival, abs_send_time=sent, payload_size=20_000, ssrc=1)
        if estimate:
            told.append((arrival, estimate[0]))
    for (before_ms, before), (after_ms, after) in pairwise(told):
        assert after < 0.97 * before or after_ms - before_ms >= ESTIMATE_EVERY_MS
    assert arrival / ESTIMATE_EVERY_MS * 0.5 <= len(told) <= arrival / ESTIMATE_EVERY_MS + 40
    await connection.close()


async def test_the_receivers_own_decoder_gets_nothing() -> None:
    """aiortc's decoder queue and track queue are not bounded, so nothing may ever go into them."""
    peer = PublishingPeer(Camera("VP8"), "VP8")
    publisher, answer = await Publisher.accept(await peer.offer(), WebRtcConfig(addresses=("127.0.0.1",)))
    sink = Sink()
    run = asyncio.create_task(publisher.run(sink))
    await peer.take(answer)
    await sink.until(10)
    receiver: Any = publisher.connection.getReceivers()[0]
    assert getattr(receiver, "_RTCRtpReceiver__decoder_queue").empty()  # noqa: B009
    assert receiver.track._queue.empty()
    await peer.close()
    await asyncio.wait_for(run, 10)
