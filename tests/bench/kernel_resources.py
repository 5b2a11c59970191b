"""What the CUDA kernels take, computed without a card: registers, shared memory, occupancy, and floors.

    python -m tests.bench.kernel_resources [--json FILE]

Registers, spills and static shared memory are the compiler's report for each generation of cards; occupancy follows
from them, the block's size and dynamic shared memory. Floors are bytes over an H200's bandwidth. Nothing is measured.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from kernels.colour import Nv12
from kernels.cuda import association, cleaning, images, masks
from kernels.cuda.launch import Launch
from kernels.look import Look
from tests.bench.kernel_floors import bytes_moved, floor_us
from tests.bench.report import table, write
from tests.kernels.nvrtc import ARCHITECTURES, CARDS, blocks_per_multiprocessor, resources

SIZES = {"720p": (720, 1280), "1080p": (1080, 1920)}
OBJECTS = (10, 100)


def launches(objects: int, size: tuple[int, int]) -> list[Launch]:
    """One launch of each kernel at these sizes; the arrays have no content."""
    height, width = size
    words, n = -(-width // 32), objects
    one = np.empty(1, np.int32)
    logits, stats = np.empty((n, 288, 288), np.float32), np.empty((n, 8), np.int32)
    low_bits, bits = np.empty((n, 288, 9), np.uint32), np.empty((n, height, words), np.uint32)
    scores, overlap, order = np.empty(n, np.float32), np.empty((n, n), np.float32), np.empty(n, np.int32)
    owner, moments = np.empty((1, height, width), np.uint8), np.empty((n, 2), np.uint64)
    workspace = np.empty(masks.workspace_words(n), np.uint32)
    codes, lengths = np.empty((n, 8192), np.uint8), np.empty(n, np.int32)
    block = np.empty(association.block_bytes(n, n, codes.nbytes) // 4, np.uint32)
    frame = Nv12(np.empty((height, width), np.uint8), np.empty((height // 2, width // 2, 2), np.uint8))
    quarter = np.empty((height // 4, width // 4, 4), np.uint8)
    crops, model = np.empty((n, 3, 224, 224), np.uint16), np.empty((3, 1008, 1008), np.uint16)
    palette = np.empty((n + 1, 4), np.uint8)
    look = Look(outline_px=2, background="blur")
    return [
        *cleaning.clean_masks(logits, low_bits, one, low_bits, stats, logits),
        *masks.score_order(scores, one, order),
        *masks.upsample_owner(logits, stats, order, None, one, owner, bits, stats, moments, workspace),
        *masks.iou_bits(low_bits, low_bits, stats, stats, one, one, overlap),
        *masks.nms(overlap, scores, one, order, 0.5),
        *masks.rle_coco(bits, stats, one, np.empty((n, 8192), np.uint32), codes, lengths, width),
        images.quarter_blur(frame, look, quarter),
        images.composite(frame, owner[0], logits, palette, one, look, frame, quarter=quarter),
        images.roi_crops(frame, np.empty((n, 4), np.float32), one, crops, owner[0]),
        images.nv12_to_model(frame, model),
        images.cut_out(frame, (0, 0, width, height), np.empty((height // 2, width // 2, 3), np.uint8)),
        *association.assoc_pack(overlap, scores, stats, one, one, block, codes=codes, lengths=lengths),
    ]


def resource_rows() -> list[dict[str, Any]]:
    """A row for each kernel and generation of cards."""
    compiled = {architecture: resources(architecture) for architecture in ARCHITECTURES}
    rows = []
    for launch in launches(100, SIZES["1080p"]):
        threads = int(np.prod(launch.block))
        for architecture in ARCHITECTURES:
            used, card = compiled[architecture][launch.kernel], CARDS[architecture]
            blocks = blocks_per_multiprocessor(card, used, threads, launch.shared_bytes)
            rows.append(
                {
                    "kernel": launch.kernel,
                    "sm": architecture,
                    "threads": threads,
                    "registers": used.registers,
                    "spill_bytes": used.spill_bytes,
                    "shared_bytes": used.static_shared_bytes + launch.shared_bytes,
                    "blocks_per_sm": blocks,
                    "occupancy_percent": round(100 * blocks * threads / card.threads),
                }
            )
    return rows


def floor_rows() -> list[dict[str, Any]]:
    """A row for each kernel, size and number of objects."""
    return [
        {"kernel": kernel, "size": name, "objects": n, "megabytes": round(moved / 1e6, 3), "floor_us": floor}
        for name, size in SIZES.items()
        for n in OBJECTS
        for kernel, moved in bytes_moved(n, size).items()
        for floor in [round(floor_us(moved), 3)]
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="where to write the result")
    options = parser.parse_args()
    used, floors = resource_rows(), floor_rows()
    table("Registers, shared memory and occupancy (computed, 100 objects at 1080p)", used)
    table("Floors on an H200 at 4.3 TB/s (computed)", floors)
    rows = [{"computed": True, **row} for row in (*used, *floors)]
    print(f"\n{write('kernel-resources', rows, options.json)}")


if __name__ == "__main__":
    main()
