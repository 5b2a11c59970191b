"""Pictures and sound out of a request, with limits. Nothing is ever fetched from an address."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import re
from dataclasses import dataclass, field
from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from agent.vlm.service.faults import TooLarge, refuse

MAX_IMAGE_BYTES = 16 * 1024 * 1024
MAX_IMAGE_PX = 4096 * 4096
MAX_ASPECT = 40
"""Beyond this a picture is a line, for which a small budget of tokens has no room."""
FORMATS = ("JPEG", "PNG", "WEBP")
AUDIO_FORMATS = ("wav", "mp3")
SAMPLE_RATE = 16_000
MAX_AUDIO_S = 30.0
MIN_AUDIO_S = 0.1

_DATA_URL = re.compile(r"data:image/[a-z.+-]{1,20};base64,", re.IGNORECASE)
_ANY_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded picture whose header has been checked. `sha256` is that of its bytes."""

    data: bytes = field(repr=False)
    sha256: str

    def pixels(self) -> NDArray[np.uint8]:
        """uint8 [height, width, 3], RGB, upright. Raises `BadInput` for what cannot be decoded to its end."""
        try:
            with Image.open(io.BytesIO(self.data), formats=FORMATS) as opened:
                return np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
        except (OSError, SyntaxError, ValueError) as error:
            raise refuse("A picture is damaged.", action="Send it whole.", code="bad_image") from error


@dataclass(frozen=True, slots=True)
class Sound:
    """float32 [n], mono, 16 kHz, within [-1, 1]."""

    samples: NDArray[np.float32]


def read_picture(url: object) -> Picture:
    """From a data URL. Raises `BadInput` or `TooLarge`."""
    if not isinstance(url, str):
        raise refuse("image_url.url is missing.", action="Give a data URL.", code="bad_image")
    head = _DATA_URL.match(url)
    if head is None:
        fault = "Pictures are not fetched from addresses." if _ANY_ADDRESS.match(url) else "A picture is no data URL."
        raise refuse(fault, action="Send data:image/jpeg;base64,…", code="bad_image")
    data = _decoded(url[head.end() :], "A picture")
    if len(data) > MAX_IMAGE_BYTES:
        raise TooLarge(f"A picture is larger than {MAX_IMAGE_BYTES >> 20} MiB.")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
            width, height = opened.size
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise refuse("A picture is no JPEG, PNG or WebP.", code="bad_image") from error
    if width * height > MAX_IMAGE_PX:
        raise TooLarge(f"A picture of {width}×{height} is larger than {MAX_IMAGE_PX >> 20} Mpx.")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise refuse(f"A picture of {width}×{height} is too narrow.", action="Crop it.", code="bad_image")
    return Picture(data, hashlib.sha256(data).hexdigest())


def read_sound(audio: Any) -> Sound:
    """From OpenAI's `input_audio`. Raises `BadInput` or `TooLarge`."""
    if not isinstance(audio, dict) or not isinstance(audio.get("data"), str):
        raise refuse("input_audio.data is missing.", action="Send it as base64.", code="bad_audio")
    if audio.get("format") not in AUDIO_FORMATS:
        raise refuse("input_audio.format must be wav or mp3.", code="bad_audio")
    data = _decoded(audio["data"], "The sound")
    try:
        samples = _samples(data, audio["format"])
    except (FFmpegError, ValueError) as error:
        raise refuse(f"The sound cannot be read as {audio['format']}.", code="bad_audio") from error
    if samples.size < MIN_AUDIO_S * SAMPLE_RATE:
        raise refuse("The sound is too short.", action="Send at least a tenth of a second.", code="bad_audio")
    if samples.size > MAX_AUDIO_S * SAMPLE_RATE:
        raise TooLarge(f"The sound is longer than {MAX_AUDIO_S:.0f} s.")
    return Sound(samples)


def _samples(data: bytes, container: str) -> NDArray[np.float32]:
    """Mono at 16 kHz; not much more than the longest that is allowed."""
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=SAMPLE_RATE)
    parts: list[NDArray[np.float32]] = []
    with av.open(io.BytesIO(data), mode="r", format=container) as opened:
        if not opened.streams.audio:
            raise ValueError("no sound")
        for frame in opened.decode(audio=0):
            parts += [made.to_ndarray()[0] for made in resampler.resample(frame)]
            if sum(part.size for part in parts) > MAX_AUDIO_S * SAMPLE_RATE + 1:
                break
        else:
            parts += [made.to_ndarray()[0] for made in resampler.resample(None)]
    return np.concatenate(parts).astype(np.float32) if parts else np.zeros(0, np.float32)


def _decoded(text: str, what: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise refuse(f"{what} is no base64.") from error
