"""One crop of a picture as SAM sees it, and SAM's masks on it as masks of the mask grid."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from kernels import cpu
from stream.engines.grid import F32, ON, U8, Grid, Patch
from stream.engines.light.crops import MASK_STEP, Crop
from stream.engines.light.sam import Sam
from stream.engines.light.sight import View

LEAST_PIXELS = 8
"""A mask of fewer pixels of a crop's mask grid shows nothing."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One crop, encoded. `image` is at the size of SAM's masks."""

    crop: Crop
    image: U8
    embedding: F32


def look(sam: Sam, view: View, crop: Crop) -> Seen:
    """Cut the crop out of the view's picture and encode it."""
    image = crop.image(view.picture, view.grid)
    size = sam.side // MASK_STEP
    small = np.asarray(cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA), np.uint8)
    return Seen(crop, small, sam.encode(image))


def patch_of(grid: Grid, crop: Crop, logits: F32) -> Patch:
    """Logits as a soft mask, without holes and specks of less than a hundredth of it."""
    on = (logits > 0).astype(np.uint8)
    small = max(2, int(on.sum()) // 100)
    tidy = cpu.clean(on, max_hole=small, max_speck=small)
    logits = np.where(tidy == on, logits, np.where(tidy > 0, 1.0, -1.0)).astype(np.float32)
    return crop.mask_out(logits, grid)


def mean_under(patch: Patch, values: F32, grid: Grid) -> float:
    """The mean of `values` of the flow grid under a mask; 0 where it has no pixel there."""
    on = patch.small(grid) >= ON
    return float(values[on].mean()) if on.any() else 0.0
