"""Masks of many objects at once, on the GPU or on the CPU: cleaning, owner maps, overlap, codes, association.

One function a kernel. Arrays are NumPy arrays, which the CPU backend takes, or torch CUDA tensors or CuPy arrays of one
device, which the CUDA kernels take on torch's current stream; results live where the arguments do and are the same.
Every argument is checked before anything runs: `KernelInputError` says what is wrong. On a GPU nothing here
synchronises or, given `out` and `n_valid`, allocates or copies, except where said: calls can be captured in a graph
once each was made before.

- Packed masks: uint32 `[N, H, ceil(W / 32)]`, bit k of word w is pixel x = 32 w + k, spare bits 0.
- Statistics: int32 `[N, 8]` per mask: area before cleaning, area, box x0, y0, x1, y1 (half-open pixels; all 0 for an
  empty mask), number of logits above `delta` and above `-delta`.
- `n_valid`: int32 `[1]` where the arrays are, the number of objects, at most N; None for N. Rows from there on are
  neither read nor written.
- `out`: what an earlier call of the same shape returned, to be overwritten.
- `runner`: executes the CUDA kernels instead of CuPy, with NumPy arrays too; for tests.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kernels.arrays import Arguments, Array, KernelInputError, as_float32, runner_for
from kernels.association import block_bytes
from kernels.cpu import association as cpu_association
from kernels.cpu import codes as cpu_codes
from kernels.cpu import masks as cpu_masks
from kernels.cpu import upsample as cpu_upsample
from kernels.cpu.codes import rle_decode
from kernels.cuda import association, cleaning
from kernels.cuda import masks as launches
from kernels.cuda.cleaning import MAX_LIMIT, SIDE
from kernels.cuda.launch import Runner

__all__ = [
    "CleanMasks", "KernelInputError", "OwnerMap", "RunLengths", "assoc_pack", "clean_masks", "iou", "nms", "rle_coco",
    "rle_decode", "rle_strings", "score_order", "upsample_owner",
]  # fmt: skip

MOST_GROUPS = MOST_OBJECTS = 65_535
MOST_SIDE_PX = 16_384
STATS = 8
VECTOR_BYTES = 16


class CleanMasks(NamedTuple):
    """Clean masks of N objects: packed uint32 `[N, h, ceil(w / 32)]`, statistics int32 `[N, 8]`, and float32 logits
    `[N, h, w]` whose sign is the clean mask's, or None."""

    bits: Array
    stats: Array
    logits: Array | None


class OwnerMap(NamedTuple):
    """Whose each pixel is: uint8 or uint16 `[G, H, W]`, the object's index plus 1, 0 for nobody; packed uint32
    `[N, H, ceil(W / 32)]` or None, statistics int32 `[N, 8]` (both areas the same, the last two 0), and sums of x and
    y of the pixels uint64 `[N, 2]`, each at the picture's size. `workspace` is the CUDA kernel's own."""

    owner: Array
    bits: Array | None
    stats: Array
    moments: Array
    workspace: Array | None


class RunLengths(NamedTuple):
    """COCO codes of N masks: uint8 `[N, capacity]` and their lengths int32 `[N]`, -1 where a code did not fit.
    `scratch` is the CUDA kernel's own."""

    data: Array
    length: Array
    scratch: Array | None


