"""Prompts as clients send them, checked and turned into pixels. Pure functions."""

from __future__ import annotations

import math
from dataclasses import dataclass

from stream.errors import BadInput
from stream.types import BoxXyxyPx, FrameRef, Point, Prompt, PromptKind, Rle

MAX_PROMPTS = 32
MAX_POINTS = 64
MAX_CONCEPT_CHARS = 200
MAX_LABEL_CHARS = 80
MIN_BOX_PX = 2.0


@dataclass(frozen=True, slots=True)
class PromptDraft:
    """A prompt before it has an id. Coordinates are in [0, 1] of the picture, origin top left."""

    kind: PromptKind
    text: str | None = None
    points: tuple[tuple[float, float, bool], ...] = ()
    box_xyxy: tuple[float, float, float, float] | None = None
    mask: Rle | None = None
    positive: bool = True
    track_id: int | None = None
    frame: FrameRef | None = None


def to_prompt(draft: PromptDraft, prompt_id: int, width: int, height: int) -> Prompt:
    """`draft` in pixels of a `width` × `height` picture.

    Raises `BadInput` with code `empty_text`, `too_long`, `out_of_picture` or `unsupported_prompt`.
    """
    return Prompt(
        id=prompt_id,
        kind=draft.kind,
        text=_concept(draft),
        points=_points(draft, width, height),
        box_xyxy_px=_box(draft, width, height),
        mask=_mask(draft),
        positive=_sign(draft),
        track_id=draft.track_id,
        frame=draft.frame,
    )


def check_label(label: str) -> str:
    """`label` without surrounding space. Raises `BadInput` when it is empty or longer than 80 characters."""
    label = " ".join(label.split())
    if not label:
        raise BadInput("A name cannot be empty.", code="empty_text", action="Type a name.")
    if len(label) > MAX_LABEL_CHARS:
        raise BadInput(
            f"A name has at most {MAX_LABEL_CHARS} characters.", code="too_long", action="Use a shorter name."
        )
    return label


def _concept(draft: PromptDraft) -> str | None:
    if draft.kind is not PromptKind.TEXT:
        return None
    text = " ".join((draft.text or "").split())
    if not text:
        raise BadInput("There is nothing to look for.", code="empty_text", action="Type what to follow.")
    if len(text) > MAX_CONCEPT_CHARS:
        message = f"A concept has at most {MAX_CONCEPT_CHARS} characters; this has {len(text)}."
        raise BadInput(message, code="too_long", action="Use a word or two.")
    return text


def _points(draft: PromptDraft, width: int, height: int) -> tuple[Point, ...]:
    if draft.kind is not PromptKind.POINTS:
        return ()
    if not draft.points:
        raise BadInput("A prompt by points needs a point.", code="unsupported_prompt", action="Click the thing.")
    if len(draft.points) > MAX_POINTS:
        raise BadInput(f"A prompt has at most {MAX_POINTS} points.", code="too_long", action="Use fewer points.")
    if draft.track_id is None and not any(positive for _, _, positive in draft.points):
        message = "A first click must be on the thing, not beside it."
        raise BadInput(message, code="unsupported_prompt", action="Click the thing, then take away from it.")
    for x, y, _ in draft.points:
        _inside(x, y)
    return tuple(Point(min(x * width, width - 0.5), min(y * height, height - 0.5), sign) for x, y, sign in draft.points)


def _box(draft: PromptDraft, width: int, height: int) -> BoxXyxyPx | None:
    if draft.kind not in (PromptKind.BOX, PromptKind.EXEMPLAR):
        return None
    if draft.box_xyxy is None:
        raise BadInput("A prompt by box needs a box.", code="unsupported_prompt", action="Drag over the thing.")
    x0, y0, x1, y1 = draft.box_xyxy
    _inside(x0, y0)
    _inside(x1, y1)
    left, right = sorted((x0 * width, x1 * width))
    top, bottom = sorted((y0 * height, y1 * height))
    if right - left < MIN_BOX_PX or bottom - top < MIN_BOX_PX:
        raise BadInput("The box is empty.", code="unsupported_prompt", action="Drag over the whole thing.")
    return left, top, right, bottom


def _mask(draft: PromptDraft) -> Rle | None:
    if draft.kind is not PromptKind.MASK:
        return None
    if draft.mask is None:
        raise BadInput("A prompt by mask needs a mask.", code="unsupported_prompt", action="Send `mask`.")
    return draft.mask


def _sign(draft: PromptDraft) -> bool:
    if not draft.positive and draft.kind not in (PromptKind.EXEMPLAR, PromptKind.POINTS):
        message = "Only points and exemplars can be negative."
        raise BadInput(message, code="unsupported_prompt", action="Remove the prompt instead.")
    return draft.positive


def _inside(x: float, y: float) -> None:
    if not (math.isfinite(x) and math.isfinite(y) and 0 <= x <= 1 and 0 <= y <= 1):
        raise BadInput(f"({x:g}, {y:g}) is outside the picture.", code="out_of_picture", action="Click the picture.")
