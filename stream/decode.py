"""Decoding on the CPU: one thread a stream, compressed pictures in, NV12 out."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from fractions import Fraction

import av
import cv2
import numpy as np
from av.codec.context import Flags
from av.video.codeccontext import VideoCodecContext
from av.video.reformatter import ColorRange, Colorspace

from stream.bitstream import vp8_size
from stream.errors import MediaError, OnlookerError
from stream.types import CLOCK_HZ, U8, Codec, Colour, EncodedFrame, Frame

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
DECODERS: dict[Codec, str] = {"VP8": "vp8", "H264": "h264"}


class _Unusable(Exception):
    """A picture that must not be decoded; `error` says why."""

    def __init__(self, error: MediaError) -> None:
        super().__init__(error.message)
        self.error = error


class DecoderThread:
    """Decodes one stream. Callbacks run on its thread, in order.

    `on_frame` gets each picture; `on_drop` the stage and number of those lost (`decode_queue` when decoding is too
    slow, `decode` for a broken or unusable one); `on_error` what a user should know; `request_keyframe` is called when
    decoding can only go on from one, at most twice a second. Nothing that comes in ends the thread.
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
    ) -> None:
        self._on_frame = on_frame
        self._request_keyframe = request_keyframe
        self._on_drop = on_drop
        self._on_error = on_error
        self._max_pixels = max_pixels
        self._condition = threading.Condition()
        self._queue: deque[EncodedFrame] = deque()
        self._overflowed = 0
        self._until_keyframe = True
        self._closed = False
        self._index = 0
        self._decoder: VideoCodecContext | None = None
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
            self._decoder = _open_decoder(encoded.codec, MEMORY_FACTOR * self._max_pixels)
            self._decodes = encoded.codec, encoded.epoch
            self._in_decoder.clear()
        packet = av.Packet(encoded.data)
        packet.pts, packet.time_base = encoded.pts, TICKS
        self._in_decoder[encoded.pts] = encoded
        if len(self._in_decoder) > IN_DECODER:
            self._in_decoder.popitem(last=False)
        frames = []
        for picture in self._decoder.decode(packet):
            self._check_size(picture.width, picture.height)
            source = self._in_decoder.pop(picture.pts, encoded) if picture.pts is not None else encoded
            frames.append(self._frame(source, picture))
        return frames

    def _check_size(self, width: int, height: int) -> None:
        if width <= 0 or height <= 0:
            raise _Unusable(MediaError("The video has no picture size.", action="Restart the camera."))
        if width * height > self._max_pixels:
            message = f"The picture is too large ({width}×{height})."
            raise _Unusable(MediaError(message, action="Send a smaller picture, at most 4096×2304."))

    def _frame(self, source: EncodedFrame, picture: av.VideoFrame) -> Frame:
        y, uv = nv12_planes(picture)
        index, self._index = self._index, self._index + 1
        return Frame(
            index, source.epoch, source.pts, source.rtp, source.captured_unix_us, source.received_s, time.monotonic(),
            y, uv, colour_of(picture),
        )  # fmt: skip


def _open_decoder(codec: Codec, max_pixels: int) -> VideoCodecContext:
    decoder = av.CodecContext.create(DECODERS[codec], "r")
    assert isinstance(decoder, VideoCodecContext)
    # Frame threads would hold back three pictures, and so would reordering, which live video does not use.
    decoder.thread_count = 1
    decoder.flags |= Flags.low_delay
    decoder.options = {"max_pixels": str(max_pixels)}
    return decoder


def colour_of(picture: av.VideoFrame) -> Colour:
    """How the picture's YUV maps to RGB; BT.601 in limited range where it does not say."""
    full_range = picture.color_range == ColorRange.JPEG or picture.format.name.startswith("yuvj")
    return Colour("bt709" if picture.colorspace == Colorspace.ITU709 else "bt601", full_range)


def nv12_planes(picture: av.VideoFrame) -> tuple[U8, U8]:
    """The picture's planes: `(H, W)` and `(ceil(H/2), ceil(W/2), 2)` uint8, contiguous, not writable.

    Luma is the decoder's own memory where its rows are not padded: FFmpeg counts references and writes to a picture
    no more once it is out, and copying it costs a tenth of decoding it.
    """
    if picture.format.name not in ("yuv420p", "yuvj420p"):
        kept = ColorRange.JPEG if colour_of(picture).full_range else ColorRange.MPEG
        picture = picture.reformat(format="yuv420p", src_color_range=kept, dst_color_range=kept)
    height, width = picture.height, picture.width
    y = np.ascontiguousarray(_plane(picture, 0, height, width))
    half = (height + 1) // 2, (width + 1) // 2
    # Six times as fast as writing the two planes into an array one after the other.
    uv = cv2.merge([_plane(picture, 1, *half), _plane(picture, 2, *half)]).astype(np.uint8, copy=False)
    y.flags.writeable = uv.flags.writeable = False
    return y, uv


def _plane(picture: av.VideoFrame, number: int, height: int, width: int) -> U8:
    plane = picture.planes[number]
    samples: U8 = np.frombuffer(memoryview(plane), np.uint8)
    return samples[: plane.line_size * height].reshape(height, plane.line_size)[:, :width]
