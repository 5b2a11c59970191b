"""The pictures that a model is sent."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import marks
from tests.moments import U8, block, masked, moment
from tests.staged import GREY


def label_of(picture: U8) -> tuple[int, int]:
    """The middle of the one label: black or white where the contour, 3 px wide, is not."""
    ink = ((picture < 20).all(axis=2) | (picture > 235).all(axis=2)).astype(np.uint8)
    ys, xs = np.nonzero(cv2.morphologyEx(ink, cv2.MORPH_OPEN, np.ones((7, 7), np.uint8)))
    return round((xs.min() + xs.max()) / 2), round((ys.min() + ys.max()) / 2)


def c_shape() -> U8:
    """A mask whose middle is not part of it."""
    mask = np.zeros((240, 320), np.uint8)
    mask[40:200, 60:260] = 1
    mask[90:150, 60:200] = 0
    return mask


@pytest.mark.parametrize("mask", [c_shape(), c_shape()[:, ::-1].copy(), c_shape()[::-1].copy()])
def test_the_number_stands_inside_of_the_mask(mask: U8) -> None:
    picture, shown = marks.marked(moment([masked(3, "cup", mask)]))
    assert shown == (3,)
    x, y = label_of(picture)
    assert mask[y, x] == 1


def test_the_number_of_an_object_in_the_corner_is_whole() -> None:
    picture, _ = marks.marked(moment([block(123456, "cup", (0, 0, 12, 12))]))
    ys, xs = np.nonzero((picture > 235).all(axis=2))
    assert ys.min() > 0
    assert xs.min() > 0
    assert xs.max() - xs.min() > 30, "all six digits are in the picture"


def test_the_contour_is_thin_and_the_rest_of_the_picture_as_it_was() -> None:
    picture, _ = marks.marked(moment([block(3, "cup", (60, 40, 260, 200))]))
    changed = (picture != GREY).any(axis=2)
    assert not changed[:36].any()
    assert not changed[46:90, 66:140].any(), "inside, beside the number, nothing is drawn over"
    assert changed[110, 58:63].any()


def test_at_most_twelve_are_marked_those_asked_about_first_then_the_largest() -> None:
    tracks = [block(k, "cup", (16 * k, 10, 16 * k + 6 + k % 8, 40 + k)) for k in range(1, 19)]
    _, shown = marks.marked(moment(tracks), [2, 1])
    assert len(shown) == marks.MOST_MARKS
    assert set(shown[:2]) == {1, 2}
    areas = {t.id: (t.box_xyxy_px[2] - t.box_xyxy_px[0]) * (t.box_xyxy_px[3] - t.box_xyxy_px[1]) for t in tracks}
    rest = [areas[i] for i in shown[2:]]
    assert rest == sorted(rest, reverse=True)
    assert min(rest) >= max(area for i, area in areas.items() if i not in shown)


def test_what_is_out_of_sight_is_not_marked() -> None:
    lost = replace(block(4, "cup", (10, 10, 60, 60)), mask=None)
    picture, shown = marks.marked(moment([lost]))
    assert shown == ()
    assert (picture == GREY).all()


def test_a_large_picture_is_made_smaller_and_the_frozen_one_stays() -> None:
    large = np.full((1440, 2560, 3), GREY, np.uint8)
    at_once = replace(moment([], picture=large), width=2560, height=1440)
    picture, _ = marks.marked(at_once)
    assert picture.shape == (720, 1280, 3)
    small = moment([block(3, "cup", (60, 40, 260, 200))])
    marks.marked(small)
    assert (marks.crop(small, (0, 0, 320, 240)) == GREY).all()


def test_a_crop_has_some_of_what_is_around_it_and_no_marks() -> None:
    picture = np.full((240, 320, 3), GREY, np.uint8)
    picture[50:150, 100:200] = (0, 0, 255)
    crop = marks.crop(moment([], picture=picture), (100, 50, 200, 150))
    assert crop.shape == (130, 130, 3)
    assert (crop[15:115, 15:115] == (0, 0, 255)).all()
    assert (crop[:15] == GREY).all()


@pytest.mark.parametrize(
    ("box", "size"),
    [
        ((0, 0, 10, 10), (37, 37)),
        ((310, 230, 320, 240), (37, 37)),
        ((-20, 100, 5, 120), (64, 25)),
        ((150, 100, 160, 110), (64, 64)),
    ],
)
def test_a_crop_of_something_small_shows_its_surroundings_as_far_as_there_are_any(
    box: tuple[float, float, float, float], size: tuple[int, int]
) -> None:
    assert marks.crop(moment([]), box).shape[:2] == size


@settings(max_examples=60)
@given(st.tuples(*[st.floats(-500, 800)] * 4))
def test_any_box_gives_a_picture(box: tuple[float, float, float, float]) -> None:
    assert marks.crop(moment([]), box).size > 0


def test_without_a_picture_nothing_can_be_drawn() -> None:
    blind = replace(moment([]), picture=None)
    for draw in (lambda: marks.marked(blind), lambda: marks.crop(blind, (0, 0, 9, 9))):
        with pytest.raises(ValueError, match="no picture"):
            draw()
