"""The motion of one object, and masks carried by it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.engines.flow import LEAST_SIDE, MARGIN, Flow, FlowHistory, Window, parts_for
from stream.engines.grid import Grid, Patch, shrink
from stream.engines.light.carry import CarriedMask
from stream.engines.light.motion import (
    by_itself,
    fit_similarity,
    moves_along,
    object_flow,
    off_background,
    off_motion,
    stands_apart,
    strays,
)
from stream.engines.light.replay import Replay
from stream.engines.light.sight import View
from stream.types import FrameRef

SMALL = st.floats(-0.05, 0.05)
SHIFT = st.floats(-20, 20)


def field(points: np.ndarray, a: float, b: float, tx: float, ty: float) -> np.ndarray:
    x, y = points[:, 0], points[:, 1]
    return np.column_stack([a * x - b * y + tx, b * x + a * y + ty]).astype(np.float32)


@given(SMALL, SMALL, SHIFT, SHIFT, st.integers(0, 10_000), st.floats(0, 0.3))
@settings(max_examples=50)
def test_the_fit_finds_the_motion_though_some_of_the_flow_is_something_else(
    a: float, b: float, tx: float, ty: float, seed: int, share: float
) -> None:
    rng = np.random.default_rng(seed)
    points = rng.uniform(40, 140, (300, 2)).astype(np.float32)
    flow = field(points, a, b, tx, ty)
    wrong = rng.random(300) < share
    flow[wrong] = [tx + 25, ty - 25]
    found = field(points, *fit_similarity(points, flow))
    assert np.abs(found - field(points, a, b, tx, ty)).max() < 1.5


def test_background_flow_beside_the_object_does_not_enter() -> None:
    xy = np.dstack(np.meshgrid(np.arange(80, dtype=np.float32), np.arange(60, dtype=np.float32)))
    soft = np.zeros((60, 80), np.uint8)
    soft[20:40, 30:50] = 255
    back = np.zeros((60, 80, 2), np.float32)
    back[20:40, 30:50] = [-6, 0]
    own = object_flow(xy, back, soft, np.zeros(2, np.float32))
    assert np.abs(own[22:38, 25:29] - [-6, 0]).max() < 0.5
    assert np.abs(own[22:38, 51:55] - [-6, 0]).max() < 0.5


def test_an_object_of_which_too_little_is_seen_keeps_its_motion() -> None:
    back = np.ones((5, 5, 2), np.float32)
    own = object_flow(np.zeros((5, 5, 2), np.float32), back, np.zeros((5, 5), np.uint8), np.array([2, -1], np.float32))
    assert own.shape == back.shape
    assert (own == [2, -1]).all()


def picture(x: float, y: float, rng: np.random.Generator) -> np.ndarray:
    """A textured square at `(x, y)` on a textured ground, `(480, 640, 3)`."""
    ground = cv2.resize(rng.integers(60, 130, (60, 80, 3)).astype(np.uint8), (640, 480), interpolation=cv2.INTER_CUBIC)
    thing = cv2.resize(rng.integers(120, 255, (12, 12, 3)).astype(np.uint8), (90, 90), interpolation=cv2.INTER_CUBIC)
    shift = np.array([[1, 0, x], [0, 1, y]], np.float64)
    cv2.warpAffine(thing, shift, (640, 480), dst=ground, borderMode=cv2.BORDER_TRANSPARENT)
    return ground


@pytest.mark.parametrize(("dx", "dy"), [(0, 0), (5, 0), (-4, 3)])
def test_a_mask_is_carried_with_its_object(dx: float, dy: float) -> None:
    grid = Grid.of(640, 480)
    history = FlowHistory(grid, 1.5)
    carried: CarriedMask | None = None
    for k in range(21):
        small = shrink(picture(250 + dx * k, 150 + dy * k, np.random.default_rng(3)), grid.flow)
        back = history.push(k, k / 30, FrameRef(0, k), small)
        if carried is None:
            mask = np.zeros((480, 640), np.uint8)
            mask[150:240, 250:340] = 255
            carried = CarriedMask(grid, Patch(0, 0, mask).tight(), small, history.xy)
        elif back is not None:
            carried.roll(back)
    assert carried is not None
    got = carried.render().whole(grid.mask) >= 128
    want = np.zeros((480, 640), bool)
    x, y = 250 + dx * 20, 150 + dy * 20
    want[y : y + 90, x : x + 90] = True
    assert (got & want).sum() / (got | want).sum() > 0.9


def test_an_object_that_comes_in_is_not_drawn_out_to_the_edge() -> None:
    grid = Grid.of(640, 480)
    xy = grid.flow_xy()
    mask = np.zeros((480, 640), np.uint8)
    mask[100:200, :60] = 255
    carried = CarriedMask(grid, Patch(0, 0, mask), np.zeros((240, 320, 3), np.uint8), xy)
    back = np.zeros((240, 320, 2), np.float32)
    back[..., 0] = -4
    for _ in range(10):
        carried.roll(Flow.of(back))
    got = carried.render().whole(grid.mask) >= 128
    assert got[110:190, 95:125].all(), "it moved by 80 pixels"
    assert not got[:, :60].any()


@pytest.mark.parametrize("first_go", [0, 4, 9])
def test_a_mask_of_an_older_picture_comes_to_the_present_in_one_go_or_in_two(first_go: int) -> None:
    grid = Grid.of(640, 480)
    history = FlowHistory(grid, 1.5)
    mask = np.zeros((480, 640), np.uint8)
    mask[150:240, 250:340] = 255
    replay: Replay | None = None
    for k in range(10):
        small = shrink(picture(250 + 4 * k, 150, np.random.default_rng(3)), grid.flow)
        history.push(k, k / 30, FrameRef(0, k), small)
        if k == 0:
            view = View(0, 0.0, grid, small, small, history)
            replay = Replay(Patch(0, 0, mask).tight(), view, 40, None)
        if k == first_go and replay is not None:
            replay.catch_up()
    assert replay is not None
    got = replay.catch_up().render().whole(grid.mask) >= 128
    want = np.zeros((480, 640), bool)
    want[150:240, 286:376] = True
    assert (got & want).sum() / (got | want).sum() > 0.93
    assert np.allclose(replay.travel, (18, 0), atol=0.5)


@given(
    st.tuples(st.integers(-5, 300), st.integers(-5, 220), st.integers(1, 90), st.integers(1, 70)),
    st.sampled_from([(320, 240), (640, 480), (640, 426), (1280, 720), (100, 75)]),
)
def test_a_mask_on_the_flow_grid_is_the_whole_mask_shrunk(
    place: tuple[int, int, int, int], size: tuple[int, int]
) -> None:
    grid = Grid.of(*size)
    x, y, width, height = place
    data = np.random.default_rng(width * height).integers(0, 255, (height, width)).astype(np.uint8)
    patch = Patch(x, y, data)
    assert np.array_equal(patch.small(grid), shrink(patch.whole(grid.mask), grid.flow))


def test_the_history_is_bounded_in_time_and_in_number() -> None:
    grid = Grid.of(64, 48)
    history = FlowHistory(grid, 1.5)
    small = np.zeros((grid.flow[1], grid.flow[0], 3), np.uint8)
    for k in range(200):
        history.push(k, k / 30, FrameRef(0, k), small)
    assert len(history) == 46
    for k in range(200, 800):
        history.push(k, 7 + k / 1000, FrameRef(0, k), small)
    assert len(history) == 96
    assert history.at(FrameRef(0, 100)) is None
    assert history.at(FrameRef(0, 799)) is not None
    assert len(list(history.moments_after(790))) == 9


BOX = st.tuples(st.integers(0, 300), st.integers(0, 220), st.integers(2, 320), st.integers(2, 240)).map(
    lambda b: (b[0], b[1], min(320, b[0] + b[2]), min(240, b[1] + b[3]))
)


@given(st.lists(BOX, max_size=8))
def test_every_window_with_its_margin_lies_in_one_part(windows: list[Window]) -> None:
    parts = parts_for(windows, (320, 240))
    assert len(parts) <= max(1, len(windows))
    for x0, y0, x1, y1 in windows:
        room = max(0, x0 - MARGIN), max(0, y0 - MARGIN), min(320, x1 + MARGIN), min(240, y1 + MARGIN)
        inside = [p for p in parts if p[0] <= room[0] and p[1] <= room[1] and p[2] >= room[2] and p[3] >= room[3]]
        assert inside
    assert all(0 <= p[0] < p[2] <= 320 and 0 <= p[1] < p[3] <= 240 for p in parts)
    assert all(p[2] - p[0] >= LEAST_SIDE and p[3] - p[1] >= LEAST_SIDE for p in parts)


def test_parts_are_joined_only_where_that_is_cheaper() -> None:
    assert len(parts_for([(10, 10, 60, 60), (220, 150, 270, 200)], (320, 240))) == 2
    assert len(parts_for([(10, 10, 60, 60), (50, 20, 100, 70)], (320, 240))) == 1
    assert parts_for([(10, 10, 200, 200), (150, 50, 310, 230)], (320, 240)) == [(0, 0, 320, 240)]
    assert parts_for([], (320, 240)) == []


def test_a_part_of_the_flow_is_about_that_of_the_whole() -> None:
    grid = Grid.of(640, 480)
    history = FlowHistory(grid, 1.5)
    flow: Flow | None = None
    for k in range(2):
        small = shrink(picture(250 + 6 * k, 150, np.random.default_rng(3)), grid.flow)
        flow = history.push(k, k / 30, FrameRef(0, k), small)
    assert flow is not None
    window = 131, 80, 166, 115
    part = flow.within(window)
    whole = flow.whole()[80:115, 131:166]
    assert part.shape == whole.shape == (35, 35, 2)
    assert np.abs(np.median(part, axis=(0, 1)) - [-3, 0]).max() < 0.2
    assert np.median(np.abs(part - whole)) < 0.1


def test_timestamps_are_compared_across_the_wrap() -> None:
    grid = Grid.of(64, 48)
    history = FlowHistory(grid, 1.5)
    small = np.zeros((grid.flow[1], grid.flow[0], 3), np.uint8)
    history.push(0, 0.0, FrameRef(0, 0xFFFFFF00), small)
    near = history.nearest(FrameRef(0, 100), 1000)
    assert near is not None
    assert near.step == 0
    assert history.nearest(FrameRef(1, 0xFFFFFF00), 1000) is None
    assert history.nearest(FrameRef(0, 5000), 1000) is None


def moving_square() -> tuple[np.ndarray, np.ndarray]:
    """Coordinates and flow of a picture in which the square from 30 to 70 moves and the rest stands."""
    xy = np.dstack(np.meshgrid(np.arange(100, dtype=np.float32), np.arange(100, dtype=np.float32)))
    back = np.zeros((100, 100, 2), np.float32)
    back[30:70, 30:70] = [-3, 1]
    return xy, back


def region(x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    on = np.zeros((100, 100), np.uint8)
    on[y0:y1, x0:x1] = 1
    return on


def test_the_whole_of_what_moves_stands_apart_more_than_its_part_or_its_surroundings() -> None:
    xy, back = moving_square()
    whole = stands_apart(region(30, 30, 70, 70), xy, back)
    part = stands_apart(region(30, 30, 70, 45), xy, back)
    too_much = stands_apart(region(15, 15, 85, 85), xy, back)
    assert whole > 0.95
    assert part < whole - 0.1
    assert too_much < whole - 0.3


def test_nothing_stands_apart_where_all_moves_alike() -> None:
    xy, back = moving_square()
    assert stands_apart(region(30, 30, 70, 70), xy, np.full_like(back, 2)) == 0
    assert stands_apart(region(30, 30, 32, 32), xy, back) == 0


def test_what_moves_otherwise_strays() -> None:
    xy, back = moving_square()
    motion = off_motion(region(32, 32, 50, 68), xy, back)
    assert motion is not None
    off = strays(motion)
    assert not off[31:69, 31:69].any()
    assert off[:28].all()
    assert off_motion(region(30, 30, 32, 32), xy, back) is None


def test_what_moves_otherwise_than_the_background_moves_by_itself() -> None:
    xy, back = moving_square()
    panned = back + np.array([2, -1], np.float32)
    apart = off_background(xy, panned)
    assert apart is not None
    moving = by_itself(apart)
    assert (moving[31:69, 31:69] == 1).all()
    assert (moving[:29] == 0).all()


def test_what_moves_along_with_a_part_is_the_rest_of_its_thing_and_nothing_of_the_background() -> None:
    xy, back = moving_square()
    back[75:95, 75:95] = [2, 2]  # another thing with a motion of its own
    panned = back + np.array([2, -1], np.float32)
    off, apart = off_motion(region(32, 32, 50, 68), xy, panned), off_background(xy, panned)
    assert off is not None
    assert apart is not None
    along = moves_along(off, apart)
    assert along[31:69, 31:69].all()
    assert not along[:29].any()
    assert not along[76:94, 76:94].any()


def test_nothing_moves_along_with_what_stands_like_the_background() -> None:
    xy, back = moving_square()
    off, apart = off_motion(region(5, 5, 25, 25), xy, back), off_background(xy, back)
    assert off is not None
    assert apart is not None
    assert not moves_along(off, apart).any()


def test_where_most_of_the_picture_moves_otherwise_there_is_no_background() -> None:
    xy, _ = moving_square()
    noise = np.random.default_rng(1).uniform(-8, 8, xy.shape).astype(np.float32)
    assert off_background(xy, noise) is None
