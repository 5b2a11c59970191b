"""The motion of one object between two pictures, out of dense flow.

Raw flow trails at an object's edges, since its patches straddle object and background. So a similarity (shift, turn,
scale) is fitted robustly to the flow inside the object, bent towards trustworthy flow well inside it, and extrapolated
outwards from there: background flow beside the object never enters.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.engines.grid import F32, U8
from stream.engines.light.hiding import SURE

F64 = NDArray[np.float64]
LEAST_POINTS = 10
MOST_POINTS = 200
MOST_MEDIAN = 2000
"""Values that a median is taken of; of more, every second, third, … counts."""
SHRINKAGE = 25.0
"""Added to the spread of the points (px²): a handful of close points can hardly turn or scale."""
BEND_REACH_PX = 9
STIFFNESS = 0.5
"""What trustworthy flow, 1 a pixel, must outweigh to bend the motion: flow errs towards standing still."""
DEEP = np.ones((5, 5), np.uint8)
"""Flow this close to a mask's edge trails behind."""
DEEP_SHARE = 0.3
"""What is left of a mask without its edge must be this share of it to speak for it."""
BEND_TOLERANCE = 9.0
RING_SHARE = 0.12
"""Width of the ring around a region that its motion is compared with, in sides of a square of the same area."""
ALIKE_PX = 0.5
"""Flow this close to a fitted motion belongs to it."""
STRAY_PX = 1.2
"""Flow this far from a fitted motion does not belong to it, even at an edge, where flow is a mixture."""
ALONG_SHARE = 0.4
"""Flow that is closer to a region's motion than this share of its distance from the background's is the region's."""
BACKGROUND_SHARE = 0.5
"""What more than this share of a picture does is its background's motion."""
STEADY_PX = 0.5
"""How much an object's shift may change in one picture while something passes in front of it."""


def fit_similarity(points: F32, flow: F32) -> tuple[float, float, float, float]:
    """`(a, b, tx, ty)` of the displacement `(a·x - b·y + tx, b·x + a·y + ty)` that fits the flow best.

    `points`, `flow`: `(n, 2)` float32. Three rounds of least squares with Cauchy weights, scaled by the median
    residual, so that up to nearly half of the flow may belong to something else.
    """
    if len(points) > MOST_POINTS:
        chosen = np.linspace(0, len(points) - 1, MOST_POINTS).astype(int)
        points, flow = points[chosen], flow[chosen]
    # as complex numbers, a turn and scale is one factor: half as many calls, which cost more than the sums in them
    p, f = (np.ascontiguousarray(v).astype(np.float64).view(np.complex128).ravel() for v in (points, flow))
    weights = _cauchy(np.abs(f - complex(middle(f.real), middle(f.imag))))
    turn = shift = 0j
    for _ in range(3):
        total = weights.sum()
        centre, mean = weights @ p / total, weights @ f / total
        q = p - centre
        weighted = weights * q.conj()
        turn = complex(weighted @ (f - mean) / ((weighted @ q).real + SHRINKAGE))
        shift = complex(mean - turn * centre)
        weights = _cauchy(np.abs(turn * p + shift - f))
    return turn.real, turn.imag, shift.real, shift.imag


