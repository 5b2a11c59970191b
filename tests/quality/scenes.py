"""Composed scenes: cut-outs on a moving background along known paths, with exact truth for every frame.

A scene is a pure function of its description: any frame can be rendered at any time, and twice the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.types import CLOCK_HZ, Frame
from tests.quality.cutouts import F32, U8, Split, background
from tests.quality.paths import F64, HEIGHT, WIDTH

FPS = 30
TICKS = CLOCK_HZ // FPS
FIRST_RTP = 4_294_900_000
"""Chosen so that RTP timestamps wrap within the first second."""

Mask = NDArray[np.bool_]
AskKind = Literal["click", "box", "text"]


@dataclass(frozen=True, slots=True)
class Mover:
    """One thing that moves. `identity` is None for what only hides others.

    `picture` is `(h, w, 4)` float32, premultiplied BGR and alpha, at about the size it is shown at; `positions`
    `(n, 2)` are of its centre; `scales` (about 1) and `angles` (degrees) `(n,)`. It is drawn from frame `first` to
    `last` (exclusive). A higher `depth` is nearer.
    """

    identity: int | None
    name: str
    label: str | None
    picture: F32
    positions: F64
    scales: F64
    angles: F64
    depth: int
    first: int = 0
    last: int = 1 << 30

    @property
    def area_px(self) -> float:
        """Area at scale 1."""
        return float((self.picture[..., 3] > 0.5).sum())


@dataclass(frozen=True, slots=True)
class Ask:
    """The user asks for `identity` while seeing frame `seen`; the engine hears it before frame `heard`.

    `forget` is the frame before which the prompt is removed again.
    """

    identity: int
    kind: AskKind
    seen: int
    heard: int
    forget: int | None = None


@dataclass(frozen=True, slots=True)
class Truth:
    """What is to be seen on one frame.

    `masks`: identity → `(480, 640)` bool, the visible part, for each identity of which anything is visible.
    `visible`: identity → visible part of the whole object's area, 0 where it is hidden or out of the picture.
    """

    masks: dict[int, Mask]
    visible: dict[int, float]


@dataclass(frozen=True)
class Scene:
    """`frames` frames of 640×480 at 30 a second. `camera` `(frames, 2)` is the background's offset in pixels."""

    name: str
    split: Split
    seed: int
    frames: int
    background: str
    camera: F64
    movers: tuple[Mover, ...]
    asks: tuple[Ask, ...]
    noise: float = 2.0

    @property
    def identities(self) -> tuple[int, ...]:
        return tuple(m.identity for m in self.movers if m.identity is not None)

    def mover(self, identity: int) -> Mover:
        return next(m for m in self.movers if m.identity == identity)

    def truth(self, k: int) -> Truth:
        """The exact masks of frame `k`, without rendering its colours."""
        return self._compose(k, None)

    def bgr(self, k: int) -> U8:
        """Frame `k` before it became NV12, `(480, 640, 3)` uint8."""
        return self._render(k)[0]

    def at(self, k: int) -> tuple[Frame, Truth]:
        """Frame `k` and what is to be seen on it."""
        picture, truth = self._render(k)
        return to_frame(picture, k), truth

    def __iter__(self) -> Iterator[tuple[Frame, Truth]]:
        return (self.at(k) for k in range(self.frames))

    def _render(self, k: int) -> tuple[U8, Truth]:
        dx, dy = self.camera[k]
        shift = np.array([[1, 0, -80 + dx], [0, 1, -60 + dy]], np.float32)
        canvas = cv2.warpAffine(
            background(self.background), shift, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
        ).astype(np.float32)
        truth = self._compose(k, canvas)
        noise = _noise(k % 8)
        y, x = (k * 37) % 32, (k * 53) % 64
        canvas += self.noise * noise[y : y + HEIGHT, x : x + WIDTH]
        return np.clip(np.rint(canvas), 0, 255).astype(np.uint8), truth

    def _compose(self, k: int, canvas: F32 | None) -> Truth:
        """Paint the movers of frame `k` from far to near onto `canvas`, where there is one."""
        soft: dict[int, F32] = {}
        whole: dict[int, float] = {}
        for mover in sorted(self.movers, key=lambda m: m.depth):
            if not mover.first <= k < mover.last:
                continue
            matrix, (x0, y0, x1, y1) = _placed(mover, k)
            if mover.identity is not None:
                whole[mover.identity] = mover.area_px * float(mover.scales[k]) ** 2
            if x1 <= x0 or y1 <= y0:
                continue
            layer = cv2.warpAffine(mover.picture, matrix, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR)
            clear = 1 - layer[..., 3]
            if canvas is not None:
                canvas[y0:y1, x0:x1] = canvas[y0:y1, x0:x1] * clear[..., None] + layer[..., :3]
            for alpha in soft.values():
                alpha[y0:y1, x0:x1] *= clear
            if mover.identity is not None:
                soft[mover.identity] = np.zeros((HEIGHT, WIDTH), np.float32)
                soft[mover.identity][y0:y1, x0:x1] = layer[..., 3]
        masks = {identity: alpha > 0.5 for identity, alpha in soft.items()}
        masks = {identity: mask for identity, mask in masks.items() if mask.any()}
        share = {i: min(1.0, float(masks[i].sum()) / whole[i]) if i in masks else 0.0 for i in self.identities}
        return Truth(masks, share)


