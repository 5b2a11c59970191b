"""Between masks and SAM's prompts, in the coordinates of one crop: pixels of the crop for points and boxes, soft masks
`(n, n)` uint8 on its mask grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from kernels import cpu
from stream.engines.grid import F32, ON, U8
from stream.engines.light.appearance import Memory, colour_bins, histogram
from stream.engines.light.crops import MASK_STEP
from stream.types import BoxXyxyPx

MASK_LOGIT = 6.0
BOX_GROWTH = 0.06
LIKELY = 0.5


@dataclass(frozen=True, slots=True)
class Prompted:
    """SAM's prompts in pixels of the crop."""

    points: list[tuple[float, float]]
    labels: list[int]
    box: BoxXyxyPx


def edge_share(logits: F32) -> float:
    edge = np.concatenate([logits[0], logits[-1], logits[:, 0], logits[:, -1]])
    return float((edge > 0).mean())


def as_logits(low: U8) -> F32:
    logits: F32 = (low.astype(np.float32) - 127.5) / np.float32(127.5 / MASK_LOGIT)
    return logits


def foreign_part(others: Sequence[U8], before: U8) -> U8:
    """What belonged to other objects and not to this one, 0/1."""
    foreign = np.zeros_like(before)
    for other in others:
        foreign |= (other >= ON).astype(np.uint8)
    return foreign & (1 - before)


def strange_islands(on: U8, image: U8, known: Sequence[F32], least: float) -> U8:
    """What of a mask is cut off from its largest part and has other colours than the object, 0/1.

    `on` `(n, n)` 0/1, `image` `(n, n, 3)` uint8, `known` histograms of the object's colours; `least`: similarity
    (Bhattacharyya) with any of them from which on an island is the object's, seen past something in front of it.
    """
    out = np.zeros_like(on)
    for island in cpu.islands(on):
        colours = histogram(image, island.astype(np.uint8))
        if max(float(np.sqrt(colours * one).sum()) for one in known) < least:
            out |= island
    return out


def overlap(a: U8, b: U8) -> float:
    """Intersection over union of two masks of 0 and 1; 0 where both are empty."""
    both = cv2.countNonZero(cv2.bitwise_and(a, b))
    return both / max(1, cv2.countNonZero(a) + cv2.countNonZero(b) - both)


def share_of(on: U8, of: U8) -> float:
    return float((on & of).sum()) / max(1.0, float(on.sum()))


def grown(box: BoxXyxyPx) -> BoxXyxyPx:
    g = BOX_GROWTH * max(box[2] - box[0], box[3] - box[1])
    return box[0] - g, box[1] - g, box[2] + g, box[3] + g


def low_box(on: U8) -> BoxXyxyPx:
    """The box of a mask of the crop's mask grid, in pixels of the crop."""
    x0, y0, x1, y1 = cpu.box(on) or (0, 0, 0, 0)
    return x0 * MASK_STEP, y0 * MASK_STEP, x1 * MASK_STEP, y1 * MASK_STEP


def inner_points(low: U8, most: int) -> list[tuple[float, float]]:
    """Points deep inside a mask, in pixels of the crop: the deepest, then the deepest far from it."""
    depth = cpu.depths((low >= 128).astype(np.uint8))
    points: list[tuple[float, float]] = []
    for _ in range(most):
        _, deepest, _, (x, y) = cv2.minMaxLoc(depth)
        if deepest < (1.5 if points else 0.5):
            break
        points.append((x * MASK_STEP + MASK_STEP / 2, y * MASK_STEP + MASK_STEP / 2))
        cv2.circle(depth, (x, y), int(max(3, 1.8 * deepest)), 0, -1)
    return points


def prompts_of(low: U8, others: Sequence[U8]) -> Prompted | None:
    """What says which object is meant: its box, points inside of it, and points on its neighbours that are not it."""
    if cpu.box(low, threshold=128) is None:
        return None
    box = low_box((low >= 128).astype(np.uint8))
    points = inner_points(low, 2)
    labels = [1] * len(points)
    near = 8 * MASK_STEP
    for other in others:
        for x, y in inner_points(other, 1):
            own = low[min(int(y) // MASK_STEP, low.shape[0] - 1), min(int(x) // MASK_STEP, low.shape[1] - 1)] >= ON
            if not own and box[0] - near < x < box[2] + near and box[1] - near < y < box[3] + near:
                points.append((x, y))
                labels.append(0)
    return Prompted(points, labels, box)


def missing_place(image: U8, memory: Memory, box: BoxXyxyPx, taken: U8, least: float) -> tuple[float, float] | None:
    """Where in `box` more of an object is likely that is seen in part: the middle of most of its colours, in pixels of
    the crop. None where there is not that much of them.

    `image` `(n, n, 3)` uint8; `taken` `(n, n)` 0/1 is the part that is known and what is others'; `least`: pixels of
    the mask grid.
    """
    inside = np.zeros(taken.shape, np.uint8)
    x0, y0, x1, y1 = (max(0, round(v / MASK_STEP)) for v in box)
    inside[y0:y1, x0:x1] = 1
    free = inside & (1 - taken)
    odds = memory.posterior(histogram(image, 1 - inside))[colour_bins(image)] * free
    if float((odds > LIKELY).sum()) < least:
        return None
    likely = np.asarray(cv2.blur(odds.astype(np.float32), (5, 5)), np.float32)
    y, x = np.unravel_index(int(likely.argmax()), likely.shape)
    return (
        (float(x) * MASK_STEP + MASK_STEP / 2, float(y) * MASK_STEP + MASK_STEP / 2) if likely[y, x] > LIKELY else None
    )


def obeys(logits: F32, points: Sequence[tuple[float, float]], labels: Sequence[int]) -> bool:
    """Whether a mask includes every positive point and leaves out every negative one."""
    size = logits.shape[0]
    for (x, y), label in zip(points, labels, strict=True):
        u, v = min(max(int(x) // MASK_STEP, 0), size - 1), min(max(int(y) // MASK_STEP, 0), size - 1)
        if bool(logits[v, u] > 0) != bool(label):
            return False
    return True
