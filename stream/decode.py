"""Decoding: one thread a stream, compressed pictures in, NV12 out.

Where the engine is on a GPU, frames are made in its memory (`DeviceFrame`): by the GPU's own decoder, or where that
cannot, by the processor, whose pictures are uploaded here. Else frames are on the host.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av

from stream.bitstream import vp8_size
from stream.errors import MediaError, OnlookerError
from stream.hardware import Hardware
from stream.pictures import DECODERS, PictureDecoder, PyAvDecoder, colour_of, nv12_planes
from stream.seldom import Seldom
from stream.surfaces import DeviceError, DeviceFrame, Planes, SurfacePool
from stream.types import CLOCK_HZ, Codec, EncodedFrame, Frame

logger = logging.getLogger(__name__)

QUEUE_S = 0.25
QUEUE_FRAMES = 32
"""A burst that came at once, after a gap was filled, is at most this long."""

KEYFRAME_EVERY_S = 0.5
FAILURES_REPORTED = 30
"""This many pictures in a row that cannot be decoded are an error of the stream and not of the network."""

MEMORY_FACTOR = 4
"""A picture larger than this many times the limit is not even decoded, only to be refused by name."""

IN_DECODER = 16
TICKS = Fraction(1, CLOCK_HZ)
HARDWARE_FAILURES = 5
"""After so many failures in a row the processor tries, until the source connects again."""
SOFTWARE = "the processor"


@dataclass(frozen=True, slots=True)
class Decoding:
    """What decodes a stream at present; `note` says why it is not the GPU, where that was meant to."""

    codec: Codec
    by: str
    note: str | None = None

    @property
    def in_words(self) -> str | None:
        """What people should know of it, if anything."""
        return f"{self.codec} is decoded on {SOFTWARE}: {self.note}." if self.note else None


class _Unusable(Exception):
    """A picture that must not be decoded; `error` says why."""

    def __init__(self, error: MediaError) -> None:
        super().__init__(error.message)
        self.error = error


class DecoderThread:
    """Decodes one stream. Callbacks run on its thread, in order.

    `on_frame` gets each picture; `on_drop` the stage and number of those lost (`decode_queue` when decoding is too
    slow, `decode` for a broken or unusable one, `surfaces` where a device has no room); `on_error` what a user should
    know; `request_keyframe` is called when decoding can only go on from one, at most twice a second. Nothing that comes
    in ends the thread, and no fault of a GPU: then the processor decodes, and `decoding` says why. With `hardware`
    frames are on its device, of which at most `surfaces.CAPACITY` may be held.
    """

    def __init__(
        self,
        name: str,
        *,
        on_frame: Callable[[Frame], None],
        request_keyframe: Callable[[], None],
        on_drop: Callable[[str, int], None],
        on_error: Callable[[OnlookerError], None],
        max_pixels: int = 4096 * 2304,
        hardware: Hardware | None = None,
    ) -> None:
        self._on_frame = on_frame
        self._request_keyframe = request_keyframe
        self._on_drop = on_drop
        self._on_error = on_error
        self._max_pixels = max_pixels
        self._hardware = hardware
        self._pool: SurfacePool | None = None
        self._given_up: dict[Codec, str] = {}
        self.decoding: Decoding | None = None
        """What decodes at present; None before the first picture. May be read on any thread."""
        self._hardware_failures = 0
        self._condition = threading.Condition()
        self._queue: deque[EncodedFrame] = deque()
        self._overflowed = 0
        self._log_now = Seldom()
        self._until_keyframe = True
        self._closed = False
        self._index = 0
        self._decoder: PictureDecoder | None = None
        self._decodes: tuple[Codec, int] | None = None
        self._in_decoder: OrderedDict[int, EncodedFrame] = OrderedDict()
        self._failures = 0
        self._unusable = False
        self._keyframe_asked_s = float("-inf")
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def push(self, encoded: EncodedFrame) -> None:
        """Hand over one picture. Any thread; never blocks. A queue longer than 250 ms is flushed up to a keyframe."""
        if not encoded.data:
            return
        with self._condition:
            if self._closed:
                return
            queue = self._queue
            if queue and (encoded.received_s - queue[0].received_s > QUEUE_S or len(queue) >= QUEUE_FRAMES):
                self._overflowed += len(queue)
                queue.clear()
                self._until_keyframe = True
            if self._until_keyframe and not encoded.keyframe:
                self._overflowed += 1
            else:
                self._until_keyframe = False
                queue.append(encoded)
            self._condition.notify()

    def close(self) -> None:
        """End the thread and wait for it: at most the time of one picture. Idempotent; any thread but its own."""
        with self._condition:
            self._closed = True
            self._queue.clear()
            self._condition.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        self._bind()
        while True:
            with self._condition:
                while not (self._queue or self._overflowed or self._closed):
                    self._condition.wait()
                if self._closed:
                    return
                overflowed, self._overflowed = self._overflowed, 0
                encoded = self._queue.popleft() if self._queue else None
            try:
                if overflowed:
                    self._on_drop("decode_queue", overflowed)
                    if encoded is None:
                        self._ask_keyframe()
                if encoded is not None:
                    self._take(encoded)
            except Exception:
                # A mistake in a callback costs its picture; the thread and what comes after must outlive it.
                if self._log_now():
                    logger.exception("Decoding: a callback failed")

    def _take(self, encoded: EncodedFrame) -> None:
        """Decode one picture and hand on what comes out; a bad one costs itself and a keyframe request."""
        if self._unusable and not encoded.keyframe:
            self._on_drop("decode", 1)
            return
        try:
            frames = self._decode(encoded)
        except (av.FFmpegError, ValueError, MemoryError) as error:
            self._failed(encoded, error)
            return
        except DeviceError as error:
            self._refused(encoded.codec, str(error))
            self._failed(encoded, error)
            return
        except _Unusable as refused:
            told, self._unusable = self._unusable, True
            self._decoder = None
            self._on_drop("decode", 1)
            if not told:
                self._on_error(refused.error)
            return
        self._unusable = False
        for frame in frames:
            self._failures = 0
            self._on_frame(frame)

    def _failed(self, encoded: EncodedFrame, error: Exception) -> None:
        logger.debug("Decoding %s failed: %s", encoded.codec, error)
        self._failures += 1
        if isinstance(error, av.error.EOFError):
            self._decoder = None
        self._on_drop("decode", 1)
        self._hardware_failures += 1
        if self._on_gpu and self._hardware_failures >= HARDWARE_FAILURES:
            self._refused(encoded.codec, f"{HARDWARE_FAILURES} pictures in a row failed")
        if self._failures == FAILURES_REPORTED:
            self._on_error(MediaError(f"This {encoded.codec} video cannot be decoded."))
        self._ask_keyframe()

    def _ask_keyframe(self) -> None:
        now_s = time.monotonic()
        if now_s - self._keyframe_asked_s >= KEYFRAME_EVERY_S:
            self._keyframe_asked_s = now_s
            self._request_keyframe()

    def _decode(self, encoded: EncodedFrame) -> list[Frame]:
        if encoded.codec == "VP8" and (size := vp8_size(encoded.data)) is not None:
            self._check_size(*size)
        if self._decoder is None or self._decodes != (encoded.codec, encoded.epoch):
            if self._decodes is not None and self._decodes[1] != encoded.epoch:
                self._given_up.clear()
            self._decoder = self._open(encoded.codec)
            self._decodes = encoded.codec, encoded.epoch
            self._in_decoder.clear()
        packet: av.Packet[Any] = av.Packet(encoded.data)
        packet.pts, packet.time_base = encoded.pts, TICKS
        self._in_decoder[encoded.pts] = encoded
        if len(self._in_decoder) > IN_DECODER:
            self._in_decoder.popitem(last=False)
        frames = []
        for picture in self._decoder.decode(packet):
            self._check_size(picture.width, picture.height)
            source = self._in_decoder.pop(picture.pts, encoded) if picture.pts is not None else encoded
            frame = self._frame(source, picture)
            self._hardware_failures = 0
            if frame is None:
                self._on_drop("surfaces", 1)
            else:
                frames.append(frame)
        return frames

    # --- where

    @property
    def _on_gpu(self) -> bool:
        """Whether the GPU's decoder is at work."""
        return self.decoding is not None and self.decoding.by != SOFTWARE

    def _bind(self) -> None:
        if self._hardware is None:
            return
        try:
            self._hardware.device.bind()
            self._pool = SurfacePool(self._hardware.device)
        except DeviceError as error:
            logger.warning("%s cannot be used by a decoder: %s", self._hardware.device.words, error)
            self._given_up = dict.fromkeys(DECODERS, str(error))

    def _open(self, codec: Codec) -> PictureDecoder:
        hardware, most = self._hardware, MEMORY_FACTOR * self._max_pixels
        why = None
        if hardware is not None:
            why = self._given_up.get(codec) or hardware.refused.get(codec)
            if self._pool is None:
                why = why or f"{hardware.device.words} was lost"
            if why is None:
                try:
                    made = hardware.open(codec, most)
                    self._tell(Decoding(codec, hardware.name))
                    return made
                except DeviceError as error:
                    why = self._given_up[codec] = str(error)
        self._tell(Decoding(codec, SOFTWARE, why))
        return PyAvDecoder(codec, most)

    def _tell(self, decoding: Decoding) -> None:
        if decoding != self.decoding:
            self.decoding, self._hardware_failures = decoding, 0
            if decoding.note is not None:
                logger.warning("%s: %s", self._thread.name, decoding.in_words)

    def _refused(self, codec: Codec, why: str) -> None:
        """The GPU failed: its decoder first, and where it was not that, its memory."""
        if not self._on_gpu:
            self._pool = None
        self._given_up[codec] = why
        self._decoder = None

    # --- what comes out

    def _check_size(self, width: int, height: int) -> None:
        if width <= 0 or height <= 0:
            raise _Unusable(MediaError("The video has no picture size.", action="Restart the camera."))
        if width * height > self._max_pixels:
            message = f"The picture is too large ({width}×{height})."
            raise _Unusable(MediaError(message, action="Send a smaller picture, at most 4096×2304."))

    def _frame(self, source: EncodedFrame, picture: av.VideoFrame) -> Frame | None:
        """None where all surfaces are held."""
        hardware, pool = self._hardware, self._pool
        index, self._index = self._index, self._index + 1
        identity = index, source.epoch, source.pts, source.rtp, source.captured_unix_us, source.received_s
        if hardware is None or pool is None:
            return Frame(*identity, time.monotonic(), *nv12_planes(picture), colour_of(picture))
        if hardware.is_here(picture):
            surface = pool.fill(hardware.planes(picture))
        else:
            if self._on_gpu:
                self._tell(
                    Decoding(source.codec, SOFTWARE, f"{hardware.name} does not take this kind of {source.codec}")
                )
            planes = Planes(*nv12_planes(picture))
            surface = pool.fill(planes, host=(planes.y, planes.uv))
        if surface is None:
            return None
        return DeviceFrame(*identity, time.monotonic(), colour=colour_of(picture), surface=surface)
