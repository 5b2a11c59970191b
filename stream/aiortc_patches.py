"""The only file that touches private names of aiortc 1.16 and aioice 0.13.

Each feature works on the instance that it is given, except the two that are module constants there (`install`). Before
use every private name is looked up; where one is gone, that feature is left out with a warning and a `Note`.

tap_receiver      complete compressed pictures, or packets of sound, from a receiver; its own decoder and its unbounded
                  queues stay empty
sender clock      RTCP sender reports, per SSRC: the sender's wall clock of each picture (RFC 3550, 6.4.1)
bitrate floor     the receiver's bitrate estimate, which starves senders at the start, gets a floor
tap_sender        the offset between our RTP timestamps and the wire's; keyframe requests of the peer
history           packets kept for retransmission: 1024 instead of 128
gathering         ICE host candidates on the given addresses and no others
connecting        ended before its connection is closed
consent           whether a peer still answers (RFC 7675), asked when we want to know
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import aioice.ice
import aioice.stun
import aiortc.rtcrtpsender
from aiortc import RTCIceTransport, RTCPeerConnection, RTCRtpReceiver, RTCRtpSender, RTCRtpTransceiver
from aiortc.jitterbuffer import JitterFrame
from aiortc.rate import RemoteBitrateEstimator
from aiortc.rtp import RtcpSrPacket, RtpPacket

from stream.audio import AudioCodec
from stream.engines.base import Note
from stream.types import Codec

logger = logging.getLogger(__name__)

HISTORY_PACKETS = 1024
BITRATE_FLOOR = 1_500_000
ESTIMATE_EVERY_MS = 400
FALL = 0.97
"""A bitrate estimate below this share of the last one is told at once, every other one after `ESTIMATE_EVERY_MS`."""
NTP_TO_UNIX_S = 2_208_988_800
CHECKS = 3
"""Connectivity checks, 0.5, 1 and 2 s apart, until a peer counts as gone."""

MAX_CLOCKS = 8
"""SSRCs whose sender reports are kept for one receiver."""

_CODECS: dict[str, Codec] = {"VP8": "VP8", "H264": "H264"}
_AUDIO_CODECS: dict[str, AudioCodec] = {"OPUS": "OPUS", "PCMU": "PCMU", "PCMA": "PCMA", "G722": "G722"}

_addresses: ContextVar[tuple[str, ...] | None] = ContextVar("ice_addresses", default=None)
_stock_host_addresses: Callable[..., list[str]] | None = None

_NEEDS: dict[str, tuple[tuple[Any, str], ...]] = {
    "pictures": (
        (RTCRtpReceiver, "__jitter_buffer"),
        (RTCRtpReceiver, "__nack_generator"),
        (RTCRtpReceiver, "_send_rtcp_nack"),
        (RTCRtpReceiver, "_send_rtcp_pli"),
        (RTCRtpTransceiver, "_codecs"),
    ),
    "sender clock": ((RTCRtpReceiver, "_handle_rtcp_packet"),),
    "bitrate floor": ((RTCRtpReceiver, "__remote_bitrate_estimator"),),
    "viewer clock": ((RTCRtpSender, "__rtp_timestamp"),),
    "viewer keyframes": ((RTCRtpSender, "_send_keyframe"),),
    "history": ((aiortc.rtcrtpsender, "RTP_HISTORY_SIZE"),),
    "gathering": ((aioice.ice, "get_host_addresses"),),
    "connecting": ((RTCPeerConnection, "__connect"),),
    "consent": (
        (RTCIceTransport, "_connection"),
        (aioice.ice.Connection, "_nominated"),
        (aioice.ice.Connection, "build_request"),
    ),
}
_LOST_WITHOUT = {
    "pictures": "WebRTC publishers cannot be received",
    "sender clock": "overlays on one's own camera are matched by time instead of exactly",
    "bitrate floor": "some browsers start with a small picture",
    "viewer clock": "overlays on watched streams are matched by time instead of exactly",
    "viewer keyframes": "a viewer that lost packets waits for the next regular keyframe",
    "history": "viewers recover from fewer lost packets",
    "gathering": "WebRTC uses every network address except loopback",
    "connecting": "sessions that are ended while they connect leave tasks behind",
    "consent": "a publisher that has vanished holds its stream for half a minute",
}


def _mangled(owner: Any, name: str) -> str:
    return f"_{owner.__name__}{name}" if name.startswith("__") else name


def _exists(owner: Any, name: str) -> bool:
    if hasattr(owner, _mangled(owner, name)):
        return True
    return inspect.isclass(owner) and _mangled(owner, name) in owner.__init__.__code__.co_names


def works(feature: str) -> bool:
    """Whether all private names that `feature` needs are there."""
    return all(_exists(owner, name) for owner, name in _NEEDS[feature])


def install() -> tuple[Note, ...]:
    """Set what is global, and say what cannot work with the aiortc at hand. Idempotent."""
    global _stock_host_addresses
    notes = []
    for feature, loss in _LOST_WITHOUT.items():
        if not works(feature):
            logger.warning("aiortc has changed (%s): %s", feature, loss)
            action = 'Install the tested versions: pip install "aiortc==1.16.*" "aioice==0.13.*".'
            notes.append(Note("engine_unavailable", f"This version of aiortc is not the tested one: {loss}.", action))
    if works("history"):
        aiortc.rtcrtpsender.RTP_HISTORY_SIZE = HISTORY_PACKETS  # type: ignore[attr-defined]
    if works("gathering") and aioice.ice.get_host_addresses is not _host_addresses:
        _stock_host_addresses = aioice.ice.get_host_addresses
        aioice.ice.get_host_addresses = _host_addresses
    return tuple(notes)


def _host_addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
    wanted = _addresses.get()
    if wanted is not None:
        return list(wanted)
    assert _stock_host_addresses is not None
    return _stock_host_addresses(use_ipv4, use_ipv6)


@contextlib.contextmanager
def gathering(addresses: tuple[str, ...]) -> Iterator[None]:
    """ICE candidates gathered inside come from `addresses` only; those that cannot be bound are left out.

    Empty: every address of the machine except loopback.
    """
    token = _addresses.set(addresses or None)
    try:
        yield
    finally:
        _addresses.reset(token)


class Connecting:
    """The work of connecting a peer connection, from the moment that this is made, so that it can be stopped.

    aiortc's goes on beside `close`, and starts what nobody stops any more: reports and consent checks without end.
    """

    def __init__(self, connection: RTCPeerConnection) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        if works("connecting"):
            name = _mangled(RTCPeerConnection, "__connect")
            self._stock: Callable[[], Awaitable[None]] = getattr(connection, name)
            setattr(connection, name, self._connect)

    async def _connect(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._stock()
        finally:
            self._tasks.discard(task)

    async def stop(self) -> None:
        """To be called before the connection is closed."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def answers(connection: RTCPeerConnection) -> bool:
    """Whether the peer answers a connectivity check within 3.5 s; True where it cannot be asked."""
    if not works("consent"):
        return True
    ice: Any = connection.getTransceivers()[0].receiver.transport.transport
    agent = ice._connection
    for pair in list(agent._nominated.values()):
        request = agent.build_request(pair, nominate=False)
        key = agent.remote_password.encode()
        try:
            await pair.protocol.request(request, pair.remote_addr, integrity_key=key, retransmissions=CHECKS - 1)
        except aioice.stun.TransactionError:
            return False
    return bool(agent._nominated)


