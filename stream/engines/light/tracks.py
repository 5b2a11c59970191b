"""One followed object: its place, its look, its life."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kernels import cpu
from stream.engines.grid import F32, ON, Grid, Patch
from stream.engines.lifecycle import Life
from stream.engines.light.appearance import Memory
from stream.engines.light.carry import CarriedMask
from stream.types import BoxXyxyPx, Rle, Track, TrackState


@dataclass(slots=True)
class Object:
    """The engine thread's state of one object; all coordinates are of the mask grid, all times media time.

    `carried` may be there while the object is lost: then it is a hypothesis that a second sight must confirm.
    """

    id: int
    label: str
    prompt_id: int | None
    from_text: bool
    life: Life
    box: BoxXyxyPx
    carried: CarriedMask | None = None
    patch: Patch | None = None
    """The mask as it is shown: no pixel belongs to two objects."""
    raw: Patch | None = None
    """The mask as it was carried, before pixels were given to others: what refreshes start from."""
    memory: Memory | None = None
    odds: F32 | None = None
    """The posterior of the object's colours, made at its last keyframe."""
    score: float = 0.5
    size: tuple[float, float] = (1.0, 1.0)
    area: float = 0.0
    whole: BoxXyxyPx | None = None
    """The box of the whole object, moved along with what is seen of it while it is partly hidden."""
    velocity: NDArray[np.float32] = field(default_factory=lambda: np.zeros(2, np.float32))
    """Pixels of the mask grid a second, smoothed; kept from before a loss."""
    key_s: float = -1e9
    """When the keyframe was taken."""
    tried_s: float = -1e9
    """The picture of the last refresh or search, whatever came of it."""
    key_colour: float = 0.0
    colour: float = 0.0
    visible: float = 1.0
    moved: float = 0.0
    """How much of it moved by itself at the refreshes of late, 0..1."""
    agreed: int = 0
    """Looks that saw more that moves along with it, and none against that since."""
    moving_looks: int = 0
    """Looks that saw it move by itself since its mask became what it is."""
    settled: bool = False
    """The user said what belongs to it: nothing is added to that."""
    reach: BoxXyxyPx | None = None
    """The box that the user drew around it, relative to its mask's: what to add to each side."""
    rejects: int = 0
    calm: int = 0
    searches: int = 0
    refused: list[tuple[float, float, float]] = field(default_factory=list)
    """Where searches since the loss looked and did not find it, and when: `(x, y, seconds)`, the last few."""
    pending: bool = False
    """A job that will say something of this object is waiting or running."""
    hypothesis_s: float | None = None
    detected: BoxXyxyPx | None = None
    """The detector's box relative to the mask's: what to add to each side."""
    detected_s: float = -1e9
    seen_box: BoxXyxyPx | None = None
    """The detector's last box for it, and the velocity of those boxes in pixels of the mask grid a second."""
    seen_velocity: tuple[float, float] = (0.0, 0.0)
    astray: bool = False
    """The detector's last look puts it elsewhere than its mask is."""
    doubled: int = 0
    """Looks of the detector in a row that found another track on the same thing."""
    by_detector: bool = False
    """Comes back through the detector's boxes only, never through a search by colour."""
    held_s: float | None = None
    """Since when a return is held back because two explanations tie."""
    hidden_s: float | None = None
    """When the user removed it; it is followed on unseen."""
    hidden_with_prompt: bool = False
    """Removed together with its prompt, and restored with it."""

    @property
    def shown(self) -> bool:
        return self.life.shown and self.hidden_s is None

    @property
    def followed(self) -> bool:
        """Whether it has a mask in the present picture, shown or not."""
        return self.carried is not None

    @property
    def centre(self) -> tuple[float, float]:
        return (self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2

    def drop_mask(self) -> None:
        self.carried = self.patch = self.raw = None
        self.hypothesis_s = None

    def as_track(self, grid: Grid, now_s: float, label: str | None = None) -> Track:
        """The object as the world sees it."""
        mask = None
        if self.life.shown and self.patch is not None and self.patch.data.size:
            patch = self.patch
            width, height = grid.mask
            counts = cpu.rle(patch.data, size=(height, width), at=(patch.y0, patch.x0), threshold=ON)
            mask = Rle((height, width), counts)
        return Track(
            self.id, label or self.label, round(min(max(self.score, 0.0), 1.0), 3), grid.box_to_frame(self.box), mask,
            self.life.state, self.prompt_id, max(0.0, now_s - self.life.born_s),
        )  # fmt: skip

    @property
    def gone(self) -> bool:
        return self.life.state is TrackState.GONE
