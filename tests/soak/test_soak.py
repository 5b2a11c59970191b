"""The long runs: a hundred thousand steps of the light engine, a thousand connects. Minutes each, on request only.

Results go to `tests/bench/results/soak-*.json`.
"""

from __future__ import annotations

import asyncio
import time

import cv2
import numpy as np
import pytest

from stream.hub import HubLimits, StreamHub
from stream.models.store import ModelStore
from stream.sources.webrtc import WebRtcConfig
from stream.types import Frame, Prompt, PromptKind, TrackState, TrackUpdate
from tests.barcode import BarcodeEngine
from tests.bench.report import write
from tests.memory import Counts, Growth
from tests.peers import Camera, PublishingPeer, ViewingPeer
from tests.quality.scenes import to_frame

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3000)]

STEPS = 100_000
CONNECTS = 1_000
ROUND = 900
"""Steps after which the picture repeats and the disc is asked for anew."""
SIZE = (160, 120)
BOUND_MIB = 1.0
"""Growth of resident memory over 10,000 steps, in the last half."""


def moving_disc(step: int) -> Frame:
    """A textured disc that circles over a textured ground, and is away for the last third of each round."""
    rng = np.random.default_rng(7)
    ground = cv2.GaussianBlur(rng.integers(40, 120, (SIZE[1], SIZE[0], 3), np.uint8), (5, 5), 0)
    x = 80 + 45 * np.cos(step % ROUND / 60) + (300 if step % ROUND > 600 else 0)
    centre = (int(x), int(60 + 25 * np.sin(step % ROUND / 45)))
    cv2.circle(ground, centre, 18, (30, 60, 220), -1, cv2.LINE_AA)
    cv2.circle(ground, (centre[0] - 5, centre[1] - 4), 7, (230, 200, 40), -1, cv2.LINE_AA)
    return to_frame(ground, step)


def test_a_hundred_thousand_steps_of_the_light_engine(model_store: ModelStore) -> None:
    from stream.engines.light.engine import LightEngine

    # A look by SAM every thirty steps, or the run would take an hour.
    engine = LightEngine(model_store, background=False, sam_latency_frames=30)
    tracker = engine.open_tracker()
    tracker.add_prompt(Prompt(1, PromptKind.TEXT, text="person"))
    growth, live, started_s = Growth(), 0, time.monotonic()
    for step in range(STEPS):
        turn, phase = divmod(step, ROUND)
        if phase == 5:
            tracker.add_prompt(Prompt(turn + 2, PromptKind.BOX, box_xyxy_px=(105, 38, 150, 85)))
        elif phase == ROUND - 20:
            tracker.remove_prompt(turn + 2)
        (update,) = engine.step([(tracker, moving_disc(step))])
        assert isinstance(update, TrackUpdate)
        live += any(track.state is TrackState.LIVE for track in update.tracks)
        if step % 2_000 == 0:
            growth.sample(step)
    engine.close()
    row = {
        "test": "light engine 160×120",
        "steps": STEPS,
        "MiB per 10,000 steps": round(growth.mib_per_10k_steps(), 3),
        "MiB": [round(mib, 1) for _, mib in growth.samples[::5]],
        "share of steps with a live track": round(live / STEPS, 3),
        "minutes": round((time.monotonic() - started_s) / 60, 1),
    }
    write("soak-engine", [row])
    assert growth.mib_per_10k_steps() <= BOUND_MIB
    assert live > 0.3 * STEPS, "the engine followed nothing, so that nothing was tested"


async def test_a_thousand_connects_leave_nothing_behind() -> None:
    """Publishers and viewers that come and go, some without ever connecting."""
    config = WebRtcConfig(addresses=("127.0.0.1",), connect_timeout_s=2.0)
    growth, started_s = Growth(), time.monotonic()
    async with StreamHub(BarcodeEngine(), webrtc=config, limits=HubLimits(linger_s=0.0)) as hub:
        before = None
        for turn in range(CONNECTS):
            await _connect(hub, connects=turn % 4 != 3)
            if turn % 20 == 19:
                await asyncio.sleep(2.5)
                growth.sample(turn)
                before = before or Counts.now()
        after = Counts.now()
    row = {
        "test": "connects",
        "connects": CONNECTS,
        "before": str(before),
        "after": str(after),
        "KiB per connect": round(growth.mib_per_10k_steps() * 1024 / 10_000, 2),
        "MiB": [round(mib, 1) for _, mib in growth.samples],
        "minutes": round((time.monotonic() - started_s) / 60, 1),
    }
    write("soak-connects", [row])
    assert after == before
    assert growth.samples[-1][1] - growth.samples[len(growth.samples) // 2][1] <= 10 * BOUND_MIB


async def _connect(hub: StreamHub, *, connects: bool) -> None:
    camera = PublishingPeer(Camera("VP8", {0: (64, 64)}), "VP8")
    viewer = ViewingPeer("VP8")
    answer = await hub.publish("cam", await camera.offer())
    if connects:
        await camera.take(answer.sdp)
        session = hub.get("cam")
        async with asyncio.timeout(10):
            while session.latest is None:
                await asyncio.sleep(0.005)
        watched = await hub.view("cam", await viewer.offer())
        await viewer.take(watched.sdp)
        await viewer.until(1)
        await hub.unview("cam", watched.session)
    await hub.close("cam")
    await camera.close()
    await viewer.close()