@dataclass(frozen=True, slots=True)
class SenderReport:
    """The sender's wall clock at one RTP timestamp (u32, 90 kHz)."""

    unix_us: int
    rtp: int

    def unix_us_at(self, rtp: int) -> int:
        """The sender's wall clock at timestamp `rtp`, which is less than 6 hours away."""
        ticks = ((rtp - self.rtp + 0x8000_0000) & 0xFFFF_FFFF) - 0x8000_0000
        return self.unix_us + round(ticks * 100 / 9)

    @staticmethod
    def of(ntp: int, rtp: int) -> SenderReport:
        """`ntp` is the 64-bit NTP timestamp: seconds since 1900, 32 bits of fraction."""
        return SenderReport(((ntp >> 32) - NTP_TO_UNIX_S) * 1_000_000 + ((ntp & 0xFFFF_FFFF) * 1_000_000 >> 32), rtp)


class ReceiverTap:
    """A video receiver whose packets go to `on_packet` instead of aiortc's jitter buffer and decoder.

    `on_packet` is called on the event loop for each packet that is new to the receiver, depayloaded.
    """

    def __init__(self, transceiver: RTCRtpTransceiver, on_packet: Callable[[RtpPacket, Codec, bytes], None]) -> None:
        receiver: Any = transceiver.receiver
        self._receiver = receiver
        self._codecs = {
            c.payloadType: _CODECS[c.name.upper()] for c in transceiver._codecs if c.name.upper() in _CODECS
        }
        self._on_packet = on_packet
        self._reports: OrderedDict[int, SenderReport] = OrderedDict()
        setattr(self._receiver, _mangled(RTCRtpReceiver, "__jitter_buffer"), self)
        if works("bitrate floor"):
            setattr(self._receiver, _mangled(RTCRtpReceiver, "__remote_bitrate_estimator"), _FlooredEstimator())
        if works("sender clock"):
            self._stock_rtcp = self._receiver._handle_rtcp_packet
            receiver._handle_rtcp_packet = self._handle_rtcp
        self.heard_s: float | None = None
        """`time.monotonic()` of the last packet of any kind, media or report."""

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        """What the receiver calls in place of `JitterBuffer.add`: no picture ever goes on to its decoder."""
        self.heard_s = time.monotonic()
        codec = self._codecs.get(packet.payload_type)
        if codec is not None:
            self._on_packet(packet, codec, packet._data)  # type: ignore[attr-defined]
        return False, None

    def report(self, ssrc: int) -> SenderReport | None:
        """The newest sender report of `ssrc`; None before the first."""
        return self._reports.get(ssrc)

    async def ask_again(self, ssrc: int, missing: list[int]) -> None:
        """Send a NACK for these sequence numbers."""
        await self._receiver._send_rtcp_nack(ssrc, missing)

    async def ask_keyframe(self, ssrc: int) -> None:
        """Send a picture loss indication. Nothing is asked again before it."""
        await self._receiver._send_rtcp_pli(ssrc)

    def forget_missing(self) -> None:
        """Stop aiortc from asking for packets that were given up."""
        getattr(self._receiver, _mangled(RTCRtpReceiver, "__nack_generator")).missing.clear()

    async def _handle_rtcp(self, packet: Any) -> None:
        self.heard_s = time.monotonic()
        # Senders that have sent nothing yet report an NTP time of zero.
        if isinstance(packet, RtcpSrPacket) and packet.sender_info.ntp_timestamp:
            info = packet.sender_info
            self._reports[packet.ssrc] = SenderReport.of(info.ntp_timestamp, info.rtp_timestamp)
            self._reports.move_to_end(packet.ssrc)
            if len(self._reports) > MAX_CLOCKS:
                self._reports.popitem(last=False)
        await self._stock_rtcp(packet)


