"""A mask that was found on an older picture, on its way to the present."""

from __future__ import annotations

import numpy as np

from stream.engines.grid import Patch
from stream.engines.light.carry import CarriedMask, Pace
from stream.engines.light.edges import snapped
from stream.engines.light.sight import View


class Replay:
    """Carries `patch`, true on the picture of `view`, through the flows of the pictures since.

    `catch_up` may be called again and again, on one thread at a time: the worker's brings the mask nearly to the
    present, and leaves to the engine's the pictures that came meanwhile. `pace` is the object's as it was then.
    `same_pixel`: see `Tuning`.
    """

    def __init__(self, patch: Patch, view: View, same_pixel: int, pace: Pace | None) -> None:
        self.patch = patch
        self.view = view
        self.travel = np.zeros(2, np.float32)
        """The shift so far, in pixels of the flow grid."""
        shown = snapped(patch, view.picture, view.grid)
        self._carried = CarriedMask(view.grid, patch, view.small, view.history.xy, shown)
        if pace is not None:
            self._carried.pace = pace
        self._same_pixel = same_pixel
        self._step = view.step

    def catch_up(self) -> CarriedMask:
        """The mask on the newest picture there is, and what hides it there."""
        for moment, back in self.view.history.moments_after(self._step):
            self._carried.roll(back)
            self._carried.compare(moment.small, self._same_pixel)
            self.travel = self.travel + self._carried.shift
            self._step = moment.step
        return self._carried
