"""The protocol between a source of encoded video and the stream that it feeds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from stream.errors import OnlookerError
from stream.types import Codec


@dataclass(frozen=True, slots=True)
class Received:
    """One complete compressed picture as a source delivers it, in decoding order.

    `data` is a VP8 frame or an H.264 access unit in Annex B form, with parameter sets before each IDR. `rtp` is the
    publisher's RTP timestamp (u32, 90 kHz). `captured_unix_us` is the sender's wall clock at capture, None until
    known. `received_s` is `time.monotonic()` when the picture was complete.
    """

    codec: Codec
    data: bytes
    keyframe: bool
    rtp: int
    captured_unix_us: int | None
    received_s: float


class MediaSink(Protocol):
    """What a source feeds. All methods are called on the event loop's thread."""

    def connected(self) -> None:
        """Media is about to flow; the stream's epoch grows."""
        ...

    def lost(self, error: OnlookerError) -> None:
        """The media has stopped, or could not be had; the source tries again by itself."""
        ...

    def push(self, received: Received) -> None:
        """Hand over one picture. Never blocks; when the stream cannot keep up it drops and counts."""
        ...

    def dropped(self, stage: str, count: int = 1) -> None:
        """Count pictures or packets that were lost before `push`, under the name of the stage."""
        ...


class Source(Protocol):
    """Where a stream's video comes from."""

    @property
    def kind(self) -> str:
        """`webrtc`, `file`, `demo`, …"""
        ...

    @property
    def url(self) -> str | None:
        """Where it comes from, in words that may be shown: no credentials, no full paths of the server."""
        ...

    @property
    def heard_s(self) -> float | None:
        """`time.monotonic()` of the last sign of life of the sender, pictures or not; None where there is no such
        sign. It tells a still screen, which sends no pictures, from a lost connection."""
        ...

    @property
    def note(self) -> str | None:
        """What a viewer should know, such as that the video is transcoded; None when there is nothing to say."""
        ...

    async def run(self, sink: MediaSink) -> None:
        """Feed `sink` until the media ends (return) or fails (raise `OnlookerError`). Cancelling closes everything."""
        ...

    def request_keyframe(self) -> None:
        """Ask for a keyframe soon. Never blocks; sources that cannot be asked ignore it."""
        ...
