"""A mask that is carried does not trail behind its object: flow errs towards what stands still."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from stream.engines.flow import FlowHistory
from stream.engines.grid import ON, Grid, Patch, picture_of, shrink
from stream.engines.light.carry import CarriedMask
from stream.engines.light.tuning import TUNING
from tests.quality.scenes import Scene, Truth
from tests.quality.sets import SetName, make

PICTURES = 12
"""As many as pass between two looks at an object among several."""
FRAMES = 100
SEEN_WELL = 0.97
GRID = Grid.of(640, 480)


@dataclass
class Run:
    """A true mask under way, since frame `begun`, when the object's middle was at `start`."""

    identity: int
    begun: int
    start: NDArray[np.float64]
    carried: CarriedMask


def middle_of(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    rows, columns = np.nonzero(mask)
    return np.array([columns.mean(), rows.mean()])


def judged(run: Run, truth: NDArray[np.bool_]) -> tuple[float, float]:
    """Overlap with the truth, and by how many pixels the mask lags behind along the object's way."""
    mask = run.carried.render().whole(GRID.mask) >= ON
    way = middle_of(truth) - run.start
    lag = float((middle_of(truth) - middle_of(mask)) @ way / np.hypot(*way))
    return float((mask & truth).sum() / (mask | truth).sum()), lag


def begin(truth: Truth, k: int, small: NDArray[np.uint8], history: FlowHistory) -> list[Run]:
    """All objects that are seen well."""
    return [
        Run(i, k, middle_of(mask), CarriedMask(GRID, Patch(0, 0, mask * np.uint8(255)).tight(), small, history.xy))
        for i, mask in truth.masks.items()
        if truth.visible[i] > SEEN_WELL
    ]


def carry(scene: Scene) -> list[tuple[float, float]]:
    """True masks, each carried for twelve pictures."""
    cv2.setNumThreads(1)
    history, runs, out = FlowHistory(GRID, 1.5), list[Run](), []
    for k in range(FRAMES):
        frame, truth = scene.at(k)
        small = shrink(picture_of(frame), GRID.flow)
        back = history.push(k, k / 30, frame.ref, small)
        runs = [run for run in runs if truth.visible.get(run.identity, 0) > SEEN_WELL]
        for run in runs:
            assert back is not None
            run.carried.roll(back)
            run.carried.compare(small, TUNING.same_pixel)
        out += [judged(run, truth.masks[run.identity]) for run in runs if k - run.begun == PICTURES]
        runs = [run for run in runs if k - run.begun < PICTURES]
        if k % PICTURES == 0:
            runs += begin(truth, k, small, history)
    return out


@pytest.mark.parametrize(("name", "least", "most_px"), [("plain", 0.94, 0.8), ("hard", 0.93, 1.1)])
def test_a_mask_stays_on_its_object(name: SetName, least: float, most_px: float) -> None:
    """At 2 to 4 pixels a picture, and at 8."""
    found = [one for seed in range(2) for one in carry(make(name, "tuning", seed))]
    assert len(found) >= 20
    assert np.mean([overlap for overlap, _ in found]) > least
    assert abs(float(np.mean([lag for _, lag in found]))) < most_px
