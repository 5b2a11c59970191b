"""One object's mask, carried from its keyframe to the present.

The keyframe's mask is never warped step by step, which would blur it: the *map* from pixels of the present to pixels of
the keyframe is composed instead, set right by what the keyframe looks like through it, and the mask is sampled once
through it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.engines.flow import Flow, Window
from stream.engines.grid import F32, ON, U8, Grid, Patch
from stream.engines.light.align import LEAST_AREA, correction, inner_places
from stream.engines.light.hiding import SURE
from stream.engines.light.motion import BEND_REACH_PX, middle, object_flow

DOUBTED_SHARE = 0.15
KNOWN_ROLLS = 4
"""Pictures after which a velocity is known."""
ROOM_PX = 6
ROOM_SHARE, ROOM_SHARE_NEW = 0.08, 0.15
"""Room around an object for its next picture: pixels, and shares of its longer side, more while its velocity is not
known. All that lies in it costs time."""
FINE_PIXELS = 600
"""From this area on the flow grid on an object's motion is kept at half of the grid's size: it is smooth within a thing
that is not small, and costs a quarter."""
HALF_REACH_PX = 5
"""The reach of a bend on that half."""
Scalar = TypeVar("Scalar", np.uint8, np.float32)


def sample(source: NDArray[Scalar], at: F32, *, border: int = cv2.BORDER_CONSTANT) -> NDArray[Scalar]:
    """`source` `(h, w[, c])` at the places `at` `(m, n, 2)` float32 `(x, y)`, bilinear: `(m, n[, c])`; 0 outside unless
    `border` says otherwise."""
    # OpenCV's stubs demand a second map, which it must not get where the first has both coordinates
    sampled = cv2.remap(source, at, None, cv2.INTER_LINEAR, borderMode=border)  # type: ignore[call-overload]
    return np.asarray(sampled, dtype=source.dtype)


class Pace(NamedTuple):
    """How an object moves: pixels of the flow grid a picture, smoothed, and of how many pictures."""

    velocity: NDArray[np.float32]
    pictures: int


class CarriedMask:
    """`key` is the keyframe's soft mask, `shown` the same with a finer edge; `key_small` `(h, w, 3)` uint8 the keyframe
    on the flow grid, not copied."""

    def __init__(self, grid: Grid, key: Patch, key_small: U8, xy: F32, shown: Patch | None = None) -> None:
        self._grid = grid
        self._key = key
        self._shown = shown or key
        self._key_small = key_small
        self._key_luma = np.asarray(cv2.cvtColor(key_small, cv2.COLOR_BGR2GRAY), np.uint8)
        self.key_soft = key.small(grid)
        """The keyframe's mask on the flow grid."""
        self._step = 2 if np.count_nonzero(self.key_soft >= ON) > FINE_PIXELS else 1
        self._xy: F32 = xy if self._step == 1 else xy[::2, ::2] + np.float32(0.5)
        self.window: Window = (0, 0, *grid.flow)
        """Where the object is on the flow grid, with a margin, in whole steps; `soft` covers it."""
        self.soft: U8 = self.key_soft
        self._map: F32 = self._xy
        """Places of the keyframe on the flow grid, for the middle of each step by step pixels of the window."""
        self.residual: U8 = np.zeros_like(self.soft)
        """The worst channel's difference between the present and the keyframe, in the window."""
        self.doubt: U8 | None = None
        """In the window, 1 where something else seems to be in front; flow there is not the object's."""
        self.pace = Pace(np.zeros(2, np.float32), 0)
        self.shift = np.zeros(2, np.float32)
        """The motion in the last picture alone."""

    def next_window(self) -> Window | None:
        """Where the object will be in the next picture, with a margin; None where nothing is left of it."""
        on = cv2.boundingRect(cv2.threshold(self.soft, 60, 1, cv2.THRESH_BINARY)[1])
        return self._grown(on) if on[2] else None

    def roll(self, back: Flow) -> None:
        """One picture forward, by the flow of the new picture to the one before."""
        window = self.next_window()
        if window is None:
            return
        x0, y0, x1, y1 = window
        step = self._step
        at = self._xy[y0 // step : y1 // step, x0 // step : x1 // step]
        flow = back.within(window)
        if step > 1:
            flow = np.asarray(cv2.resize(flow, at.shape[1::-1], interpolation=cv2.INTER_AREA), np.float32)
        origin = np.array(self.window[:2], np.float32)
        seen = self.soft if self.doubt is None else np.asarray(cv2.multiply(self.soft, 1 - self.doubt), np.uint8)
        soft = sample(seen, at + flow - origin)
        reach = BEND_REACH_PX if step == 1 else HALF_REACH_PX
        flow = object_flow(at, flow, soft, -self.velocity, steady=self._steady(), reach_px=reach)
        inside = flow[soft > SURE]
        if len(inside):
            self.shift = -np.array([middle(inside[:, 0]), middle(inside[:, 1])], np.float32)
        before = at + flow - (origin + np.float32((step - 1) / 2))
        if step > 1:
            before *= np.float32(1 / step)
        self._map = np.ascontiguousarray(self._composed(before))
        self.window = window
        if back.luma.size:
            self._settle(back.luma, soft)
        self.soft = sample(self.key_soft, self._places())
        self.doubt = None
        velocity = 0.6 * self.velocity + np.float32(0.4) * self.shift if len(inside) else self.velocity
        self.pace = Pace(velocity, self.pace.pictures + 1)

    def _settle(self, luma: U8, soft: U8) -> None:
        """Correct the map by the keyframe's looks. `luma` `(h, w)` uint8: the present on the flow grid; `soft`: what is
        seen of the object, at the map's size."""
        at = inner_places(soft)
        if len(at) * self._step**2 < LEAST_AREA:
            return
        rows, columns = at[:, 0], at[:, 1]
        places = self._map[rows, columns]
        k, (x0, y0) = self._step, self.window[:2]
        here = (at[:, ::-1] * k + np.array([x0, y0]) + (k - 1) / 2).astype(np.float32)
        now = sample(luma, here[None])[0].astype(np.float32)
        centre, shift, turn = correction(self._key_luma, places, now)
        p = self._map.view(np.complex64)[..., 0]
        p += np.complex64(turn) * (p - np.complex64(centre)) + np.complex64(shift)

    def _composed(self, before: F32) -> F32:
        """The map at the places `before` of the last window. Beyond the edge of the picture it goes on as it is at the
        edge: repeating its last row would draw an object that comes in out to the edge as a bar."""
        composed = sample(self._map, before, border=cv2.BORDER_REPLICATE)
        x0, y0, x1, y1 = self.window
        width, height = self._grid.flow
        if x0 > 0 and y0 > 0 and x1 < width and y1 < height:
            return composed
        rows, columns = self._map.shape[:2]
        beyond = before - np.clip(before, 0, np.array([columns - 1, rows - 1], np.float32))
        return np.asarray(composed + np.float32(self._step) * beyond, np.float32)

    @property
    def velocity(self) -> NDArray[np.float32]:
        """Pixels of the flow grid a picture, smoothed."""
        return self.pace.velocity

    def _places(self) -> F32:
        """The places of the keyframe on the flow grid for every pixel of the window."""
        if self._step == 1:
            return self._map
        x0, y0, x1, y1 = self.window
        return np.asarray(cv2.resize(self._map, (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR), np.float32)

    def _steady(self) -> bool:
        """Whether something else seems to be in front of a good part of the object, whose velocity is known."""
        if self.doubt is None or self.pace.pictures < KNOWN_ROLLS:
            return False
        on = cv2.threshold(self.soft, SURE, 1, cv2.THRESH_BINARY)[1]
        return cv2.countNonZero(cv2.bitwise_and(on, self.doubt)) > DOUBTED_SHARE * cv2.countNonZero(on)

    def _grown(self, on: Sequence[int]) -> Window:
        """The window of the next picture: the object's box, with room for its size and speed."""
        left, top = on[0] + self.window[0], on[1] + self.window[1]
        right, bottom = left + on[2], top + on[3]
        share = ROOM_SHARE if self.pace.pictures >= KNOWN_ROLLS else ROOM_SHARE_NEW
        margin = ROOM_PX + share * max(on[2], on[3])
        dx, dy = margin + 1.5 * abs(float(self.velocity[0])), margin + 1.5 * abs(float(self.velocity[1]))
        width, height = self._grid.flow
        return (
            min(width - 2, max(0, int(left - dx))) // 2 * 2,
            min(height - 2, max(0, int(top - dy))) // 2 * 2,
            max(2, min(width, int(right + dx) // 2 * 2 + 2)),
            max(2, min(height, int(bottom + dy) // 2 * 2 + 2)),
        )

    def render(self) -> Patch:
        """The mask of the present on the mask grid, with its finer edge."""
        return self._present(self._shown)

    def plain(self) -> Patch:
        """The same without the finer edge: what the next look starts from, so that no edge is moved twice."""
        return self._present(self._key)

    def _present(self, key: Patch) -> Patch:
        sx, sy = self._grid.mask_per_flow
        x0, y0, x1, y1 = self.window
        left, top, right, bottom = int(x0 * sx), int(y0 * sy), int(x1 * sx), int(y1 * sy)
        if right - left < 1 or bottom - top < 1:
            return Patch(left, top, np.zeros((0, 0), np.uint8))
        scale, origin = np.array([sx, sy], np.float32), np.array([key.x0, key.y0], np.float32)
        key_map = (self._map + np.float32(0.5)) * scale - np.float32(0.5) - origin
        at = cv2.resize(key_map, (right - left, bottom - top), interpolation=cv2.INTER_LINEAR)
        if not key.data.size:
            return Patch(left, top, np.zeros((bottom - top, right - left), np.uint8))
        return Patch(left, top, sample(key.data, np.asarray(at, np.float32)))

    def compare(self, small: U8, tolerance: int) -> None:
        """Compare the present `(h, w, 3)` uint8 on the flow grid with the keyframe: sets `residual` and `doubt`."""
        x0, y0, x1, y1 = self.window
        then = sample(self._key_small, self._places(), border=cv2.BORDER_REPLICATE)
        blue, green, red = cv2.split(cv2.absdiff(small[y0:y1, x0:x1], then))
        self.residual = np.asarray(cv2.max(cv2.max(blue, green), red), np.uint8)
        off = cv2.threshold(self.residual, tolerance, 1, cv2.THRESH_BINARY)[1]
        # a median over tolerance, by counting: several times as fast as a median
        near = cv2.boxFilter(off, -1, (5, 5), normalize=False, borderType=cv2.BORDER_REPLICATE)
        self.doubt = np.asarray(cv2.threshold(near, 12, 1, cv2.THRESH_BINARY)[1], np.uint8)

    def part(self, values: U8, window: Window) -> U8:
        """The part of `values`, which cover this mask's window, that lies in another one inside of it."""
        x0, y0, x1, y1 = window
        return values[y0 - self.window[1] : y1 - self.window[1], x0 - self.window[0] : x1 - self.window[0]]
