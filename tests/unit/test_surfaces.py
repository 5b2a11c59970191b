"""Whatever the order in which a device does its work, nobody sees another picture than their own."""

from __future__ import annotations

import gc
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.surfaces import DeviceError, DeviceFrame, Planes, Surface, SurfacePool
from stream.types import Colour, Frame
from tests.stand_in_device import POISON, StandInDevice

SIZE = (4, 6)


def planes(number: int, size: tuple[int, int] = SIZE) -> Planes:
    height, width = size
    shape = (height + 1) // 2, (width + 1) // 2, 2
    return Planes(np.full(size, number, np.uint8), np.full(shape, number, np.uint8))


def read_later(device: StandInDevice, surface: Surface, seen: list[set[int]]) -> None:
    """What a kernel would do with a picture, in a queue of its own."""
    with surface.reading() as there:
        device.enqueue(lambda: seen.append({int(value) for plane in there for value in np.unique(plane)}))


def play(device: StandInDevice, plan: list[tuple[int, int]]) -> tuple[list[set[int]], list[set[int]]]:
    """Fill, hand over and let go as `plan` says: for each picture the reader's queue, and how many stay held.
    What was seen, and what should have been."""
    pool = SurfacePool(device, capacity=4)
    held: list[Surface] = []
    expected: dict[int, list[set[int]]] = {}
    seen: dict[int, list[set[int]]] = {}
    for number, (reader, holds) in enumerate(plan):
        with device.acting("decoder"):
            surface = pool.fill(planes(number % 200))
        if surface is None:
            held.clear()
            continue
        with device.acting(f"reader {reader}"):
            read_later(device, surface, seen.setdefault(reader, []))
        expected.setdefault(reader, []).append({number % 200})
        held.append(surface)
        del surface
        del held[: max(0, len(held) - holds)]
    device.drain()
    return [one for key in sorted(seen) for one in seen[key]], [
        one for key in sorted(expected) for one in expected[key]
    ]


PLANS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4)), min_size=1, max_size=40)


@given(st.integers(0, 10_000), PLANS)
def test_frames_let_go_early_and_events_that_come_late_change_nothing(seed: int, plan: list[tuple[int, int]]) -> None:
    seen, expected = play(StandInDevice(seed), plan)
    assert seen == expected


def test_without_waiting_for_events_the_stand_in_shows_the_fault() -> None:
    class Hasty(StandInDevice):
        def wait(self, event: Any) -> None:
            pass

    seen, expected = play(Hasty(1), [(0, 0)] * 30)
    assert seen != expected
    assert any(POISON in one or one != right for one, right in zip(seen, expected, strict=True))


def test_an_empty_pool_gives_nothing_until_a_frame_is_let_go() -> None:
    pool = SurfacePool(StandInDevice(), capacity=2)
    held = [pool.fill(planes(1)), pool.fill(planes(2))]
    assert pool.in_use == 2
    assert pool.fill(planes(3)) is None
    held.pop()
    assert pool.in_use == 1
    again = pool.fill(planes(4))
    assert again is not None
    assert np.all(again.on_host()[0] == 4)


def test_buffers_are_used_again_and_those_of_another_size_go() -> None:
    device = StandInDevice()
    pool = SurfacePool(device, capacity=2)
    for number in range(5):
        pool.fill(planes(number))
    assert len(device.allocated) == 1
    kept = pool.fill(planes(7))
    other = pool.fill(planes(8, (5, 7)))
    assert kept is not None
    assert other is not None
    assert pool.fill(planes(9, (5, 7))) is None
    assert np.all(kept.on_host()[0] == 7)
    assert other.on_host()[1].shape == (3, 4, 2)


def test_a_full_device_costs_a_picture_and_no_buffer() -> None:
    device = StandInDevice()
    pool = SurfacePool(device)
    device.full = True
    with pytest.raises(DeviceError):
        pool.fill(planes(1))
    gc.collect()
    assert pool.in_use == 0
    device.full = False
    assert pool.fill(planes(1)) is not None


def frame(surface: Surface) -> DeviceFrame:
    made = DeviceFrame(5, 2, 900, 901, None, 1.0, 2.0, colour=Colour("bt709"), surface=surface)
    assert isinstance(made, DeviceFrame)
    return made


