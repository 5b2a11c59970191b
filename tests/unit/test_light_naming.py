"""What the detector says against what is followed: doubled tracks, trimmed masks, near returns, shared looks."""

from __future__ import annotations

import numpy as np
import pytest

from stream.engines import lifecycle
from stream.engines.grid import Patch
from stream.engines.lifecycle import Life
from stream.engines.light import intake, planner, returns
from stream.engines.light.appearance import Similarity
from stream.engines.light.gate import Measures
from stream.engines.light.intake import Known
from stream.engines.light.returns import Missing, Place
from stream.engines.light.sight import Found
from stream.engines.light.tuning import TUNING
from stream.types import BoxXyxyPx, TrackState

PERSON: BoxXyxyPx = (100, 100, 140, 200)


def known(i: int, box: BoxXyxyPx, *, from_text: bool = True) -> Known:
    return Known(i, "person", from_text, box)


def alike(look: float, colour: float = 0.9) -> Measures:
    return Measures(1.0, 0.9, 1.0, Similarity(colour, 2 * (look - colour)))


def missing(away_s: float, *, speed: float = 20.0) -> Missing:
    return Missing(7, (200.0, 100.0), 80.0, speed, away_s, 0.0)


def test_a_second_track_on_one_detection_is_doubled_and_one_beside_it_is_not() -> None:
    matched = {1: Found("person", 0.8, PERSON)}
    tracks = [known(1, PERSON), known(2, (105, 110, 138, 160)), known(3, (150, 100, 190, 200))]
    assert intake.doubled(matched, tracks) == {2}
    assert intake.doubled(matched | {2: Found("person", 0.6, (105, 110, 138, 160))}, tracks) == set()


def test_what_was_pointed_at_inside_of_a_detection_is_not_doubled() -> None:
    inside = known(2, (105, 110, 138, 160), from_text=False)
    assert intake.doubled({1: Found("person", 0.8, PERSON)}, [known(1, PERSON), inside]) == set()


def test_two_masks_that_were_mixed_up_where_their_objects_crossed_get_their_own_detections() -> None:
    left, right = Found("person", 0.8, (100, 100, 140, 200)), Found("person", 0.8, (120, 120, 160, 220))
    mixed_up = [
        Known(1, "person", True, (118, 118, 158, 218), expected=(101, 100, 141, 200)),
        Known(2, "person", True, (119, 119, 159, 219), expected=(122, 120, 162, 220)),
    ]
    assert intake.match([left, right], mixed_up, [], TUNING).matched == {1: left, 2: right}


def test_a_detection_where_it_is_expected_is_the_track_s_though_its_mask_is_elsewhere() -> None:
    stray = Known(1, "person", True, (300, 100, 340, 200), expected=(102, 100, 142, 200))
    found = Found("person", 0.8, PERSON)
    assert intake.match([found], [stray], [], TUNING).matched == {1: found}


def test_a_mask_is_cut_where_it_reaches_beyond_the_detection() -> None:
    leaking = Patch(90, 90, np.full((150, 160), 255, np.uint8))
    assert intake.trimmed(leaking, PERSON, 0.0).box() == (100, 100, 141, 201)
    assert intake.trimmed(leaking, PERSON, 0.1).box() == (90, 90, 151, 211)


def test_a_mask_within_the_detection_stays_as_it_is() -> None:
    patch = Patch(102, 102, np.full((90, 30), 255, np.uint8))
    assert intake.trimmed(patch, PERSON, 0.1) is patch


def test_a_mask_wholly_beyond_the_detection_is_emptied() -> None:
    assert intake.trimmed(Patch(300, 300, np.full((9, 9), 255, np.uint8)), PERSON, 0.1).box() is None


@pytest.mark.parametrize(
    ("away_s", "x", "look", "found"),
    [
        (0.5, 230.0, 1.20, {0: 7}),
        (0.5, 330.0, 1.20, {}),
        (0.5, 230.0, 1.10, {}),
        (9.0, 230.0, 1.20, {}),
    ],
    ids=["near", "out of reach", "looks otherwise", "too long ago"],
)
def test_a_new_detection_near_a_lost_track_is_that_track(
    away_s: float, x: float, look: float, found: dict[int, int]
) -> None:
    assert returns.arrivals([missing(away_s)], [Place((x, 100.0), {7: alike(look)})], TUNING) == found


def test_of_two_new_detections_the_nearer_one_is_the_lost_track() -> None:
    places = [Place((235.0, 100.0), {7: alike(1.3)}), Place((205.0, 100.0), {7: alike(1.3)})]
    assert returns.arrivals([missing(0.5)], places, TUNING) == {1: 7}


def test_nothing_looks_alike_enough_to_have_jumped_across_the_picture() -> None:
    places = [Place((600.0, 100.0), {7: alike(1.45, 0.97)})]
    assert returns.arrivals([missing(1.0)], places, TUNING) == {}
    assert returns.arrivals([missing(9.0)], places, TUNING) == {0: 7}


def test_one_look_takes_neighbours_of_one_size() -> None:
    boxes: list[BoxXyxyPx] = [PERSON, (150, 105, 190, 200), (500, 100, 540, 200), (160, 100, 164, 110)]
    chosen, (x0, y0, x1, y1) = planner.shared_region(boxes, 1.7, 3.0)
    assert chosen == [0, 1]
    assert x1 - x0 == pytest.approx(y1 - y0)
    assert x0 < 100
    assert x1 > 190
    assert x1 - x0 <= 3.0 * 95


def test_a_single_new_thing_gets_the_usual_crop() -> None:
    chosen, (x0, y0, x1, y1) = planner.shared_region([PERSON], 1.7, 3.0)
    assert chosen == [0]
    assert (x1 - x0, y1 - y0) == pytest.approx((170, 170))


def test_a_track_that_was_hardly_seen_goes_without_a_trace() -> None:
    life = Life.begin(0.0, sure=True)
    assert lifecycle.lose(life, 1.0, needed=4).state is TrackState.GONE
    for k in range(3):
        life = lifecycle.hit(life, 0.4 * k)
    assert lifecycle.lose(life, 2.0, needed=4).state is TrackState.LOST
