"""What comes out of a decoder, on the host or on a device, and the decoders of PyAV that make it.

One contract for both: NV12, no picture held back, the decoder's memory free to go once the planes were copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import av
import cv2
import numpy as np
from av.codec.context import Flags
from av.codec.hwaccel import HWAccel
from av.video.codeccontext import VideoCodecContext
from av.video.reformatter import ColorRange, Colorspace

from stream.types import U8, Codec, Colour

DECODERS: dict[Codec, str] = {"VP8": "vp8", "H264": "h264"}


class PictureDecoder(Protocol):
    """Decodes one stream of one codec. Raises `av.FFmpegError` for what cannot be decoded, and `DeviceError`."""

    def decode(self, packet: av.Packet[Any]) -> Sequence[av.VideoFrame]: ...


class PyAvDecoder:
    """FFmpeg's own decoder, or with `hwaccel` the one of a GPU behind it; pictures it cannot take there come out on
    the host. `max_pixels`: no memory is spent on larger pictures."""

    def __init__(self, codec: Codec, max_pixels: int, hwaccel: HWAccel | None = None) -> None:
        made = av.CodecContext.create(DECODERS[codec], "r", hwaccel=hwaccel)
        assert isinstance(made, VideoCodecContext)
        # Frame threads would hold back three pictures, and so would reordering, which live video does not use.
        made.thread_count = 1
        made.flags |= Flags.low_delay
        made.options = {"max_pixels": str(max_pixels)}
        self._context = made

    def decode(self, packet: av.Packet[Any]) -> Sequence[av.VideoFrame]:
        return self._context.decode(packet)


def on_cuda(picture: av.VideoFrame) -> bool:
    """Whether the picture is in a GPU's memory."""
    return picture.format.name == "cuda"


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
