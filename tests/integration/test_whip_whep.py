"""Two real peers on loopback: what a publisher sends is what a stream gets, and what a viewer gets is that again."""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
import time
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest

from stream.errors import BadInput, MediaError, OnlookerError, SourceError
from stream.sources import viewer as viewer_module
from stream.sources.base import Received
from stream.sources.publisher import KEYFRAME_EVERY_S
from stream.sources.webrtc import Publisher, Viewer, WebRtcConfig
from stream.types import Codec, EncodedFrame
from tests.encoding import encoded_frames
from tests.peers import Camera, PublishingPeer, Sink, ViewingPeer, numbers

CODECS: list[Codec] = ["VP8", "H264"]
CONFIG = WebRtcConfig(addresses=("127.0.0.1",))


def encoded(received: Received) -> EncodedFrame:
    return EncodedFrame(
        received.codec, received.data, received.keyframe, 1, received.rtp, received.rtp, received.captured_unix_us,
        received.received_s,
    )  # fmt: skip


class Publishing:
    """A camera that is connected to a publisher of ours."""

    def __init__(self, camera: Camera, peer: PublishingPeer, publisher: Publisher, answer: str) -> None:
        self.camera = camera
        self.peer = peer
        self.publisher = publisher
        self.answer = answer
        self.sink = Sink()
        self.run = asyncio.create_task(publisher.run(self.sink))

    @property
    def numbers(self) -> list[int | None]:
        return numbers(self.camera.codec, [received.data for received in self.sink.received])


@contextlib.asynccontextmanager
async def publishing(
    codec: Codec, sizes: dict[int, tuple[int, int]] | None = None, *, config: WebRtcConfig = CONFIG, audio: bool = False
) -> AsyncIterator[Publishing]:
    camera = Camera(codec, sizes)
    peer = PublishingPeer(camera, codec, audio=audio)
    publisher, answer = await Publisher.accept(await peer.offer(), config)
    session = Publishing(camera, peer, publisher, answer)
    try:
        await peer.take(answer)
        yield session
    finally:
        await peer.close()
        await asyncio.wait_for(session.run, 10)


class Viewing:
    """A peer that is connected to a viewer of ours."""

    def __init__(self, peer: ViewingPeer, viewer: Viewer) -> None:
        self.peer = peer
        self.viewer = viewer
        self.run = asyncio.create_task(viewer.run())


@contextlib.asynccontextmanager
async def viewing(codec: Codec, asked: list[None] | None = None) -> AsyncIterator[Viewing]:
    peer = ViewingPeer(codec)
    requests: list[None] = [] if asked is None else asked
    viewer, answer = await Viewer.accept(await peer.offer(), codec, CONFIG, lambda: requests.append(None))
    session = Viewing(peer, viewer)
    try:
        await peer.take(answer)
        yield session
    finally:
        await peer.close()
        await asyncio.wait_for(session.run, 10)


@pytest.mark.parametrize("codec", CODECS)
async def test_every_picture_arrives_whole_with_its_timestamp_and_capture_time(codec: Codec) -> None:
    async with publishing(codec) as session:
        await session.sink.until(75)
    received = session.sink.received
    assert session.numbers == list(range(len(received)))
    assert received[0].keyframe
    assert all((after.rtp - before.rtp) & 0xFFFFFFFF == 3000 for before, after in pairwise(received))
    assert session.sink.drops == {}
    assert session.sink.connects == 1
    assert received[0].captured_unix_us is None
    known = [(place, r.captured_unix_us) for place, r in enumerate(received) if r.captured_unix_us is not None]
    assert len(known) > 10
    # A camera that is late drifts from its own timestamps until the next report, so the nearest frame counts.
    assert min(abs(captured - session.camera.sent_unix_us[place]) for place, captured in known) < 200_000
    assert session.publisher.heard_s is not None


@pytest.mark.parametrize("codec", CODECS)
async def test_a_new_resolution_mid_stream_needs_nothing(codec: Codec) -> None:
    async with publishing(codec, {0: (320, 240), 10: (640, 360), 20: (160, 120)}) as session:
        await session.sink.until(30)
    assert session.numbers[:30] == list(range(30))
    assert [place for place, received in enumerate(session.sink.received[:30]) if received.keyframe] == [0, 10, 20]


async def test_a_keyframe_comes_when_it_is_asked_for_but_not_more_than_twice_a_second() -> None:
    async with publishing("VP8") as session:
        await session.sink.until(20)
        started_s = time.monotonic()
        for _ in range(100):
            session.publisher.request_keyframe()
            await asyncio.sleep(0.01)
        await session.sink.until(len(session.sink.received) + 10)
        most = 1 + (time.monotonic() - started_s) / KEYFRAME_EVERY_S
        assert 1 <= session.camera.keyframes_asked <= most
    assert any(received.keyframe for received in session.sink.received[20:])


