"""One followed object of one stream, and what the world sees of it."""

from __future__ import annotations

from dataclasses import dataclass

from stream.engines.lifecycle import Life
from stream.engines.sam3.lifecycle import Standing
from stream.engines.sam3.memory import Slot
from stream.types import BoxXyxyPx, Frame, Rle, Track, TrackState

Box01 = tuple[float, float, float, float]
"""Corners in [0, 1] of the picture."""


@dataclass(slots=True, eq=False)
class Followed:
    """An object with a place in the memory. `id` is None while it is not known whether it is a lost one come back."""

    slot: Slot
    label: str
    prompt_id: int
    from_words: bool
    """Found by a detector's prompt: words or examples. Otherwise it was pointed at."""
    life: Life
    standing: Standing
    born: int
    """The frame of birth."""
    id: int | None = None
    box: Box01 = (0.0, 0.0, 0.0, 0.0)
    mask: Rle | None = None
    score: float = 0.0
    last_hidden: int = -1
    """The last frame in which it had no mask or gave way to another object; -1 for never."""
    hidden_s: float | None = None
    """When the user removed it; it is followed on unseen."""
    hidden_with_prompt: bool = False
    """Removed together with its prompt, and restored with it."""
    example: bool | None = None
    """Whether it is what an example's box was drawn around: True for one to find more of, False for one unlike."""

    @property
    def lost(self) -> bool:
        return self.life.state is TrackState.LOST

    @property
    def shown(self) -> bool:
        """Whether its mask is shown."""
        return self.life.shown and self.hidden_s is None and self.id is not None and self.example is not False

    @property
    def told(self) -> bool:
        """Whether it is a track for the world."""
        return self.hidden_s is None and self.id is not None and self.example is not False

    def as_track(self, frame: Frame, now_s: float) -> Track:
        assert self.id is not None
        return Track(
            self.id, self.label, round(min(max(self.score, 0.0), 1.0), 3), to_px(self.box, frame),
            self.mask if self.life.shown else None, self.life.state, self.prompt_id, max(0.0, now_s - self.life.born_s),
        )  # fmt: skip


def to_px(box: Box01, frame: Frame) -> BoxXyxyPx:
    return box[0] * frame.width, box[1] * frame.height, box[2] * frame.width, box[3] * frame.height
