"""The detector on single frames, for what must not be missed."""

from __future__ import annotations

from collections.abc import Sequence

from stream.engines.grid import picture_of
from stream.engines.light import concepts as reading
from stream.engines.light.detector import Detector
from stream.engines.light.fallback import MOVING
from stream.errors import ModelMissing, UnknownWord
from stream.models.store import ModelStore
from stream.types import BoxXyxyPx, Frame

LEAST_SCORE = 0.2
"""Far below what a track takes: a false find hides too much, a missed one shows what was to be hidden."""


class LightFinder:
    """Implements `stream.engines.base.Finder`; a detector of its own, so that no other thread waits for it."""

    on_engine = False

    def __init__(self, models: ModelStore | None, concepts: Sequence[str]) -> None:
        """Raises `UnknownWord`, or `ModelMissing`."""
        self.labels = tuple(reading.read(concept, detector=True).labels for concept in concepts)
        if any(MOVING in labels for labels in self.labels):
            raise UnknownWord(MOVING, ())
        if models is None or not models.ready:
            raise ModelMissing("Things are found by name with models only, which are not installed.")
        self._detector = Detector.load(models)

    def find(self, frame: Frame) -> list[list[BoxXyxyPx]]:
        picture = picture_of(frame)
        sx, sy = frame.width / picture.shape[1], frame.height / picture.shape[0]
        seen = self._detector(picture, LEAST_SCORE)
        boxes = [(one.label, one.box_xyxy_px) for one in seen]
        return [
            [(x0 * sx, y0 * sy, x1 * sx, y1 * sy) for label, (x0, y0, x1, y1) in boxes if label in labels]
            for labels in self.labels
        ]
