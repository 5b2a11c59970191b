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
    """Hands compressed pictures to aiortc's sender, which packs them without encoding.

    A stream's timestamps begin anew with each epoch. On the wire they go on by the time that passed, since a browser
    would take pictures from before its last one for late ones and drop them.
    """

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self.queue: deque[EncodedFrame] = deque()
        self.waiting_bytes = 0
        self.started = False
        self.sender: RTCRtpSender | None = None
        self._sent: EncodedFrame | None = None
        self._shift = 0
        self._offset: tuple[int, int | None] | None = None
        self._offset_news = asyncio.Event()
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
        last, self._sent = self._sent, frame
        if last is not None and last.epoch != frame.epoch:
            passed = round((frame.received_s - last.received_s) * CLOCK_HZ)
            self._shift = (last.rtp + self._shift + max(1, passed) - frame.rtp) & 0xFFFFFFFF
        packet.pts, packet.time_base = (frame.rtp + self._shift) & 0xFFFFFFFF, TICKS
        return packet

    def _learn_offset(self) -> None:
        """The sender asks for the next picture right after it has sent the last."""
        if self._sent is None or self.sender is None or (self._offset and self._offset[0] == self._sent.epoch):
            return
        sent = aiortc_patches.sent_timestamp(self.sender)
        self._offset = self._sent.epoch, None if sent is None else (sent - self._sent.rtp) & 0xFFFFFFFF
        self._offset_news.set()

    async def offset(self, epoch: int) -> int:
        """Wire timestamp minus stream timestamp (u32), once a picture of `epoch` or a later one has been sent.

        Raises `MediaError` when the track ends before that.
        """
        while self._offset is None or self._offset[0] < epoch:
            if self.readyState != "live":
                raise MediaError("The viewer has gone.", action="Open the stream again.")
            self._offset_news.clear()
            await self._offset_news.wait()
        if self._offset[1] is None:
            raise MediaError("The viewer's clock cannot be known with this version of aiortc.")
        return self._offset[1]

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
        self._offset_news.set()


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

    async def rtp_offset(self, epoch: int = 0) -> int:
        """What the timestamps on the wire are ahead of the stream's (u32) from its `epoch` on; waits until the first
        picture of that has been sent.

        Raises `MediaError` when the viewer goes before that.
        """
        return await self._track.offset(epoch)

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
