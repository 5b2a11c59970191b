"""SAM 3's detector on single frames, for what must not be missed."""

from __future__ import annotations

from collections.abc import Sequence

from stream.engines.sam3.image import ImageMode
from stream.engines.sam3.prompts import phrases
from stream.engines.sam3.tracker import Parts
from stream.types import BoxXyxyPx, Frame, Prompt, PromptKind


class Sam3Finder:
    """Implements `stream.engines.base.Finder`. It encodes the frame once more, beside the step that tracks on it."""

    on_engine = True

    def __init__(self, parts: Parts, concepts: Sequence[str]) -> None:
        """Raises `BadInput` for a text that cannot be looked for."""
        for concept in concepts:
            parts.concepts.check(concept)
        self.labels = tuple(frozenset(phrases(concept)) for concept in concepts)
        self._image = ImageMode(parts)
        self._prompts = [Prompt(at, PromptKind.TEXT, text=concept) for at, concept in enumerate(concepts)]

    def find(self, frame: Frame) -> list[list[BoxXyxyPx]]:
        found = self._image.segment(frame, self._prompts)
        return [[one.box_xyxy_px for one in found if one.prompt_id == prompt.id] for prompt in self._prompts]
