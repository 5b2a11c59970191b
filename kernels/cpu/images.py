"""The kernels on pictures with OpenCV. Whole areas go through masked copies; only the pixels along edges, which
outlines and feathers mix from several sources, are computed one by one.

Arguments are checked by `kernels.images`. Results are within one level of 255 of the twins', two for the blurred
background and for inputs of models, whose pixels are rounded on the way.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kernels.colour import Nv12, Picture, Window, nv12_to_bgr, repeated, rgb_to_yuv, size_of, yuv_to_bgr
from kernels.cpu.edges import EdgePixels, edge_pixels
from kernels.look import BLUR_TAPS, Look

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
MID_GREY = 127.5


def composite(
    frame: Picture, owner: NDArray[Any], logits: F32 | None, palette: U8, n_valid: int, look: Look, out: Picture, *,
    behind: Picture | None = None,
) -> None:  # fmt: skip
    """As `kernels.images.composite`, into `out`."""
    owner = np.asarray(cv2.threshold(owner, min(n_valid, len(palette) - 1), 0, cv2.THRESH_TOZERO_INV)[1], owner.dtype)
    colours, alphas = _colours(palette, frame), (palette[:, 3] / 255).astype(np.float32)
    bases, targets = _planes(frame), _planes(out)
    backs = _backs(bases, colours[0], float(alphas[0]), look, behind)
    cells = (look.pixelate_px, look.pixelate_px // 2)
    fronts = [_mosaic(base, cell) for base, cell in zip(bases, cells, strict=False)] if look.pixelate_px else bases
    shares = alphas if look.fill else np.zeros_like(alphas)
    channel = 0
    for step, back, front, target in zip((1, 2), backs, fronts, targets, strict=False):
        np.copyto(target, back)
        if look.fill or front is not back:
            _place(target, front, owner[::step, ::step], colours[:, channel : channel + target.shape[2]], shares)
        channel += target.shape[2]
    edges = edge_pixels(owner, logits, look, in_quads=isinstance(frame, Nv12))
    if edges is not None:
        values = np.where(edges.own[:, None], _gathered(fronts, edges), _gathered(bases, edges))
        if look.background != "keep":
            back_values = _gathered(backs, edges)
            values = back_values + edges.inside[:, None] * (values - back_values)
        _scatter(targets, edges, _edges_coloured(values, edges, colours, shares))


def _planes(picture: Picture) -> list[U8]:
    """Arrays `(h, w, channels)`; the second one, of NV12, has a sample for 2 x 2 pixels."""
    return [picture.y[..., None], picture.uv] if isinstance(picture, Nv12) else [picture]


def _colours(palette: U8, frame: Picture) -> F32:
    """Palette `[N + 1, 3]` in the picture's own channels."""
    rgb = palette[:, :3].astype(np.float32)
    if not isinstance(frame, Nv12):
        return rgb
    k = rgb_to_yuv(frame.matrix, frame.full_range)
    luma = rgb @ np.array([k.k_r, k.k_g, k.k_b], np.float32)
    u, v = (rgb[:, 2] - luma) * k.u_b + 128, (rgb[:, 0] - luma) * k.v_r + 128
    return np.stack([luma * k.gain + k.offset, u, v], axis=1).astype(np.float32)


def _backs(bases: list[U8], colour: F32, alpha: float, look: Look, behind: Picture | None) -> list[U8]:
    """What lies behind the objects: the picture itself where the background is kept."""
    if look.background == "image":
        assert behind is not None
        return _planes(behind)
    if look.background == "blur":
        size = bases[0].shape[0], bases[0].shape[1]
        return [_blurred(base, step, look, size) for base, step in zip(bases, (4, 2), strict=False)]
    if look.background == "colour":
        parts = np.cumsum([0] + [base.shape[2] for base in bases])
        return [_coloured(base, colour[a:b], alpha) for base, a, b in zip(bases, parts, parts[1:], strict=False)]
    return bases


def _levels(values: F32) -> U8:
    levels: U8 = np.clip(values + np.float32(0.5), 0, 255).astype(np.uint8)
    return levels


def _coloured(plane: U8, colour: F32, share: float) -> U8:
    """Every sample mixed with a colour."""
    if plane.shape[2] == 1:
        mixed = cv2.convertScaleAbs(plane, alpha=1 - share, beta=share * float(colour[0]))
    else:
        part = np.zeros(4)
        part[: len(colour)] = np.rint(share * colour)
        mixed = cv2.add(cv2.convertScaleAbs(plane, alpha=1 - share), part)
    return np.asarray(mixed, np.uint8).reshape(plane.shape)


