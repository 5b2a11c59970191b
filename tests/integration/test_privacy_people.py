"""People of a real clip, hidden with the light engine's own detector: how many of them could still be seen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.engines.light.engine import LightEngine
from stream.models.store import ModelStore
from stream.sources.base import Received
from stream.sources.demux import Reading, inspect
from tests.quality.metrics import Box
from tests.quality.walking import CLIP, annotation, clip
from tests.server import PushedSource, RunningServer

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
LEAD_IN_FRAMES = 10
OPEN_FRAMES = 5
READABLE = 0.1
"""A person of whose fine detail more than this share survives counts as seen. It is 1 for one that is not hidden."""


class ClipSource(PushedSource):
    """The packets of the demo clip, pushed by hand."""

    def __init__(self, server: RunningServer, pictures: Iterator[Received]) -> None:
        super().__init__(server)
        self._pictures = pictures

    def _next(self) -> Received:
        return next(self._pictures)


def packets(first: int) -> Iterator[Received]:
    """From frame `first` on, which is a keyframe; number `n` has the timestamp `9000 n`."""
    with Reading(CLIP, inspect(CLIP)) as reading:
        for number, picture in enumerate(reading.pictures(lambda ticks: 0.0, 0)):
            if number >= first:
                yield Received(picture.codec, picture.data, picture.keyframe, number * 9000, None, time.monotonic())


def detail(luma: U8) -> F32:
    """What is finer than a few pixels."""
    sharp = luma.astype(np.float32)
    return np.asarray(sharp - cv2.GaussianBlur(sharp, (0, 0), 3), np.float32)


def surviving(raw: F32, shown: F32, box: Box) -> float:
    """The share of the detail in a person's box that is still in the picture that left."""
    x0, y0, x1, y1 = (max(0, round(value)) for value in box.xyxy)
    before, after = raw[y0:y1, x0:x1], shown[y0:y1, x0:x1]
    return max(0.0, float((before * after).sum() / max((before * before).sum(), 1e-6)))


async def test_nearly_every_person_is_unreadable_on_every_frame(tmp_path: Path, model_store: ModelStore) -> None:
    """Measured: of 347 person-frames none keeps a tenth of its detail on a quiet machine, and 3 do on a busy one, where
    fewer frames fall into the second for which things stay hidden; one of them keeps a quarter. On the first frames
    nothing is hidden, and everybody is seen."""
    truth = annotation()
    start = truth.first - LEAD_IN_FRAMES
    survived: list[tuple[float, bool]] = []
    unhidden: list[float] = []
    with RunningServer(tmp_path, engine=LightEngine(model_store)) as server:
        source = ClipSource(server, packets(start))
        server.call(lambda: server.state.hub.open(source, stream_id="cam"))
        assert source.ready.wait(10)
        raw = {frame.index: frame for frame in clip(truth.last, truth.fps)}
        session = server.state.hub.get("cam")
        for number in range(start, truth.last + 1):
            if number == truth.first + OPEN_FRAMES:
                async with server.client() as http:
                    answer = await http.patch("/v1/streams/cam", json={"privacy": {"classes": ["person"]}})
                assert answer.status_code == 200, answer.text
            await asyncio.to_thread(source.push)
            async with asyncio.timeout(30):
                while session.latest_frame is None or session.latest_frame.rtp != number * 9000:
                    await asyncio.sleep(0.005)
            if number < truth.first:
                continue
            before, after = detail(raw[number].y), detail(session.latest_frame.y)
            shares = [(surviving(before, after, box), box.ignore) for box in truth.boxes[number]]
            if number < truth.first + OPEN_FRAMES:
                unhidden += [share for share, _ in shares]
            else:
                survived += shares
    clear = [share for share, occluded in survived if not occluded]
    assert len(survived) > 300
    assert min(unhidden) > 0.9
    assert sum(share > READABLE for share, _ in survived) <= 0.02 * len(survived)
    assert sum(share > READABLE for share in clear) <= 0.01 * len(clear)
