"""Where a lost object is looked for, without a network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stream.engines.flow import Flow, FlowHistory
from stream.engines.grid import Grid, Patch
from stream.engines.light.appearance import Memory, look_at
from stream.engines.light.search import hunt
from stream.engines.light.sight import View, Wanted
from stream.engines.light.tuning import TUNING

GRID = Grid.of(640, 480)
RED = (30, 30, 200)
STANDING, MOVING = (60, 80), (220, 150)
"""Left top corners of two things of the same colour on the flow grid."""


def view(*, moving: bool) -> View:
    """Two red squares on textured ground; with `moving`, the second one moves."""
    rng = np.random.default_rng(3)
    small = rng.integers(90, 150, (240, 320, 3)).astype(np.uint8)
    back = np.zeros((240, 320, 2), np.float32)
    for x, y in (STANDING, MOVING):
        small[y : y + 40, x : x + 40] = RED
    if moving:
        x, y = MOVING
        back[y : y + 40, x : x + 40] = (-4, 0)
    return View(1, 0.0, GRID, small, small, FlowHistory(GRID, 1.5), flow=Flow.of(back))


def wanted() -> Wanted:
    picture = view(moving=False).small
    on = np.zeros(picture.shape[:2], np.uint8)
    on[80:120, 60:100] = 1
    memory = Memory.of(look_at(picture, on))
    return Wanted(1, memory, (80.0, 80.0), 6400.0, (140.0, 180.0), 2000.0)


def middle(corner: tuple[int, int]) -> tuple[float, float]:
    """On the mask grid."""
    return 2.0 * (corner[0] + 20), 2.0 * (corner[1] + 20)


def looks_at(view: View, wanted: Wanted) -> tuple[float, float] | None:
    found = hunt(view, wanted, 320, TUNING)
    return None if found is None else (found.place.x, found.place.y)


def test_what_moves_by_itself_is_looked_at_before_what_stands() -> None:
    place = looks_at(view(moving=True), wanted())
    assert place is not None
    assert np.hypot(*np.subtract(place, middle(MOVING))) < 20


def test_a_still_place_that_was_looked_at_in_vain_is_left_alone() -> None:
    first = looks_at(view(moving=False), wanted())
    assert first is not None
    second = looks_at(view(moving=False), replace(wanted(), refused=(first,)))
    assert second is not None
    assert np.hypot(*np.subtract(first, second)) > 100
    assert looks_at(view(moving=False), replace(wanted(), refused=(first, second))) is None


def test_what_moves_is_looked_at_again() -> None:
    lost = replace(wanted(), refused=(middle(STANDING), middle(MOVING)))
    place = looks_at(view(moving=True), lost)
    assert place is not None
    assert np.hypot(*np.subtract(place, middle(MOVING))) < 20


def test_what_is_followed_already_is_not_looked_at() -> None:
    picture = view(moving=True)
    x, y = (2 * v for v in MOVING)
    followed = replace(picture, masks={7: Patch(x, y, np.full((80, 80), 255, np.uint8))})
    place = looks_at(followed, wanted())
    assert place is not None
    assert np.hypot(*np.subtract(place, middle(STANDING))) < 20
