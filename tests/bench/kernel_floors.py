"""The least that each kernel has to move through memory: its floor on a card.

Every input that is needed is read once, every output written once; computed, not measured.
"""

from __future__ import annotations

from kernels.association import block_bytes

LOW_PX = 288 * 288
LOW_BITS_BYTES = LOW_PX // 8
MODEL_SIDE_PX = 1008
H200_BYTES_PER_S = 4.3e12
"""What an H200 copies, reads and writes together."""


def bytes_moved(objects: int, size: tuple[int, int]) -> dict[str, int]:
    """Kernel → bytes, for float32 logits, as many tracks as objects, packed masks at the picture's size, and NV12."""
    height, width = size
    pixels = height * width
    words = height * -(-width // 32) * 4
    low = objects * LOW_PX * 4
    low_bits = objects * LOW_BITS_BYTES
    return {
        "clean_masks": 2 * low + 2 * low_bits,
        "upsample_owner": low + pixels + objects * words,
        "iou": 2 * low_bits,
        "nms": low_bits + 4 * objects**2,
        "rle_coco": objects * words,
        "composite": 4 * pixels,
        "assoc_pack": 2 * block_bytes(objects, objects),
        "nv12_to_model": pixels * 3 // 2 + 6 * MODEL_SIDE_PX**2,
    }


def floor_us(moved: int, bytes_per_s: float = H200_BYTES_PER_S) -> float:
    """Microseconds that moving takes."""
    return moved / bytes_per_s * 1e6
