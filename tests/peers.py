"""The other end of a WebRTC session, on aiortc: a camera that publishes, and a viewer that notes what it gets."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from fractions import Fraction
from typing import Any

import av
import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.rtp import RtpPacket

from stream.aiortc_patches import Connecting, ReceiverTap, gathering, install, on_keyframe_request
from stream.errors import OnlookerError
from stream.jitter import Assembled, FrameAssembler, Packet
from stream.pictures import nv12_planes
from stream.sources.base import Received
from stream.types import Codec
from tests.barcode import read
from tests.encoding import Encoder

TICKS = Fraction(1, 90_000)
LOOPBACK = ("127.0.0.1",)


class Sink:
    """Notes all that a source delivers."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.drops: dict[str, int] = {}
        self.connects = 0
        self.losses: list[OnlookerError] = []

    def connected(self) -> None:
        self.connects += 1

    def lost(self, error: OnlookerError) -> None:
        self.losses.append(error)

    def push(self, received: Received) -> None:
        self.received.append(received)

    def dropped(self, stage: str, count: int = 1) -> None:
        self.drops[stage] = self.drops.get(stage, 0) + count

    async def until(self, count: int, timeout_s: float = 60.0) -> None:
        """Wait for `count` pictures."""
        async with asyncio.timeout(timeout_s):
            while len(self.received) < count:
                await asyncio.sleep(0.005)


class Camera(MediaStreamTrack):
    """30 numbered pictures a second, compressed; number `n` has the timestamp `3000 n`, and a keyframe comes when it
    is asked for. `sizes` gives the picture's size from a number on."""

    kind = "video"

    def __init__(self, codec: Codec, sizes: dict[int, tuple[int, int]] | None = None, *, rate: float = 30) -> None:
        super().__init__()
        self.codec = codec
        self.keyframes_asked = 0
        self.keyframe_wanted = False
        self.sent_unix_us: list[int] = []
        self._sizes = sizes or {0: (320, 240)}
        self._rate = rate
        self._encoder = Encoder(codec, self._sizes[0])
        self._next_s = 0.0

    def ask(self) -> None:
        self.keyframes_asked += 1
        self.keyframe_wanted = True

    async def recv(self) -> Any:
        if self.readyState != "live":
            raise MediaStreamError
        number = len(self.sent_unix_us)
        # On a machine that is too slow it becomes a slower camera, and leaves the event loop to the receiver meanwhile.
        await asyncio.sleep(max(0.01, self._next_s - time.monotonic()) if number else 0)
        self._next_s = max(self._next_s + 1 / self._rate, time.monotonic())
        if number and number in self._sizes:
            self._encoder = Encoder(self.codec, self._sizes[number])
        wanted, self.keyframe_wanted = self.keyframe_wanted, False
        packet = av.Packet(self._encoder.encode(number, keyframe=wanted))
        packet.pts, packet.time_base = number * 3000, TICKS
        self.sent_unix_us.append(time.time_ns() // 1000)
        return packet


class Peer:
    """One connection of ours to the server under test."""

    def __init__(self, addresses: tuple[str, ...] = LOOPBACK) -> None:
        install()
        self._addresses = addresses
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._connecting = Connecting(self.connection)

    async def offer(self) -> str:
        with gathering(self._addresses):
            await self.connection.setLocalDescription()
        return str(self.connection.localDescription.sdp)

    async def take(self, answer: str) -> None:
        await self.connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    async def close(self) -> None:
        await self._connecting.stop()
        await self.connection.close()


class PublishingPeer(Peer):
    """Offers a camera, and a microphone where `audio` is set."""

    def __init__(self, camera: MediaStreamTrack, codec: Codec, *, audio: bool = False) -> None:
        super().__init__()
        if audio:
            self.connection.addTransceiver("audio", "sendonly")
        transceiver = self.connection.addTransceiver(camera, "sendonly")
        transceiver.setCodecPreferences(preferring(codec))
        if isinstance(camera, Camera):
            on_keyframe_request(transceiver.sender, camera.ask)


class ViewingPeer(Peer):
    """Offers to receive, and notes each compressed picture with its timestamp on the wire."""

    def __init__(self, *codecs: Codec) -> None:
        super().__init__()
        self._transceiver = self.connection.addTransceiver("video", "recvonly")
        self._transceiver.setCodecPreferences(preferring(*codecs))
        self._assembler = FrameAssembler()
        self.tap: ReceiverTap | None = None
        self.ssrc: int | None = None
        self.got: deque[Assembled] = deque()

    async def take(self, answer: str) -> None:
        await super().take(answer)
        self.tap = ReceiverTap(self._transceiver, self._on_packet)

    def _on_packet(self, packet: RtpPacket, codec: Codec, data: bytes) -> None:
        self.ssrc = packet.ssrc
        piece = Packet(packet.sequence_number, packet.timestamp, bool(packet.marker), codec, data)
        self.got.extend(self._assembler.push(piece, time.monotonic()))

    async def until(self, count: int, timeout_s: float = 60.0) -> None:
        """Wait for `count` pictures."""
        async with asyncio.timeout(timeout_s):
            while len(self.got) < count:
                await asyncio.sleep(0.005)


def preferring(*codecs: Codec) -> list[Any]:
    offered = RTCRtpSender.getCapabilities("video").codecs
    return [codec for codec in offered if codec.name.upper() in (*codecs, "RTX")]


def numbers(codec: Codec, pictures: list[bytes]) -> list[int | None]:
    """What is read from each picture, decoded in order."""
    decoder = av.CodecContext.create("vp8" if codec == "VP8" else "h264", "r")
    decoder.thread_count = 1
    decoder.flags |= av.codec.context.Flags.low_delay
    luma = [nv12_planes(frame)[0] for data in pictures for frame in decoder.decode(av.Packet(data))]
    return [read(np.ascontiguousarray(plane)) for plane in luma]
