"""The kernels on the CPU, under the one name that everything imports: OpenCV, packed bits and rlemasklib."""

from __future__ import annotations

from kernels.colour import nv12_to_bgr
from kernels.cpu.codes import rle, rle_decode
from kernels.cpu.masks import MaskStats, box, clean, depths, iou, islands, stats

__all__ = ["MaskStats", "box", "clean", "depths", "iou", "islands", "nv12_to_bgr", "rle", "rle_decode", "stats"]
