"""How good tracks are against truth: region similarity, identity, absence, recovery, detection.

A `Record` holds what was to be seen and what was said on each frame; every measure is a pure function of records.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import rlemasklib
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from stream.types import BoxXyxyPx, Rle

Mask = NDArray[np.bool_]

PRESENT, ABSENT = 0.15, 0.0
"""An object counts as present where at least this share of it is visible, and as absent where nothing is; what lies
between is judged by no measure."""
BACK = 0.5
"""An object has returned once this share of it is visible."""
MATCH_IOU = 0.5


@dataclass(frozen=True, slots=True)
class Seen:
    """One frame. `ious` maps (identity, track id) to the IoU of their masks where they overlap at all.

    `visible`: identity → visible share; `shown`: track id → area of its mask in pixels, live tracks with a mask only;
    `owner`: track id → the prompt's identity that it follows; `inside`: (identity, track id) → share of the track's
    mask that lies on the object.
    """

    index: int
    visible: Mapping[int, float]
    shown: Mapping[int, int]
    owner: Mapping[int, int]
    ious: Mapping[tuple[int, int], float]
    inside: Mapping[tuple[int, int], float]


@dataclass
class Record:
    """All frames of one scene; `heard`: identity → the frame before which it was asked for."""

    heard: dict[int, int]
    frames: list[Seen] = field(default_factory=list)
    fps: float = 30.0

    def first_id(self, identity: int) -> int | None:
        """The id that the object was given: the first shown track that was asked for as this object."""
        for seen in self.frames:
            ids = [t for t in seen.shown if seen.owner.get(t) == identity]
            if ids:
                return max(ids, key=lambda t: seen.ious.get((identity, t), 0.0))
        return None


def decode(rle: Rle, height: int, width: int) -> Mask:
    """`(height, width)` bool: the mask stretched over the whole picture, nearest neighbour."""
    grid = np.asarray(rlemasklib.decode({"size": list(rle.size), "counts": rle.counts.encode()})) > 0
    if grid.shape == (height, width):
        return np.ascontiguousarray(grid)
    rows = np.arange(height) * rle.size[0] // height
    columns = np.arange(width) * rle.size[1] // width
    return np.ascontiguousarray(grid[rows][:, columns])


def compare(
    index: int, truth: Mapping[int, Mask], visible: Mapping[int, float], masks: Mapping[int, Mask],
    owner: Mapping[int, int],
) -> Seen:  # fmt: skip
    """Measure one frame's masks (track id → `(H, W)` bool) against the truth (identity → `(H, W)` bool)."""
    shown = {t: int(np.count_nonzero(m)) for t, m in masks.items()}
    shown = {t: area for t, area in shown.items() if area}
    ious, inside = {}, {}
    for identity, true in truth.items():
        area = int(np.count_nonzero(true))
        for t in shown:
            common = int(np.count_nonzero(true & masks[t]))
            if common:
                ious[identity, t] = common / (area + shown[t] - common)
                inside[identity, t] = common / shown[t]
    return Seen(index, dict(visible), shown, dict(owner), ious, inside)


def region_similarity(record: Record, identity: int, *, settle: int = 10) -> float:
    """Mean IoU (DAVIS's J) of the object's own track over the frames where it is present.

    Counted from `settle` frames after it was asked for; a frame without its track counts 0.
    """
    own = record.first_id(identity)
    start = record.heard[identity] + settle
    values = [
        0.0 if own is None else seen.ious.get((identity, own), 0.0)
        for seen in record.frames
        if seen.index >= start and seen.visible.get(identity, 0.0) >= PRESENT
    ]
    return float(np.mean(values)) if values else float("nan")


def id_switches(record: Record) -> int:
    """CLEAR MOT's switches on masks: how often an object's matched id differs from the one it was matched to before.

    A match of the frame before is kept as long as its IoU is at least 0.5; the rest is assigned for the largest sum.
    """
    last: dict[int, int] = {}
    current: dict[int, int] = {}
    switches = 0
    for seen in record.frames:
        current = match(seen.ious, current)
        for identity, track in current.items():
            switches += identity in last and last[identity] != track
            last[identity] = track
    return switches


def match(ious: Mapping[tuple[int, int], float], before: Mapping[int, int]) -> dict[int, int]:
    """Assign identities to tracks one to one at IoU ≥ 0.5, keeping the pairs of `before` that still hold."""
    kept = {i: t for i, t in before.items() if ious.get((i, t), 0.0) >= MATCH_IOU}
    rest = {k: v for k, v in ious.items() if v >= MATCH_IOU and k[0] not in kept and k[1] not in set(kept.values())}
    if rest:
        rows, columns = sorted({i for i, _ in rest}), sorted({t for _, t in rest})
        gain = np.array([[rest.get((i, t), 0.0) for t in columns] for i in rows])
        for r, c in zip(*linear_sum_assignment(-gain), strict=True):
            if gain[r, c] > 0:
                kept[rows[r]] = columns[c]
    return kept


