"""A composed map set right by the pictures themselves.

Composing the flow of many pictures adds up its errors, and what passes in front drags it along. So the keyframe, seen
through the map, is compared with the present, and one step of Gauss-Newton (Lucas and Kanade; Baker and Matthews,
"Lucas-Kanade 20 Years On", 2004) moves the map's places of the keyframe by a similarity that makes them agree better.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.engines.grid import F32, U8
from stream.engines.light.hiding import SURE
from stream.engines.light.motion import middle

LEAST_AREA = 400
"""Pixels well inside of a mask from which on a similarity is told from noise; what is small bends as it walks."""
MOST_POINTS = 500
NOISE = 6.0
"""Differences of luma up to about this are noise; much larger ones belong to something else."""
SHIFT_DAMPING, TURN_DAMPING = 1.0, 2.0
"""Squared slopes of luma a pixel that count as much as standing still: what is plain says nothing of its motion."""
MOST_SHIFT_PX, MOST_TURN = 1.0, 0.05
"""Of one step; a turn and scale of 0.05 moves the edge of a thing of 40 pixels by one."""
_AROUND = np.array([[0, 0], [-1, 0], [1, 0], [0, -1], [0, 1]], np.float32)
_BLOCK = np.ones((3, 3), np.uint8)


def inner_places(soft: U8) -> NDArray[np.intp]:
    """`(n, 2)` `(row, column)`: at most 500 places well inside of a soft mask, evenly over it."""
    inside = cv2.erode(cv2.threshold(soft, SURE, 1, cv2.THRESH_BINARY)[1], _BLOCK, borderValue=0)
    found = np.flatnonzero(inside)
    if len(found) > MOST_POINTS:
        found = found[np.linspace(0, len(found) - 1, MOST_POINTS).astype(int)]
    return np.stack(np.divmod(found, soft.shape[1]), axis=1)


def correction(key: U8, places: F32, now: F32) -> tuple[complex, complex, complex]:
    """`(centre, shift, turn)`, places as complex numbers `x + iy`: a place `p` of the keyframe is to become
    `p + shift + turn * (p - centre)`.

    `key` `(h, w)` uint8: the keyframe's luma; `places` `(n, 2)` float32: where the map puts the points now; `now`
    `(n,)` float32: the present's luma there. What differs most counts least (Geman and McClure's weights), and a change
    of light not at all.
    """
    at = np.ascontiguousarray(places[None] + _AROUND[:, None])
    # OpenCV's stubs demand a second map, which it must not get where the first has both coordinates
    seen = cv2.remap(key, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
    then, left, right, above, below = seen.astype(np.float32)
    off = now - then
    off -= middle(off)
    weights = 1 / (1 + (off / max(NOISE, 2 * middle(np.abs(off)))) ** 2) ** 2
    centre = places.mean(0)
    x, y = (places - centre).T
    gx, gy = (right - left) / 2, (below - above) / 2
    slopes = np.stack([gx, gy, gx * x + gy * y, gy * x - gx * y])
    weighted = slopes * weights
    total = float(weights.sum())
    damping = np.array([SHIFT_DAMPING] * 2 + [TURN_DAMPING * float((x * x + y * y).mean())] * 2) * total
    tx, ty, a, b = np.linalg.solve((weighted @ slopes.T).astype(np.float64) + np.diag(damping), weighted @ off)
    return complex(*centre), _at_most(complex(tx, ty), MOST_SHIFT_PX), _at_most(complex(a, b), MOST_TURN)


def _at_most(value: complex, most: float) -> complex:
    return value * min(1.0, most / max(abs(value), 1e-9))