def clean_masks(
    logits: Array,
    *,
    previous: Array | None = None,
    n_valid: Array | None = None,
    max_hole: int = 16,
    max_speck: int = 16,
    hysteresis: float = 0.0,
    delta: float = 1.0,
    with_logits: bool = True,
    out: CleanMasks | None = None,
    runner: Runner | None = None,
) -> CleanMasks:
    """Masks of logits, without small holes and specks, by the rule of SAM 2 and 3.

    `logits`: float32 or bfloat16 `[N, h, w]`; 288 x 288 on a GPU. A pixel is on where its logit is above 0, or above
    `-hysteresis` where it was on in the packed masks `previous`, which may be `out.bits`. 8-connected background of at
    most `max_hole` pixels is filled; then 8-connected foreground of at most `min(max_speck, area // 2)` is removed. In
    the returned logits, if wanted, what changed sides is +0.1 or -0.1. High over low is SAM's stability score.
    """
    check = Arguments("clean_masks")
    n, h, w = check.logits(logits, *_low_size(logits, runner))
    words = -(-w // 32)
    if previous is not None:
        check.input("previous", previous, "uint32", n, h, words)
    n_valid = check.count("n_valid", n_valid, n)
    for name, limit in (("max_hole", max_hole), ("max_speck", max_speck)):
        check.number(name, limit, 0, MAX_LIMIT)
    for name, logit in (("hysteresis", hysteresis), ("delta", delta)):
        check.number(name, logit, 0, np.inf)
    made = CleanMasks(
        check.output("bits", out and out.bits, "uint32", n, h, words),
        check.output("stats", out and out.stats, "int32", n, STATS),
        check.output("logits", out and out.logits, "float32", n, h, w) if with_logits else None,
    )
    check.done(in_place=("previous", "bits"))
    run = runner_for(check.place, runner)
    if run is None:
        cpu_masks.clean_masks(
            as_float32(logits), previous, int(n_valid[0]), *made, max_hole, max_speck, hysteresis, delta
        )
        return made
    for name, array in (("logits", logits), ("the logits returned", made.logits)):
        check.aligned(name, array, VECTOR_BYTES)
    for launch in cleaning.clean_masks(
        logits, previous, n_valid, *made, max_hole=max_hole, max_speck=max_speck, hysteresis=hysteresis, delta=delta
    ):
        run.run(launch)
    return made


def _low_size(logits: Array, runner: Runner | None) -> tuple[int, ...]:
    on_host = isinstance(logits, np.ndarray) and runner is None
    return () if on_host else (SIDE, SIDE)


def upsample_owner(
    logits: Array,
    low_stats: Array,
    order: Array,
    size: tuple[int, int],
    *,
    group: Array | None = None,
    groups: int = 1,
    n_valid: Array | None = None,
    with_bits: bool = False,
    out: OwnerMap | None = None,
    runner: Runner | None = None,
) -> OwnerMap:
    """Which object owns each pixel of the picture, straight from low-resolution logits, and each mask's measures there.

    `logits`: float32 or bfloat16 `[N, h, w]`, `low_stats`: their statistics, whose boxes hold every positive logit.
    `order`: int32 `[N]`, indices of objects; of those that cover a pixel the first in the order owns it
    (`score_order`). `size`: height and width of the picture. `group`: int32 `[N]`, which of the `groups` owner maps an
    object is drawn on, any other number for none. `with_bits`: packed masks of the picture's size too.

    A pixel is covered where the bilinear interpolation with half-pixel centres (`align_corners=False`), first along x,
    then along y, in float32, is positive; each product and sum is rounded, but a position only once. Owners are uint8
    up to 255 objects.
    """
    check = Arguments("upsample_owner")
    n, h, w = check.logits(logits)
    check.input("low_stats", low_stats, "int32", n, STATS)
    check.input("order", order, "int32", n)
    if group is not None:
        check.input("group", group, "int32", n)
    n_valid = check.count("n_valid", n_valid, n)
    check.boxes("low_stats", low_stats, n_valid, h, w)
    check.number("the number of objects", n, 0, MOST_OBJECTS)
    check.number("groups", groups, 1, MOST_GROUPS)
    if not h * w:
        raise check.error("logits without pixels")
    run = runner_for(check.place, runner)
    made = _owner_outputs(check, n, groups, size, with_bits, run is not None, out)
    check.done()
    if run is None:
        cpu_upsample.upsample_owner(as_float32(logits), low_stats, order, group, int(n_valid[0]), *made[:4])
    else:
        for launch in launches.upsample_owner(logits, low_stats, order, group, n_valid, *made):
            run.run(launch)
    return made


def _owner_outputs(
    check: Arguments, n: int, groups: int, size: tuple[int, int], with_bits: bool, on_gpu: bool, out: OwnerMap | None
) -> OwnerMap:
    height, width = size
    check.number("height", height, 1, MOST_SIDE_PX)
    check.number("width", width, 1, MOST_SIDE_PX)
    words = launches.workspace_words(n)
    return OwnerMap(
        check.output("owner", out and out.owner, "uint8" if n <= 255 else "uint16", groups, height, width),
        check.output("bits", out and out.bits, "uint32", n, height, -(-width // 32)) if with_bits else None,
        check.output("stats", out and out.stats, "int32", n, STATS),
        check.output("moments", out and out.moments, "uint64", n, 2),
        check.output("workspace", out and out.workspace, "uint32", words, zeroed=True) if on_gpu else None,
    )


def iou(
    bits_a: Array,
    bits_b: Array,
    stats_a: Array,
    stats_b: Array,
    *,
    n_a: Array | None = None,
    n_b: Array | None = None,
    out: Array | None = None,
    runner: Runner | None = None,
) -> Array:
    """Intersection over union of every mask of `bits_a` with every mask of `bits_b`.

    Packed masks `[N, H, words]` and `[M, H, words]` with their statistics, whose second column is the area and whose
    boxes hold every pixel; `n_a`, `n_b`: how many of them there are, as `n_valid`. Returns float32 `[N, M]` in 0..1,
    0 where both are empty.
    """
    check = Arguments("iou")
    n, height, words = check.input("bits_a", bits_a, "uint32", None, None, None)
    m, _, _ = check.input("bits_b", bits_b, "uint32", None, height, words)
    check.input("stats_a", stats_a, "int32", n, STATS)
    check.input("stats_b", stats_b, "int32", m, STATS)
    n_a, n_b = check.count("n_a", n_a, n), check.count("n_b", n_b, m)
    check.boxes("stats_a", stats_a, n_a, height, words * 32)
    check.boxes("stats_b", stats_b, n_b, height, words * 32)
    out = check.output("out", out, "float32", n, m)
    check.done()
    run = runner_for(check.place, runner)
    if run is None:
        cpu_masks.iou_bits(bits_a, bits_b, stats_a, stats_b, int(n_a[0]), int(n_b[0]), out)
    elif n and m:
        for launch in launches.iou_bits(bits_a, bits_b, stats_a, stats_b, n_a, n_b, out):
            run.run(launch)
    return out


def score_order(
    scores: Array, *, n_valid: Array | None = None, out: Array | None = None, runner: Runner | None = None
) -> Array:
    """Indices of objects by falling score, of equal ones the lower index first, NaN last.

    `scores`: float32 `[N]`; returns int32 `[N]`.
    """
    check = Arguments("score_order")
    (n,) = check.input("scores", scores, "float32", None)
    n_valid = check.count("n_valid", n_valid, n)
    out = check.output("out", out, "int32", n)
    check.done()
    run = runner_for(check.place, runner)
    if run is None:
        count = int(n_valid[0])
        out[:count] = cpu_masks.score_order(scores[:count])
    elif n:
        for launch in launches.score_order(scores, n_valid, out):
            run.run(launch)
    return out


def nms(
    overlap: Array,
    scores: Array,
    *,
    threshold: float = 0.5,
    n_valid: Array | None = None,
    out: Array | None = None,
    runner: Runner | None = None,
) -> Array:
    """Greedy suppression: by falling score (`score_order`), a mask stays unless it overlaps one that stays by more
    than `threshold`.

    `overlap`: float32 `[N, N]`, `scores`: float32 `[N]`, N at most 512; returns uint8 `[N]`, 1 for those that stay.
    """
    check = Arguments("nms")
    (n,) = check.input("scores", scores, "float32", None)
    check.input("overlap", overlap, "float32", n, n)
    check.number("the number of objects", n, 0, launches.NMS_LIMIT)
    check.number("threshold", threshold, 0, 1)
    n_valid = check.count("n_valid", n_valid, n)
    out = check.output("out", out, "uint8", n)
    check.done()
    run = runner_for(check.place, runner)
    if run is None:
        cpu_masks.nms(overlap, scores, int(n_valid[0]), threshold, out)
    elif n:
        for launch in launches.nms(overlap, scores, n_valid, out, threshold):
            run.run(launch)
    return out


def rle_coco(
    bits: Array,
    stats: Array,
    width: int,
    *,
    capacity: int = 4096,
    n_valid: Array | None = None,
    out: RunLengths | None = None,
    runner: Runner | None = None,
) -> RunLengths:
    """COCO's compressed run-length codes of packed masks, the same bytes that pycocotools writes.

    `bits`: packed masks `[N, H, words]` of `width` pixels, with their statistics, whose boxes are exact. A code longer
    than `capacity` bytes is reported by the length -1, and its bytes are undefined: it is never cut short.
    """
    check = Arguments("rle_coco")
    n, height, words = check.input("bits", bits, "uint32", None, None, None)
    check.input("stats", stats, "int32", n, STATS)
    check.number("width", width, words * 32 - 31, words * 32)
    check.number("width", width, 1, launches.RLE_MAX_WIDTH_PX)
    check.number("height", height, 1, launches.RLE_MAX_HEIGHT_PX)
    check.number("capacity", capacity, 1, 2**24)
    n_valid = check.count("n_valid", n_valid, n)
    check.boxes("stats", stats, n_valid, height, width)
    run = runner_for(check.place, runner)
    made = RunLengths(
        check.output("data", out and out.data, "uint8", n, capacity),
        check.output("length", out and out.length, "int32", n),
        check.output("scratch", out and out.scratch, "uint32", n, capacity) if run else None,
    )
    check.done()
    if run is None:
        cpu_codes.rle_coco(bits, stats, int(n_valid[0]), width, made.data, made.length)
    elif n:
        for launch in launches.rle_coco(bits, stats, n_valid, made.scratch, made.data, made.length, width):
            run.run(launch)
    return made


def rle_strings(codes: RunLengths, count: int | None = None) -> list[str | None]:
    """The codes of the first `count` masks, or of all, as strings; None where one did not fit. Copies to the host and
    so synchronises."""
    length = _on_host(codes.length[:count])
    longest = max(0, int(length.max(initial=0)))
    data = _on_host(codes.data[:count, :longest])
    return [None if n < 0 else row[:n].tobytes().decode("ascii") for row, n in zip(data, length.tolist(), strict=True)]


def assoc_pack(
    overlap: Array,
    scores: Array,
    stats: Array,
    *,
    keep: Array | None = None,
    video: OwnerMap | None = None,
    codes: RunLengths | None = None,
    capacity: int | None = None,
    n_valid: Array | None = None,
    m_valid: Array | None = None,
    out: Array | None = None,
    runner: Runner | None = None,
) -> Array:
    """All that the host needs of a frame in one block, so that one copy brings it there (`association.read_block`).

    `overlap`: float32 `[N, M]` of N objects with M tracks, `scores`: float32 `[N]`, `stats`: int32 `[N, 8]`; `keep`:
    uint8 `[N]`, 1 where None; `video`: statistics and moments at the picture's size; `codes`: run-length codes, laid
    end to end: those that do not fit into what is left of `capacity` bytes are marked as lost. Returns uint32
    `[capacity / 4]`; by default there is room for everything. `m_valid`: as `n_valid`, of the tracks.
    """
    check = Arguments("assoc_pack")
    n, m = check.input("overlap", overlap, "float32", None, None)
    check.input("scores", scores, "float32", n)
    check.input("stats", stats, "int32", n, STATS)
    optional = _optional_parts(check, n, keep, video, codes)
    n_valid, m_valid = check.count("n_valid", n_valid, n), check.count("m_valid", m_valid, m)
    room = n * codes.data.shape[1] if codes else 0
    capacity = block_bytes(n, m, room) if capacity is None else capacity
    check.number("capacity", capacity, block_bytes(n, m), 2**31 - 4)
    out = check.output("out", out, "uint32", capacity // 4)
    check.done()
    run = runner_for(check.place, runner)
    if run is None:
        block = out.view(np.uint8)
        cpu_association.assoc_pack(overlap, scores, stats, int(n_valid[0]), int(m_valid[0]), block, **optional)
        return out
    for launch in association.assoc_pack(overlap, scores, stats, n_valid, m_valid, out, **optional):
        run.run(launch)
    return out


def _optional_parts(
    check: Arguments, n: int, keep: Array | None, video: OwnerMap | None, codes: RunLengths | None
) -> dict[str, Array | None]:
    parts: tuple[tuple[str, Array | None, str, tuple[int | None, ...]], ...] = (
        ("keep", keep, "uint8", (n,)),
        ("video_stats", video and video.stats, "int32", (n, STATS)),
        ("moments", video and video.moments, "uint64", (n, 2)),
        ("codes", codes and codes.data, "uint8", (n, None)),
        ("lengths", codes and codes.length, "int32", (n,)),
    )
    for name, array, dtype, shape in parts:
        if array is not None:
            check.input(name, array, dtype, *shape)
    return {name: array for name, array, _, _ in parts}


def _on_host(array: Array) -> Array:
    if isinstance(array, np.ndarray):
        return array
    return array.get() if hasattr(array, "get") else array.cpu().numpy()
