"""WebRTC peers: publishers (WHIP) that send us a camera, and viewers (WHEP) that get a stream's packets as they are.

One peer connection a session, without trickle: the answer has all candidates. Everything lives on the event loop.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Self

import av
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpTransceiver,
    RTCSessionDescription,
)
from aiortc.exceptions import OperationError
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcrtpsender import RTCRtpSender
from aiortc.rtp import RtpPacket

from stream import aiortc_patches
from stream.bitstream import ParameterSets
from stream.engines.base import Note
from stream.errors import BadInput, MediaError, SourceError
from stream.jitter import ASK_AGAIN_S, Assembled, FrameAssembler, Packet
from stream.sources import sdp
from stream.sources.base import MediaSink, Received
from stream.types import CLOCK_HZ, Codec, EncodedFrame

logger = logging.getLogger(__name__)

KEYFRAME_EVERY_S = 0.5
"""The shortest time between two keyframe requests to a publisher."""

VIEWER_KEYFRAME_EVERY_S = 1.0
"""The shortest time between two keyframe requests on behalf of a viewer."""

VIEWER_QUEUE_FRAMES = 120
VIEWER_QUEUE_BYTES = 8 << 20
TICKS = Fraction(1, CLOCK_HZ)


@dataclass(frozen=True, slots=True)
class IceServer:
    """A STUN or TURN server, `stun:host:port` or `turn:host:port?transport=udp`."""

    url: str
    username: str | None = None
    credential: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class WebRtcConfig:
    """`addresses` are the only ones that ICE uses, those that cannot be bound left out; empty means every address of
    the machine except loopback."""

    addresses: tuple[str, ...] = ("127.0.0.1", "::1")
    ice_servers: tuple[IceServer, ...] = ()
    connect_timeout_s: float = 10.0


def notes() -> tuple[Note, ...]:
    """What WebRTC cannot do with the installed libraries; empty with the tested ones."""
    return aiortc_patches.install()


class _Peer:
    """A peer connection and its life: answered, connected within a time, ended."""

    def __init__(self, config: WebRtcConfig) -> None:
        aiortc_patches.install()
        self.id = str(uuid.uuid4())
        self._config = config
        self._state_changed = asyncio.Event()
        servers = [RTCIceServer(s.url, s.username, s.credential) for s in config.ice_servers]
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=servers))
        self._connection.on("connectionstatechange", self._state_changed.set)

    async def set_offer(self, offer: str) -> None:
        """Raises `MediaError` for an offer without a codec that we take, `BadInput` for one that cannot be read."""
        try:
            await self._connection.setRemoteDescription(RTCSessionDescription(sdp.without_names(offer), "offer"))
        except OperationError as error:
            raise MediaError("The offer has no codec that can be used here.") from error
        except Exception as error:  # the parser raises whatever its regular expressions and tables raise
            raise BadInput("This SDP offer cannot be read.", action="Send a valid SDP offer.") from error

    async def answer(self) -> str:
        with aiortc_patches.gathering(self._config.addresses):
            await self._connection.setLocalDescription()
        answer = self._connection.localDescription
        if "a=candidate:" not in answer.sdp:
            raise SourceError("No network address can be used for WebRTC.", action="Check webrtc.addresses.")
        return str(answer.sdp)

    async def connected(self) -> None:
        """Raises `SourceError` when the peer does not connect in time."""
        try:
            async with asyncio.timeout(self._config.connect_timeout_s):
                await self._reaches("connected", "closed", "failed")
        except TimeoutError:
            pass
        if self._connection.connectionState != "connected":
            action = "Check that the server can be reached from there by UDP, or configure a TURN server."
            raise SourceError("The WebRTC peer never connected.", action=action)

    async def ended(self) -> None:
        await self._reaches("closed", "failed")

    async def _reaches(self, *states: str) -> None:
        while self._connection.connectionState not in states:
            self._state_changed.clear()
            await self._state_changed.wait()

    async def close(self) -> None:
        """End the session. Idempotent."""
        await self._connection.close()
        self._state_changed.set()


def _video_mid(offer: str, *, wanted: tuple[str, ...], does: str) -> str:
    """Which of the offer's sections is its video. Raises `BadInput` or `MediaError`."""
    for section in sdp.sections(offer):
        if section.kind == "video" and section.port != 0:
            if section.direction not in wanted:
                raise MediaError(f"The offer's video is {section.direction}.", action=f"Offer to {does} video.")
            return section.mid
    raise MediaError("The offer has no video.", action=f"Offer to {does} video, as H.264 or VP8.")


def _refuse_others(connection: RTCPeerConnection, mid: str) -> RTCRtpTransceiver:
    """Refuse every audio and video section but one, since an unread track grows without bound; returns that one's."""
    (chosen, *_) = [t for t in connection.getTransceivers() if t.kind == "video" and t.mid == mid]
    for transceiver in connection.getTransceivers():
        if transceiver is not chosen:
            transceiver.direction = "inactive"
    return chosen


