"""Every threshold of the light engine, in one place, with the reason for each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tuning:
    # --- SAM's crops
    pad: float = 1.7
    """Side of a crop in sizes of the object: room to grow and context for SAM, without losing resolution."""
    pad_crowded: float = 2.2
    """The same with more than four objects, so that neighbours share one crop."""
    search_pad: float = 2.0
    """The same around a place where a lost object may be; its position is known less well."""

    apart_weight: float = 0.30
    """What moving by itself counts in the choice among SAM's masks for a click, in units of SAM's own estimate."""

    # --- the look: colour similarity (Bhattacharyya, 0..1) + half of the feature's cosine
    same_look: float = 1.15
    """A refresh below this shows something else; good ones have 1.37 and more at the 5th percentile."""
    other_look: float = 0.90
    """Below this a single refresh is enough to give an object up."""
    learn_look: float = 1.36
    """From here on a refresh may change what is remembered; lower, and an occluder would be learnt."""
    learn_quality: float = 0.85
    """SAM's own estimate that a mask needs before it is learnt from."""
    learn_intrusion: float = 0.05
    learn_fit: float = 0.70
    """A mask that changed much, or took from a neighbour, is believed for now but not learnt from."""
    return_look: float = 1.25
    """A lost object is taken up again from here on; stricter than for one that was never out of sight."""
    return_colour: float = 0.75
    """Colour alone must agree too: features of two things of one class are close."""
    return_feature: float = 0.87
    """And so must features: ground of the same colours stays below."""
    moving_feature: float = 0.76
    moving_share: float = 0.5
    """What moves by itself, over this share of it, is no ground: features may differ as they do before another
    background or half in view."""
    stopped_share: float = 0.15
    """A mask of which no more moves by itself stands still like the background."""
    return_quality: float = 0.6
    """SAM's estimate below this is a mask of no thing."""
    sure_look: float = 1.40
    """From here on a return near the expected place needs no second hit."""
    long_look: float = 1.34
    long_colour: float = 0.88
    """The same two after an absence: another thing of the same class reaches 1.32 and 0.85."""
    long_s: float = 1.5
    """From this absence on they hold in full, before that in proportion: soon after a loss a part may be all that is
    seen, and little else can have taken the place."""

    # --- refreshes
    gate_iou: float = 0.55
    """A mask that overlaps the carried one by this much is the same thing as long as it looks like it."""
    loose_iou: float = 0.30
    """With a good look, quality and size the overlap may fall to this: fast motion, or growing out of an occlusion."""
    loose_quality: float = 0.80
    loose_colour: float = 0.80
    area_least: float = 0.40
    area_most: float = 1.60
    """Change of area between carried mask and refresh that the loose gate takes."""
    growth_look: float = 1.42
    growth_most: float = 2.50
    """It may grow by more where the look is beyond doubt: coming out from behind something."""
    leaving_share: float = 0.2
    """At the edge of the picture, less than this share of the remembered area means that the object has left: what SAM
    makes of the rest is mostly background."""
    doubtful_look: float = 1.38
    """Below this SAM is asked again without the old mask, else an object shrinks to its part."""
    odd_look: float = 1.40
    odd_weight: float = 2.0
    """Among SAM's masks one that looks less like the object than good ones do must fit the carried mask much better:
    a leak fits the mask that has leaked already."""
    island_colour: float = 0.55
    """What is cut off from the rest of a mask must look this much like the object, or it was left behind by a leak."""
    shrink_slowly: float = 0.97
    """Weight of the remembered area where a refresh is smaller: an occlusion is not the object's size."""
    grow_slowly: float = 0.90
    """The same where it is larger: leaks come in small steps."""
    shrunk: float = 0.85
    """A refresh with less than this share of the remembered area may have shrunk to a part: look for the whole."""
    whole_look: float = 0.05
    """The whole may look this much less like the object than the part does."""
    whole_gain: float = 0.01
    """What is larger than remembered must look this much more like the object."""
    whole_quality: float = 0.80
    whole_contains: float = 0.85
    """The whole has at least this share of the part."""
    whole_fills: float = 0.70
    """A mask whose box overlaps the whole object's box by this much is what was expected there."""
    whole_intrusion: float = 0.30
    """... and may then take back this share of itself from a neighbour."""
    whole_own: float = 0.70
    """What it adds must have the object's first colours (Bhattacharyya), or all of it look more like the object."""
    whole_strays: float = 0.5
    """... and no more than this share of it may move otherwise than the object."""
    stray_weight: float = 1.5
    """What a mask loses, in units of overlap, for growing by what moves otherwise: a neighbour at a crossing."""
    more_least: float = 0.12
    """What moves along with a mask and is not in it must be at least this share of it ..."""
    more_most: float = 2.2
    """... and the mask with it at most so many times as large."""
    more_along: float = 0.6
    """So much of what a mask adds must move along."""
    more_quality: float = 0.85
    """SAM's estimate that such a mask needs."""
    more_looks: int = 2
    """So many looks must see more, and none nothing: two things may move alike for a moment."""
    more_within: int = 12
    """After so many looks that saw it move by itself an object is known as a whole: what moves along later is more
    likely another thing."""
    part_least: float = 0.10
    """So much of its remembered area in its colours, elsewhere in its box, is worth asking whether it is a part."""
    whole_most: float = 1.25
    """... and at most this share of the remembered area."""
    intrusion: float = 0.15
    """A refresh that takes this share of itself from what was another object's is a leak or a swap."""
    hidden_most: float = 1.15
    """With what is hidden of it an object is at most this share of its remembered area: what is larger had leaked."""
    rejects_most: int = 6
    """This many refused refreshes in a row mean that the object is not there any more."""
    stable_iou: float = 0.93
    """A refresh that agrees this well changed nothing; three of them make an object calm."""
    calm_gap_s: float = 0.5
    """A calm, still object is refreshed this often: SAM's time is better spent elsewhere."""
    refresh_gap_s: float = 0.04
    """The shortest time between two refreshes of one object, about one picture."""
    hidden_gap_s: float = 1.0
    """Removed objects are followed unseen, so that they can be restored and do not come back; slowly."""

    # --- is it still there
    same_pixel: int = 40
    """A pixel (0..255, worst channel) that differs by less looks as in the keyframe: noise and shading stay below."""
    lost_colour: float = 0.35
    """The object's colours fell to this share of what the keyframe had."""
    lost_visible: float = 0.50
    """... and fewer pixels than this look as in the keyframe: then it is gone or covered."""
    least_pixels: int = 4
    """A mask of fewer pixels on the flow grid cannot be followed."""

    # --- the search for lost objects
    search_gaps_s: tuple[tuple[float, float], ...] = ((3.0, 0.15), (1e9, 0.3))
    """(lost for less than, seconds between searches): most returns come soon; all are to be seen within 1.5 s."""
    search_share: int = 1
    """At least this many other jobs between two searches, or lost objects would starve the others."""
    area_return: tuple[float, float] = (0.25, 4.0)
    """How much a thing's area may have changed when it comes back."""
    peak_least: float = 0.04
    """Weakest peak of the colour map worth a look."""
    still_share: float = 0.40
    """What a place that does not move by itself counts: most lost objects come back moving."""
    refused_s: float = 1.2
    """A still place where a search did not find the object is left alone for this long."""
    tie: float = 0.06
    """Two explanations whose scores differ by less are a tie."""
    hold_s: float = 0.7
    """How long a tie is held back before the best assignment is taken; recovery may take 1.5 s."""
    hypothesis_s: float = 1.0
    """A first hit that no second one confirms within this is dropped."""
    prior_s: float = 1.5
    """For how long after a loss the last velocity says anything about the place."""
    prior_weight: float = 0.15
    """What a candidate one standard deviation off the predicted place loses, in units of the look, times 1/2 d²."""

    # --- detector
    detect_gap_s: float = 0.3
    """Between two looks of the detector: new things get a mask within half a second."""
    detect_least: float = 0.45
    """Lowest score of a detection around a click."""
    match_least: float = 0.30
    """Lowest score of a detection that confirms a track; weaker ones than may start one (Zhang et al., ByteTrack)."""
    start_least: float = 0.50
    """Lowest score that may start a track by itself."""
    sure_score: float = 0.65
    """A detection this good makes a live track at once; weaker ones are tentative until seen again."""
    match_iou: float = 0.30
    """A detection that overlaps a text prompt's track by this much is that track."""
    expect_s: float = 1.3
    """For how long the motion of the detector's boxes tells where the next one will be."""
    match_pointed_iou: float = 0.60
    """The same for a track that was pointed at, which may be a part of what the detector sees."""
    newcomers_most: int = 4
    """New detections that wait for a mask; the next look of the detector brings the others."""
    whole_iou: float = 0.75
    """SAM's mask for click and detector's box fills the box this well: the click meant the whole object."""
    part_iou: float = 0.75
    """A mask whose box overlaps the detector's by less is a part: the refresh is prompted by the detector."""
    astray_iou: float = 0.50
    """A mask whose box overlaps the detector's by less lies elsewhere: it is made anew from the detector's box."""
    box_slack: float = 0.12
    """What a mask may reach beyond the detector's box, in shares of the box's longer side."""
    tentative_s: float = 1.2
    """A text prompt's track that no second detection confirms within this is dropped; three looks of the detector."""
    unseen_s: float = 1.3
    """A text prompt's track that the detector has not seen for this long is out of sight: three looks and more."""
    doubled_looks: int = 2
    """So many looks in a row that found two tracks on one detection: the worse one is let go."""
    known_hits: int = 4
    """A text prompt's track that was seen less often than this goes without a trace when it is lost: its id would only
    fill the list."""
    overdue_s: float = 0.6
    """A mask older than this is refreshed before one more new thing gets its first."""
    strained_s: float = 1.0
    """From this mean age of the masks on, refreshes look at larger crops, which more objects share."""
    pad_strained: float = 3.0
    """Side of those crops in sizes of the object; beyond, its mask gets coarse."""
    near_s: float = 2.5
    """A new detection within reach of a track that was lost shorter ago than this is that track unless it looks
    otherwise."""
    near_look: float = 1.15
    near_colour: float = 0.70
    """What "otherwise" means: below these, a blurred or half covered view of the same thing is ruled out as well."""

    # --- lifecycle
    keep_lost_s: float = 33.0
    """Ids of lost objects are kept this long: 30 s, and the time that recognising one takes."""
    restore_s: float = 60.0
    """A removal can be undone for this long."""
    history_s: float = 1.5
    """How far back a prompt may point."""
    most_tracks: int = 32
    """Objects of one stream, lost and hidden ones among them."""


TUNING = Tuning()
