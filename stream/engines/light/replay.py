"""A mask that was found on an older picture, on its way to the present."""

from __future__ import annotations

import numpy as np

from stream.engines.grid import U8, Patch
from stream.engines.light.carry import CarriedMask, Pace
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
        self._carried = CarriedMask(view.grid, patch, view.small, view.history.xy)
        if pace is not None:
            self._carried.pace = pace
        self._same_pixel = same_pixel
        self._step = view.step
        self._newest: U8 | None = None

    def catch_up(self) -> CarriedMask:
        """The mask on the newest picture there is; what hides it there is not looked for yet."""
        for moment, back in self.view.history.moments_after(self._step):
            if self._newest is not None:
                self._carried.compare(self._newest, self._same_pixel)
            self._carried.roll(back)
            self.travel = self.travel + self._carried.shift
            self._newest, self._step = moment.small, moment.step
        return self._carried