class Publisher(_Peer):
    """One WHIP session: a source of video that a browser or another program sends us."""

    kind = "webrtc"
    url: str | None = None
    note: str | None = None

    def __init__(self, config: WebRtcConfig) -> None:
        super().__init__(config)
        self._assembler = FrameAssembler()
        self._parameter_sets = ParameterSets()
        self._tap: aiortc_patches.ReceiverTap | None = None
        self._sink: MediaSink | None = None
        self._ssrc: int | None = None
        self._codec: Codec | None = None
        self._work = asyncio.Event()
        self._keyframe_wanted = False
        self._keyframe_asked_s = float("-inf")

    @classmethod
    async def accept(cls, offer_sdp: str, config: WebRtcConfig) -> tuple[Self, str]:
        """Answer an offer; returns the publisher, to be run, and the answer's SDP.

        Raises `BadInput` for what is not SDP, `MediaError` for an offer without video or without a usable codec.
        """
        mid = _video_mid(offer_sdp, wanted=("sendonly", "sendrecv"), does="send")
        if not aiortc_patches.works("pictures"):
            raise SourceError("WebRTC needs aiortc 1.16.", action='Run: pip install "aiortc==1.16.*".')
        publisher = cls(config)
        try:
            await publisher.set_offer(offer_sdp)
            transceiver = _refuse_others(publisher._connection, mid)
            publisher._tap = aiortc_patches.ReceiverTap(transceiver, publisher._on_packet)
            return publisher, sdp.with_bitrate_hints(await publisher.answer())
        except BaseException:
            await publisher.close()
            raise

    async def run(self, sink: MediaSink) -> None:
        """Feed `sink` until the peer is gone. Raises `SourceError` when it never connects."""
        try:
            await self.connected()
            sink.connected()
            self._sink = sink
            async with asyncio.TaskGroup() as tasks:
                feedback = tasks.create_task(self._feedback(), name=f"feedback {self.id}")
                await self.ended()
                feedback.cancel()
        finally:
            self._sink = None
            await self.close()

    def request_keyframe(self) -> None:
        """Ask for a keyframe, at most twice a second."""
        self._keyframe_wanted = True
        self._work.set()

    @property
    def heard_s(self) -> float | None:
        """`time.monotonic()` of the peer's last packet."""
        return self._tap.heard_s if self._tap else None

    def _on_packet(self, packet: RtpPacket, codec: Codec, data: bytes) -> None:
        if self._sink is None:
            return
        now_s = time.monotonic()
        if packet.ssrc != self._ssrc or codec != self._codec:
            self._ssrc, self._codec = packet.ssrc, codec
            self._assembler.reset()
            self._keyframe_asked_s = now_s  # a sender begins with one
        piece = Packet(packet.sequence_number, packet.timestamp, bool(packet.marker), codec, data)
        self._deliver(self._assembler.push(piece, now_s), now_s)
        if self._assembler.has_missing or self._assembler.needs_keyframe:
            self._work.set()

    def _deliver(self, frames: list[Assembled], now_s: float) -> None:
        sink, tap = self._sink, self._tap
        if sink is None or tap is None or self._ssrc is None:
            return
        report = tap.report(self._ssrc)
        for frame in frames:
            data = self._parameter_sets.complete(frame.data) if frame.codec == "H264" else frame.data
            captured = None if report is None else report.unix_us_at(frame.timestamp)
            sink.push(Received(frame.codec, data, frame.keyframe, frame.timestamp, captured, now_s))
        if self._assembler.withheld:
            sink.dropped("network", self._assembler.withheld)
            self._assembler.withheld = 0

    async def _feedback(self) -> None:
        """Ask again for lost packets, give up on them in time, and ask for keyframes."""
        assert self._tap is not None
        while True:
            if self._assembler.has_missing or self._assembler.needs_keyframe or self._keyframe_wanted:
                await asyncio.sleep(ASK_AGAIN_S / 2)
            else:
                await self._work.wait()
            self._work.clear()
            if self._ssrc is None:
                continue
            now_s = time.monotonic()
            self._deliver(self._assembler.expire(now_s), now_s)
            if missing := self._assembler.missing(now_s):
                await self._tap.ask_again(self._ssrc, missing)
            elif not self._assembler.has_missing:
                self._tap.forget_missing()
            await self._ask_keyframe(now_s)

    async def _ask_keyframe(self, now_s: float) -> None:
        wanted = self._keyframe_wanted or self._assembler.needs_keyframe
        if wanted and now_s - self._keyframe_asked_s >= KEYFRAME_EVERY_S:
            assert self._tap is not None
            assert self._ssrc is not None
            self._keyframe_wanted = False
            self._keyframe_asked_s = now_s
            await self._tap.ask_keyframe(self._ssrc)


