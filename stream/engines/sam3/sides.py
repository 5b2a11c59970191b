"""The input side that an engine works at: a smaller one while the machine cannot keep up, with all objects kept.

Another side has other grids. All that is remembered is stretched to them, and there is nothing better for objects that
are out of sight. Those in sight are looked at anew: the last picture is encoded at the new side, and the mask of each
there becomes a conditioning frame, as if it had been confirmed by the detector; followed from stretched memories alone,
most of what a trained model sees is lost. Back at the full side what was pinned there is as it was, and better than a
mask of the smaller side: such objects go on from it. Ids, lives, pointers and what was removed are of no size and stay
as they are.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence

import torch
from torch import Tensor

from stream.engines.sam3.memory import Slot
from stream.engines.sam3.preprocess import Preprocessor
from stream.engines.sam3.scene import Scene
from stream.engines.sam3.stepping import Asked, Given
from stream.engines.sam3.tracker import Parts, Sam3Tracker
from stream.types import Frame

log = logging.getLogger(__name__)


class Sides:
    """Changes the side of `parts`. All calls on the engine's thread, between two steps."""

    def __init__(self, parts: Parts, lower: Sequence[int] = ()) -> None:
        """`lower`: the sides to give way to; those that are not smaller than the present one are left out. Raises
        ValueError where one is not a multiple of the patch."""
        shape = parts.network.shape
        if any(side % shape.patch for side in lower):
            raise ValueError(f"input sides of {tuple(lower)} px are not multiples of the patch of {shape.patch} px")
        self.full = shape.side
        self.lower = tuple(sorted({side for side in lower if side < self.full}, reverse=True))
        self._parts = parts
        self._made = {self.full: (parts.network, parts.preprocessor)}

    @property
    def present(self) -> int:
        return self._parts.network.shape.side

    def nearest(self, detail: float) -> int:
        """The side that is nearest to the share `detail` of the full one."""
        return min((self.full, *self.lower), key=lambda side: abs(side - detail * self.full))

    def use(self, side: int, trackers: Iterable[Sam3Tracker]) -> None:
        """Go on at `side`, one of those given, with what the trackers follow. What raises has changed nothing."""
        if side == self.present:
            return
        present = [tracker.present for tracker in trackers]
        held = [(frame, scene, self._masks(scene)) for frame, scene in filter(None, present)]
        still = {slot.index for slot in self._change(side)}
        for frame, scene, masks in held:
            try:
                self._look_anew(frame, scene, masks, still)
            except Exception as error:  # noqa: BLE001 - told, and gone on from what was stretched
                log.warning("objects could not be looked at anew at %d px: %s", side, error)
                scene.fall_back()

    def _change(self, side: int) -> list[Slot]:
        parts = self._parts
        if side not in self._made:
            made = self._made[self.full][0].at(side)
            self._made[side] = made, Preprocessor(side, device=made.device, dtype=made.dtype)
        network, preprocessor = self._made[side]
        still = parts.stepper.use(network)
        parts.network, parts.preprocessor = network, preprocessor
        return still

    @torch.inference_mode()
    def _masks(self, scene: Scene) -> Tensor:
        """bool `(n, mask, mask)` of the objects in sight, as the network left them."""
        slots = [thing.slot.index for thing in scene.in_sight]
        return self._parts.stepper.bank.logits[slots] > 0

    @torch.inference_mode()
    def _look_anew(self, frame: Frame, scene: Scene, masks: Tensor, still: Collection[int]) -> None:
        """All but the slots `still`."""
        things, there = scene.in_sight, masks.flatten(1).any(dim=1).tolist()
        seen = [row for row, thing in enumerate(things) if there[row] and thing.slot.index not in still]
        if not seen:
            return
        parts = self._parts
        features = parts.network.encode(parts.preprocessor([frame]))
        asked = [Asked(things[row].slot, 0, scene.number) for row in seen]
        made = parts.stepper.start(features, asked, [Given(mask=masks[row]) for row in seen])
        parts.stepper.remember(features, asked, made.masks, made.scores, conditioning="rolling", from_prompt=True)
