"""The pyramids of features that the detector and the tracker see of a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

Levels = tuple[Tensor, Tensor, Tensor]


class Pyramid:
    """Three levels of a neck, from fine to coarse; the fourth, half the grid, is used by nobody.

    `ends` are 1×1 convolutions that follow a level, None for a level that is used as it is. They are folded into the
    3×3 convolutions before them: of the tracker's finest level this leaves an eighth, at full size 100 GFLOP less for
    each picture.
    """

    def __init__(self, neck: Any, ends: Sequence[nn.Conv2d | None] = (None, None, None)) -> None:
        self._levels = [
            (tuple(layer.scale_layers), layer.proj1, layer.proj2 if end is None else folded(layer.proj2, end))
            for layer, end in zip(neck.fpn_layers[:3], ends, strict=True)
        ]

    def __call__(self, states: Tensor) -> Levels:
        """`(B, channels, g, g)` to `(B, …, 4g, 4g)`, `(B, …, 2g, 2g)` and `(B, …, g, g)`."""
        fine, middle, coarse = (self._level(states, *level) for level in self._levels)
        return fine, middle, coarse

    def _level(self, states: Tensor, scale: Sequence[Any], narrow: Any, mix: Any) -> Tensor:
        for layer in scale:
            states = layer(states)
        made: Tensor = mix(narrow(states))
        return made


def folded(first: nn.Conv2d, then: nn.Conv2d) -> nn.Conv2d:
    """One convolution that does what `first` and then `then`, a 1×1 one, do: computed in float64, kept as `first`."""
    assert first.bias is not None
    assert then.bias is not None
    mixing = then.weight.double()[:, :, 0, 0]
    kernel = torch.einsum("oc,cihw->oihw", mixing, first.weight.double()).to(first.weight.dtype)
    bias = (mixing @ first.bias.double() + then.bias.double()).to(first.weight.dtype)
    made = nn.Conv2d(first.in_channels, then.out_channels, 3, padding=1)
    made.weight = nn.Parameter(kernel.contiguous(memory_format=torch.channels_last), requires_grad=False)
    made.bias = nn.Parameter(bias, requires_grad=False)
    return made