class _PacketTrack(MediaStreamTrack):
    """Hands compressed pictures to aiortc's sender, which packs them without encoding."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self.queue: deque[EncodedFrame] = deque()
        self.waiting_bytes = 0
        self.started = False
        self.offset: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.sender: RTCRtpSender | None = None
        self._sent_rtp: int | None = None
        self._filled = asyncio.Event()

    async def recv(self) -> av.Packet[Any]:
        self.started = True
        self._learn_offset()
        while not self.queue:
            if self.readyState != "live":
                raise MediaStreamError
            self._filled.clear()
            await self._filled.wait()
        frame = self.queue.popleft()
        self.waiting_bytes -= len(frame.data)
        packet = av.Packet(frame.data)
        # The stream's own timestamp, so that the wire's differs from it by a constant for the whole session.
        packet.pts, packet.time_base = frame.rtp, TICKS
        self._sent_rtp = frame.rtp
        return packet

    def _learn_offset(self) -> None:
        """The sender asks for the next picture right after it has sent the last."""
        if self._sent_rtp is None or self.sender is None or self.offset.done():
            return
        sent = aiortc_patches.sent_timestamp(self.sender)
        if sent is None:
            self.offset.set_exception(MediaError("The viewer's clock cannot be known with this version of aiortc."))
        else:
            self.offset.set_result((sent - self._sent_rtp) & 0xFFFFFFFF)

    def put(self, frame: EncodedFrame) -> None:
        self.queue.append(frame)
        self.waiting_bytes += len(frame.data)
        self._filled.set()

    def flush(self) -> int:
        """Forget what waits; returns how many pictures that were."""
        count = len(self.queue)
        self.queue.clear()
        self.waiting_bytes = 0
        return count

    def stop(self) -> None:
        super().stop()
        self._filled.set()
        if not self.offset.done():
            self.offset.cancel()


class Viewer(_Peer):
    """One WHEP session: compressed pictures passed on to a peer, never encoded again."""

    def __init__(self, config: WebRtcConfig, codec: Codec, request_keyframe: Callable[[], None]) -> None:
        super().__init__(config)
        self._codec = codec
        self._request_keyframe = request_keyframe
        self._track = _PacketTrack()
        self._awaits_keyframe = True
        self._keyframe_asked_s = float("-inf")
        self.dropped = 0

    @classmethod
    async def accept(
        cls, offer_sdp: str, codec: Codec, config: WebRtcConfig, request_keyframe: Callable[[], None]
    ) -> tuple[Self, str]:
        """Answer an offer to receive a stream in `codec`; returns the viewer, to be run, and the answer's SDP.

        Raises `BadInput` for what is not SDP, `MediaError` where the peer cannot take the stream's codec.
        """
        mid = _video_mid(offer_sdp, wanted=("recvonly", "sendrecv"), does="receive")
        viewer = cls(config, codec, request_keyframe)
        try:
            transceiver = viewer._connection.addTransceiver(viewer._track, "sendonly")
            viewer._track.sender = transceiver.sender
            capabilities = RTCRtpSender.getCapabilities("video").codecs
            names = (codec, "RTX")
            transceiver.setCodecPreferences([c for c in capabilities if c.name.upper() in names])
            try:
                await viewer.set_offer(offer_sdp)
            except MediaError as error:
                raise MediaError(f"This viewer cannot show {codec}.", action="Use another browser.") from error
            if _refuse_others(viewer._connection, mid) is not transceiver:
                raise MediaError("The offer's first video cannot be used.", action="Offer one video only.")
            aiortc_patches.on_keyframe_request(transceiver.sender, viewer._ask_keyframe)
            return viewer, await viewer.answer()
        except BaseException:
            await viewer.close()
            raise

    def push(self, frame: EncodedFrame) -> None:
        """Pass a picture on. Never blocks; what a slow connection cannot take is dropped up to a keyframe."""
        if frame.codec != self._codec or (self._awaits_keyframe and not frame.keyframe):
            return
        track = self._track
        if frame.keyframe and not track.started:
            track.flush()
        self._awaits_keyframe = False
        if len(track.queue) >= VIEWER_QUEUE_FRAMES or track.waiting_bytes + len(frame.data) > VIEWER_QUEUE_BYTES:
            self.dropped += track.flush() + 1
            self._awaits_keyframe = True
            self._ask_keyframe()
            return
        track.put(frame)

    async def rtp_offset(self) -> int:
        """Wire timestamp minus stream timestamp (u32); waits until the first picture has been sent.

        Raises `MediaError` when the viewer goes before that.
        """
        try:
            return await asyncio.shield(self._track.offset)
        except asyncio.CancelledError:
            if self._track.offset.cancelled():
                raise MediaError("The viewer has gone.", action="Open the stream again.") from None
            raise

    async def run(self) -> None:
        """Serve the peer until it is gone. Raises `SourceError` when it never connects."""
        try:
            await self.connected()
            if self._awaits_keyframe:
                self._ask_keyframe()
            await self.ended()
        finally:
            await self.close()

    async def close(self) -> None:
        """End the session. Idempotent."""
        self._track.stop()
        self._track.flush()
        await super().close()

    def _ask_keyframe(self) -> None:
        now_s = time.monotonic()
        if now_s - self._keyframe_asked_s >= VIEWER_KEYFRAME_EVERY_S:
            self._keyframe_asked_s = now_s
            self._request_keyframe()
