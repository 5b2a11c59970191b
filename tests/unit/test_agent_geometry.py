"""Where things are and how they move, in numbers and words."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from agent import geometry
from agent.types import XY

unit = st.floats(0, 1)
points = st.tuples(unit, unit)
boxes = st.tuples(points, points).map(
    lambda p: (min(p[0][0], p[1][0]), min(p[0][1], p[1][1]), max(p[0][0], p[1][0]), max(p[0][1], p[1][1]))
)
TRIANGLE = ((0.2, 0.2), (0.8, 0.2), (0.2, 0.8))


@pytest.mark.parametrize(
    ("point", "inside"), [((0.3, 0.3), True), ((0.7, 0.7), False), ((0.1, 0.3), False), ((0.49, 0.49), True)]
)
def test_a_point_is_in_a_polygon_or_not(point: XY, inside: bool) -> None:
    assert geometry.in_polygon(point, TRIANGLE) is inside


@given(points, st.floats(0.05, 0.45), st.floats(0.05, 0.45), st.integers(0, 3))
def test_a_rectangle_as_polygon_holds_what_lies_between_its_sides(
    point: XY, margin_x: float, margin_y: float, first: int
) -> None:
    corners = [(margin_x, margin_y), (1 - margin_x, margin_y), (1 - margin_x, 1 - margin_y), (margin_x, 1 - margin_y)]
    polygon = corners[first:] + corners[:first]
    between = margin_x < point[0] < 1 - margin_x and margin_y < point[1] < 1 - margin_y
    on_border = {abs(point[0] - 0.5) - (0.5 - margin_x), abs(point[1] - 0.5) - (0.5 - margin_y)}
    if all(abs(d) > 1e-9 for d in on_border):
        assert geometry.in_polygon(point, polygon) is between
        assert geometry.in_polygon(point, polygon[::-1]) is between


@given(points, points, points, points)
def test_crossing_back_is_crossing_the_other_way(a: XY, b: XY, p: XY, q: XY) -> None:
    corners = [(a, b, p), (a, b, q), (p, q, a), (p, q, b)]
    assume(all(abs((r[0] - o[0]) * (s[1] - o[1]) - (r[1] - o[1]) * (s[0] - o[0])) > 1e-9 for o, r, s in corners))
    side = geometry.crossing(p, q, (a, b))
    assert geometry.crossing(q, p, (a, b)) == -side
    assert geometry.crossing(p, q, (b, a)) == -side


def test_the_right_hand_side_of_a_line_is_plus_one() -> None:
    upwards = ((0.5, 1.0), (0.5, 0.0))
    assert geometry.crossing((0.4, 0.5), (0.6, 0.5), upwards) == 1
    assert geometry.crossing((0.6, 0.5), (0.4, 0.5), upwards) == -1
    assert geometry.crossing((0.4, 0.5), (0.45, 0.5), upwards) == 0
    assert geometry.crossing((0.4, 1.2), (0.6, 1.2), upwards) == 0, "beside its end"


@given(boxes, boxes, st.floats(0.3, 3))
def test_gaps_are_the_same_both_ways_and_zero_where_boxes_overlap(
    a: tuple[float, float, float, float], b: tuple[float, float, float, float], aspect: float
) -> None:
    gap = geometry.gap(a, b, aspect)
    assert gap == geometry.gap(b, a, aspect) >= 0
    overlap = a[0] <= b[2] and b[0] <= a[2] and a[1] <= b[3] and b[1] <= a[3]
    assert (gap == 0) == overlap
    assert gap <= geometry.distance(geometry.centre(a), geometry.centre(b), aspect) + 1e-9


@given(points, st.lists(points, min_size=2, max_size=5), st.floats(0.3, 3))
def test_a_line_is_no_farther_than_its_corners(point: XY, line: list[XY], aspect: float) -> None:
    nearest = geometry.point_to_polyline(point, line, aspect)
    assert nearest <= min(geometry.distance(point, corner, aspect) for corner in line) + 1e-9
    assert geometry.point_to_polyline(line[0], line, aspect) == pytest.approx(0, abs=1e-9)


def test_distance_from_a_zone_is_zero_inside() -> None:
    assert geometry.box_to_polygon((0.25, 0.1, 0.35, 0.3), TRIANGLE, 2.0) == 0.0
    assert geometry.box_to_polygon((0.0, 0.1, 0.2, 0.3), TRIANGLE, 2.0) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("point", "words"),
    [
        ((0.1, 0.1), "top left"), ((0.5, 0.5), "middle"), ((0.9, 0.5), "right"), ((0.5, 0.95), "bottom middle"),
        ((1.0, 1.0), "bottom right"), ((-0.1, 0.5), "left"), ((1.2, -0.2), "top right"),
    ],
)  # fmt: skip
def test_places_in_words(point: XY, words: str) -> None:
    assert geometry.place_words(point) == words


@pytest.mark.parametrize(
    ("way", "words"),
    [
        ((1, 0), "to the right"), ((-1, 0.1), "to the left"), ((0, 1), "down"), ((0.1, -1), "up"),
        ((1, 1), "down and to the right"), ((-1, -1), "up and to the left"), ((0, 0), "nowhere"),
    ],
)  # fmt: skip
def test_directions_in_words(way: XY, words: str) -> None:
    assert geometry.direction_words(*way) == words


@given(st.floats(0, 2 * math.pi))
def test_the_opposite_direction_has_the_opposite_words(angle: float) -> None:
    opposite = {"left": "right", "right": "left", "up": "down", "down": "up"}
    words = geometry.direction_words(math.cos(angle), math.sin(angle))
    back = geometry.direction_words(-math.cos(angle), -math.sin(angle))
    assert [opposite.get(word, word) for word in words.split()] == back.split()


def test_who_walks_over_an_edge_left_by_it() -> None:
    left, right, bottom = (geometry.EDGES.index(edge) for edge in ("left", "right", "bottom"))
    assert geometry.edge_left_over((0.0, 0.3, 0.1, 0.8), (-0.2, 0.0)) == left
    assert geometry.edge_left_over((0.8, 0.3, 0.98, 1.0), (0.3, 0.0)) == right, "cut off below all the time"
    assert geometry.edge_left_over((0.4, 0.3, 0.6, 1.0), (0.0, 0.0)) is None, "cut off below and hidden"
    assert geometry.edge_left_over((0.4, 0.3, 0.6, 0.7), (0.1, 0.0)) is None
    assert geometry.edge_come_over((0.0, 0.3, 0.1, 0.8), (0.2, 0.0)) == left
    assert geometry.edge_come_over((0.4, 0.8, 0.6, 1.0), (0.0, -0.2)) == bottom
    assert geometry.edge_come_over((0.0, 0.3, 0.1, 0.8), (-0.2, 0.0)) is None, "it goes out"