def _place(target: U8, front: U8, owner: NDArray[Any], colours: F32, shares: F32) -> None:
    """Every object's samples of `front`, mixed with its colour, into `target`."""
    if not shares.any():
        _copy(front, (owner > 0).view(np.uint8), target)
        return
    for object_, (rows, columns), mask in _objects(owner):
        mixed = _coloured(front[rows, columns], colours[object_], float(shares[object_]))
        _copy(mixed, mask, target[rows, columns])


def _copy(source: U8, mask: U8, target: U8) -> None:
    if target.size:
        target[...] = np.asarray(cv2.copyTo(source, mask, target)).reshape(target.shape)


def _objects(owner: NDArray[Any]) -> Iterator[tuple[int, tuple[slice, slice], U8]]:
    """Objects that own a sample: id, window, and mask within the window."""
    owner = np.ascontiguousarray(owner)
    for object_ in range(1, int(owner.max(initial=0)) + 1):
        mask = (owner == object_).view(np.uint8)
        x, y, width, height = cv2.boundingRect(mask)
        if width:
            window = slice(y, y + height), slice(x, x + width)
            yield object_, window, mask[window]


def _averages(plane: U8, size: int) -> U8:
    """Means `(ceil(h / size), ceil(w / size), c)` over squares, those at the edges cut off."""
    height, width, channels = plane.shape
    rows, columns = height // size, width // size
    out = np.empty((-(-height // size), -(-width // size), channels), np.uint8)
    if rows and columns:
        whole = plane[: rows * size, : columns * size]
        small = cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA)
        out[:rows, :columns] = np.asarray(small).reshape(rows, columns, channels)
    for y in range(out.shape[0]):
        for x in range(0 if y >= rows else columns, out.shape[1]):
            square = plane[y * size : (y + 1) * size, x * size : (x + 1) * size]
            out[y, x] = square.mean((0, 1), dtype=np.float64) + 0.5
    return out


def _mosaic(plane: U8, cell: int) -> U8:
    large = _stretched(_averages(plane, cell), cell, cv2.INTER_NEAREST)
    return large[: plane.shape[0], : plane.shape[1]]


def _blurred(plane: U8, step: int, look: Look, size: tuple[int, int]) -> U8:
    """Averaged over squares of `step`, blurred, and stretched back; `size` is the picture's in pixels."""
    weights = look.blur_weights()
    taps = np.array(weights[:0:-1] + weights, np.float32)
    assert len(taps) == 2 * BLUR_TAPS + 1
    small = cv2.sepFilter2D(_averages(plane, step), -1, taps, taps, borderType=cv2.BORDER_REPLICATE)
    if step == 4 or size[0] % 2 == size[1] % 2 == 0:
        return _stretched(small, step, cv2.INTER_LINEAR)[: plane.shape[0], : plane.shape[1]]
    # The last sample of chroma of an odd side does not lie in the middle of two pixels.
    return _averages(_stretched(small, 4, cv2.INTER_LINEAR)[: size[0], : size[1]], 2)


def _stretched(plane: NDArray[Any], times: int, interpolation: int) -> U8:
    height, width = plane.shape[0] * times, plane.shape[1] * times
    large = np.asarray(cv2.resize(plane, (width, height), interpolation=interpolation), np.uint8)
    return large.reshape(height, width, -1)


def _gathered(planes: list[U8], edges: EdgePixels) -> F32:
    """All three channels of the edges' pixels, `[n, 3]`."""
    values = np.empty((len(edges.ys), 3), np.float32)
    channel = 0
    for step, plane in zip((1, 2), planes, strict=False):
        count = plane.shape[2]
        if step == 1:
            values[:, :count] = plane[edges.ys, edges.xs]
        else:
            values[:, channel:] = plane[edges.ys[::4] // 2, edges.xs[::4] // 2].repeat(4, axis=0)
        channel += count
    return values


def _edges_coloured(values: F32, edges: EdgePixels, colours: F32, shares: F32) -> F32:
    colour = colours[edges.shown]
    values = values + (shares[edges.shown] * edges.inside)[:, None] * (colour - values)
    return values + edges.line[:, None] * (colour - values)


def _scatter(targets: list[U8], edges: EdgePixels, values: F32) -> None:
    """Write the edges' pixels; a sample of chroma is the mean over the pixels of its quad."""
    channels = targets[0].shape[2]
    targets[0][edges.ys, edges.xs] = _levels(values[:, :channels])
    if len(targets) > 1:
        weighted = np.column_stack([values[:, 1:] * edges.weight[:, None], edges.weight])
        totals = weighted[::4] + weighted[1::4] + weighted[2::4] + weighted[3::4]
        targets[1][edges.ys[::4] // 2, edges.xs[::4] // 2] = _levels(totals[:, :2] / totals[:, 2:])


def nv12_to_model(frame: Nv12, out: F32) -> None:
    """As `kernels.images.nv12_to_model`, into `out` float32 `[3, S, S]`."""
    side = out.shape[-1]
    small = cv2.resize(_bgr(frame), (side, side), interpolation=cv2.INTER_LINEAR)
    for channel, plane in zip(cv2.split(small)[::-1], out, strict=True):
        np.multiply(channel, np.float32(1 / MID_GREY), out=plane)
        plane -= 1


def cut_out(frame: Nv12, window: Window, out: U8) -> None:
    """As `kernels.images.cut_out`, into `out` uint8 `[h, w, 3]`."""
    left, top, right, bottom = window
    height, width = out.shape[:2]
    uv = frame.uv[top // 2 : (bottom + 1) // 2, left // 2 : (right + 1) // 2]
    aligned = not (left | top | right | bottom) & 1
    # Shrunk by less than half chroma would be enlarged, and at odd borders a sample counts by half.
    if not aligned or 2 * width > right - left or 2 * height > bottom - top:
        uv = repeated(uv)[top % 2 :, left % 2 :][: bottom - top, : right - left]
    y, chroma = _shrunk(frame.y[top:bottom, left:right], height, width), _shrunk(uv, height, width)
    out[...] = yuv_to_bgr(y, chroma, matrix=frame.matrix, full_range=frame.full_range)


def _shrunk(plane: U8, height: int, width: int) -> U8:
    if plane.shape[:2] == (height, width):
        return plane
    return np.asarray(cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _bgr(frame: Nv12) -> U8:
    return nv12_to_bgr(frame.y, frame.uv, matrix=frame.matrix, full_range=frame.full_range)


def roi_crops(
    frame: Picture, boxes: F32, n_valid: int, out: F32, owner: NDArray[Any] | None, ids: NDArray[np.int32] | None
) -> None:
    """As `kernels.images.roi_crops`, into `out` float32 `[K, 3, S, S]`."""
    side = out.shape[-1]
    height, width = size_of(frame)
    for k in range(n_valid):
        x0, y0, x1, y1 = boxes[k]
        if not (x1 > x0 and y1 > y0 and x1 - x0 < 1e9 and y1 - y0 < 1e9):
            out[k] = 0
            continue
        ys, xs = _places(y0, y1, side, height), _places(x0, x1, side, width)
        window = _window(ys, height), _window(xs, width)
        picture = _part(frame, *window)
        if owner is not None:
            own = owner[window] == (k + 1 if ids is None else ids[k])
            picture = np.asarray(cv2.copyTo(picture, own.view(np.uint8)), np.float32)
        x_map, y_map = np.meshgrid(xs - window[1].start, ys - window[0].start)
        crop = cv2.remap(picture, x_map, y_map, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
        for channel, plane in zip(cv2.split(crop), out[k], strict=True):
            np.multiply(channel, np.float32(1 / MID_GREY), out=plane)


def _places(start: np.float32, end: np.float32, side: int, limit: int) -> F32:
    """Where the samples lie, cut to just outside of the picture."""
    at = start + (np.arange(side, dtype=np.float32) + np.float32(0.5)) * ((end - start) / np.float32(side))
    places: F32 = np.clip(at - np.float32(0.5), np.float32(-2), np.float32(limit + 1))
    return places


def _window(places: F32, limit: int) -> slice:
    """What of a side the samples reach, from an even place on, where a quad of NV12 begins."""
    start = min(max(int(np.floor(places[0])), 0), limit - 1) & ~1
    return slice(start, max(start, min(int(np.floor(places[-1])) + 1, limit - 1)) + 1)


def _part(frame: Picture, rows: slice, columns: slice) -> F32:
    """A window in RGB, as differences from mid-grey."""
    if isinstance(frame, Nv12):
        uv = frame.uv[rows.start // 2 : (rows.stop + 1) // 2, columns.start // 2 : (columns.stop + 1) // 2]
        levels = _bgr(Nv12(frame.y[rows, columns], uv, frame.matrix, frame.full_range))[..., ::-1]
    else:
        levels = frame[rows, columns]
    part: F32 = levels - np.float32(MID_GREY)
    return part
