"""Edges of masks, moved onto those of the picture."""

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.engines.grid import ON, Grid, Patch
from stream.engines.light.edges import REACH_PX, guided, snapped

GRID = Grid.of(640, 480)
WHOLE = GRID.mask


def star() -> NDArray[np.uint8]:
    """A thing with thin parts, `(480, 640)` 0/1."""
    on = np.zeros((480, 640), np.uint8)
    cv2.ellipse(on, (320, 240), (40, 70), 20, 0, 360, 1, -1)
    cv2.line(on, (320, 240), (250, 330), 1, 9)
    return on


def picture(on: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The thing before a ground of other colours, with a sensor's noise."""
    colours = np.where(on[..., None] > 0, [40, 90, 180], [120, 110, 90]).astype(np.float32)
    noisy = colours + np.random.default_rng(2).normal(0, 4, colours.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def coarse(on: NDArray[np.uint8]) -> Patch:
    """The mask as it comes from a grid four times as coarse."""
    small = cv2.resize(on * np.uint8(255), (160, 120), interpolation=cv2.INTER_AREA)
    return Patch(0, 0, np.asarray(cv2.resize(small, (640, 480), interpolation=cv2.INTER_NEAREST), np.uint8)).tight()


def iou(patch: Patch, on: NDArray[np.uint8]) -> float:
    said = patch.whole(WHOLE) >= ON
    return float((said & (on > 0)).sum() / (said | (on > 0)).sum())


def test_a_coarse_mask_gets_the_edge_of_the_thing() -> None:
    on = star()
    assert iou(coarse(on), on) < 0.96
    assert iou(snapped(coarse(on), picture(on), GRID), on) > 0.98


def test_a_picture_of_twice_the_size_serves_as_well() -> None:
    on = star()
    large = cv2.resize(picture(on), (1280, 960), interpolation=cv2.INTER_LINEAR).astype(np.uint8)
    assert iou(snapped(coarse(on), large, GRID), on) > 0.98


def test_an_edge_moves_by_little_only() -> None:
    on, ground = star(), np.full((480, 640, 3), 100, np.uint8)
    cv2.circle(ground, (320, 240), 160, (20, 200, 20), -1)
    reach = np.ones((2 * REACH_PX + 1, 2 * REACH_PX + 1), np.uint8)
    said = snapped(Patch(0, 0, on * np.uint8(255)).tight(), ground, GRID).whole(WHOLE) >= ON
    assert not (said & (cv2.dilate(on, reach) == 0)).any()
    assert said[cv2.erode(on, reach) > 0].all()


def test_where_the_picture_shows_no_edge_the_mask_stays() -> None:
    on = star()
    plain = np.full((480, 640, 3), 100, np.uint8)
    assert iou(snapped(Patch(0, 0, on * np.uint8(255)).tight(), plain, GRID), on) > 0.9


def test_a_picture_coarser_than_the_mask_changes_nothing() -> None:
    patch = coarse(star())
    assert snapped(patch, np.zeros((240, 320, 3), np.uint8), GRID) is patch


def test_nothing_stays_nothing() -> None:
    nothing = Patch(0, 0, np.zeros((0, 0), np.uint8))
    assert snapped(nothing, np.zeros((480, 640, 3), np.uint8), GRID) is nothing


def test_what_is_a_function_of_the_colours_stays_as_it_is() -> None:
    colours = np.random.default_rng(4).uniform(0, 1, (40, 50, 3)).astype(np.float32)
    values = colours @ np.array([0.3, -0.2, 0.5], np.float32) + np.float32(0.1)
    assert np.abs(guided(values, colours) - values)[11:-11, 11:-11].max() < 0.03
