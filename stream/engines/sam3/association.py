"""Which detection is which track: pure decisions over overlaps, after SAM 3's video model ("SAM 3: Segment Anything
with Concepts"; `Sam3VideoModel._associate_det_trk` and its neighbours in transformers)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream.engines.assignment import assign, is_tie
from stream.engines.sam3.policy import Policy

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Tracks:
    """The tracks of one stream that detections are compared with, in one order.

    `prompt`: int64 `(T,)`; `born`: int64 `(T,)`, the frame of birth; `empty`: bool `(T,)`, without a mask at present;
    `pointed`: bool `(T,)`, from a click, box or mask rather than from words: of no detector's prompt, but where it is
    nothing new begins.
    """

    prompt: I64
    born: I64
    empty: Bools
    pointed: Bools


@dataclass(frozen=True, slots=True)
class Detected:
    """What the detector found: `score` float32 and `prompt` int64 `(D,)`; `iou` float32 `(D, T)` with the tracks."""

    score: F32
    prompt: I64
    iou: F32


@dataclass(frozen=True, slots=True)
class Matches:
    """`new`: detections that are new objects, in order; `matched`, `unmatched`: bool `(T,)`, what a track's keep-alive
    counter goes by (both, where the overlap is loose); `confirmed`: track → the detection that is sure and well on it;
    `doubles`: pairs of tracks on one thing, the earlier first."""

    new: tuple[int, ...]
    matched: Bools
    unmatched: Bools
    confirmed: Mapping[int, int]
    doubles: tuple[tuple[int, int], ...]


def associate(detected: Detected, tracks: Tracks, policy: Policy) -> Matches:
    """Match by overlap within each prompt; several tracks may match one detection."""
    ours = detected.prompt[:, None] == tracks.prompt[None, :]
    iou = np.where(ours & ~tracks.pointed, detected.iou, np.float32(0))
    overlaps = iou >= policy.match_iou
    known = overlaps.any(axis=1) | (detected.iou[:, tracks.pointed] >= policy.same_iou).any(axis=1)
    new = (detected.score >= policy.new_score) & ~known
    if policy.first_takes_all and not len(tracks.prompt):
        new = np.ones(len(detected.score), np.bool_)
    kept = np.asarray((iou >= policy.keep_iou).any(axis=0), np.bool_)
    unmatched: Bools = ~tracks.empty & ~kept & ~tracks.pointed
    matched = np.asarray(overlaps.any(axis=0), np.bool_)
    return Matches(
        tuple(np.flatnonzero(new).tolist()),
        matched,
        unmatched,
        _confirmed(detected.score, iou, new, policy),
        _doubles(iou, tracks.born, policy),
    )


def _confirmed(score: F32, iou: F32, new: Bools, policy: Policy) -> dict[int, int]:
    if not iou.size:
        return {}
    best = iou.argmax(axis=1)
    sure = (score >= policy.recondition_score) & ~new & (iou.max(axis=1) >= policy.recondition_iou)
    return {int(best[index]): int(index) for index in np.flatnonzero(sure)}


def _doubles(iou: F32, born: I64, policy: Policy) -> tuple[tuple[int, int], ...]:
    pairs: dict[tuple[int, int], None] = {}
    for row in iou >= policy.double_iou:
        on_it = np.flatnonzero(row)
        if len(on_it) > 1:
            first = int(on_it[born[on_it].argmin()])
            pairs.update(((first, int(later)), None) for later in on_it if later != first)
    return tuple(pairs)


def suppressed(iou: F32, prompt: I64, last_hidden: I64, policy: Policy) -> Bools:
    """Tracks that give way to another which they overlap: of two, the one that was hidden more recently.

    `iou`: float32 `(T, T)`; `last_hidden`: int64 `(T,)`, the last frame without a mask, -1 for never. A track gives way
    only to one that was hidden before too, as in `_get_objects_to_suppress_based_on_most_recently_occluded`.
    """
    pairs = (iou >= policy.occlusion_iou) & (prompt[:, None] == prompt[None, :])
    np.fill_diagonal(pairs, False)
    later = last_hidden[:, None] > last_hidden[None, :]
    gives_way: Bools = (pairs & later & (last_hidden[None, :] > -1)).any(axis=1)
    return gives_way


def returns(likeness: F32, allowed: Bools, policy: Policy) -> dict[int, int]:
    """Which new objects are lost ones, new → lost: one assignment over all, ties left apart.

    `likeness`: float32 `(P, L)`, cosine of the object pointers; `allowed`: bool `(P, L)`, of one prompt.
    """
    scores = np.where(allowed & np.isfinite(likeness), likeness.astype(np.float64) - policy.return_cosine, -np.inf)
    return {i: j for i, j in assign(scores, 0.0) if not is_tie(scores, i, j, policy.return_margin)}


def best_new(new: Sequence[int], score: F32, room: int) -> tuple[tuple[int, ...], int]:
    """The `room` best of the new detections, in the detector's order, and how many there is no room for."""
    best = sorted(sorted(new, key=lambda index: -float(score[index]))[: max(0, room)])
    return tuple(best), len(new) - len(best)
