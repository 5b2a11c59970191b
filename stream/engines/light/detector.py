"""Finds the things of the 80 COCO classes in a picture, with NanoDet."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from stream.engines.light.inference import F32, cpu_session, normalised
from stream.engines.words import COCO_NAMES
from stream.models.catalogue import NANODET, NANODET_SIDE
from stream.models.store import ModelStore
from stream.types import U8, BoxXyxyPx

_BINS = 11
_STRIDES = (8, 16, 32)
_LEAST_SIDE = 64
NMS_IOU = 0.5
MAX_CANDIDATES = 400


@dataclass(frozen=True, slots=True)
class Detection:
    """`score` is in [0, 1]; the box lies within the picture."""

    label: str
    score: float
    box_xyxy_px: BoxXyxyPx


class Detector:
    """NanoDet on pictures shrunk to a long side of 416 (RangiLyu, “NanoDet”, 2020: boxes as distributions over
    distances, after Li et al., “Generalized Focal Loss”, 2020). One thread at a time."""

    def __init__(self, model: Path) -> None:
        """Open the model and run it once. Raises `ModelMissing`."""
        self._session = cpu_session(model)
        self._input = self._session.get_inputs()[0].name
        self._outputs = _outputs_in_order(self._session)
        self(np.zeros((480, 640, 3), np.uint8))

    @classmethod
    def load(cls, store: ModelStore) -> Detector:
        """The model in `store`. Raises `ModelMissing`."""
        return cls(store.path(NANODET.name))

    def __call__(self, bgr: U8, min_score: float = 0.45) -> list[Detection]:
        """What is in `bgr`, `(H, W, 3)` uint8 of any size, best first."""
        height, width = bgr.shape[:2]
        rows, columns = _input_size(height, width)
        shrinks = min(height, width) > 2 * NANODET_SIDE
        small = cv2.resize(bgr, (columns, rows), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        outputs = self._session.run(self._outputs, {self._input: normalised(small.astype(np.uint8, copy=False), "bgr")})
        levels = len(_STRIDES)
        scores = np.concatenate([output[0] for output in outputs[:levels]])
        distances = np.concatenate([output[0] for output in outputs[levels:]])
        cells, classes = _candidates(scores, min_score)
        if not cells.size:
            return []
        scale = np.array((width / columns, height / rows) * 2, np.float32)
        limits = np.array((width, height) * 2, np.float32)
        boxes: F32 = np.clip(_boxes(cells, distances[cells], rows, columns) * scale, 0, limits)
        return _distinct(boxes, scores[cells, classes], classes, min_score)

    def in_region(self, bgr: U8, region_xyxy_px: BoxXyxyPx, min_score: float = 0.45) -> list[Detection]:
        """As above, but looks at one part of the picture only, where small things are larger to the model.

        Boxes are in pixels of the whole picture. A region that lies outside of it gives nothing.
        """
        height, width = bgr.shape[:2]
        x0, y0 = max(0, int(region_xyxy_px[0])), max(0, int(region_xyxy_px[1]))
        x1, y1 = min(width, round(region_xyxy_px[2])), min(height, round(region_xyxy_px[3]))
        if x1 <= x0 or y1 <= y0:
            return []
        return [
            Detection(found.label, found.score, _shifted(found.box_xyxy_px, x0, y0))
            for found in self(bgr[y0:y1, x0:x1], min_score)
        ]


def _outputs_in_order(session: onnxruntime.InferenceSession) -> list[str]:
    """The scores of the three levels, the finest first, then the distances; the graph names levels by cells at 416²."""
    by_shape = {tuple(output.shape[1:]): output.name for output in session.get_outputs()}
    cells = [(NANODET_SIDE // stride) ** 2 for stride in _STRIDES]
    return [by_shape[f"cells_{count}", width] for width in (len(COCO_NAMES), 4 * _BINS) for count in cells]


def _input_size(height: int, width: int) -> tuple[int, int]:
    """Rows and columns for a picture: the long side 416, the other next above its proportion that the network takes."""
    longest = max(height, width) * _STRIDES[-1]
    rows, columns = (max(_LEAST_SIDE, -(-size * NANODET_SIDE // longest) * _STRIDES[-1]) for size in (height, width))
    return rows, columns


def _boxes(cells: NDArray[np.intp], logits: F32, rows: int, columns: int) -> F32:
    """`(N, 44)` distributions over 0…10 strides for the four sides → `(N, 4)` boxes in pixels of the input."""
    all_centres, all_strides = _grid(rows, columns)
    centres, strides = all_centres[cells], all_strides[cells, None]
    sides = logits.reshape(-1, 4, _BINS)
    weights = np.exp(sides - sides.max(axis=2, keepdims=True))
    mean: F32 = (weights @ np.arange(_BINS, dtype=np.float32)) / weights.sum(axis=2) * strides
    boxes: F32 = np.concatenate((centres - mean[:, :2], centres + mean[:, 2:]), axis=1)
    return boxes


@lru_cache(maxsize=16)
def _grid(rows: int, columns: int) -> tuple[F32, F32]:
    """Centres `(cells, 2)` and strides `(cells,)` of all cells, in pixels of the input, the finest level first."""
    centres, strides = [], []
    for stride in _STRIDES:
        high, wide = rows // stride, columns // stride
        y, x = np.divmod(np.arange(high * wide), wide)
        centres.append(np.stack((x, y), axis=1) * stride + (stride - 1) / 2)
        strides.append(np.full(high * wide, stride))
    return np.concatenate(centres).astype(np.float32), np.concatenate(strides).astype(np.float32)


def _candidates(scores: F32, min_score: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Cells and classes that score above `min_score`, at most `MAX_CANDIDATES`, the best of them."""
    cells, classes = np.nonzero(scores > min_score)
    if cells.size > MAX_CANDIDATES:
        best = np.argpartition(-scores[cells, classes], MAX_CANDIDATES)[:MAX_CANDIDATES]
        cells, classes = cells[best], classes[best]
    return cells, classes


def _distinct(boxes: F32, scores: F32, classes: NDArray[np.intp], min_score: float) -> list[Detection]:
    """Non-maximum suppression within each class."""
    xywh = np.concatenate((boxes[:, :2], boxes[:, 2:] - boxes[:, :2]), axis=1)
    kept = cv2.dnn.NMSBoxesBatched(xywh.tolist(), scores.tolist(), classes.tolist(), min_score, NMS_IOU)
    order = sorted((int(index) for index in kept), key=lambda index: -scores[index])
    return [Detection(COCO_NAMES[classes[index]], float(scores[index]), _as_box(boxes[index])) for index in order]


def _as_box(box: F32) -> BoxXyxyPx:
    x0, y0, x1, y1 = (float(value) for value in box)
    return x0, y0, x1, y1


def _shifted(box: BoxXyxyPx, dx: float, dy: float) -> BoxXyxyPx:
    return box[0] + dx, box[1] + dy, box[2] + dx, box[3] + dy
