"""Made-up mask logits of the kinds that the kernels meet."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
Kind = Literal["random", "smooth", "noisy", "crowded", "empty", "full", "edge"]
KINDS: tuple[Kind, ...] = ("random", "smooth", "noisy", "crowded", "empty", "full", "edge")


def logits(kind: Kind, count: int, height: int, width: int, seed: int = 0) -> F32:
    """Float32 `[count, height, width]`.

    `random`: independent pixels; `smooth`: ellipses with wavy edges, and holes and specks of a few pixels, as SAM
    gives them; `noisy`: the same with 3 % of the signs turned; `crowded`: large overlapping ones; `empty`, `full`:
    nothing or everything on; `edge`: objects cut off by the border, and one pixel in each corner.
    """
    random = np.random.default_rng(seed)
    shape = (count, height, width)
    noise = random.standard_normal(shape).astype(np.float32)
    if kind == "random":
        return noise
    if kind in ("empty", "full"):
        return (np.abs(noise) + np.float32(0.01)) * np.float32(1 if kind == "full" else -1)
    spread = {"crowded": (0.25, 0.45), "edge": (0.3, 0.5)}.get(kind, (0.06, 0.22))
    made = np.stack([_blob(random, height, width, spread, noise[n], on_edge=kind == "edge") for n in range(count)]) \
        if count else noise  # fmt: skip
    if kind == "edge":
        made[:, :: max(1, height - 1), :: max(1, width - 1)] = 1
    if kind == "noisy":
        made[random.random(shape) < 0.03] *= -1
    return np.ascontiguousarray(made, np.float32)


def _blob(
    random: np.random.Generator, height: int, width: int, spread: tuple[float, float], noise: F32, *, on_edge: bool
) -> F32:
    y, x = np.mgrid[:height, :width].astype(np.float32)
    centre = (random.choice([0.0, 1.0], 2) if on_edge else random.uniform(0.25, 0.75, 2)) * (height, width)
    radii = np.maximum(random.uniform(*spread, 2) * (height, width), 1.0)
    field = 6 * (1 - ((y - centre[0]) / radii[0]) ** 2 - ((x - centre[1]) / radii[1]) ** 2)
    waves = cv2.GaussianBlur(noise, (0, 0), 3) * 12
    made = np.clip(field, -9, 9) + waves
    for sign, where in ((-1, made > 1), (1, made < -1)):  # holes and specks
        rows, columns = np.nonzero(where)
        for at in random.integers(0, max(1, len(rows)), 6 if len(rows) else 0):
            side = int(random.integers(1, 5))
            made[rows[at] : rows[at] + side, columns[at] : columns[at] + side] = sign * random.uniform(0.2, 3)
    return made.astype(np.float32)
