"""Masks after the network: cleaned, told apart, measured and coded by `kernels`, and brought to the host in one copy.

On CUDA the kernels run where the tensors are; on the CPU their NumPy side works on the same memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from kernels import masks
from kernels.arrays import Array
from kernels.association import FrameBlock, block_bytes, read_block
from kernels.cuda.cleaning import SIDE
from kernels.masks import OwnerMap

OFF_LOGIT = -10.0
"""At most this is a mask's logit where the pixel is another object's."""
MOST_DETECTIONS = 256
MOST_CODES = 96
"""Room in the block is for so many codes of the longest kind; most are a tenth of that."""


@dataclass(frozen=True, slots=True)
class Picked:
    """The best candidates of all queries, best first, on the device: `logits` `(D, m, m)`, `scores` float32 `(D,)`, -1
    where not a number; `index` int64 `(D,)`, query times `candidates` plus candidate, and `queries` the query alone;
    `count` int32 `(1,)`, how many are above the threshold, the rest being padding."""

    logits: Tensor
    scores: Tensor
    index: Tensor
    queries: Tensor
    count: Tensor
    candidates: int


@dataclass(frozen=True, slots=True)
class Digest:
    """A step's masks on the device: clean float32 logits `tracks` `(T, m, m)` and `detections` `(D, m, m)`, and the
    bytes for the host."""

    tracks: Tensor
    detections: Tensor | None
    packed: Tensor

    def read(self) -> tuple[FrameBlock, NDArray[np.float32]]:
        """Rows of the tracks, then of the detections, and the extra numbers. The step's one copy; synchronises."""
        host = self.packed.cpu().numpy()
        extra = int(host[:4].view(np.int32)[0])
        numbers = host[16 : 16 + 4 * extra].view(np.float32)
        return read_block(host[16 + 16 * -(-4 * extra // 16) :]), numbers


def pick(scores: Tensor, logits: Tensor, least: float, most: int) -> Picked:
    """The best `most` a query of `scores` `(K, Q)` and `logits` `(K, Q, m, m)`, at most 256 in all. No host sync."""
    queries, candidates = scores.shape
    flat = scores.float().flatten().nan_to_num(nan=-1.0)
    best, index = flat.topk(min(flat.numel(), most * queries, MOST_DETECTIONS))
    count = (best > least).sum().to(torch.int32)[None]
    chosen = logits.flatten(0, 1).index_select(0, index).float()
    return Picked(chosen, best, index, index // candidates, count, candidates)


def digest(
    tracks: Tensor,
    scores: Tensor,
    groups: Sequence[Tensor],
    picked: Picked | None,
    extra: Tensor,
    *,
    keys: Tensor | None,
    fill_area: int,
    nms_iou: float,
) -> Digest:
    """Everything between the network and the decisions on the host.

    `tracks`: `(T, m, m)` logits, `scores`: `(T,)` logits; `groups`: int64 indices of tracks that share no pixel as they
    are shown. `keys`: int64 `(K,)`, queries with the same key suppress each other's detections. `extra`: float32
    `(E,)`, for the host as it is. The block's overlap is of tracks and detections with the tracks; its `video_stats`
    and codes are of masks as shown, `stats` of masks as tracked.
    """
    count = len(tracks)
    logits = tracks.float() if picked is None else torch.cat((tracks.float(), picked.logits))
    valid = None if picked is None else picked.count + count
    bits, stats, clean = _clean(logits, fill_area, valid)
    overlap = masks.iou(bits, bits[:count], stats, stats[:count], n_a=_array(valid))
    shown = _apart(clean[:count], scores, groups)
    shown_bits, shown_stats = bits, stats
    if shown is not None:
        apart_bits, apart_stats, _ = _clean(shown, 0, None)
        shown_bits, shown_stats = _joined(apart_bits, bits[count:]), _joined(apart_stats, stats[count:])
    keep, ranks = None, scores.float()
    if picked is not None:
        keep = _kept(bits[count:], stats[count:], picked, keys, count, nms_iou)
        ranks = torch.cat((ranks, picked.scores))
    side = logits.shape[-1]
    video = OwnerMap(None, None, shown_stats, _zeros(bits, (len(logits), 2), "uint64"), None)
    codes = masks.rle_coco(_cut(shown_bits, side), shown_stats, side, n_valid=_array(valid))
    room = block_bytes(len(logits), count, min(len(logits), MOST_CODES) * codes.data.shape[1])
    block = masks.assoc_pack(
        overlap, _array(ranks), stats, keep=keep, video=video, codes=codes, capacity=room, n_valid=_array(valid)
    )
    return Digest(clean[:count], None if picked is None else clean[count:], _packed(block, extra))


def remembered(logits: Tensor, groups: Sequence[Tensor], hidden: Tensor, shrink_least: float) -> tuple[Tensor, Tensor]:
    """Masks and scores for the memory, as `_tracker_update_memories` of transformers' `Sam3VideoModel` makes them.

    `logits`: `(T, m, m)`, changed in place nowhere; `hidden`: bool `(T,)`, suppressed as a whole. Of each group, a mask
    that would lose more than its share `shrink_least` leaves, were each pixel its strongest object's, is off.
    """
    made = torch.where(hidden[:, None, None], OFF_LOGIT, logits)
    for group in groups:
        own = made.index_select(0, group)
        weak = own.clamp(max=OFF_LOGIT)
        mine = own.argmax(dim=0)[None] == torch.arange(len(own), device=own.device)[:, None, None]
        before = (own > 0).sum(dim=(1, 2)).clamp(min=1)
        after = (torch.where(mine, own, weak) > 0).sum(dim=(1, 2))
        stays = after / before >= shrink_least
        made.index_copy_(0, group, torch.where(stays[:, None, None], own, weak))
    there = (made > 0).any(dim=2).any(dim=1)
    return made, torch.where(there, 10.0, -10.0)


def _apart(logits: Tensor, scores: Tensor, groups: Sequence[Tensor]) -> Tensor | None:
    """Logits where each pixel is positive for the best-scored object of its group only; None where nobody shares."""
    if not groups:
        return None
    made = logits.clone()
    for group in groups:
        own = made.index_select(0, group)
        claims = torch.where(own > 0, scores.float().index_select(0, group).sigmoid()[:, None, None], -1.0)
        mine = claims.argmax(dim=0)[None] == torch.arange(len(own), device=own.device)[:, None, None]
        made.index_copy_(0, group, torch.where(mine, own, own.clamp(max=OFF_LOGIT)))
    return made


def _clean(logits: Tensor, area: int, valid: Tensor | None) -> tuple[Array, Array, Tensor]:
    """Packed masks, statistics, and float32 logits `(N, m, m)` of what `kernels` makes of them."""
    side = logits.shape[-1]
    if logits.is_cuda and side < SIDE:
        # The kernel takes one size. Smaller masks lie in its corner: a hole at the edge to the rest stays open.
        logits = functional.pad(logits, (0, SIDE - side, 0, SIDE - side), value=OFF_LOGIT)
    made = masks.clean_masks(_array(logits), n_valid=_array(valid), max_hole=area, max_speck=area)
    clean = _tensor(made.logits)
    return made.bits, made.stats, clean if clean.shape[-1] == side else clean[:, :side, :side]


def _kept(bits: Array, stats: Array, picked: Picked, keys: Tensor | None, offset: int, nms_iou: float) -> Array | None:
    """uint8 `(T + D,)`, 0 for detections that a better one of the same key covers."""
    if nms_iou <= 0 or keys is None:
        return None
    count = _array(picked.count)
    overlap = _tensor(masks.iou(bits, bits, stats, stats, n_a=count, n_b=count))
    key = keys.index_select(0, picked.queries)
    rivals = torch.where(key[:, None] == key[None, :], overlap, 0.0)
    kept = _tensor(masks.nms(_array(rivals), _array(picked.scores), threshold=nms_iou, n_valid=count))
    return _array(functional.pad(kept, (offset, 0), value=1))


def _packed(block: Array, extra: Tensor) -> Tensor:
    """uint8: how many extra numbers, 12 bytes of padding, the numbers padded to 16 bytes, the block."""
    head = torch.zeros(4, dtype=torch.int32, device=extra.device)
    head[0] = len(extra)
    numbers = functional.pad(extra.float(), (0, -len(extra) % 4))
    parts = (head.view(torch.uint8), numbers.contiguous().view(torch.uint8), _tensor(block).view(torch.uint8))
    return torch.cat(parts)


def _cut(bits: Array, side: int) -> Array:
    """Packed masks without the kernel's padding."""
    if bits.shape[1] == side:
        return bits
    # As signed words, since torch moves few unsigned types.
    return bits.view(torch.int32)[:, :side, : -(-side // 32)].contiguous().view(torch.uint32)


def _joined(first: Array, second: Array) -> Array:
    if isinstance(first, np.ndarray):
        return np.concatenate((first, second))
    return torch.cat((first.view(torch.int32), second.view(torch.int32))).view(first.dtype)


def _zeros(like: Array, shape: tuple[int, ...], dtype: str) -> Array:
    if isinstance(like, np.ndarray):
        return np.zeros(shape, dtype)
    return torch.zeros(shape, dtype=getattr(torch, dtype), device=like.device)


def _array(tensor: Tensor | None) -> Array:
    """For the kernels: NumPy on the same memory for a CPU tensor."""
    if tensor is None or tensor.is_cuda:
        return tensor if tensor is None else tensor.contiguous()
    return tensor.contiguous().numpy()


def _tensor(array: Array) -> Tensor:
    return torch.from_numpy(array) if isinstance(array, np.ndarray) else array
