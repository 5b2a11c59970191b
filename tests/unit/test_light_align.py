"""The composed map, set right by the keyframe's looks."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from stream.engines.light.align import MOST_POINTS, correction, inner_places

SIZE = 96


@pytest.fixture
def key() -> NDArray[np.uint8]:
    """A keyframe with structure of about five pixels."""
    noise = np.random.default_rng(3).uniform(0, 255, (SIZE, SIZE)).astype(np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), 2.5)
    return np.asarray(cv2.normalize(blurred, None, 20, 235, cv2.NORM_MINMAX), np.uint8)


def places() -> NDArray[np.float32]:
    """Points of the keyframe, a window of 40 by 40 around its middle."""
    x, y = np.meshgrid(np.arange(28, 68, 2), np.arange(28, 68, 2))
    return np.stack([x.ravel(), y.ravel()], 1).astype(np.float32)


def at(picture: NDArray[np.uint8], points: NDArray[np.float32]) -> NDArray[np.float32]:
    sampled = cv2.remap(picture, points[None], None, cv2.INTER_LINEAR)  # type: ignore[call-overload]
    return np.asarray(sampled[0], np.float32)


def settled(key: NDArray[np.uint8], points: NDArray[np.float32], now: NDArray[np.float32]) -> NDArray[np.float32]:
    """The points after twelve pictures, each with one correction."""
    for _ in range(12):
        centre, shift, turn = correction(key, points, now)
        p = points[:, 0] + 1j * points[:, 1]
        p = p + shift + turn * (p - centre)
        points = np.stack([p.real, p.imag], 1).astype(np.float32)
    return points


def test_a_map_that_drifted_comes_back(key: NDArray[np.uint8]) -> None:
    true = places()
    drifted = true + np.array([1.4, -1.1], np.float32)
    assert np.abs(settled(key, drifted, at(key, true)) - true).max() < 0.25


def test_a_turned_and_scaled_map_comes_back(key: NDArray[np.uint8]) -> None:
    true = places()
    p = (true[:, 0] + 1j * true[:, 1]) - (48 + 48j)
    p = p * (1.04 * np.exp(0.04j)) + (48 + 48j)
    drifted = np.stack([p.real, p.imag], 1).astype(np.float32)
    assert np.abs(settled(key, drifted, at(key, true)) - true).max() < 0.4


def test_a_change_of_light_moves_nothing(key: NDArray[np.uint8]) -> None:
    true = places()
    assert np.abs(settled(key, true, at(key, true) + 18) - true).max() < 0.05


def test_what_covers_a_third_does_not_drag_the_rest_along(key: NDArray[np.uint8]) -> None:
    true = places()
    now = at(key, true)
    now[true[:, 0] < 42] = 250
    drifted = true + np.array([0.8, 0.6], np.float32)
    assert np.abs(settled(key, drifted, now) - true).max() < 0.4


def test_a_plain_thing_stays_where_flow_put_it() -> None:
    plain = np.full((SIZE, SIZE), 90, np.uint8)
    noise = np.random.default_rng(5).normal(0, 2, len(places())).astype(np.float32)
    assert np.abs(settled(plain, places(), at(plain, places()) + noise) - places()).max() < 0.05


def test_one_step_is_short(key: NDArray[np.uint8]) -> None:
    true = places()
    _, shift, turn = correction(key, true + np.float32(4), at(key, true))
    assert abs(shift) <= 1.0 + 1e-6
    assert abs(turn) <= 0.05 + 1e-6


def test_places_lie_inside_and_are_not_many() -> None:
    soft = np.zeros((80, 120), np.uint8)
    soft[10:70, 20:110] = 255
    chosen = inner_places(soft)
    assert 300 < len(chosen) <= MOST_POINTS
    assert (chosen.min(0) >= [11, 21]).all()
    assert (chosen.max(0) <= [68, 108]).all()
    assert not len(inner_places(np.zeros((8, 8), np.uint8)))