def absent_frames(record: Record, identity: int) -> tuple[int, int]:
    """`(frames with a mask of its own id, frames)` among those on which nothing of the object is visible."""
    own = record.first_id(identity)
    absent = [s for s in record.frames if s.index > record.heard[identity] and s.visible.get(identity, 0.0) <= ABSENT]
    return sum(own in s.shown for s in absent), len(absent)


def recoveries(record: Record, identity: int, *, shortest: int = 10) -> list[float | None]:
    """Seconds from each return of the object to its own id's mask on it (IoU ≥ 0.5); None where that never came.

    A return is the first frame on which half of the object is visible after `shortest` frames or more of absence; the
    wait ends with the next absence.
    """
    own = record.first_id(identity)
    out: list[float | None] = []
    absent_for, waiting = 0, -1
    for seen in record.frames:
        visible = seen.visible.get(identity, 0.0)
        if visible <= ABSENT:
            absent_for += 1
            if absent_for >= shortest and waiting >= 0:
                out.append(None)
                waiting = -1
            continue
        if visible >= BACK:
            if absent_for >= shortest and seen.index > record.heard[identity] and waiting < 0:
                waiting = seen.index
            absent_for = 0
        if waiting >= 0 and own is not None and seen.ious.get((identity, own), 0.0) >= MATCH_IOU:
            out.append((seen.index - waiting) / record.fps)
            waiting = -1
    if waiting >= 0:
        out.append(None)
    return out


def stolen_frames(record: Record, identity: int, other: int) -> int:
    """Frames on which the id of `identity` has its mask mostly on `other`."""
    own = record.first_id(identity)
    return sum(own is not None and s.inside.get((other, own), 0.0) >= 0.5 for s in record.frames)


def first_mask_s(record: Record, identity: int) -> float | None:
    """Seconds from the frame on which the engine heard of the object to its first mask."""
    own, heard = record.first_id(identity), record.heard[identity]
    return next(((s.index - heard) / record.fps for s in record.frames if own in s.shown), None)


@dataclass(frozen=True, slots=True)
class Box:
    """A box with an id, and whether it is to be ignored (hidden by half or more, or too small)."""

    id: int
    xyxy: BoxXyxyPx
    ignore: bool = False


@dataclass(frozen=True, slots=True)
class Detection:
    """Counts over all frames. Recall and precision are at IoU 0.5."""

    truths: int
    hits: int
    false_alarms: int
    switches: int

    @property
    def recall(self) -> float:
        return self.hits / self.truths if self.truths else float("nan")

    @property
    def precision(self) -> float:
        said = self.hits + self.false_alarms
        return self.hits / said if said else float("nan")


def box_iou(a: BoxXyxyPx, b: BoxXyxyPx) -> float:
    """Intersection over union of two half-open boxes."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    common = width * height
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)


def detection(frames: Sequence[tuple[Sequence[Box], Sequence[Box]]]) -> Detection:
    """Boxes and ids of `(truth, said)` on each frame, one to one at IoU ≥ 0.5 as in CLEAR MOT.

    A said box that is matched to an ignored truth, or lies by half of its area or more in one, counts for nothing.
    """
    truths = hits = false_alarms = switches = 0
    current: dict[int, int] = {}
    last: dict[int, int] = {}
    for truth, said in frames:
        ious = {(t.id, s.id): box_iou(t.xyxy, s.xyxy) for t in truth for s in said}
        current = match(ious, current)
        ignored = {t.id for t in truth if t.ignore}
        regions = [t.xyxy for t in truth if t.ignore]
        matched = set(current.values())
        truths += sum(not t.ignore for t in truth)
        hits += sum(identity not in ignored for identity in current)
        false_alarms += sum(s.id not in matched and not any(_within(s.xyxy, r) for r in regions) for s in said)
        for identity, track in current.items():
            switches += identity in last and last[identity] != track
            last[identity] = track
    return Detection(truths, hits, false_alarms, switches)


def _within(box: BoxXyxyPx, region: BoxXyxyPx) -> bool:
    width = min(box[2], region[2]) - max(box[0], region[0])
    height = min(box[3], region[3]) - max(box[1], region[1])
    return width > 0 and height > 0 and width * height >= 0.5 * (box[2] - box[0]) * (box[3] - box[1])
