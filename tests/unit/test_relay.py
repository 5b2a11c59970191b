"""Packets reach every viewer; a newcomer gets the group of pictures so far, unless that would be long."""

from __future__ import annotations

from stream.relay import MAX_GROUP_FRAMES, PacketRelay
from stream.types import EncodedFrame


class Viewer:
    def __init__(self, name: str) -> None:
        self.id = name
        self.dropped = 0
        self.got: list[int] = []
        self.closed = False
        self.restarts = 0

    def push(self, frame: EncodedFrame) -> None:
        self.got.append(frame.rtp)

    def restart(self) -> None:
        self.restarts += 1

    async def close(self) -> None:
        self.closed = True


def frame(number: int, *, key: bool = False) -> EncodedFrame:
    return EncodedFrame("VP8", b"x" * 10, key, 1, number, number, None, 0.0)


def test_a_newcomer_starts_at_the_keyframe_of_the_current_group() -> None:
    relay, viewer = PacketRelay(), Viewer("a")
    for number, key in enumerate([False, True, False, True, False, False]):
        relay.push(frame(number, key=key))
    assert relay.add(viewer)
    relay.push(frame(6))
    assert viewer.got == [3, 4, 5, 6]


def test_without_a_keyframe_so_far_a_newcomer_has_to_wait() -> None:
    relay, viewer = PacketRelay(), Viewer("a")
    relay.push(frame(1))
    assert not relay.add(viewer)
    assert viewer.got == []


def test_a_long_group_is_not_kept() -> None:
    relay = PacketRelay()
    relay.push(frame(0, key=True))
    for number in range(1, MAX_GROUP_FRAMES + 5):
        relay.push(frame(number))
    assert not relay.add(Viewer("a"))


async def test_closing_ends_every_viewer_and_drops_of_the_gone_still_count() -> None:
    relay, first, second = PacketRelay(), Viewer("a"), Viewer("b")
    relay.add(first)
    relay.add(second)
    first.dropped = 7
    assert relay.remove("a") is first
    assert relay.remove("a") is None
    assert (relay.viewers, relay.drops) == (1, 7)
    await relay.close()
    assert second.closed
    assert relay.viewers == 0


def test_after_a_restart_nobody_gets_what_came_before() -> None:
    relay, old, new = PacketRelay(), Viewer("old"), Viewer("new")
    relay.add(old)
    relay.push(frame(0, key=True))
    relay.restart()
    assert old.restarts == 1
    assert not relay.add(new)
    relay.push(frame(1, key=True))
    assert new.got == [1]
