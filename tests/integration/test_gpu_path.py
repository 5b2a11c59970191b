"""A whole server whose frames are on a device: the picture goes on whatever fails there, and it is said where."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from stream.pictures import DECODERS
from stream.surfaces import CAPACITY, KEPT
from stream.types import TrackUpdate
from tests.asking import answered, images, near, ready
from tests.barcode import BarcodeEngine
from tests.scripted_vlm import ScriptedVlm
from tests.server import PushedSource, RunningServer, ask
from tests.staged import RED, StagedEngine, StagedStream
from tests.stand_in_device import StandInHardware


class EngineOnGpu(BarcodeEngine):
    gpu = 0
    entered: str | None = None

    def enter_thread(self) -> None:
        self.entered = threading.current_thread().name


def shown(server: RunningServer, source: PushedSource, check: Callable[[TrackUpdate], bool]) -> TrackUpdate:
    """Push pictures until an update is as wanted."""
    deadline_s = time.monotonic() + 20
    while True:
        assert time.monotonic() < deadline_s, "it did not happen"
        source.push(pause_s=0.02)
        update = server.state.hub.get("cam").latest
        if update is not None and check(update):
            return update


def is_newest(source: PushedSource) -> Callable[[TrackUpdate], bool]:
    """That of a picture still to be pushed; after a fault the next one that can be decoded is a keyframe."""
    wanted = source.pushed + 2
    return lambda update: update.tracks[0].label.isdecimal() and int(update.tracks[0].label) >= wanted


async def test_frames_stay_on_the_device_and_a_decoder_that_fails_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in, engine = StandInHardware(), EngineOnGpu()
    monkeypatch.setattr("web.engines.nvdec", lambda index: stand_in.hardware())
    with RunningServer(tmp_path, engine=engine) as server:
        assert engine.entered == "engine"
        source = server.open_stream("cam")
        session = server.state.hub.get("cam")
        shown(server, source, is_newest(source))
        assert session.decoding is not None
        assert session.decoding.by == "stand-in decoder"
        assert session.status().policy == ()
        async with server.client() as client:
            checks = {check["name"]: check for check in (await client.get("/health")).json()["checks"]}
            assert checks["decoding"] == {
                "name": "decoding", "ok": True, "message": "stand-in decoder on the stand-in", "action": "",
            }  # fmt: skip
            snapshot = await client.get("/v1/streams/cam/snapshot.jpg?overlay=true")
            assert snapshot.status_code == 200
            assert snapshot.content[:2] == b"\xff\xd8"
            stand_in.fails = av.error.ExternalError(-1, "the decoder failed")
            source.push(8, pause_s=0.02)
            shown(server, source, is_newest(source))
            assert session.decoding.note is not None
            assert "H264 is decoded on the processor" in session.status().policy[0]
            checks = {check["name"]: check for check in (await client.get("/health")).json()["checks"]}
            assert "H264 is decoded on the processor" in checks["stream cam"]["message"]
            assert checks["stream cam"]["ok"]


async def test_whoever_keeps_pictures_does_not_use_up_the_surfaces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agent keeps more of the newest pictures than a stream has surfaces."""
    monkeypatch.setattr("agent.keyframes.NEWEST_EVERY_S", 0.0)
    monkeypatch.setattr("web.engines.nvdec", lambda index: StandInHardware().hardware())
    with RunningServer(tmp_path, engine=EngineOnGpu()) as server:
        source = server.open_stream("cam")
        for _ in range(3 * CAPACITY):
            shown(server, source, is_newest(source))
        assert "surfaces" not in server.state.hub.get("cam").status().drops


class StageOnGpu(StagedEngine):
    gpu = 0

    def enter_thread(self) -> None:
        """There is nothing to choose."""


async def test_the_agent_brings_to_the_host_what_is_asked_about_and_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vlm: ScriptedVlm
) -> None:
    stand_in = StandInHardware()
    monkeypatch.setattr("web.engines.nvdec", lambda index: stand_in.hardware())
    monkeypatch.setattr("agent.keyframes.NEWEST_EVERY_S", 0.0)
    monkeypatch.setattr("agent.keyframes.JPEG_EVERY_S", 3600.0)
    monkeypatch.setattr("tests.staged.StagedEngine", StageOnGpu)
    with StagedStream(tmp_path, vlm.url) as scene:
        await ready(scene)
        vlm.forget()
        pushed = scene.source.pushed
        while scene.source.pushed < pushed + CAPACITY + KEPT:
            await asyncio.sleep(0.05)
        scene.pause()
        device = stand_in.device
        assert device.reads == len(DECODERS), "of the pictures by which the decoder was tried"
        async with scene.server.live("cam") as live:
            for ref in ("first", "again"):
                ok = await ask(live, type="ask", ref=ref, text="What is #3?", track_ids=[3])
                await answered(live, ok["question_id"])
        first, again = (images(request["body"]["messages"][-1]) for request in vlm.requests)
        assert near(first[1][first[1].shape[0] // 2, first[1].shape[1] // 2], RED.rgb)
        assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))
        assert device.cuts.count(first[1].shape[:2]) == 1
        assert device.reads == len(DECODERS)
        assert "surfaces" not in scene.server.state.hub.get("cam").status().drops


async def test_a_codec_that_the_gpu_refuses_at_start_is_in_health(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.engines.nvdec", lambda index: StandInHardware(wrong=True).hardware())
    with RunningServer(tmp_path, engine=EngineOnGpu()) as server:
        source = server.open_stream("cam")
        shown(server, source, is_newest(source))
        async with server.client() as client:
            checks = {check["name"]: check for check in (await client.get("/health")).json()["checks"]}
        assert "VP8 on the processor: stand-in decoder gives other pictures" in checks["decoding"]["message"]
        assert "other pictures" in server.state.hub.get("cam").status().policy[0]


async def test_the_processor_decodes_where_the_configuration_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in = StandInHardware()
    monkeypatch.setattr("web.engines.nvdec", lambda index: stand_in.hardware())
    with RunningServer(tmp_path, {"engine": {"decoder": "software"}}, engine=EngineOnGpu()) as server:
        source = server.open_stream("cam")
        shown(server, source, is_newest(source))
        assert stand_in.opened == 0
        assert len(stand_in.device.allocated) > 0
