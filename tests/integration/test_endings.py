"""However a session ends, and at whatever moment, nothing of it stays behind."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from stream.hub import StreamHub
from stream.sources import publisher as publisher_module
from stream.sources.webrtc import Publisher, Viewer, WebRtcConfig
from tests.barcode import BarcodeEngine, write_clip
from tests.encoding import encoded_frames
from tests.peers import Camera, PublishingPeer, Sink, ViewingPeer
from tests.server import RunningServer

CONFIG = WebRtcConfig(addresses=("127.0.0.1",))


async def settled() -> None:
    """Wait until what ends by itself has ended: connections that the other side closed say goodbye to their peer."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(10):
            while len(asyncio.all_tasks()) > 1:
                await asyncio.sleep(0.05)
    await asyncio.sleep(0.3)


async def test_fifty_connects_leave_nothing_behind() -> None:
    """No task, thread or socket, whether the publisher or the server ends it, or the peer never comes."""
    process = psutil.Process()
    counts = []
    for turn in range(50):
        camera = Camera("VP8", {0: (64, 64)})
        peer, watching = PublishingPeer(camera, "VP8"), ViewingPeer("VP8")
        publisher, answer = await Publisher.accept(await peer.offer(), CONFIG)
        sink = Sink()
        run = asyncio.create_task(publisher.run(sink))
        viewer, view_answer = await Viewer.accept(await watching.offer(), "VP8", CONFIG, lambda: None)
        if turn % 3:
            await peer.take(answer)
            await watching.take(view_answer)
            await sink.until(2)
            viewer.push(encoded_frames("VP8", [0], size=(64, 64))[0])
        if turn % 2:
            run.cancel()
        else:
            await publisher.close()
        await asyncio.gather(run, return_exceptions=True)
        await viewer.close()
        await peer.close()
        await watching.close()
        if turn in (9, 49):
            await settled()
            counts.append((len(asyncio.all_tasks()), threading.active_count(), process.num_fds()))
    assert counts[1] == counts[0], asyncio.all_tasks()
    assert counts[0][0] == 1


@pytest.mark.parametrize("side", ["publisher", "viewer"])
async def test_a_session_that_is_closed_while_it_connects_leaves_nothing_behind(side: str) -> None:
    """At 40 moments from the first connectivity check to a session that runs."""
    states = set()
    for place in range(40):
        peer = ViewingPeer("VP8") if side == "viewer" else PublishingPeer(Camera("VP8", {0: (64, 64)}), "VP8")
        ours: Publisher | Viewer
        if side == "viewer":
            ours, answer = await Viewer.accept(await peer.offer(), "VP8", CONFIG, lambda: None)
            run = asyncio.create_task(ours.run())
        else:
            ours, answer = await Publisher.accept(await peer.offer(), CONFIG)
            run = asyncio.create_task(ours.run(Sink()))
        await peer.take(answer)
        transport = ours.connection.getTransceivers()[0].receiver.transport
        if place % 2:
            while transport.state == "new":
                await asyncio.sleep(0)
        await asyncio.sleep(place * 0.0006)
        states.add(transport.state)
        await ours.close()
        await peer.close()
        await asyncio.gather(run, return_exceptions=True)
    await settled()
    assert len(asyncio.all_tasks()) == 1, asyncio.all_tasks()
    assert {"new", "connecting"} <= states


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningServer]:
    monkeypatch.setattr(publisher_module, "SILENT_S", 1.0)
    monkeypatch.setattr(publisher_module, "LOOK_EVERY_S", 0.2)
    with RunningServer(tmp_path) as running:
        yield running


@pytest.fixture
def process(server: RunningServer, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A publisher of stream `cam` in a process of its own, which sends."""
    clip = tmp_path / "clip.mp4"
    write_clip(clip, codec="libx264", size=(320, 240), frames=60, options={"bf": "0", "g": "30"})
    command = [sys.executable, "-m", "tests.publisher", f"{server.url}/whip/cam", str(clip), "--seconds", "60"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline()
    yield process
    process.kill()
    process.communicate()


async def test_a_publisher_that_vanished_makes_room_for_the_next(
    server: RunningServer, process: subprocess.Popen[str]
) -> None:
    """It hangs, so that its machine answers nothing and says no goodbye."""
    next_one = PublishingPeer(Camera("VP8"), "VP8")
    offer = {"content": await next_one.offer(), "headers": {"content-type": "application/sdp"}}
    try:
        async with server.client() as http:
            await asyncio.sleep(3)  # many times as long as it may be silent, while it sends
            assert (await http.post("/whip/cam", **offer)).status_code == 409
            process.send_signal(signal.SIGSTOP)
            hung_s = time.monotonic()
            while (answer := await http.post("/whip/cam", **offer)).status_code == 409:
                assert time.monotonic() - hung_s < 20
                await asyncio.sleep(0.2)
            assert answer.status_code == 201
            assert time.monotonic() - hung_s > 1.0
            await next_one.take(answer.text)
            async with asyncio.timeout(10):
                while (stream := (await http.get("/v1/streams/cam")).json())["codec"] != "VP8":
                    await asyncio.sleep(0.05)
            assert stream["epoch"] == 2
    finally:
        await next_one.close()


async def test_a_silent_publisher_that_is_still_there_keeps_its_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """A screen that does not change sends nothing, but its browser answers when it is asked."""
    monkeypatch.setattr(publisher_module, "SILENT_S", -1.0)
    monkeypatch.setattr(publisher_module, "LOOK_EVERY_S", 0.02)
    asked = 0
    answers = publisher_module.aiortc_patches.answers

    async def counted(connection: object) -> bool:
        nonlocal asked
        asked += 1
        return await answers(connection)  # type: ignore[arg-type]

    monkeypatch.setattr(publisher_module.aiortc_patches, "answers", counted)
    peer = PublishingPeer(Camera("VP8", {0: (64, 64)}), "VP8")
    publisher, answer = await Publisher.accept(await peer.offer(), CONFIG)
    sink = Sink()
    run = asyncio.create_task(publisher.run(sink))
    await peer.take(answer)
    await sink.until(15)
    assert asked >= 3
    assert not run.done()
    await peer.close()
    await asyncio.wait_for(run, 10)


async def test_of_two_that_publish_at_once_one_gets_the_stream() -> None:
    async with StreamHub(BarcodeEngine(), webrtc=CONFIG) as hub:
        peers = [PublishingPeer(Camera("VP8"), "VP8") for _ in range(4)]
        offers = [await peer.offer() for peer in peers]
        answers = await asyncio.gather(*(hub.publish("cam", offer) for offer in offers), return_exceptions=True)
        got = [answer for answer in answers if not isinstance(answer, BaseException)]
        assert len(got) == 1, answers
        await hub.unpublish("cam", got[0].session)
        for peer in peers:
            await peer.close()


async def test_a_publisher_that_goes_while_it_is_being_replaced_does_not_stop_the_next() -> None:
    async with StreamHub(BarcodeEngine(), webrtc=CONFIG) as hub:
        first, second = PublishingPeer(Camera("VP8"), "VP8"), PublishingPeer(Camera("VP8"), "VP8")
        old = (await hub.publish("cam", await first.offer())).session
        offer = await second.offer()
        new, gone = await asyncio.gather(
            hub.publish("cam", offer, if_match=old), hub.unpublish("cam", old), return_exceptions=True
        )
        assert not isinstance(new, BaseException)
        assert gone is None
        assert new.session != old
        for peer in (first, second):
            await peer.close()
