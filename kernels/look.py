"""How a composed picture looks: the settings of `kernels.images.composite` and what follows from them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Background = Literal["keep", "colour", "image", "blur"]

FILL, OUTLINE, PIXELATE, COLOUR_BEHIND, IMAGE_BEHIND, BLUR_BEHIND = 1, 2, 4, 8, 16, 32
_BACKGROUND_BITS: dict[Background, int] = {
    "keep": 0, "colour": COLOUR_BEHIND, "image": IMAGE_BEHIND, "blur": BLUR_BEHIND,
}  # fmt: skip
CELLS_PX = (8, 16, 32)
WIDEST_EDGE_PX = 16.0
BLUR_TAPS = 8
"""Taps on either side of the middle one."""


@dataclass(frozen=True, slots=True)
class Look:
    """What is done with a picture's objects and with what lies behind them.

    `fill`: objects in their palette colour, with its alpha as opacity. `outline_px`: a line in that colour along the
    inside of an object's edge, 0 for none. `feather_px`: over how many pixels inwards an object fades in; below 1 edges
    are only antialiased. Both are at most 16 and soft only where logits are given. `pixelate_px`: objects as squares of
    8, 16 or 32 pixels, 0 for not; never soft, so that nothing shows through. `background`: kept, replaced by the colour
    of palette row 0 (its alpha as opacity), by another picture, or by the picture itself, blurred with `blur_px` as
    the standard deviation (at most 16).

    Raises `ValueError` for settings out of range.
    """

    fill: bool = True
    outline_px: float = 0.0
    feather_px: float = 0.0
    pixelate_px: int = 0
    background: Background = "keep"
    blur_px: float = 10.0

    def __post_init__(self) -> None:
        if not (0 <= self.outline_px <= WIDEST_EDGE_PX and 0 <= self.feather_px <= WIDEST_EDGE_PX):
            raise ValueError(f"outlines and feathers are 0 to {WIDEST_EDGE_PX:g} pixels wide")
        if self.pixelate_px not in (0, *CELLS_PX):
            raise ValueError(f"pixelation is by squares of {CELLS_PX} pixels, not {self.pixelate_px}")
        if self.background not in _BACKGROUND_BITS:
            raise ValueError(f"no background {self.background!r}")
        if not 0 < self.blur_px <= 16:
            raise ValueError("the blur's standard deviation is above 0 and at most 16 pixels")

    @property
    def mode(self) -> int:
        """The bits that the kernel takes."""
        bits = FILL * self.fill | OUTLINE * (self.outline_px > 0) | PIXELATE * (self.pixelate_px > 0)
        return bits | _BACKGROUND_BITS[self.background]

    @property
    def softness_px(self) -> float:
        """The width over which an edge goes from nothing to all, at least one pixel."""
        return max(self.feather_px, 1.0)

    def blur_weights(self) -> tuple[float, ...]:
        """Gaussian weights at quarter size: the middle tap's, then those of the eight on either side; the sum is 1."""
        sigma = self.blur_px / 4
        weights = [math.exp(-0.5 * (k / sigma) ** 2) for k in range(BLUR_TAPS + 1)]
        total = weights[0] + 2 * sum(weights[1:])
        return tuple(weight / total for weight in weights)
