"""Films of coloured shapes that drift, turn and hide one another, with the true mask of each shape."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

SIDE_PX = 56
COLOURS = {"red": (230, 38, 38), "green": (38, 204, 51), "blue": (51, 76, 242), "yellow": (242, 230, 51)}
KINDS = ("circle", "square", "triangle")
Floats = NDArray[np.float64]


@dataclass
class Shape:
    """One shape. Pixels, pixels a frame, radians; `away` are the frames in which it is not in the picture."""

    colour: str
    kind: str
    radius_px: float
    centre_px: Floats
    velocity_px: Floats
    angle: float = 0.0
    spin: float = 0.0
    away: range = field(default_factory=lambda: range(0))

    def mask(self) -> NDArray[np.bool_]:
        """`(SIDE_PX, SIDE_PX)`."""
        y, x = np.mgrid[0:SIDE_PX, 0:SIDE_PX] + 0.5
        dx, dy = x - self.centre_px[0], y - self.centre_px[1]
        if self.kind == "circle":
            return np.asarray(dx * dx + dy * dy <= self.radius_px**2)
        u = dx * math.cos(self.angle) + dy * math.sin(self.angle)
        v = dy * math.cos(self.angle) - dx * math.sin(self.angle)
        if self.kind == "square":
            return np.asarray((abs(u) <= 0.88 * self.radius_px) & (abs(v) <= 0.88 * self.radius_px))
        return np.asarray((v <= 0.6 * self.radius_px) & (v >= 1.6 * abs(u) - self.radius_px))

    def move(self) -> None:
        """One frame on; it turns round where half of it has left the picture."""
        self.centre_px = self.centre_px + self.velocity_px
        self.angle += self.spin
        low, high = 0.5 * self.radius_px, SIDE_PX - 0.5 * self.radius_px
        outside = (self.centre_px < low) | (self.centre_px > high)
        self.velocity_px = np.where(outside, -self.velocity_px, self.velocity_px)
        self.centre_px = np.clip(self.centre_px, low, high)


@dataclass(frozen=True, slots=True)
class Picture:
    """`rgb` is `(SIDE_PX, SIDE_PX, 3)` uint8; `masks` `(shapes, SIDE_PX, SIDE_PX)` bool, what is hidden left out."""

    rgb: NDArray[np.uint8]
    masks: NDArray[np.bool_]


def draw_shapes(rng: np.random.Generator, count: int) -> list[Shape]:
    """`count` shapes of different colours, at most as many as there are."""
    shapes = []
    for colour in rng.permutation(list(COLOURS))[:count]:
        radius, heading = rng.uniform(6, 10), rng.uniform(0, 2 * math.pi)
        centre = rng.uniform(radius, SIDE_PX - radius, 2)
        velocity = rng.uniform(0, 2) * np.array([math.cos(heading), math.sin(heading)])
        shape = Shape(str(colour), str(rng.choice(KINDS)), radius, centre, velocity, rng.uniform(0, 6.3))
        shape.spin = rng.normal(0, 0.1)
        shapes.append(shape)
    return shapes


def film(rng: np.random.Generator, shapes: list[Shape], frames: int, stride: int = 1) -> Iterator[Picture]:
    """Every `stride`-th picture of the shapes moving over a mottled ground, later shapes in front of earlier ones."""
    mottles = rng.uniform(90, 150) + rng.normal(0, 10, (8, 8, 3))
    ground = np.kron(mottles, np.ones((SIDE_PX // 8, SIDE_PX // 8, 1)))
    for index in range(frames):
        picture = ground.copy()
        masks = np.zeros((len(shapes), SIDE_PX, SIDE_PX), bool)
        for number, shape in enumerate(shapes):
            if index not in shape.away:
                mask = shape.mask()
                picture[mask] = COLOURS[shape.colour]
                masks[:number] &= ~mask
                masks[number] = mask
        noisy = picture + rng.normal(0, 8, picture.shape)
        yield Picture(np.clip(noisy, 0, 255).astype(np.uint8), masks)
        for shape in shapes:
            for _ in range(stride):
                shape.move()
