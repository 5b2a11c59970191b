"""What tests of the agent need: the replies that a model is found by, and readers of what it is sent and says."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import cv2
import numpy as np
from websockets.asyncio.client import ClientConnection

from tests.staged import StagedStream

PROBES: list[dict[str, Any]] = [
    {"tokens": ["yes"]},
    {"tokens": ["Red."]},
    {"tokens": ['{"colour": "blue"}']},
    {"tool_calls": [{"name": "switch_lamp", "arguments": '{"on": true}'}]},
]
"""What the server is asked when it is found."""


async def ready(scene: StagedStream) -> None:
    """The model has been found and there is a picture with both objects."""
    agent = scene.server.state.agents.of(scene.server.state.hub.get("cam"))
    async with asyncio.timeout(20):
        while scene.server.state.model_server.state.profile is None or len(agent.scene.snapshot().visible) < 2:
            await asyncio.sleep(0.02)


async def answered(
    live: ClientConnection, question_id: str, within_s: float = 15.0
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The pieces of an answer, and the answer."""
    deltas: list[dict[str, Any]] = []
    async with asyncio.timeout(within_s):
        while True:
            message: dict[str, Any] = json.loads(await live.recv())
            if message.get("question_id") == question_id and message["type"] == "delta":
                deltas.append(message)
            if message.get("question_id") == question_id and message["type"] == "answer":
                return deltas, message


def images(message: dict[str, Any]) -> list[np.ndarray]:
    """The pictures of one chat message, `(h, w, 3)` uint8 BGR."""
    urls = [part["image_url"]["url"] for part in message["content"] if part["type"] == "image_url"]
    jpegs = [base64.b64decode(url.removeprefix("data:image/jpeg;base64,")) for url in urls]
    return [np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)) for jpeg in jpegs]


def texts(message: dict[str, Any]) -> list[str]:
    return [part["text"] for part in message["content"] if part["type"] == "text"]


def near(pixel: np.ndarray, rgb: tuple[int, int, int], within: int = 40) -> bool:
    return bool(np.abs(pixel[::-1].astype(int) - np.array(rgb)).max() <= within)
