"""A client's microphone: an audio-only WebRTC session of its own, which works beside every kind of stream."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Self

from aiortc.rtp import RtpPacket

from stream import aiortc_patches
from stream.audio import F32, AudioCodec, AudioPacket, PacketOrder, SpeechDecoder
from stream.errors import MediaError, SourceError
from stream.sources import sdp
from stream.sources.peer import Peer, WebRtcConfig, refuse_others

ACTION = "Offer to send one audio section, as Opus, PCMU or PCMA."
MOST_BAD = 100
"""So many packets in a row that are no audio end the session."""
MUTE_S = 1.0


class Microphone(Peer):
    """One session. Samples go to the `hear` of `run` as they come; nothing is kept."""

    def __init__(self, config: WebRtcConfig) -> None:
        super().__init__(config)
        self._order = PacketOrder()
        self._decoder = SpeechDecoder()
        self._hear: Callable[[F32], None] | None = None
        self._ssrc: int | None = None
        self._fault: MediaError | None = None
        self.packet_s = time.monotonic()
        """`time.monotonic()` of the last packet, at first of the beginning."""

    @classmethod
    async def accept(cls, offer_sdp: str, config: WebRtcConfig) -> tuple[Self, str]:
        """Answer an offer; returns the microphone, to be run, and the answer's SDP.

        Raises `BadInput` for what is not SDP, `MediaError` for an offer that sends no audio.
        """
        mid = _audio_mid(offer_sdp)
        if not aiortc_patches.works("pictures"):
            raise SourceError("WebRTC needs aiortc 1.16.", action='Run: pip install "aiortc==1.16.*".')
        microphone = cls(config)
        try:
            await microphone.set_offer(offer_sdp)
            transceiver = refuse_others(microphone.connection, mid, kind="audio")
            aiortc_patches.AudioTap(transceiver, microphone._on_packet)
            return microphone, await microphone.answer()
        except BaseException:
            await microphone.close()
            raise

    @property
    def lost_s(self) -> float:
        """How much sound was lost, or not sent because there was none."""
        return self._decoder.lost_s

    async def run(self, hear: Callable[[F32], None]) -> None:
        """Give `hear` the samples, `(n,)` float32 mono at 16 kHz in [-1, 1], until the peer is gone or `finish`.

        Raises `SourceError` when it never connects, `MediaError` when what it sends is no audio.
        """
        try:
            await self.connected()
            self.packet_s = time.monotonic()
            self._hear = hear
            await self.ended()
            if self._fault is not None:
                raise self._fault
        finally:
            self._hear = None
            await self.close()

    def _on_packet(self, packet: RtpPacket, codec: AudioCodec, data: bytes) -> None:
        if self._hear is None:
            return
        now_s = time.monotonic()
        if packet.ssrc != self._ssrc:
            if self._ssrc is not None and now_s - self.packet_s < MUTE_S:
                return
            self._ssrc, self._order, self._decoder = packet.ssrc, PacketOrder(), SpeechDecoder()
        self.packet_s = now_s
        for due in self._order.push(AudioPacket(packet.sequence_number, packet.timestamp, codec, data)):
            samples = self._decoder.decode(due)
            if len(samples):
                self._hear(samples)
        if self._decoder.bad >= MOST_BAD and self._fault is None:
            self._fault = MediaError("What the microphone sends is no audio.", action="Choose another microphone.")
            asyncio.get_running_loop().call_soon(self.finish)


def _audio_mid(offer: str) -> str:
    """Which of the offer's sections is its audio. Raises `BadInput` or `MediaError`."""
    for section in sdp.sections(offer):
        if section.kind == "audio" and section.port != 0:
            if section.direction not in ("sendonly", "sendrecv"):
                raise MediaError(f"The offer's audio is {section.direction}.", action=ACTION)
            return section.mid
    raise MediaError("The offer has no audio.", action=ACTION)