@pytest.mark.parametrize("codec", CODECS)
async def test_a_viewer_gets_the_same_pictures_and_can_name_each(codec: Codec) -> None:
    """Wire timestamp minus offset is the publisher's timestamp, on every frame."""
    async with publishing(codec) as session, viewing(codec) as watched:
        await session.sink.until(5)
        sent = 0
        while sent < 40:
            for received in session.sink.received[sent:]:
                watched.viewer.push(encoded(received))
                sent += 1
            await asyncio.sleep(0.01)
        offset = await asyncio.wait_for(watched.viewer.rtp_offset(), 5)
        await watched.peer.until(40)
        got = list(watched.peer.got)
        assert [(frame.timestamp - offset) & 0xFFFFFFFF for frame in got[:40]] == [
            received.rtp for received in session.sink.received[:40]
        ]
        assert numbers(codec, [frame.data for frame in got]) == list(range(len(got)))
        assert watched.viewer.dropped == 0


@pytest.mark.parametrize("codec", CODECS)
async def test_a_viewer_that_joins_mid_group_starts_at_once_with_the_replay(codec: Codec) -> None:
    """All of the group pushed at once before the peer has connected comes out in order, from its keyframe."""
    frames = encoded_frames(codec, range(30))
    async with viewing(codec) as watched:
        for frame in frames:
            watched.viewer.push(frame)
        await watched.peer.until(30)
    assert numbers(codec, [frame.data for frame in watched.peer.got]) == list(range(30))


async def test_a_viewer_that_waits_starts_at_the_newest_keyframe() -> None:
    frames = encoded_frames("VP8", range(30), keyframes=[20])
    asked: list[None] = []
    async with viewing("VP8", asked) as watched:
        for frame in frames[5:]:
            watched.viewer.push(frame)
        await watched.peer.until(10)
    assert [frame.keyframe for frame in watched.peer.got] == [True] + [False] * 9
    assert watched.viewer.dropped == 0
    assert asked == []


async def test_a_viewer_without_a_keyframe_asks_and_its_peer_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """One request when it connects, then those of the peer, at most one a second."""
    monkeypatch.setattr(viewer_module, "KEYFRAME_EVERY_S", 0.2)
    asked: list[None] = []
    async with viewing("VP8", asked) as watched:
        async with asyncio.timeout(5):
            while not asked:
                await asyncio.sleep(0.01)
        assert len(asked) == 1
        for frame in encoded_frames("VP8", range(3)):
            watched.viewer.push(frame)
        await watched.peer.until(3)
        await asyncio.sleep(0.25)
        assert watched.peer.tap is not None
        assert watched.peer.ssrc is not None
        for _ in range(5):
            await watched.peer.tap.ask_keyframe(watched.peer.ssrc)
        async with asyncio.timeout(5):
            while len(asked) < 2:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        assert len(asked) == 2


async def test_a_viewer_that_cannot_be_served_costs_a_bounded_queue() -> None:
    """A peer that never connects holds no more than the queue; what was dropped is counted, a keyframe asked for."""
    peer, asked = ViewingPeer("VP8"), [None][:0]
    viewer, _ = await Viewer.accept(await peer.offer(), "VP8", CONFIG, lambda: asked.append(None))
    frames = encoded_frames("VP8", range(2))
    viewer.push(frames[0])
    for _ in range(1000):
        viewer.push(frames[1])
    assert 0 < viewer.dropped <= viewer_module.QUEUE_FRAMES + 1
    assert len(asked) == 1
    await viewer.close()
    await peer.close()
    with pytest.raises(MediaError):
        await viewer.rtp_offset()


async def test_another_codec_ends_the_viewers_session() -> None:
    """The peer has agreed to one codec; it has to ask again."""
    async with viewing("VP8") as watched:
        watched.viewer.push(encoded_frames("VP8", range(1))[0])
        await watched.peer.until(1)
        watched.viewer.push(encoded_frames("H264", range(1))[0])
        await asyncio.wait_for(watched.run, 10)


async def test_audio_is_refused_and_video_still_flows() -> None:
    async with publishing("VP8", audio=True) as session:
        await session.sink.until(10)
    audio, video = re.split(r"(?=^m=)", session.answer, flags=re.MULTILINE)[1:]
    assert audio.startswith("m=audio")
    assert "a=inactive" in audio
    assert "a=recvonly" in video
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("audio")]


async def test_an_offer_with_nothing_but_unresolvable_candidates_connects() -> None:
    """Browsers hide their addresses behind `.local` names; their own checks reach us all the same."""
    camera = Camera("VP8")
    peer = PublishingPeer(camera, "VP8")
    offer = re.sub(
        r"(a=candidate:\S+ 1 udp \d+) \S+", r"\1 9b1c7c62-0f6f-4f9c-9f2f-3d1f0e2a7b11.local", await peer.offer()
    )
    assert "127.0.0.1 " not in offer.replace("IP4 127.0.0.1", "")
    publisher, answer = await Publisher.accept(offer, CONFIG)
    sink = Sink()
    run = asyncio.create_task(publisher.run(sink))
    await peer.take(answer)
    await sink.until(5)
    await peer.close()
    await asyncio.wait_for(run, 10)


