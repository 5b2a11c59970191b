"""A scene with a given number of moving things, for timing: more of them than the quality sets have."""

from __future__ import annotations

import cv2
import numpy as np

from tests.quality.cutouts import BACKGROUNDS, CUTOUTS, cutout
from tests.quality.paths import wander
from tests.quality.scenes import Mover, Scene

FRAMES = 300
SPEED_PX = 3.0
"""A frame."""
HEIGHT_PX = {1: 200, 3: 160, 8: 110}


def crowd(count: int, seed: int = 1, label: str | None = None) -> Scene:
    """`count` things, all of COCO class `label` if given, that wander over a still background for ten seconds."""
    rng = np.random.default_rng(seed)
    known = [one for one in CUTOUTS["tuning"] if label in (None, one.label)]
    chosen = [known[i % len(known)] for i in range(count)]
    movers = []
    for number, one in enumerate(chosen, start=1):
        picture = cutout(one.name).premultiplied
        scale = HEIGHT_PX.get(count, 110) / picture.shape[0]
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(np.float32)
        path = wander(rng, FRAMES, SPEED_PX, 0.6 * picture.shape[0])
        still = np.ones(FRAMES), np.zeros(FRAMES)
        movers.append(Mover(number, one.name, one.label, picture, path, *still, depth=number))
    camera = np.zeros((FRAMES, 2))
    return Scene(f"crowd-{count}", "tuning", seed, FRAMES, BACKGROUNDS["tuning"][0], camera, tuple(movers), ())
