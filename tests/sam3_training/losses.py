"""What masks are held to."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def dice(logits: Tensor, truth: Tensor) -> Tensor:
    """`(N, …)` logits against `(N, …)` in [0, 1] → `(N,)`, 0 where they agree (Milletari et al., V-Net, 2016)."""
    probable, truth = logits.sigmoid().flatten(1), truth.flatten(1)
    return 1 - (2 * (probable * truth).sum(1) + 1) / (probable.sum(1) + truth.sum(1) + 1)


def mask_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """`(N, h, w)` logits against `(N, h, w)` → `(N,)`."""
    pixels = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none").flatten(1).mean(1)
    return 5 * pixels + dice(logits, truth)


def iou(first: Tensor, second: Tensor) -> Tensor:
    """Of boolean masks `(…, h, w)`, broadcast → `(…)`; 0 where both are empty."""
    both = (first & second).flatten(-2).sum(-1)
    either = (first | second).flatten(-2).sum(-1)
    return both / either.clamp(min=1)


def shrunk(masks: Tensor, side: int) -> Tensor:
    """`(N, S, S)` bool → `(N, side, side)`: how much of each cell is covered."""
    return functional.interpolate(masks.float()[:, None], size=(side, side), mode="area")[:, 0]


def boxes_of(masks: Tensor) -> Tensor:
    """`(N, S, S)` bool, none empty → `(N, 4)` as x0, y0, x1, y1 in [0, 1]."""
    side = masks.shape[-1]
    boxes = []
    for mask in masks:
        y, x = torch.nonzero(mask, as_tuple=True)
        boxes.append(torch.stack([x.min(), y.min(), x.max() + 1, y.max() + 1]) / side)
    return torch.stack(boxes)
