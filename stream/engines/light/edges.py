"""Edges of masks where the picture has them: SAM's masks are a quarter as fine as the crop that it sees.

The guided filter with a picture in colours (He, Sun and Tang, "Guided Image Filtering", 2013): around every pixel the
mask is taken for a linear function of the colours.
"""

from __future__ import annotations

import cv2
import numpy as np

from kernels import cpu
from stream.engines.grid import F32, ON, U8, Grid, Patch, shrink
from stream.engines.light.hiding import FAINT

RADIUS_PX = 5
SMOOTHNESS = 1e-3
"""Variance of colours, 0..1 squared, below which there is no edge in the picture."""
REACH_PX = 3
"""The edge moves by at most this much."""
SLOPE = 510.0
"""Soft masks are 127.5 + slope x (share - 0.5)."""


def snapped(patch: Patch, picture: U8, grid: Grid) -> Patch:
    """The mask with its edge moved onto that of `picture` `(h, w, 3)` uint8, any size with the grid's aspect; as it was
    where the picture is coarser than the mask grid."""
    if not patch.data.size or picture.shape[1] < grid.mask[0]:
        return patch
    margin, (width, height) = 2 * RADIUS_PX, grid.mask
    x0, y0, x1, y1 = patch.window
    window = max(0, x0 - margin), max(0, y0 - margin), min(width, x1 + margin), min(height, y1 + margin)
    given = patch.cut(window)
    faint = given == FAINT
    on = ((given >= ON) & ~faint).astype(np.uint8)
    share = guided(on.astype(np.float32), _colours(picture, grid, window))
    reach = np.ones((2 * REACH_PX + 1, 2 * REACH_PX + 1), np.uint8)
    outer, inner = cv2.dilate(on, reach), cv2.erode(on, reach, borderValue=1)
    soft = np.clip(127.5 + SLOPE * (share - 0.5), 0, 255).astype(np.uint8)
    soft = np.where(outer == 0, 0, np.where(inner > 0, 255, soft)).astype(np.uint8)
    rough = (soft >= ON).astype(np.uint8)
    small = max(2, int(on.sum()) // 100)
    tidy = cpu.clean(rough, max_hole=small, max_speck=small)
    soft = np.where(tidy == rough, soft, tidy * np.uint8(255)).astype(np.uint8)
    return Patch(window[0], window[1], np.where(faint, np.maximum(soft, FAINT), soft).astype(np.uint8)).tight()


def _colours(picture: U8, grid: Grid, window: tuple[int, int, int, int]) -> F32:
    """A window of the mask grid, `(h, w, 3)` float32 in 0..1."""
    kx, ky = picture.shape[1] / grid.mask[0], picture.shape[0] / grid.mask[1]
    x0, y0, x1, y1 = window
    cut = picture[round(y0 * ky) : round(y1 * ky), round(x0 * kx) : round(x1 * kx)]
    return shrink(cut, (x1 - x0, y1 - y0)).astype(np.float32) / np.float32(255)


def guided(values: F32, colours: F32) -> F32:
    """`values` `(h, w)` float32 smoothed along the edges of `colours` `(h, w, 3)` float32 in 0..1."""
    b, g, r = (np.ascontiguousarray(colours[..., i]) for i in range(3))
    mean, mean_value = _mean(colours), _mean(values)
    mb, mg, mr = (mean[..., i] for i in range(3))
    bb, gg, rr = (
        _mean(b * b) - mb * mb + SMOOTHNESS,
        _mean(g * g) - mg * mg + SMOOTHNESS,
        _mean(r * r) - mr * mr + SMOOTHNESS,
    )
    bg, br, gr = _mean(b * g) - mb * mg, _mean(b * r) - mb * mr, _mean(g * r) - mg * mr
    vb, vg, vr = (
        _mean(b * values) - mb * mean_value,
        _mean(g * values) - mg * mean_value,
        _mean(r * values) - mr * mean_value,
    )
    # the inverse of the symmetric 3 x 3 covariance by its cofactors
    cbb, cbg, cbr = gg * rr - gr * gr, br * gr - bg * rr, bg * gr - br * gg
    cgg, cgr, crr = bb * rr - br * br, bg * br - bb * gr, bb * gg - bg * bg
    determinant = bb * cbb + bg * cbg + br * cbr
    ab = (cbb * vb + cbg * vg + cbr * vr) / determinant
    ag = (cbg * vb + cgg * vg + cgr * vr) / determinant
    ar = (cbr * vb + cgr * vg + crr * vr) / determinant
    rest = mean_value - ab * mb - ag * mg - ar * mr
    out: F32 = _mean(ab) * b + _mean(ag) * g + _mean(ar) * r + _mean(rest)
    return out


def _mean(values: F32) -> F32:
    side = 2 * RADIUS_PX + 1
    return np.asarray(cv2.blur(values, (side, side)), np.float32)