def test_a_frame_is_copied_to_the_host_once_and_only_when_it_is_looked_at() -> None:
    device = StandInDevice()
    surface = SurfacePool(device).fill(planes(9))
    assert surface is not None
    one = frame(surface)
    assert (one.width, one.height, one.ref.rtp, one.colour.matrix) == (6, 4, 901, "bt709")
    assert device.reads == 0
    assert np.all(one.y == 9)
    assert one.to_bgr().shape == (4, 6, 3)
    assert device.reads == 1


def test_a_frame_with_other_planes_is_an_ordinary_one() -> None:
    surface = SurfacePool(StandInDevice()).fill(planes(9))
    assert surface is not None
    other = planes(3, (2, 2))
    small = replace(frame(surface), y=other.y, uv=other.uv)
    assert type(small) is Frame
    assert (small.index, small.pts, small.colour.matrix, small.width) == (5, 900, "bt709", 2)


def kept_frame(pool: SurfacePool, number: int) -> Frame:
    surface = pool.fill(planes(number))
    assert surface is not None
    return frame(surface).kept()


def test_frames_that_are_kept_stay_on_the_device_beside_the_others() -> None:
    device = StandInDevice()
    pool = SurfacePool(device, capacity=1, kept=2)
    held = [kept_frame(pool, 5), kept_frame(pool, 6)]
    assert device.reads == 0
    assert all(type(one) is DeviceFrame and one.kept() is one for one in held)
    assert (pool.in_use, pool.kept) == (2, 2)
    present = pool.fill(planes(7))
    assert present is not None
    assert pool.fill(planes(8)) is None
    assert [int(one.y[0, 0]) for one in held] == [5, 6]
    held.clear()
    assert (pool.in_use, pool.kept) == (1, 0)


def test_what_is_kept_beyond_that_is_copied_to_the_host_and_its_buffer_comes_back() -> None:
    device = StandInDevice()
    pool = SurfacePool(device, capacity=1, kept=1)
    first = kept_frame(pool, 4)
    second = kept_frame(pool, 5)
    assert device.reads == 1
    assert (type(second), pool.in_use, pool.kept) == (Frame, 1, 1)
    assert np.all(second.y == 5)
    assert second.kept() is second
    del first
    assert type(kept_frame(pool, 6)) is DeviceFrame


@given(st.integers(0, 10_000), st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=1, max_size=40))
def test_however_frames_are_kept_there_are_no_more_buffers_and_what_comes_has_room(
    seed: int, plan: list[tuple[bool, int]]
) -> None:
    device = StandInDevice(seed)
    pool = SurfacePool(device, capacity=1, kept=3)
    held: list[tuple[int, Frame]] = []
    for number, (keeps, holds) in enumerate(plan):
        surface = pool.fill(planes(number))
        assert surface is not None, "who keeps a picture takes the room of the next"
        if keeps:
            held.append((number, frame(surface).kept()))
        del surface
        del held[: max(0, len(held) - holds)]
        assert all(int(one.y[0, 0]) == mine for mine, one in held)
        assert len(device.allocated) <= 4
        assert 0 <= pool.kept <= pool.in_use


# --- parts


def test_a_part_is_made_on_the_device_and_nothing_else_is_copied() -> None:
    device = StandInDevice()
    y, uv = np.arange(24, dtype=np.uint8).reshape(4, 6), np.full((2, 3, 2), 128, np.uint8)
    surface = SurfacePool(device).fill(Planes(y, uv))
    assert surface is not None
    with device.acting("somebody else"):
        made = frame(surface).cut((1, 1, 6, 3), (1, 2))
    host = Frame(5, 2, 900, 901, None, 1.0, 2.0, y, uv, Colour("bt709"))
    assert np.array_equal(made, host.cut((1, 1, 6, 3), (1, 2)))
    assert (device.reads, device.cuts) == (0, [(1, 2)])


def test_a_part_of_what_the_host_knows_is_made_there() -> None:
    device = StandInDevice()
    there = planes(40)
    surface = SurfacePool(device).fill(there, host=(there.y, there.uv))
    assert surface is not None
    assert frame(surface).cut((0, 0, 6, 4), (2, 3)).shape == (2, 3, 3)
    assert device.cuts == []


def test_what_the_host_knows_already_is_not_copied_back() -> None:
    device = StandInDevice()
    there = planes(4)
    surface = SurfacePool(device).fill(there, host=(there.y, there.uv))
    assert surface is not None
    assert surface.on_host()[0] is there.y
    assert device.reads == 0
