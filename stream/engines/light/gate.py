"""Decisions about what SAM saw: pure functions of measures."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from stream.engines.light.appearance import Similarity
from stream.engines.light.tuning import Tuning


class Verdict(Enum):
    ACCEPT = "accept"
    REJECT = "reject"
    LOSE = "lose"


@dataclass(frozen=True, slots=True)
class Measures:
    """`fit` is the IoU with the carried mask, `quality` SAM's own estimate of it, `area` the ratio of the areas,
    `intrusion` the share of the new mask that was another object's before, `moving` how much of it moves by itself,
    None where that is not known."""

    fit: float
    quality: float
    area: float
    similarity: Similarity
    intrusion: float = 0.0
    moving: float | None = None


def judge_refresh(measures: Measures, rejects: int, tuning: Tuning) -> Verdict:
    """Whether a refreshed mask replaces the carried one. `rejects`: refusals in a row before this one."""
    look = measures.similarity.look
    same = look > tuning.same_look
    close = measures.fit > tuning.gate_iou
    plausible = (
        measures.quality > tuning.loose_quality
        and measures.fit > tuning.loose_iou
        and tuning.area_least < measures.area < (tuning.growth_most if look > tuning.growth_look else tuning.area_most)
        and measures.similarity.colour > tuning.loose_colour
    )
    if same and (close or plausible) and measures.intrusion < tuning.intrusion:
        return Verdict.ACCEPT
    if not same and (rejects >= 1 or look < tuning.other_look):
        return Verdict.LOSE
    return Verdict.LOSE if rejects + 1 >= tuning.rejects_most else Verdict.REJECT


def is_stuck(measures: Measures, moved: float, tuning: Tuning) -> bool:
    """Whether a mask has slipped off an object that went on: it moved by itself, its mask does not any more, and what
    is there looks less like it than good refreshes do. `moved`: how much of it moved by itself of late."""
    stopped = measures.moving is not None and measures.moving < tuning.stopped_share
    return stopped and moved > tuning.moving_share and measures.similarity.look < tuning.learn_look


def may_return(measures: Measures, away_s: float, tuning: Tuning) -> bool:
    """Whether a candidate may be the lost object at all."""
    low, high = tuning.area_return
    long = min(1.0, away_s / tuning.long_s)
    moves = measures.moving is not None and measures.moving > tuning.moving_share
    feature = tuning.moving_feature if moves else tuning.return_feature
    return (
        measures.similarity.colour > tuning.return_colour + (tuning.long_colour - tuning.return_colour) * long
        and measures.similarity.look > tuning.return_look + (tuning.long_look - tuning.return_look) * long
        and measures.similarity.feature > feature
        and measures.quality > tuning.return_quality
        and low < measures.area < high
    )


def needs_second_hit(measures: Measures, away_s: float, near: bool, tuning: Tuning) -> bool:
    """Whether a return must be seen twice before it is shown: always, except soon, near and beyond doubt."""
    return not (near and away_s < tuning.prior_s and measures.similarity.look > tuning.sure_look)


def is_covered(visible: float, colour_share: float, tuning: Tuning) -> bool:
    """Whether the object under a carried mask is gone: its colours and its pixels both disagree.

    `visible`: smoothed share of pixels that look as in the keyframe; `colour_share`: the object's colours under the
    mask, as a share of what the keyframe had.
    """
    return colour_share < tuning.lost_colour and visible < tuning.lost_visible


def urgency(age_s: float, visible: float, speed: float, rejected: bool) -> float:
    """How much an object needs a refresh: its keyframe's age, weighed by how badly it is going. `speed` in pixels of
    the flow grid a picture."""
    return age_s * (1 + 1.5 * (1 - visible) + 0.5 * min(1.0, speed / 3) + 0.5 * rejected)


def learns(measures: Measures, tuning: Tuning) -> bool:
    """Whether a look is good enough to change what is remembered."""
    if measures.intrusion > tuning.learn_intrusion or measures.fit < tuning.learn_fit:
        return False
    return measures.similarity.look > tuning.learn_look and measures.quality > tuning.learn_quality
