"""A small SAM 3 that Meta's code and transformers' build alike: its sizes, its weights and what it is shown.

Nothing here needs either of them, so that both sides of a comparison import the same values. Weights are drawn by the
name of the parameter: who knows Meta's names and shapes has all of them.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).parent
GOLDENS = HERE / "sam3_meta.npz"
KEYS = HERE / "sam3_meta_keys.txt"
"""Names, shapes and types in Meta's released model."""
SMALL_KEYS = HERE / "sam3_meta_small_keys.txt"
"""The same of the small one."""

SIDE, PATCH = 224, 14
GRID = SIDE // PATCH
MASK_SIDE = 16 * GRID
"""Of masks as the tracker takes them, as a prompt and into its memory."""
HIDDEN, FEED_FORWARD = 128, 96
QUERIES = 5
VOCABULARY, TEXT_LENGTH = 1000, 32
DETR_LAYERS, GEOMETRY_LAYERS, MEMORY_LAYERS, FUSER_LAYERS = 2, 2, 2, 2
HEADS = 4
VIT = {"hidden": 32, "feed_forward": 64, "layers": 3, "heads": 2, "window": 8, "pretrained_side": 112}
GLOBAL_LAYERS = (1, 2)
TEXT = {"hidden": 32, "layers": 2, "heads": 4, "projection": 512}
MEMORY = 64
FRAMES = 9
"""More than the six recent memories: the oldest leaves, the first stays."""
SHOWN = (0, 1, 4, 8)
"""Frames whose masks are kept."""

SEEN_BIAS, SEEN = "tracker.sam_mask_decoder.pred_obj_score_head.layers.2.bias", np.float32(3)
"""Enough that the objects are taken to be there: the masks of others are left out."""

TOKENS = (998, 17, 402, 5, 999)
"""A concept: start, three pieces, end."""
BOXES_CXCYWH = ((0.31, 0.42, 0.22, 0.37), (0.66, 0.55, 0.41, 0.28), (0.07, 0.88, 0.05, 0.11))
BOX_LABELS = (1, 0, 1)
CLICKS_PX = ((96.0, 120.0), (70.5, 40.0))
CLICK_LABELS = (1, 0)
BOX_PX = (60.0, 52.0, 171.0, 150.0)


MERGES = ("t h", "th e</w>", "c a", "ca t</w>", "p e", "r s", "pe rs", "o n</w>", "pers on</w>", "r e", "re d</w>")
TEXTS = (
    "person",
    "A  Red\tCat",
    "the cats' 12 hats",
    "naïve café",
    "人 and 犬",
    "it's re-read, isn't it?!",
    "<the> & #1",
)
"""What is tokenised with these merges."""


def drawn(name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """The parameter of that name in Meta's model: large enough that outputs depend on inputs.

    RandomState: its numbers are the same in every version of NumPy.
    """
    values = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape).astype(np.float32)
    if len(shape) >= 2:
        fan_in = int(np.prod(shape[1:]))
        return (values * (1.5 / fan_in**0.5)).astype(np.float32)
    if name.endswith("gamma"):
        return np.float32(0.5) + np.float32(0.1) * values
    if name.endswith("weight"):
        return np.float32(1.0) + np.float32(0.1) * values
    shift = SEEN if name == SEEN_BIAS else np.float32(0)
    return shift + np.float32(0.1) * values


def read_keys(path: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of what is drawn, from a list of Meta's keys; complex constants are left out."""
    lines = (line.split(" ") for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    return {name: _shape(shape) for name, shape, kind in lines if not kind.startswith("complex")}


def read_constants(path: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the complex constants in a list of Meta's keys."""
    lines = (line.split(" ") for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    return {name: _shape(shape) for name, shape, kind in lines if kind.startswith("complex")}


def weights(keys: Mapping[str, tuple[int, ...]]) -> dict[str, NDArray[np.float32]]:
    return {name: drawn(name, shape) for name, shape in keys.items()}


def pictures() -> NDArray[np.float32]:
    """`(FRAMES, 3, SIDE, SIDE)` in [-1, 1]: a coarse pattern with a bright square that moves."""
    pattern = np.random.RandomState(3).uniform(-1, 1, (FRAMES, 3, GRID, GRID)).astype(np.float32)
    pattern = 0.15 * pattern + 0.5 * pattern[:1]
    shown = pattern.repeat(PATCH, axis=2).repeat(PATCH, axis=3)
    for frame in range(FRAMES):
        left, top = 48 + 9 * frame, 70 + 5 * frame
        shown[frame, :, top : top + 60, left : left + 50] += 0.6
    return np.clip(shown, -1, 1)


def mask() -> NDArray[np.bool_]:
    """`(MASK_SIDE, MASK_SIDE)`: an object given as a mask."""
    rows, columns = np.mgrid[:MASK_SIDE, :MASK_SIDE]
    return ((rows - 114) / 46.0) ** 2 + ((columns - 103) / 34.0) ** 2 < 1


def _shape(text: str) -> tuple[int, ...]:
    return tuple(int(size) for size in text.strip("()").split(",") if size)
