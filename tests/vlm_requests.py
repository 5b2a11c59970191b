"""Pictures, sounds and requests for a language model server."""

from __future__ import annotations

import base64
import io
import wave
from typing import Any

import numpy as np
from PIL import Image


def picture(seed: int = 0, width: int = 320, height: int = 180, kind: str = "PNG") -> str:
    """A data URL of noise."""
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return data_url(buffer.getvalue(), kind.lower())


def data_url(data: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def sound(seconds: float = 1.0, rate: int = 16_000) -> dict[str, str]:
    """`input_audio`: a tone as WAV."""
    tone = (8000 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate)) / rate)).astype("<i2")
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(tone.tobytes())
    return {"data": base64.b64encode(buffer.getvalue()).decode(), "format": "wav"}


def image_part(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def user(text: str, *parts: dict[str, Any]) -> dict[str, Any]:
    """A user's message: media first, as Gemma wants it."""
    return {"role": "user", "content": [*parts, {"type": "text", "text": text}]}


def tool(name: str, required: tuple[str, ...] = (), **properties: dict[str, Any]) -> dict[str, Any]:
    parameters = {"type": "object", "properties": properties, "required": list(required)}
    return {"type": "function", "function": {"name": name, "description": name, "parameters": parameters}}
