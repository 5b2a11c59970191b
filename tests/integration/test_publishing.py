"""Publishers come, go and come back; viewers get what they send; ids and prompts stay."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest

from stream.errors import BadInput, Conflict, LimitReached, NotFound, OnlookerError
from stream.hub import Answer, HubLimits, StreamHub
from stream.prompts import PromptDraft
from stream.sources.webrtc import WebRtcConfig
from stream.status import StreamState
from stream.types import PromptKind
from tests.barcode import BarcodeEngine
from tests.integration.test_streams import until
from tests.peers import Camera, PublishingPeer, ViewingPeer


@pytest.fixture
async def hub() -> AsyncIterator[StreamHub]:
    config = WebRtcConfig(addresses=("127.0.0.1",), connect_timeout_s=1.0)
    limits = HubLimits(max_sessions=4, linger_s=0.5)
    async with StreamHub(BarcodeEngine(), webrtc=config, limits=limits) as hub:
        yield hub


@pytest.fixture
async def patient() -> AsyncIterator[StreamHub]:
    """A hub whose peers have time to connect, and with room for two viewers."""
    limits = HubLimits(max_viewers=2, linger_s=30)
    async with StreamHub(BarcodeEngine(), webrtc=WebRtcConfig(addresses=("127.0.0.1",)), limits=limits) as hub:
        yield hub


@contextlib.asynccontextmanager
async def published(hub: StreamHub, stream: str, *, if_match: str | None = None) -> AsyncIterator[Answer]:
    peer = PublishingPeer(Camera("VP8"), "VP8")
    try:
        answer = await hub.publish(stream, await peer.offer(), if_match=if_match)
        await peer.take(answer.sdp)
        yield answer
    finally:
        await peer.close()


@contextlib.asynccontextmanager
async def viewing(hub: StreamHub, stream: str) -> AsyncIterator[Answer]:
    peer = ViewingPeer("VP8")
    try:
        answer = await hub.view(stream, await peer.offer())
        await peer.take(answer.sdp)
        await peer.until(1)
        yield answer
    finally:
        await peer.close()


async def test_a_publisher_that_comes_back_goes_on_with_prompts_and_ids_in_a_new_epoch(hub: StreamHub) -> None:
    async with published(hub, "cam"):
        session = hub.get("cam")
        await until(lambda: session.latest)
        prompt = await session.add_prompt(PromptDraft(PromptKind.TEXT, text="cup"))
        await until(lambda: session.latest and len(session.latest.tracks) == 2)
        assert session.latest is not None
        ids = {track.id for track in session.latest.tracks}
        index = session.latest.index
    await until(lambda: session.state is StreamState.WAITING)
    async with published(hub, "cam"):
        assert hub.get("cam") is session
        await until(lambda: session.latest and session.latest.epoch == 2)
        assert session.prompts == (prompt,)
        assert session.latest is not None
        assert {track.id for track in session.latest.tracks} == ids
        assert session.latest.index > index
        assert session.state is StreamState.LIVE


async def test_a_stream_is_gone_some_time_after_its_publisher(hub: StreamHub) -> None:
    async with published(hub, "cam"):
        await until(lambda: hub.get("cam").latest)
    await until(lambda: not hub.list())
    with pytest.raises(NotFound):
        hub.get("cam")


async def test_a_second_publisher_needs_the_first_ones_session(hub: StreamHub) -> None:
    async with published(hub, "cam") as first:
        await until(lambda: hub.get("cam").latest)
        with pytest.raises(Conflict):
            async with published(hub, "cam"):
                pass
        with pytest.raises(Conflict):
            async with published(hub, "cam", if_match="another"):
                pass
        async with published(hub, "cam", if_match=first.session) as second:
            await until(lambda: hub.get("cam").epoch == 2 and hub.get("cam").state is StreamState.LIVE)
            assert second.session != first.session
            with pytest.raises(NotFound):
                await hub.unpublish("cam", first.session)


async def test_a_viewer_sees_the_publishers_frames_under_their_own_timestamps(hub: StreamHub) -> None:
    async with published(hub, "cam"):
        session = hub.get("cam")
        seen: set[int] = set()
        await until(lambda: session.latest)
        peer = ViewingPeer("VP8")
        answer = await hub.view("cam", await peer.offer())
        await peer.take(answer.sdp)
        offset = await hub.viewer_rtp_offset("cam", answer.session)

        def both() -> bool:
            if session.latest:
                seen.add(session.latest.rtp)
            return len({(one.timestamp - offset) & 0xFFFFFFFF for one in peer.got} & seen) > 20

        await until(both)
        assert session.status().viewers == 1
        await hub.unview("cam", answer.session)
        assert session.status().viewers == 0
        with pytest.raises(NotFound):
            await hub.viewer_rtp_offset("cam", answer.session)
        await peer.close()


async def test_viewers_have_places_of_their_own_and_are_told_when_these_are_taken(patient: StreamHub) -> None:
    hub = patient
    async with published(hub, "cam"):
        await until(lambda: hub.get("cam").latest)
        async with viewing(hub, "cam") as first, viewing(hub, "cam"):
            refused = ViewingPeer("VP8")
            with pytest.raises(LimitReached, match="At most 2 viewers") as full:
                await hub.view("cam", await refused.offer())
            await refused.close()
            assert "webrtc.max_viewers" in full.value.action
            await hub.unview("cam", first.session)
            async with viewing(hub, "cam"):
                assert hub.get("cam").relay.viewers == 2


async def test_a_viewer_follows_a_stream_whose_timestamps_begin_anew(patient: StreamHub) -> None:
    """On the wire they go on, so that no picture is taken for a late one, and the new epoch has its own offset."""
    hub = patient
    async with published(hub, "cam"):
        session = hub.get("cam")
        await until(lambda: session.latest)
        peer = ViewingPeer("VP8")
        answer = await hub.view("cam", await peer.offer())
        await peer.take(answer.sdp)
        await peer.until(5)
        before = await hub.viewer_rtp_offset("cam", answer.session)
    await until(lambda: session.state is StreamState.WAITING, timeout_s=30)
    async with published(hub, "cam"):
        await until(lambda: session.latest and session.latest.epoch == 2)
        offset = await hub.viewer_rtp_offset("cam", answer.session)
        assert offset != before
        seen: set[int] = set()

        def named() -> bool:
            if session.latest:
                seen.add(session.latest.rtp)
            return len({(one.timestamp - offset) & 0xFFFFFFFF for one in peer.got} & seen) > 5

        await until(named, timeout_s=30)
        stamps = [one.timestamp for one in peer.got]
        assert all(0 < (after - before) & 0xFFFFFFFF < 2**31 for before, after in pairwise(stamps))
        await hub.unview("cam", answer.session)
        await peer.close()


async def test_a_hundred_offers_at_once_are_answered_or_refused_and_disturb_nobody(hub: StreamHub) -> None:
    async with published(hub, "cam"):
        session = hub.get("cam")
        await until(lambda: session.latest)
        peer = PublishingPeer(Camera("VP8"), "VP8")
        offer = await peer.offer()
        offers = [hub.publish(f"flood-{number}", offer) for number in range(100)]
        results = await asyncio.gather(*offers, return_exceptions=True)
        answered = [one for one in results if isinstance(one, Answer)]
        refused = [one for one in results if isinstance(one, LimitReached)]
        assert len(answered) == 3
        assert len(refused) == 97
        index = session.latest.index if session.latest else 0
        await until(lambda: session.latest and session.latest.index > index + 15)
        # Peers that never connect are let go, and their places are free again.
        await until(lambda: len(hub.list()) == 1, timeout_s=15)
        async with published(hub, "late"):
            await until(lambda: hub.get("late").latest)
        await peer.close()


@pytest.mark.parametrize("offer", ["", "hello", "v=0\r\n", "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"])
async def test_what_is_no_offer_leaves_no_stream_behind(hub: StreamHub, offer: str) -> None:
    with pytest.raises(OnlookerError) as caught:
        await hub.publish("cam", offer)
    assert caught.value.action
    assert hub.list() == []
    with pytest.raises(BadInput):
        await hub.publish("NO", "")