def to_frame(picture: U8, k: int) -> Frame:
    """Frame `k` of a 30 fps stream from a BGR picture with even sides."""
    height, width = picture.shape[:2]
    planes = cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420)
    chroma = planes[height:].reshape(2, height // 2, width // 2)
    return Frame(
        index=k, epoch=0, pts=k * TICKS, rtp=(FIRST_RTP + k * TICKS) & 0xFFFFFFFF, captured_unix_us=None,
        received_s=k / FPS, decoded_s=k / FPS,
        y=np.ascontiguousarray(planes[:height]), uv=np.ascontiguousarray(chroma.transpose(1, 2, 0)),
    )  # fmt: skip


def inner_point(mask: Mask) -> tuple[float, float]:
    """The point `(x, y)` of a mask that is farthest from its edge: where a person would click."""
    distance = cv2.distanceTransform(np.pad(mask.astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    y, x = np.unravel_index(int(distance.argmax()), distance.shape)
    return float(x) + 0.5, float(y) + 0.5


def box_of(mask: Mask) -> tuple[float, float, float, float]:
    """The tight half-open box of a mask that is not empty."""
    xs, ys = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
    return float(xs[0]), float(ys[0]), float(xs[-1] + 1), float(ys[-1] + 1)


def _placed(mover: Mover, k: int) -> tuple[F32, tuple[int, int, int, int]]:
    """The affine map of the mover's picture into its window, and the window `(x0, y0, x1, y1)` in the frame."""
    h, w = mover.picture.shape[:2]
    scale, angle = float(mover.scales[k]), np.deg2rad(float(mover.angles[k]))
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    x, y = mover.positions[k]
    reach_x, reach_y = (abs(c) * w + abs(s) * h) / 2 + 2, (abs(s) * w + abs(c) * h) / 2 + 2
    x0, y0 = max(0, int(x - reach_x)), max(0, int(y - reach_y))
    x1, y1 = min(WIDTH, int(np.ceil(x + reach_x))), min(HEIGHT, int(np.ceil(y + reach_y)))
    matrix = np.array([[c, -s, x - x0 - (c * w - s * h) / 2], [s, c, y - y0 - (s * w + c * h) / 2]], np.float32)
    return matrix, (x0, y0, x1, y1)


@cache
def _noise(k: int) -> F32:
    """A sensor's noise, a little correlated between neighbours as after debayering."""
    white = np.random.default_rng(1000 + k).standard_normal((HEIGHT + 32, WIDTH + 64, 3)).astype(np.float32)
    blurred: F32 = cv2.GaussianBlur(white, (3, 3), 0.6).astype(np.float32)
    return np.asarray(blurred / blurred.std(), np.float32)