def middle(values: NDArray[np.floating]) -> float:
    """A median of `(n,)` numbers: of many, that of a part of them; of an even number, the upper one of the two."""
    values = values[:: 1 + len(values) // MOST_MEDIAN]
    half = len(values) // 2
    return float(np.partition(values, half)[half])


def _cauchy(residual: F64) -> F64:
    scale = max(0.3, 1.5 * middle(residual))
    residual = residual * (1 / scale)
    weights: F64 = 1 / (1 + residual * residual)
    return weights


def object_flow(
    xy: F32, back: F32, soft: U8, usual: F32, *, steady: bool = False, reach_px: int = BEND_REACH_PX
) -> F32:
    """The object's own backward motion in a window.

    `xy`: `(h, w, 2)` float32 coordinates; `back`: `(h, w, 2)` float32 flow of the picture; `soft`: `(h, w)` uint8,
    what is seen of the object by that flow; `usual` `(2,)`: its motion so far. Returns `(h, w, 2)` float32; `usual`
    everywhere where too little is seen for a fit. `steady` keeps the shift near `usual`: what passes in front of a
    plain surface drags its flow along. `reach_px` is over how many pixels of the window the bend is smoothed.
    """
    sure = soft > SURE
    count = int(np.count_nonzero(sure))
    if count < LEAST_POINTS:
        return np.broadcast_to(usual.astype(np.float32), back.shape)
    inner = cv2.erode(cv2.threshold(soft, SURE, 1, cv2.THRESH_BINARY)[1], DEEP, borderValue=0)
    deep = cv2.countNonZero(inner) > max(LEAST_POINTS, DEEP_SHARE * count)
    inside = inner > 0 if deep else sure
    places, flow = _complex(xy), _complex(back)
    a, b, tx, ty = fit_similarity(xy[inside], back[inside])
    if steady:
        tx, ty = _held(points=xy[sure], fit=(a, b, tx, ty), usual=usual)
        a = b = 0.0
    model = places * np.complex64(complex(a, b)) + np.complex64(complex(tx, ty))
    difference = flow - model
    squared = difference.real**2 + difference.imag**2
    tolerance = BEND_TOLERANCE * max(0.25, middle(squared[inside]))
    weights = np.exp(squared * np.float32(-1 / tolerance)) * (inner if deep else soft * np.float32(1 / 255))
    reach = reach_px, reach_px
    bend = np.asarray(cv2.blur((difference * weights).view(np.float32).reshape(back.shape), reach), np.float32)
    bend /= (cv2.blur(weights, reach) + np.float32(STIFFNESS))[..., None]
    bend += model.view(np.float32).reshape(back.shape)
    return bend


def _complex(xy: F32) -> NDArray[np.complex64]:
    """`(h, w, 2)` float32 as `(h, w)` complex64, not copied where it lies in one piece."""
    numbers: NDArray[np.complex64] = np.ascontiguousarray(xy).view(np.complex64)[..., 0]
    return numbers


def stands_apart(on: U8, xy: F32, back: F32) -> float:
    """How much a region moves as one and its surroundings do not, -1..1: the share of it that one motion fits, less
    the share of a ring around it that the same motion fits. 0 where everything moves alike, as in a still picture.

    `on`: `(h, w)` uint8 0/1; `xy`: `(h, w, 2)` float32 coordinates; `back`: `(h, w, 2)` float32 flow.
    """
    inner = cv2.erode(on, np.ones((3, 3), np.uint8), borderValue=0)
    inside = (inner if np.count_nonzero(inner) >= LEAST_POINTS else on) > 0
    if np.count_nonzero(inside) < LEAST_POINTS:
        return 0.0
    a, b, tx, ty = fit_similarity(xy[inside], back[inside])
    x, y = xy[..., 0], xy[..., 1]
    off = np.hypot(a * x - b * y + tx - back[..., 0], b * x + a * y + ty - back[..., 1])
    reach = max(3, int(RING_SHARE * np.sqrt(np.count_nonzero(on))))
    # flow trails at an edge, so the nearest pixels belong to neither side
    near = cv2.dilate(on, np.ones((5, 5), np.uint8))
    ring = (cv2.dilate(near, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)) > 0) & (near == 0)
    if not ring.any():
        return 0.0
    return float((off[inside] < ALIKE_PX).mean() - (off[ring] < ALIKE_PX).mean())


def off_motion(on: U8, xy: F32, back: F32) -> F32 | None:
    """`(h, w)` float32: how far the flow is off the motion that fits inside of the region `on` best, in pixels. None
    where too little is seen for a fit; arguments as `stands_apart`."""
    inside = on > 0
    if np.count_nonzero(inside) < LEAST_POINTS:
        return None
    return _off(fit_similarity(xy[inside], back[inside]), xy, back)


def off_background(xy: F32, back: F32) -> F32 | None:
    """`(h, w)` float32: how far the flow is off the motion of the picture as a whole, in pixels. None where most of it
    moves otherwise, since then there is no one background. Arguments as `stands_apart`, for the whole picture."""
    step = max(1, int(np.sqrt(back.shape[0] * back.shape[1] / MOST_POINTS)))
    points, flow = (v[step // 2 :: step, step // 2 :: step].reshape(-1, 2) for v in (xy, back))
    off = _off(fit_similarity(points, flow), xy, back)
    return off if float(by_itself(off).mean()) < BACKGROUND_SHARE else None


def _off(motion: tuple[float, float, float, float], xy: F32, back: F32) -> F32:
    a, b, tx, ty = motion
    x, y = xy[..., 0], xy[..., 1]
    off: F32 = np.hypot(a * x - b * y + tx - back[..., 0], b * x + a * y + ty - back[..., 1]).astype(np.float32)
    return off


def strays(off: F32) -> U8:
    """255 where a picture does not move as a region does, else 0, by `off_motion` of that region."""
    return np.where(off > STRAY_PX, 255, 0).astype(np.uint8)


def by_itself(off: F32) -> F32:
    """0..1: how clearly each pixel moves otherwise than the background, by `off_background`."""
    moving: F32 = np.clip(off / np.float32(ALIKE_PX) - 1, 0, 1).astype(np.float32)
    return moving


def moves_along(off: F32, apart: F32) -> U8:
    """255 where a picture moves as a region does and the background does not, else 0: by `off_motion` of the region and
    `off_background`."""
    return np.where((apart > ALIKE_PX) & (off < ALONG_SHARE * apart), 255, 0).astype(np.uint8)


def _held(points: F32, fit: tuple[float, float, float, float], usual: F32) -> tuple[float, float]:
    """The fitted shift of the points' middle, at most `STEADY_PX` from the usual one."""
    a, b, tx, ty = fit
    x, y = points.mean(0)
    shift = np.array([a * x - b * y + tx, b * x + a * y + ty]) - usual
    far = float(np.hypot(*shift))
    held = usual + shift * min(1.0, STEADY_PX / max(far, 1e-6))
    return float(held[0]), float(held[1])
