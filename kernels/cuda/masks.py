"""Launches of the kernels on many masks: owner maps, overlap, suppression, run-length codes.

The arrays are checked by `kernels.masks`; here they are taken as they are. Floors are of bytes moved at 4.3 TB/s, what
an H200 copies; computed, not measured.
"""

from __future__ import annotations

import numpy as np

from kernels.cuda.launch import Argument, Launch, float_suffix

OWNER_SUFFIX = {1: "u8", 2: "u16"}
OWNER_TILE_PX = (128, 16)
WORKSPACE_HEAD, WORKSPACE_ROW = 4, 12
IOU_TILE = 4
NMS_LIMIT = 512
ORDER_THREADS = 128
RLE_THREADS = 512
RLE_STRIP_ROWS = 8
RLE_MAX_WIDTH_PX = 32 * RLE_THREADS
RLE_MAX_HEIGHT_PX = 2**16 - 1


def workspace_words(capacity: int) -> int:
    """uint32 words of the workspace of `upsample_owner` for `capacity` objects."""
    return WORKSPACE_HEAD + WORKSPACE_ROW * capacity


def upsample_owner(
    logits: Argument,
    low_stats: Argument,
    order: Argument,
    group: Argument,
    n_valid: Argument,
    owner: Argument,
    bits: Argument,
    stats: Argument,
    moments: Argument,
    workspace: Argument,
) -> list[Launch]:
    """Owner maps, packed masks and measures at the picture's size; `kernels.reference.upsampling` says what exactly.

    `logits`: `[N, h, w]` float32 or bfloat16; `low_stats`: i32 `[N, 8]`, whose boxes hold every positive logit;
    `order`: i32 `[N]`, a permutation of the valid objects; `group`: i32 `[N]` or `None`; `n_valid`: i32 `[1]`; out
    `owner`: u8 or u16 `[G, H, W]`; `bits`: u32 `[N, H, ceil(W/32)]` or `None`; `stats`: i32 `[N, 8]`; `moments`: u64
    `[N, 2]`. `workspace`: u32 `[workspace_words(N)]`, zero before the first launch and again after every one; launches
    that may run at the same time need one each.

    One launch. Moves the logits inside of the boxes once, and writes owners and bits once: with all of the logits and
    with bits, 1.3 µs at 720p and N = 10, 10.6 µs at 720p and 14 µs at 1080p for N = 100. A tile whose neighbours read
    the same samples takes them from the cache. Per tile and object that has pixels there: seven atomics.
    """
    count, h, w = logits.shape
    groups, height, width = owner.shape
    suffix = OWNER_SUFFIX[owner.itemsize]
    if suffix == "u8" and count > 255:
        raise ValueError(f"{count} objects do not fit an owner map of one byte a pixel")
    numbers = (
        *(np.int32(size) for size in (count, groups, h, w, height, width)),
        *(np.float32(low) / np.float32(high) for low, high in ((h, height), (w, width))),
    )
    grid = (-(-width // OWNER_TILE_PX[0]), -(-height // OWNER_TILE_PX[1]), groups)
    arrays = (logits, low_stats, order, group, n_valid, owner, bits, stats, moments, workspace)
    return [Launch(f"upsample_owner_{float_suffix(logits)}_{suffix}", grid, (256,), (*arrays, *numbers))]


def iou_bits(
    bits_a: Argument,
    bits_b: Argument,
    stats_a: Argument,
    stats_b: Argument,
    n_a: Argument,
    n_b: Argument,
    iou: Argument,
) -> list[Launch]:
    """Intersection over union of every pair of packed masks, float32 `[N, M]`.

    `bits_a`: u32 `[N, H, words]`, `bits_b`: u32 `[M, H, words]`; `stats_*`: i32 `[*, 8]` with areas and exact or larger
    boxes; `n_a`, `n_b`: i32 `[1]`.

    Floor: every mask once, 0.5 µs for 100 by 100 masks of 288 x 288. A word that is read serves four pairs: where boxes
    cull nothing, a quarter of 2 N M masks, 52 MB for 100 by 100, comes out of the second-level cache, and their
    popcounts alone take 7 µs.
    """
    count_a, height, words = bits_a.shape
    count_b = bits_b.shape[0]
    if not count_a or not count_b:
        return []
    grid = (-(-count_b // IOU_TILE), -(-count_a // IOU_TILE))
    sizes = tuple(np.int32(size) for size in (count_b, height, words))
    return [Launch("iou_bits", grid, (256,), (bits_a, bits_b, stats_a, stats_b, n_a, n_b, iou, *sizes))]


def score_order(scores: Argument, n_valid: Argument, order: Argument) -> list[Launch]:
    """Indices by falling score, ties by index, NaN last: i32 `[N]`. Bound by latency; a thread an object."""
    count = scores.shape[0]
    if not count:
        return []
    return [Launch("score_order", (-(-count // ORDER_THREADS),), (ORDER_THREADS,), (scores, n_valid, order))]


def nms(iou: Argument, scores: Argument, n_valid: Argument, keep: Argument, threshold: float) -> list[Launch]:
    """Greedy suppression, u8 `[N]` of 0 and 1, for at most 512 objects.

    `iou`: float32 `[N, N]`. One block: reads `iou` once into one bit a pair, then one warp walks the objects in order
    of score without leaving registers and shared memory, about 30 cycles each. Bound by latency.
    """
    count = scores.shape[0]
    if count > NMS_LIMIT:
        raise ValueError(f"nms takes at most {NMS_LIMIT} objects, not {count}")
    if not count:
        return []
    args = (iou, scores, n_valid, keep, np.int32(count), np.float32(threshold))
    return [Launch("nms", (1,), (NMS_LIMIT,), args, 4 * count * -(-count // 32))]


def rle_coco(
    bits: Argument,
    stats: Argument,
    n_valid: Argument,
    scratch: Argument,
    text: Argument,
    length: Argument,
    width: int,
) -> list[Launch]:
    """COCO's compressed run-length strings, the bytes that pycocotools writes.

    `bits`: u32 `[N, H, ceil(width/32)]`; `stats`: i32 `[N, 8]` with exact or larger boxes; `scratch`: u32
    `[N, capacity]`, of any content; out `text`: u8 `[N, capacity]`; `length`: i32 `[N]`, -1 where a string does not
    fit, of which then nothing in `text` means anything.

    Floor: the words in the boxes once; for masks that fill the picture 0.3 µs for 10 and 2.7 µs for 100 at 720p, 6 µs
    for 100 at 1080p. They are read once more, from the cache, by the threads that saw runs start.
    """
    count, height, words = bits.shape
    if width > RLE_MAX_WIDTH_PX or height > RLE_MAX_HEIGHT_PX:
        raise ValueError(f"masks of {height} x {width}: at most {RLE_MAX_HEIGHT_PX} x {RLE_MAX_WIDTH_PX} can be coded")
    if not count:
        return []
    # one u32 per column with a spare one for each word, and one u16 per column and strip of rows
    threads = min(RLE_THREADS, words * max(1, (height + 1) // RLE_STRIP_ROWS))
    shared = 4 * 33 * words + 2 * 32 * max(threads, words)
    sizes = tuple(np.int32(size) for size in (height, width, text.shape[1]))
    return [Launch("rle_coco", (count,), (RLE_THREADS,), (bits, stats, n_valid, scratch, text, length, *sizes), shared)]
