"""Prompts as the tracker takes them: checked, and placed on the mask grid."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from kernels import cpu
from stream.engines import pointing
from stream.engines.grid import Grid, Patch
from stream.engines.light.sight import Ask, View
from stream.errors import BadInput
from stream.types import Prompt, PromptKind


@dataclass(frozen=True, slots=True)
class Request:
    """A prompt that waits for a mask: what was pointed at, on which picture."""

    prompt: Prompt
    ask: Ask
    view: View
    begun: int | None = None
    """The track that a first glance has begun, whose mask the second look corrects."""


def check(prompt: Prompt, grid: Grid | None) -> None:
    """Raises `BadInput` for what this engine does not take, and for places outside the picture."""
    if prompt.kind is PromptKind.EXEMPLAR:
        raise BadInput(
            "This engine does not look for things by example.", code="unsupported_prompt",
            action="Type what it is, or click each one.",
        )  # fmt: skip
    pointing.check(prompt, grid.frame if grid is not None else None)


def to_ask(prompt: Prompt, grid: Grid) -> Ask:
    """What was pointed at, on the mask grid. Raises `BadInput` for a mask that cannot be read."""
    sx, sy = grid.frame_per_mask
    points = tuple((p.x_px / sx, p.y_px / sy, p.positive and prompt.positive) for p in prompt.points)
    box = grid.box_from_frame(prompt.box_xyxy_px) if prompt.box_xyxy_px is not None else None
    patch = None
    if prompt.mask is not None and prompt.kind is PromptKind.MASK:
        try:
            mask = cpu.rle_decode(prompt.mask.size, prompt.mask.counts)
        except ValueError as error:
            raise BadInput(f"The mask cannot be read: {error}.", action="Send COCO's compressed code.") from error
        soft = cv2.resize(mask * np.uint8(255), grid.mask, interpolation=cv2.INTER_LINEAR)
        patch = Patch(0, 0, np.asarray(soft, np.uint8)).tight()
        if patch.box() is None:
            raise BadInput("The mask is empty.", code="unsupported_prompt", action="Paint the thing.")
    return Ask(points, box, patch)
