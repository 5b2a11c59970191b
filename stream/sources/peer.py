"""What both kinds of WebRTC session share: a peer connection that is answered, connects in time, and ends."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, field

from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection, RTCRtpTransceiver, RTCSessionDescription
from aiortc.exceptions import OperationError

from stream import aiortc_patches
from stream.engines.base import Note
from stream.errors import BadInput, MediaError, SourceError
from stream.sources import sdp


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


class Peer:
    """A peer connection and its life: answered, connected within a time, ended."""

    def __init__(self, config: WebRtcConfig) -> None:
        aiortc_patches.install()
        self.id = str(uuid.uuid4())
        self._config = config
        self._state_changed = asyncio.Event()
        self._finished = False
        self._closing: asyncio.Task[None] | None = None
        servers = [RTCIceServer(s.url, s.username, s.credential) for s in config.ice_servers]
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=servers))
        self._connecting = aiortc_patches.Connecting(self.connection)
        self.connection.on("connectionstatechange", self._state_changed.set)

    async def set_offer(self, offer: str) -> None:
        """Raises `MediaError` for an offer without a codec that we take, `BadInput` for one that cannot be read."""
        try:
            await self.connection.setRemoteDescription(RTCSessionDescription(sdp.without_names(offer), "offer"))
        except OperationError as error:
            if "audio" in str(error):
                raise MediaError("The offer's audio cannot be used here.", action="Offer Opus, or no audio.") from error
            raise MediaError("The offer has no codec that can be used here.") from error
        except Exception as error:  # the parser raises whatever its regular expressions and tables raise
            raise BadInput("This SDP offer cannot be read.", action="Send a valid SDP offer.") from error

    async def answer(self) -> str:
        with aiortc_patches.gathering(self._config.addresses):
            await self.connection.setLocalDescription()
        answer = self.connection.localDescription
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
        if self.connection.connectionState != "connected":
            action = "Check that the server can be reached from there by UDP, or configure a TURN server."
            raise SourceError("The WebRTC peer never connected.", action=action)

    async def ended(self) -> None:
        await self._reaches("closed", "failed")

    async def _reaches(self, *states: str) -> None:
        while self.connection.connectionState not in states and not self._finished:
            self._state_changed.clear()
            await self._state_changed.wait()

    def finish(self) -> None:
        """Let whoever waits for the end of the session go on and close it."""
        self._finished = True
        self._state_changed.set()

    async def close(self) -> None:
        """End the session. Idempotent.

        The connection is closed by one task that is never cancelled: aiortc's own `close` fails for everybody else
        when one of those who wait in it is cancelled.
        """
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(), name=f"close {self.id}")
        await asyncio.shield(self._closing)
        self._state_changed.set()

    async def _close(self) -> None:
        await self._connecting.stop()
        await self.connection.close()


def video_mid(offer: str, *, wanted: tuple[str, ...], does: str) -> str:
    """Which of the offer's sections is its video. Raises `BadInput` or `MediaError`."""
    for section in sdp.sections(offer):
        if section.kind == "video" and section.port != 0:
            if section.direction not in wanted:
                raise MediaError(f"The offer's video is {section.direction}.", action=f"Offer to {does} video.")
            return section.mid
    raise MediaError("The offer has no video.", action=f"Offer to {does} video, as H.264 or VP8.")


def refuse_others(connection: RTCPeerConnection, mid: str, kind: str = "video") -> RTCRtpTransceiver:
    """Refuse every audio and video section but one, since an unread track grows without bound; returns that one's."""
    (chosen, *_) = [t for t in connection.getTransceivers() if t.kind == kind and t.mid == mid]
    for transceiver in connection.getTransceivers():
        if transceiver is not chosen:
            transceiver.direction = "inactive"
    return chosen
