"""What every engine checks of a prompt before it takes it."""

from __future__ import annotations

from stream.errors import BadInput
from stream.types import Prompt, PromptKind


def check(prompt: Prompt, size: tuple[int, int] | None) -> None:
    """Raises `BadInput` for a prompt without what its kind needs, and for places outside the picture of `size`
    `(width, height)`, if that is known."""
    if not prompt.positive and prompt.kind not in (PromptKind.POINTS, PromptKind.EXEMPLAR):
        raise BadInput("Only points can be negative here.", code="unsupported_prompt", action="Remove the prompt.")
    if prompt.kind is PromptKind.TEXT and not (prompt.text or "").strip():
        raise BadInput("There is nothing to look for.", code="empty_text", action="Type what to follow.")
    if prompt.kind is PromptKind.POINTS:
        if not prompt.points:
            raise BadInput("There is no point.", code="unsupported_prompt", action="Click the thing.")
        if prompt.track_id is None and not any(point.positive and prompt.positive for point in prompt.points):
            raise BadInput(
                "A first click must be on the thing.", code="unsupported_prompt", action="Click the thing itself."
            )
    if prompt.kind in (PromptKind.BOX, PromptKind.EXEMPLAR) and prompt.box_xyxy_px is None:
        raise BadInput("There is no box.", code="unsupported_prompt", action="Drag over the thing.")
    if prompt.kind is PromptKind.MASK and prompt.mask is None:
        raise BadInput("There is no mask.", code="unsupported_prompt", action="Send the mask.")
    if size is not None:
        _inside(prompt, size)


def _inside(prompt: Prompt, size: tuple[int, int]) -> None:
    width, height = size
    places = [(point.x_px, point.y_px) for point in prompt.points]
    if prompt.box_xyxy_px is not None:
        x0, y0, x1, y1 = prompt.box_xyxy_px
        places += [(x0, y0), (x1, y1)]
        if not (x1 > x0 and y1 > y0):
            raise BadInput("The box is empty.", code="unsupported_prompt", action="Drag over the whole thing.")
    if not all(0 <= x <= width and 0 <= y <= height for x, y in places):
        raise BadInput("That is outside the picture.", code="out_of_picture", action="Point at the picture.")
