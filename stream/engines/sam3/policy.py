"""Every threshold of the sam3 engine: those that come with the model, and those of following live video."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Policy:
    """The defaults of the first part are those of SAM 3's video model; `of` takes them from a configuration. Counts of
    frames are of frames that were tracked."""

    score_least: float = 0.5
    """Detections at or below this are none."""
    nms_iou: float = 0.1
    match_iou: float = 0.1
    """A detection that overlaps a track of its prompt by this much is no new object."""
    keep_iou: float = 0.5
    """A track that no detection overlaps by this much is unmatched."""
    new_score: float = 0.7
    recondition_every: int = 16
    """Frames between two takings of a sure match into the memory as a conditioning frame; 0 for never."""
    recondition_score: float = 0.8
    recondition_iou: float = 0.8
    recondition_on_track: bool = True
    """Remember the tracked mask that the detector confirms, rather than the detector's."""
    occlusion_iou: float = 0.7
    """Of two tracks that overlap by this much, the one that was hidden more recently is suppressed."""
    shrink_least: float = 0.3
    """A mask that keeps less than this share of itself, where each pixel goes to one object, is not remembered."""
    fill_area: int = 16
    """Holes and specks of at most so many pixels of the mask grid are no part of the mask's shape."""
    keep_alive_first: int = 30
    keep_alive_most: int = 30
    keep_alive_least: int = -1
    probation: int = 15
    """Frames from birth in which a track from words that goes unmatched too often is dropped."""
    unmatched_most: int = 8
    doubled_most: int = 8
    """Frames for which the later of two tracks on one thing lives on."""

    detect_every: int = 4
    """Frames between two looks of the detector while nothing is in doubt."""
    detect_lost: int = 2
    """The same while an object has been lost for less than `detect_lost_s`; tentative objects have one at each."""
    detect_lost_s: float = 2.0
    hits: int = 3
    """Looks that saw an object, its first among them, until it is live."""
    absent_most: int = 3
    """Frames without a mask after which an object is lost."""
    double_iou: float = 0.5
    """Two tracks are on one thing where the same detection overlaps both by this much."""
    same_iou: float = 0.5
    """A detection that overlaps an object that was pointed at by this much is that object."""
    keep_lost_s: float = 33.0
    tentative_s: float = 10.0
    restore_s: float = 60.0
    """A removal can be undone for this long."""
    history_s: float = 1.5
    """How far back a prompt may point."""
    most_objects: int = 32
    """Objects of one stream, lost and removed ones among them."""
    most_detections: int = 32
    """Detections of one prompt that are looked at, the best first."""
    return_cosine: float = 0.75
    """How alike the pointers of a lost object and of a new one must be, to be the same object. Set by reason, not
    by measurement: pointers of one object in neighbouring frames are near 1."""
    return_margin: float = 0.05
    """Two explanations nearer than this are a tie, and the new object stays new."""
    whole_share: float = 0.85
    """A clicked mask with this much of itself in a larger one may have been meant as the larger one."""
    part_share: float = 0.7
    exclusive: bool = True
    """Show each pixel as one object's at most, among the objects of one prompt."""
    removes: bool = True
    """Whether tracks die, are lost and come back; without, every detection's track lives for ever."""
    first_takes_all: bool = False
    """While nothing is tracked, every detection is a new object, however low its score."""
    remember_all_with_new: bool = False
    """Encode everyone's memory again, with hard masks, on a frame that brings a new object."""
    show_detection: bool = False
    """Show the detector's mask where it confirmed a track for reconditioning."""

    @classmethod
    def of(cls, config: Any) -> Self:
        """For a model of this `Sam3VideoConfig`."""
        return cls(
            score_least=config.score_threshold_detection,
            nms_iou=config.det_nms_thresh,
            match_iou=config.assoc_iou_thresh,
            keep_iou=config.trk_assoc_iou_thresh,
            new_score=config.new_det_thresh,
            recondition_every=config.recondition_every_nth_frame,
            recondition_score=config.high_conf_thresh,
            recondition_iou=config.high_iou_thresh,
            recondition_on_track=config.recondition_on_trk_masks,
            occlusion_iou=config.suppress_overlapping_based_on_recent_occlusion_threshold,
            fill_area=config.fill_hole_area,
            keep_alive_first=config.init_trk_keep_alive,
            keep_alive_most=config.max_trk_keep_alive,
            keep_alive_least=config.min_trk_keep_alive,
            probation=config.hotstart_delay,
            unmatched_most=config.hotstart_unmatch_thresh,
            doubled_most=config.hotstart_dup_thresh,
        )

    def looking(self, share: float) -> Self:
        """The same with this share of the detector's looks while nothing is asked for or tentative."""
        if share >= 1:
            return self
        return replace(self, detect_every=round(self.detect_every / share), detect_lost=round(self.detect_lost / share))

    def like_stock(self) -> Self:
        """The choices of transformers' `Sam3VideoModel` fed frame by frame, which looks at every frame and lets no
        track die; to compare with it."""
        return replace(
            self, detect_every=1, detect_lost=1, exclusive=False, removes=False, first_takes_all=True,
            remember_all_with_new=True, show_detection=True,
        )  # fmt: skip
