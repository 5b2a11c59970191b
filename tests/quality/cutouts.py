"""The pictures that scenes are composed of, in two splits that share nothing.

Thresholds of engines are chosen on the `tuning` split; gates are judged on the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
Split = Literal["tuning", "judged"]

DATA = Path(__file__).parent.parent / "data" / "quality"


@dataclass(frozen=True, slots=True)
class Cutout:
    """One object cut out of a photograph. `label` is its COCO class, None where it has none."""

    name: str
    label: str | None
    height_px: int
    """Usual height in a scene."""

    @property
    def premultiplied(self) -> F32:
        """`(h, w, 4)` float32: BGR times alpha in 0..255, alpha in 0..1."""
        return _premultiplied(self.name)


CUTOUTS: dict[Split, tuple[Cutout, ...]] = {
    "tuning": (
        Cutout("orange", "orange", 100),
        Cutout("butterfly", None, 90),
        Cutout("squirrel", None, 120),
        Cutout("cat", "cat", 100),
        Cutout("ball_red", "sports ball", 80),
        Cutout("ball_green", "sports ball", 80),
        Cutout("person_red", "person", 140),
        Cutout("person_coat", "person", 140),
        Cutout("log", None, 120),
    ),
    "judged": (
        Cutout("apple", "apple", 100),
        Cutout("bird", "bird", 100),
        Cutout("dog", "dog", 120),
        Cutout("cow", "cow", 110),
        Cutout("whale", None, 100),
        Cutout("pumpkin", None, 100),
        Cutout("slice", None, 120),
        Cutout("ball_blue", "sports ball", 80),
        Cutout("ball_orange", "sports ball", 80),
        Cutout("person_blue", "person", 140),
        Cutout("person_jeans", "person", 140),
    ),
}

BACKGROUNDS: dict[Split, tuple[str, ...]] = {
    "tuning": ("street", "town", "desk"),
    "judged": ("campus", "building", "tower"),
}

SAME_CLASS: dict[Split, tuple[tuple[str, str], ...]] = {
    "tuning": (("person_red", "person_coat"), ("ball_red", "ball_green")),
    "judged": (("person_blue", "person_jeans"), ("ball_blue", "ball_orange")),
}
"""Different objects of one class: the second must never be taken for the first."""


def cutout(name: str) -> Cutout:
    return next(c for split in CUTOUTS.values() for c in split if c.name == name)


@cache
def background(name: str) -> U8:
    """`(600, 800, 3)` uint8 BGR. Not to be written to."""
    picture = cv2.imread(str(DATA / "backgrounds" / f"{name}.jpg"), cv2.IMREAD_COLOR)
    assert picture is not None, name
    return picture.astype(np.uint8, copy=False)


@cache
def _premultiplied(name: str) -> F32:
    picture = cv2.imread(str(DATA / "cutouts" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
    assert picture is not None, name
    alpha = picture[..., 3:].astype(np.float32) / 255
    return np.dstack([picture[..., :3] * alpha, alpha]).astype(np.float32)
