"""The sizes that everything else is built for, all derived from a model's configuration and the input side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import torch

CONDITIONING = 4
"""Frames kept because a prompt or a reconditioning vouches for them: one pinned, the others rolling."""
MEMORY_DTYPE = torch.bfloat16
"""What memories are stored in, whatever the model computes in; transformers and SAM 3's own code do the same."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of one model at one input side. Masks, patch grids and pictures are square.

    A memory is one frame of one object: `(grid * grid, memory)` values. A pointer is one vector of `hidden` values a
    frame and object, seen by the memory attention as `splits` tokens of `memory` values.
    """

    side: int
    """Pixels of the model's input."""
    patch: int
    hidden: int
    memory: int
    recent: int
    """Memories of the frames just before (6)."""
    pointers: int
    """Pointers of the frames just before (15)."""
    text: int
    """Tokens of a concept."""

    @property
    def grid(self) -> int:
        """Patches a side."""
        return self.side // self.patch

    @property
    def tokens(self) -> int:
        return self.grid * self.grid

    @property
    def mask(self) -> int:
        """Side of the masks that come out and of those that go in as prompts: 288 at 1008 px."""
        return 4 * self.grid

    @property
    def memory_mask(self) -> int:
        """Side of the masks that the memory encoder takes."""
        return 16 * self.grid

    @property
    def splits(self) -> int:
        return self.hidden // self.memory

    @classmethod
    def of(cls, config: Any, side: int | None = None) -> Self:
        """From a `Sam3VideoConfig`. Raises ValueError where `side` is not a multiple of the patch."""
        tracker = config.tracker_config
        patch = int(tracker.prompt_encoder_config.patch_size)
        side = int(side or config.image_size)
        if side % patch or side < patch:
            raise ValueError(f"an input side of {side} px is not a multiple of the patch of {patch} px")
        return cls(
            side=side,
            patch=patch,
            hidden=int(tracker.vision_config.fpn_hidden_size),
            memory=int(tracker.memory_encoder_output_channels),
            recent=int(tracker.num_maskmem) - 1,
            pointers=int(tracker.max_object_pointers_in_encoder) - 1,
            text=int(config.detector_config.text_config.max_position_embeddings),
        )

    def state_bytes(self, capacity: int, dtype: torch.dtype) -> int:
        """Bytes of the state of `capacity` objects: what `MemoryBank.nbytes` will be."""
        memories = (CONDITIONING + self.recent) * self.tokens * self.memory * MEMORY_DTYPE.itemsize
        values = (CONDITIONING + self.pointers + 1) * self.hidden + self.mask * self.mask
        return (capacity + 1) * (memories + values * dtype.itemsize)
