"""Decoding on a GPU: what it needs of one, and what it can do here, tried once at start."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.codec.hwaccel import HWAccel
from av.video.codeccontext import VideoCodecContext

from stream.gpu import TorchDevice
from stream.pictures import DECODERS, PictureDecoder, PyAvDecoder, nv12_planes, on_cuda
from stream.surfaces import Device, DeviceError, Planes, SurfacePool
from stream.types import Codec, Colour

log = logging.getLogger(__name__)

NVDEC = "NVDEC"
ENCODERS: dict[Codec, str] = {"VP8": "libvpx", "H264": "libx264"}
SAMPLE_PX = 256
"""Sides of the picture that is tried: decoders on GPUs take none that is much smaller."""
MAX_PIXELS = 4096 * 2304
ALIKE = 2.0
"""Levels by which the picture that is tried may differ from the processor's, on average."""
SHARED_CONTEXT = {"primary_ctx": "0", "current_ctx": "1"}
"""FFmpeg takes the context that is current on the thread, which is torch's. Its default, the primary context with flags
of its own, is refused once torch has made that."""


@dataclass(frozen=True, slots=True)
class Hardware:
    """A GPU that pictures go to, and its decoder.

    `open` makes a decoder, on a thread that the device is bound to; `is_here` says whether a picture is on the device,
    and `planes` gives those of one that is. `refused`: codecs that cannot be decoded there, and why.
    """

    device: Device
    open: Callable[[Codec, int], PictureDecoder]
    is_here: Callable[[av.VideoFrame], bool]
    planes: Callable[[av.VideoFrame], Planes]
    name: str = NVDEC
    refused: Mapping[Codec, str] = field(default_factory=dict)


def nvdec(index: int) -> Hardware:
    """NVDEC beside torch on a CUDA GPU, not tried yet. Raises `DeviceError` where there is no such GPU."""
    device = TorchDevice(index)

    def open_decoder(codec: Codec, max_pixels: int) -> PictureDecoder:
        try:
            hwaccel = HWAccel("cuda", is_hw_owned=True, options=dict(SHARED_CONTEXT), allow_software_fallback=True)
            return PyAvDecoder(codec, max_pixels, hwaccel)
        except (av.FFmpegError, NotImplementedError, RuntimeError, ValueError) as error:
            raise DeviceError(f"FFmpeg cannot open it: {error}") from error

    return Hardware(device, open_decoder, on_cuda, lambda picture: device.from_decoder(picture.planes))


def tried(hardware: Hardware) -> Hardware:
    """The same, with what it refuses: each codec decodes one picture as a stream's would be, on a thread of its own,
    and must give at once what the processor gives."""
    refused: dict[Codec, str] = {}

    def run() -> None:
        for codec in DECODERS:
            reason = _why_not(hardware, codec)
            if reason is not None:
                refused[codec] = reason
                log.warning("%s video is decoded on the processor: %s", codec, reason)

    thread = threading.Thread(target=run, name="decoder probe", daemon=True)
    thread.start()
    thread.join()
    return replace(hardware, refused=refused)


def _why_not(hardware: Hardware, codec: Codec) -> str | None:
    try:
        hardware.device.bind()
        return _differs(hardware, codec)
    except (DeviceError, av.FFmpegError) as error:
        return str(error)


def _differs(hardware: Hardware, codec: Codec) -> str | None:
    packet: av.Packet[Any] = av.Packet(sample(codec))
    pictures = hardware.open(codec, MAX_PIXELS).decode(packet)
    if not pictures:
        return f"{hardware.name} holds pictures back"
    if not hardware.is_here(pictures[0]):
        return f"{hardware.name} or its library (libnvcuvid) is not here, or does not know this codec"
    surface = SurfacePool(hardware.device).fill(hardware.planes(pictures[0]))
    assert surface is not None
    # The kernel is compiled now rather than while somebody waits for a part of a picture.
    surface.cut((0, 0, SAMPLE_PX, SAMPLE_PX), (SAMPLE_PX // 2, SAMPLE_PX // 2), Colour())
    (wanted,) = PyAvDecoder(codec, MAX_PIXELS).decode(packet)
    for made, right in zip(surface.on_host(), nv12_planes(wanted), strict=True):
        if made.shape != right.shape or np.abs(made.astype(int) - right).mean() > ALIKE:
            return f"{hardware.name} gives other pictures than the processor"
    return None


def sample(codec: Codec) -> bytes:
    """One compressed picture, complete by itself."""
    encoder = av.CodecContext.create(ENCODERS[codec], "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width = encoder.height = SAMPLE_PX
    encoder.pix_fmt, encoder.time_base = "yuv420p", Fraction(1, 30)
    encoder.options = {"tune": "zerolatency"} if codec == "H264" else {"deadline": "realtime", "lag-in-frames": "0"}
    ramp = np.linspace(20, 230, SAMPLE_PX, dtype=np.uint8)
    pixels = np.dstack(
        [np.tile(ramp, (SAMPLE_PX, 1)), np.tile(ramp[:, None], (1, SAMPLE_PX)), np.full((SAMPLE_PX,) * 2, 90)]
    )
    picture = av.VideoFrame.from_ndarray(pixels.astype(np.uint8), format="rgb24").reformat(format="yuv420p")
    picture.pts = 0
    return b"".join(bytes(packet) for packet in [*encoder.encode(picture), *encoder.encode(None)])
