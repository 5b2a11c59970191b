"""A camera costs no tracking while nobody needs it, and little while nothing moves."""

from __future__ import annotations

import numpy as np

from stream.attention import ASKED_S, HOLD_S, SMALL, Attention, held
from stream.surfaces import DeviceFrame, Planes, SurfacePool
from stream.types import U8, EncodedFrame, Frame
from tests.stand_in_device import StandInDevice


class Scene:
    """A clock, and a camera at 10 pictures a second of something grey that may move."""

    def __init__(self, *, gates: bool = True, device: StandInDevice | None = None) -> None:
        self.now_s = 100.0
        self.wanted = self.busy = False
        self.attention = Attention(
            gates=gates, wanted=lambda: self.wanted, busy=lambda: self.busy, clock=lambda: self.now_s
        )
        self._noise = np.random.default_rng(3)
        self._pool = SurfacePool(device) if device is not None else None

    def watch(self, seconds: float, *, moves: bool = False, still: bool = False) -> int:
        """How many of the pictures of so many seconds are stepped."""
        stepped = 0
        for number in range(round(seconds * 10)):
            self.now_s += 0.1
            luma = np.full((90, 160), 90, np.uint8)
            if not still:
                luma += self._noise.integers(0, 4, luma.shape, np.uint8)
            if moves:
                luma[30:60, 10 + number % 100 : 40 + number % 100] = 200
            uv = np.full((45, 80, 2), 128, np.uint8)
            stepped += self.attention(self._frame(number, luma, uv))
        return stepped

    def _frame(self, number: int, luma: U8, uv: U8) -> Frame:
        identity = number, 1, 0, 0, None, self.now_s, self.now_s
        if self._pool is None:
            return Frame(*identity, luma, uv)
        surface = self._pool.fill(Planes(luma, uv))
        assert surface is not None
        return DeviceFrame(*identity, surface=surface)


def test_nothing_is_stepped_while_nobody_needs_it() -> None:
    scene = Scene()
    assert scene.watch(10, moves=True) == 0
    assert scene.attention.idle
    assert "nobody is watching" in str(scene.attention.policy)


def test_a_viewer_a_rule_or_a_question_wakes_it() -> None:
    scene = Scene()
    with held(scene.attention):
        assert scene.watch(5, moves=True) == 50
    assert scene.watch(5, moves=True) == 0
    scene.wanted = True
    assert scene.watch(5, moves=True) == 50
    scene.wanted = False
    scene.attention.ask()
    assert scene.watch(5, moves=True) == 50
    scene.now_s += ASKED_S
    assert scene.watch(5, moves=True) == 0


def test_while_nothing_moves_one_picture_a_second_is_stepped() -> None:
    scene = Scene()
    scene.wanted = True
    scene.watch(HOLD_S + 1)
    assert 8 <= scene.watch(10) <= 11
    assert "Nothing moves" in str(scene.attention.policy)
    scene.watch(1, moves=True)
    assert scene.watch(1, moves=True) == 10
    assert scene.attention.policy is None


def test_pictures_on_a_device_are_judged_by_the_little_that_is_copied() -> None:
    device = StandInDevice()
    there, here = Scene(device=device), Scene()
    for scene in (there, here):
        scene.wanted = True
    for moves in (False, True, False):
        assert there.watch(HOLD_S + 2, moves=moves) == here.watch(HOLD_S + 2, moves=moves)
    assert there.attention.changed_s == here.attention.changed_s
    assert device.reads == 0
    assert set(device.cuts) == {SMALL[::-1]}


def test_what_is_followed_is_followed_though_it_stands_still() -> None:
    scene = Scene()
    scene.wanted = scene.busy = True
    scene.watch(HOLD_S + 1)
    assert scene.watch(5) == 50


def test_without_the_gate_every_picture_passes() -> None:
    scene = Scene(gates=False)
    assert scene.watch(5) == 50
    assert scene.attention.policy is None


def test_when_the_picture_last_changed_at_all() -> None:
    scene = Scene()
    scene.watch(2)
    assert scene.now_s - scene.attention.changed_s < 0.5
    scene.watch(1, still=True)
    before_s = scene.attention.changed_s
    scene.watch(20, still=True)
    assert scene.attention.changed_s == before_s


def encoded(keyframe: bool) -> EncodedFrame:
    return EncodedFrame("H264", b"\x00", keyframe, 1, 0, 0, None, 0.0)


def test_only_keyframes_are_decoded_while_idle_and_all_from_the_next_one_on() -> None:
    scene = Scene()
    attention = scene.attention
    assert [attention.decodes(encoded(key)) for key in (True, False, False, True)] == [True, False, False, True]
    scene.wanted = True
    assert [attention.decodes(encoded(key)) for key in (False, False, True, False)] == [False, False, True, True]
    scene.wanted = False
    assert [attention.decodes(encoded(key)) for key in (False, True, False)] == [False, True, False]
    attention.gates = False
    assert [attention.decodes(encoded(key)) for key in (False, True, False)] == [False, True, True]


def test_streams_without_a_gate_are_held_by_nobody() -> None:
    with held(None):
        pass
