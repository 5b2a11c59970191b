"""Viewers (WHEP): peers that get a stream's compressed pictures as they are, never encoded again."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Self

import av
from aiortc import MediaStreamTrack, RTCRtpSender
from aiortc.mediastreams import MediaStreamError

from stream import aiortc_patches
from stream.errors import MediaError
from stream.sources.peer import Peer, WebRtcConfig, refuse_others, video_mid
from stream.types import CLOCK_HZ, Codec, EncodedFrame

KEYFRAME_EVERY_S = 1.0
"""The shortest time between two keyframe requests on behalf of one viewer."""

QUEUE_FRAMES = 120
QUEUE_BYTES = 8 << 20
TICKS = Fraction(1, CLOCK_HZ)


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


class Viewer(Peer):
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
        mid = video_mid(offer_sdp, wanted=("recvonly", "sendrecv"), does="receive")
        viewer = cls(config, codec, request_keyframe)
        try:
            transceiver = viewer.connection.addTransceiver(viewer._track, "sendonly")
            viewer._track.sender = transceiver.sender
            capabilities = RTCRtpSender.getCapabilities("video").codecs
            names = (codec, "RTX")
            transceiver.setCodecPreferences([c for c in capabilities if c.name.upper() in names])
            try:
                await viewer.set_offer(offer_sdp)
            except MediaError as error:
                raise MediaError(f"This viewer cannot show {codec}.", action="Use another browser.") from error
            if refuse_others(viewer.connection, mid) is not transceiver:
                raise MediaError("The offer's first video cannot be used.", action="Offer one video only.")
            aiortc_patches.on_keyframe_request(transceiver.sender, viewer._ask_keyframe)
            return viewer, await viewer.answer()
        except BaseException:
            await viewer.close()
            raise

    def push(self, frame: EncodedFrame) -> None:
        """Pass a picture on. Never blocks; what a slow connection cannot take is dropped up to a keyframe.

        A stream that goes on in another codec ends the session, since the peer has agreed to one only.
        """
        if frame.codec != self._codec:
            self.finish()
            return
        if self._awaits_keyframe and not frame.keyframe:
            return
        track = self._track
        if frame.keyframe and not track.started:
            track.flush()
        self._awaits_keyframe = False
        if len(track.queue) >= QUEUE_FRAMES or track.waiting_bytes + len(frame.data) > QUEUE_BYTES:
            self.dropped += track.flush() + 1
            self._awaits_keyframe = True
            self._ask_keyframe()
            return
        track.put(frame)

    def restart(self) -> None:
        """Send nothing of what waits, and go on with a keyframe."""
        self._track.flush()
        self._awaits_keyframe = True

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
        if now_s - self._keyframe_asked_s >= KEYFRAME_EVERY_S:
            self._keyframe_asked_s = now_s
            self._request_keyframe()
