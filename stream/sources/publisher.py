"""Publishers (WHIP, RFC 9725): a browser or another program that sends us its camera."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Self

from aiortc.rtp import RtpPacket

from stream import aiortc_patches
from stream.bitstream import ParameterSets
from stream.errors import SourceError
from stream.jitter import ASK_AGAIN_S, Assembled, FrameAssembler, Packet
from stream.sources import sdp
from stream.sources.base import MediaSink, Received
from stream.sources.peer import Peer, WebRtcConfig, refuse_others, video_mid
from stream.types import Codec

logger = logging.getLogger(__name__)

KEYFRAME_EVERY_S = 0.5
"""The shortest time between two keyframe requests."""

SILENT_S = 10.0
"""A peer that sends nothing for this long, not even reports, is asked whether it is there. RFC 7675 lets consent stand
for 30 s; a camera that went without goodbye should make room for the next one before."""

LOOK_EVERY_S = 1.0

ONE_LAYER_S = 1.0
"""Our answers accept no simulcast. Of a sender that does it all the same, the layer that came first is taken, until it
has been silent for this long; a camera that goes on under another SSRC is taken over after it as well."""


class Publisher(Peer):
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
        self._packet_s = float("-inf")
        self._work = asyncio.Event()
        self._keyframe_wanted = False
        self._keyframe_asked_s = float("-inf")

    @classmethod
    async def accept(cls, offer_sdp: str, config: WebRtcConfig) -> tuple[Self, str]:
        """Answer an offer; returns the publisher, to be run, and the answer's SDP.

        Raises `BadInput` for what is not SDP, `MediaError` for an offer without video or without a usable codec.
        """
        mid = video_mid(offer_sdp, wanted=("sendonly", "sendrecv"), does="send")
        if not aiortc_patches.works("pictures"):
            raise SourceError("WebRTC needs aiortc 1.16.", action='Run: pip install "aiortc==1.16.*".')
        publisher = cls(config)
        try:
            await publisher.set_offer(offer_sdp)
            transceiver = refuse_others(publisher.connection, mid)
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
                beside = [
                    tasks.create_task(self._feedback(), name=f"feedback {self.id}"),
                    tasks.create_task(self._notice_absence(), name=f"absence {self.id}"),
                ]
                await self.ended()
                for task in beside:
                    task.cancel()
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
        if packet.ssrc != self._ssrc and now_s - self._packet_s < ONE_LAYER_S:
            return
        self._packet_s = now_s
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
            if frame.keyframe:
                self._keyframe_wanted = False
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

    async def _notice_absence(self) -> None:
        """End the session of a peer that has vanished without a word."""
        present_s = time.monotonic()
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            if time.monotonic() - max(present_s, self.heard_s or 0.0) < SILENT_S:
                continue
            if not await aiortc_patches.answers(self.connection):
                logger.info("publisher %s has vanished", self.id)
                self.finish()
                return
            present_s = time.monotonic()

    async def _ask_keyframe(self, now_s: float) -> None:
        wanted = self._keyframe_wanted or self._assembler.needs_keyframe
        if wanted and now_s - self._keyframe_asked_s >= KEYFRAME_EVERY_S:
            assert self._tap is not None
            assert self._ssrc is not None
            self._keyframe_wanted = False
            self._keyframe_asked_s = now_s
            await self._tap.ask_keyframe(self._ssrc)