async def test_the_answer_has_all_candidates_on_the_configured_addresses_and_bitrate_hints() -> None:
    async with publishing("H264", config=WebRtcConfig(addresses=("127.0.0.1", "203.0.113.7"))) as session:
        await session.sink.until(1)
    hosts = re.findall(r"a=candidate:\S+ 1 udp \d+ (\S+)", session.answer)
    assert hosts == ["127.0.0.1"]
    assert "a=end-of-candidates" in session.answer
    assert "x-google-start-bitrate=3000" in session.answer


AUDIO_ONLY = (
    "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2\r\n"
)


def edited(offer: str, pattern: str, replacement: str) -> str:
    changed = re.sub(pattern, replacement, offer)
    assert changed != offer
    return changed


@pytest.mark.parametrize(
    ("edit", "error"),
    [
        (lambda offer: "", BadInput),
        (lambda offer: "hello", BadInput),
        (lambda offer: '{"sdp": "v=0"}', BadInput),
        (lambda offer: "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n", BadInput),
        (lambda offer: offer + "x" * 70_000, BadInput),
        (lambda offer: edited(offer, "a=fingerprint:.*", "a=fingerprint:broken"), BadInput),
        (lambda offer: edited(offer, "a=ice-ufrag.*\r\n", ""), BadInput),
        (lambda offer: edited(offer, "a=setup:.*", "a=setup:maybe"), BadInput),
        (lambda offer: edited(offer, "m=video", "m=hologram"), BadInput),
        (lambda offer: AUDIO_ONLY, MediaError),
        (lambda offer: edited(offer, "a=sendonly", "a=recvonly"), MediaError),
        (lambda offer: edited(offer, "m=video [0-9]+", "m=video 0"), MediaError),
        (lambda offer: edited(offer, "(VP8|H264)/90000", "AV1/90000"), MediaError),
    ],
)
async def test_a_bad_offer_is_refused_in_words(edit: object, error: type[OnlookerError]) -> None:
    peer = PublishingPeer(Camera("VP8"), "VP8")
    offer = await peer.offer()
    assert callable(edit)
    before = threading.active_count()
    with pytest.raises(error) as refused:
        await Publisher.accept(edit(offer), CONFIG)
    assert refused.value.status == (400 if error is BadInput else 422)
    assert refused.value.message
    assert threading.active_count() == before
    await peer.close()


async def test_audio_in_an_unknown_codec_is_named_as_the_reason() -> None:
    peer = PublishingPeer(Camera("VP8"), "VP8", audio=True)
    offer = edited(await peer.offer(), "(opus|G722|PCMU|PCMA)/", "L99/")
    with pytest.raises(MediaError, match="audio"):
        await Publisher.accept(offer, CONFIG)
    await peer.close()


async def test_a_viewer_that_cannot_show_the_codec_is_refused_in_words() -> None:
    peer = ViewingPeer("VP8")
    with pytest.raises(MediaError, match="H264"):
        await Viewer.accept(await peer.offer(), "H264", CONFIG, lambda: None)
    await peer.close()
    sending = PublishingPeer(Camera("VP8"), "VP8")
    with pytest.raises(MediaError, match="sendonly"):
        await Viewer.accept(await sending.offer(), "VP8", CONFIG, lambda: None)
    await sending.close()


async def test_a_peer_that_never_connects_is_let_go() -> None:
    config = WebRtcConfig(addresses=("127.0.0.1",), connect_timeout_s=0.2)
    peer, watching = PublishingPeer(Camera("VP8"), "VP8"), ViewingPeer("VP8")
    publisher, _ = await Publisher.accept(await peer.offer(), config)
    viewer, _ = await Viewer.accept(await watching.offer(), "VP8", config, lambda: None)
    sink = Sink()
    with pytest.raises(SourceError, match="never connected"):
        await publisher.run(sink)
    with pytest.raises(SourceError, match="never connected"):
        await viewer.run()
    assert sink.connects == 0
    await peer.close()
    await watching.close()


async def test_either_side_can_end_the_session() -> None:
    async with publishing("VP8") as session:
        await session.sink.until(3)
        await session.publisher.close()
        await asyncio.wait_for(session.run, 5)
        async with asyncio.timeout(5):
            while session.peer.connection.connectionState != "closed":
                await asyncio.sleep(0.01)
    async with publishing("VP8") as session:
        await session.sink.until(3)
        session.run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await session.run
        session.run = asyncio.create_task(asyncio.sleep(0))