class _FlooredEstimator(RemoteBitrateEstimator):
    """Never tells a sender to go below what a usable 720p picture needs, and tells nothing twice in a row.

    While it sees overuse, aiortc's own repeats its estimate with every packet.
    """

    def __init__(self) -> None:
        super().__init__()
        self._told_bitrate = 0
        self._told_ms = 0

    def add(self, arrival_time_ms: int, *args: Any, **kwargs: Any) -> tuple[int, list[int]] | None:
        estimate = super().add(arrival_time_ms, *args, **kwargs)
        if estimate is None:
            return None
        bitrate = max(estimate[0], BITRATE_FLOOR)
        falls = bitrate < FALL * self._told_bitrate
        if not falls and 0 <= arrival_time_ms - self._told_ms < ESTIMATE_EVERY_MS:
            return None
        self._told_bitrate, self._told_ms = bitrate, arrival_time_ms
        return bitrate, estimate[1]


class AudioTap:
    """An audio receiver whose packets go to `on_packet` as they come, instead of aiortc's jitter buffer, which stands
    still for a third of a second at each loss, and its decoder."""

    def __init__(
        self, transceiver: RTCRtpTransceiver, on_packet: Callable[[RtpPacket, AudioCodec, bytes], None]
    ) -> None:
        codecs = ((codec.payloadType, codec.name.upper()) for codec in transceiver._codecs)
        self._codecs = {number: _AUDIO_CODECS[name] for number, name in codecs if name in _AUDIO_CODECS}
        self._on_packet = on_packet
        setattr(transceiver.receiver, _mangled(RTCRtpReceiver, "__jitter_buffer"), self)

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        """What the receiver calls in place of `JitterBuffer.add`."""
        codec = self._codecs.get(packet.payload_type)
        if codec is not None:
            self._on_packet(packet, codec, packet._data)  # type: ignore[attr-defined]
        return False, None


def on_keyframe_request(sender: RTCRtpSender, asked: Callable[[], None]) -> None:
    """Call `asked` when the peer sends a picture loss indication or a full intra request."""
    if works("viewer keyframes"):
        sender._send_keyframe = asked  # type: ignore[method-assign]


def sent_timestamp(sender: RTCRtpSender) -> int | None:
    """The RTP timestamp (u32) of the last packet sent; None where it cannot be known."""
    if not works("viewer clock"):
        return None
    timestamp: int = getattr(sender, _mangled(RTCRtpSender, "__rtp_timestamp"))
    return timestamp
