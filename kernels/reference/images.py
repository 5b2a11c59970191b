"""The kernels on pictures in NumPy: plain, slow, and what the fast ones are compared with.

All arithmetic is in float32 in the order of the CUDA source, so that differences are of rounding at most.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.colour import Nv12, Picture, Window, nv12_to_rgb, rgb_to_yuv, size_of, yuv_to_rgb
from kernels.look import COLOUR_BEHIND, FILL, IMAGE_BEHIND, OUTLINE, PIXELATE, Look

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
Bool = NDArray[np.bool_]
ONE, HALF = np.float32(1), np.float32(0.5)


def composite(
    frame: Picture, owner: NDArray[Any], logits: F32 | None, palette: U8, n_valid: int, look: Look, *,
    behind: Picture | None = None, quarter: U8 | None = None,
) -> Picture:  # fmt: skip
    """Arguments as for `kernels.cuda.images.composite`; returns a new picture."""
    height, width = size_of(frame)
    owner = np.where(owner <= min(n_valid, len(palette) - 1), owner, 0).astype(np.int64)
    base = _planes(frame)
    colours = palette[:, :3].astype(np.float32)
    if isinstance(frame, Nv12):
        colours = _tinted(colours, frame)
    alphas = palette[:, 3].astype(np.float32) / np.float32(255)
    shown, inside, line = _cover(owner, logits, look)
    mode = look.mode
    back = base
    if mode & COLOUR_BEHIND:
        back = _mix(base, colours[0], np.full((height, width), alphas[0], np.float32))
    elif mode & IMAGE_BEHIND:
        assert behind is not None
        back = _planes(behind)
    elif look.background == "blur":
        assert quarter is not None
        back = _enlarged(quarter, height, width)
    result: F32 = base
    if mode & PIXELATE:
        result = np.where((owner > 0)[..., None], _mosaic(frame, look.pixelate_px), base)
    if look.background != "keep":
        result = _mix(back, result, inside)
    if mode & FILL:
        result = np.where((shown > 0)[..., None], _mix(result, colours[shown], alphas[shown] * inside), result)
    if mode & OUTLINE:
        result = np.where((line > 0)[..., None], _mix(result, colours[shown], line), result)
    return _picture(result, frame)


def _cover(owner: NDArray[np.int64], logits: F32 | None, look: Look) -> tuple[NDArray[np.int64], F32, F32]:
    """For every pixel: the object that shows in it (its owner or, at a soft edge, the largest of the neighbours'), how
    far it is inside, and how much of it is outline."""
    own = owner > 0
    seam = int(np.ceil(np.float32(look.outline_px)))
    if logits is None:
        background, objects = _near(owner, seam, seam)
        rim = own & (background | objects) & bool(look.mode & OUTLINE)
        return owner, own.astype(np.float32), rim.astype(np.float32)
    neighbours = np.max(np.stack([_moved(owner, dy, dx, 0) for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0))]), axis=0)
    shown = np.where(own, owner, neighbours)
    distance = _distance(shown, logits)
    edge = np.clip(distance + HALF, 0, 1)
    softness = np.float32(look.softness_px)
    inside = np.clip((distance + HALF) / softness, 0, 1)
    reach = int(np.float32(1.5) * softness) + 1
    background, objects = _near(owner, reach, reach)
    inside = np.where(own & ~background & ~objects, ONE, inside)
    line = np.zeros_like(edge)
    if look.mode & OUTLINE:
        width = np.float32(look.outline_px)
        band = edge * np.clip(width + HALF - distance, 0, 1)
        background, objects = _near(owner, int(np.float32(1.5) * width) + 1, seam)
        line = np.where(own, np.where(objects, ONE, np.where(background, band, np.float32(0))), edge)
    empty = shown == 0
    return shown, np.where(empty, np.float32(0), inside), np.where(empty, np.float32(0), line)


def _near(owner: NDArray[np.int64], reach: int, object_reach: int) -> tuple[Bool, Bool]:
    """Where background lies within `reach` along the axes, and where another object lies within `object_reach`."""
    background = np.zeros(owner.shape, bool)
    objects = np.zeros(owner.shape, bool)
    for k in range(1, reach + 1):
        for dy, dx in ((0, k), (0, -k), (k, 0), (-k, 0)):
            other = _moved(owner, dy, dx, -1)
            background |= other == 0
            if k <= object_reach:
                objects |= (other > 0) & (other != owner)
    return background & (owner > 0), objects & (owner > 0)


def _moved(values: NDArray[np.int64], dy: int, dx: int, outside: int) -> NDArray[np.int64]:
    """`values` read at `(y + dy, x + dx)`."""
    height, width = values.shape
    ys, xs = np.arange(height)[:, None] + dy, np.arange(width)[None] + dx
    there = (ys >= 0) & (ys < height) & (xs >= 0) & (xs < width)
    return np.where(there, values[np.clip(ys, 0, height - 1), np.clip(xs, 0, width - 1)], outside)


def _distance(shown: NDArray[np.int64], logits: F32) -> F32:
    """Pixels from the zero line of the shown object's logits, positive inside; of the first object where none is."""
    n, h, w = logits.shape
    height, width = shown.shape
    sy, sx = np.float32(h / height), np.float32(w / width)
    y0, y1, ly = _taps(sy, height, h)
    x0, x1, lx = _taps(sx, width, w)
    which = np.clip(shown - 1, 0, max(n - 1, 0))
    if not n:
        return np.full((height, width), -1, np.float32)
    a, b, c, d = (logits[which, ys[:, None], xs[None]] for ys in (y0, y1) for xs in (x0, x1))
    ly, lx = ly[:, None], lx[None]
    value = (ONE - ly) * ((ONE - lx) * a + lx * b) + ly * ((ONE - lx) * c + lx * d)
    gx = sx * ((ONE - ly) * (b - a) + ly * (d - c))
    gy = sy * ((ONE - lx) * (c - a) + lx * (d - b))
    return _f32(value / np.maximum(np.sqrt(gx * gx + gy * gy), np.float32(1e-6)))


def _taps(scale: np.float32, count: int, limit: int) -> tuple[NDArray[np.int64], NDArray[np.int64], F32]:
    """Both neighbours and the weight of the second, for results at half-pixel centres."""
    at = np.maximum(scale * (np.arange(count, dtype=np.float32) + HALF) - HALF, np.float32(0))
    first = np.minimum(at.astype(np.int64), limit - 1)
    return first, np.minimum(first + 1, limit - 1), at - first.astype(np.float32)


def _f32(values: Any) -> F32:
    """For mypy, which takes the quotient of float32 arrays for float64."""
    result: F32 = values
    return result


def _mix(start: F32, end: F32, share: F32) -> F32:
    mixed: F32 = start + share[..., None] * (end - start)
    return mixed


def _planes(picture: Picture) -> F32:
    """`(H, W, 3)` float32: the channels as they are, chroma repeated over its pixels."""
    if not isinstance(picture, Nv12):
        return np.asarray(picture, np.float32)
    height, width = picture.size
    chroma = np.asarray(picture.uv).repeat(2, axis=0).repeat(2, axis=1)[:height, :width]
    return np.dstack([picture.y, chroma]).astype(np.float32)


def _picture(planes: F32, like: Picture) -> Picture:
    """Rounded; in NV12 a chroma sample is the mean over its pixels, summed row by row."""
    if not isinstance(like, Nv12):
        return _levels(planes)
    height, width = like.size
    padded = np.zeros((height + height % 2, width + width % 2, 3), np.float32)
    counted = np.zeros(padded.shape[:2], np.float32)
    padded[:height, :width], counted[:height, :width] = planes, 1
    total, count = (p[::2, ::2] + p[::2, 1::2] + p[1::2, ::2] + p[1::2, 1::2] for p in (padded, counted))
    chroma = _levels(_f32(total[..., 1:] / count[..., None]))
    return Nv12(_levels(planes[..., 0]), chroma, like.matrix, like.full_range)


def _levels(values: F32) -> U8:
    levels: U8 = np.clip(values + HALF, 0, 255).astype(np.uint8)
    return levels


def _tinted(rgb: F32, frame: Nv12) -> F32:
    k = rgb_to_yuv(frame.matrix, frame.full_range)
    r, g, b = rgb[:, 0], rgb[:, 1], rgb[:, 2]
    luma = np.float32(k.k_r) * r + np.float32(k.k_g) * g + np.float32(k.k_b) * b
    u = (b - luma) * np.float32(k.u_b) + np.float32(128)
    v = (r - luma) * np.float32(k.v_r) + np.float32(128)
    return np.stack([luma * np.float32(k.gain) + np.float32(k.offset), u, v], axis=1)


def _mosaic(frame: Picture, cell: int) -> F32:
    """Every pixel replaced by the mean over its square, in NV12 each plane over its own samples."""
    height, width = size_of(frame)
    if not isinstance(frame, Nv12):
        return _cells(np.asarray(frame), cell)
    chroma = _cells(frame.uv, cell // 2).repeat(2, axis=0).repeat(2, axis=1)[:height, :width]
    return np.dstack([_cells(frame.y[..., None], cell), chroma])


def _cells(plane: U8, cell: int) -> F32:
    out = np.empty(plane.shape, np.float32)
    for y in range(0, plane.shape[0], cell):
        for x in range(0, plane.shape[1], cell):
            square = plane[y : y + cell, x : x + cell]
            total = square.sum((0, 1), dtype=np.int64).astype(np.float32)
            out[y : y + cell, x : x + cell] = total / np.float32(square.shape[0] * square.shape[1])
    return out


def quarter_blur(frame: Picture, look: Look) -> U8:
    """As `kernels.cuda.images.quarter_blur`; returns `[ceil(H/4), ceil(W/4), 4]`."""
    if isinstance(frame, Nv12):
        small = np.dstack([_averages(frame.y[..., None], 4), _averages(frame.uv, 2)])
    else:
        small = _averages(np.asarray(frame), 4)
    weights = [np.float32(weight) for weight in look.blur_weights()]
    for axis in (1, 0):
        padded = np.pad(small, [(8, 8) if a == axis else (0, 0) for a in range(3)], mode="edge")
        count = small.shape[axis]
        total = weights[0] * np.take(padded, range(8, 8 + count), axis)
        for k in range(1, 9):
            before, after = (np.take(padded, range(8 + d, 8 + d + count), axis) for d in (-k, k))
            total = total + weights[k] * (before + after)
        small = total
    return np.dstack([_levels(small), np.zeros(small.shape[:2], np.uint8)])


def _averages(plane: U8, size: int) -> F32:
    """The mean of every square of `size` samples, cut off at the edges."""
    return _cells(plane, size)[::size, ::size]


def _enlarged(quarter: U8, height: int, width: int) -> F32:
    y0, y1, ly = _taps_within(height, quarter.shape[0])
    x0, x1, lx = _taps_within(width, quarter.shape[1])
    a, b, c, d = (quarter[ys[:, None], xs[None], :3].astype(np.float32) for ys in (y0, y1) for xs in (x0, x1))
    ly, lx = ly[:, None, None], lx[None, :, None]
    return (ONE - ly) * ((ONE - lx) * a + lx * b) + ly * ((ONE - lx) * c + lx * d)


def _taps_within(count: int, limit: int) -> tuple[NDArray[np.int64], NDArray[np.int64], F32]:
    at = np.clip(np.float32(0.25) * (np.arange(count, dtype=np.float32) + HALF) - HALF, 0, np.float32(limit - 1))
    first = at.astype(np.int64)
    return first, np.minimum(first + 1, limit - 1), at - first.astype(np.float32)


def nv12_to_model(frame: Nv12, side: int) -> F32:
    """`[3, side, side]` in -1..1, before rounding to bf16."""
    rgb = nv12_to_rgb(frame.y, frame.uv, matrix=frame.matrix, full_range=frame.full_range).astype(np.float32)
    height, width = frame.size
    y0, y1, ly = _taps(np.float32(height / side), side, height)
    x0, x1, lx = _taps(np.float32(width / side), side, width)
    a, b, c, d = (rgb[ys[:, None], xs[None]] for ys in (y0, y1) for xs in (x0, x1))
    ly, lx = ly[:, None, None], lx[None, :, None]
    value = (ONE - ly) * ((ONE - lx) * a + lx * b) + ly * ((ONE - lx) * c + lx * d)
    return np.ascontiguousarray(_scaled(value).transpose(2, 0, 1))


def roi_crops(
    frame: Picture, boxes: F32, n_valid: int, side: int, owner: NDArray[Any] | None = None,
    ids: NDArray[np.int32] | None = None,
) -> F32:  # fmt: skip
    """`[n_valid, 3, side, side]` in -1..1, before rounding to bf16; 0 outside the picture and off the object."""
    if isinstance(frame, Nv12):
        rgb = nv12_to_rgb(frame.y, frame.uv, matrix=frame.matrix, full_range=frame.full_range)
    else:
        rgb = np.asarray(frame)
    picture = np.pad(_scaled(rgb.astype(np.float32)), ((3, 3), (3, 3), (0, 0)))
    crops = np.zeros((n_valid, 3, side, side), np.float32)
    for k in range(n_valid):
        own = picture
        if owner is not None:
            kept = np.pad(owner == (ids[k] if ids is not None else k + 1), 3)
            own = np.where(kept[..., None], picture, np.float32(0))
        crops[k] = _crop(own, boxes[k], side)
    return crops


def _crop(padded: F32, box: F32, side: int) -> F32:
    """One box of a picture that has three pixels of nothing around it."""
    x0, y0, x1, y1 = (np.float32(v) for v in box)
    if not (x1 > x0 and y1 > y0 and x1 - x0 < 1e9 and y1 - y0 < 1e9):
        return np.zeros((3, side, side), np.float32)
    ys, ly = _places(y0, y1, side, padded.shape[0] - 6)
    xs, lx = _places(x0, x1, side, padded.shape[1] - 6)
    a, b, c, d = (padded[(ys + dy)[:, None], (xs + dx)[None]] for dy in (3, 4) for dx in (3, 4))
    ly, lx = ly[:, None, None], lx[None, :, None]
    upper, lower = (ONE - lx) * a + lx * b, (ONE - lx) * c + lx * d
    crop: F32 = ((ONE - ly) * upper + ly * lower).transpose(2, 0, 1)
    return crop


def _places(start: np.float32, end: np.float32, side: int, limit: int) -> tuple[NDArray[np.int64], F32]:
    step = (end - start) / np.float32(side)
    at = start + (np.arange(side, dtype=np.float32) + HALF) * step - HALF
    at = np.clip(at, np.float32(-2), np.float32(limit + 1))
    return np.floor(at).astype(np.int64), at - np.floor(at)


def cut_out(frame: Nv12, window: Window, height: int, width: int) -> U8:
    """`[height, width, 3]` BGR. Means are exact and rounded half up."""
    left, top, right, bottom = window
    rows, columns = _shares(height, bottom - top), _shares(width, right - left)
    chroma = frame.uv.repeat(2, axis=0).repeat(2, axis=1)
    all_ = (bottom - top) * (right - left)
    y, u, v = (
        (rows @ plane[top:bottom, left:right].astype(np.int64) @ columns.T + all_ // 2) // all_
        for plane in (frame.y, chroma[..., 0], chroma[..., 1])
    )
    return _bgr(y.astype(np.float32), u.astype(np.float32), v.astype(np.float32), frame)


def _shares(results: int, pixels: int) -> NDArray[np.int64]:
    """How many of its `results` parts of each pixel lie below each result: `(results, pixels)`."""
    starts, at = np.arange(results)[:, None] * pixels, np.arange(pixels)[None] * results
    shares: NDArray[np.int64] = np.clip(np.minimum(starts + pixels, at + results) - np.maximum(starts, at), 0, None)
    return shares


def _bgr(y: F32, u: F32, v: F32, frame: Nv12) -> U8:
    k = yuv_to_rgb(frame.matrix, frame.full_range)
    luma = np.maximum(y - np.float32(k.offset), np.float32(0)) * np.float32(k.gain)
    u, v = u - np.float32(128), v - np.float32(128)
    blue, red = luma + np.float32(k.b_u) * u, luma + np.float32(k.r_v) * v
    green = luma - np.float32(k.g_u) * u - np.float32(k.g_v) * v
    levels: U8 = np.clip(np.rint(np.dstack([blue, green, red])), 0, 255).astype(np.uint8)
    return levels


def _scaled(levels: F32) -> F32:
    return levels * np.float32(1 / 127.5) - ONE
