"""Where things are and how they move, as numbers and as words. Pure.

Points and boxes are in [0, 1] of the picture, origin top left. Lengths are in heights of the picture, so that they
mean the same in both directions: x is multiplied by `aspect`, width over height.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from agent.types import XY, BoxXyxy
from stream.types import BoxXyxyPx

EDGES = ("left", "top", "right", "bottom")
"""The picture's edges; an edge's number is its index here."""

_INWARD: tuple[XY, ...] = ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))
_TOUCHING = 0.015
_LOOK_AHEAD_S = 0.5
_HAIR = 0.002


def unit_box(box_xyxy_px: BoxXyxyPx, width: int, height: int) -> BoxXyxy:
    """A box in pixels of a picture of that size, in [0, 1] of it."""
    x0, y0, x1, y1 = box_xyxy_px
    return x0 / width, y0 / height, x1 / width, y1 / height


def centre(box: BoxXyxy) -> XY:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def ground_point(box: BoxXyxy) -> XY:
    """Where the object stands: the middle of the box's lower side."""
    return (box[0] + box[2]) / 2, box[3]


def within_picture(point: XY) -> XY:
    """`point` pulled a hair into the picture: whom its lower edge cuts off is in a zone that ends there."""
    x, y = point
    return min(max(x, _HAIR), 1.0 - _HAIR), min(max(y, _HAIR), 1.0 - _HAIR)


def border_distance(point: XY, polygon: Sequence[XY], aspect: float) -> float:
    """Distance of a point from a zone's border, in heights of the picture. Sides along the picture's edges do not
    count: nobody can be on their other side."""
    sides = [side for side in zip(polygon, (*polygon[1:], polygon[0]), strict=True) if not _on_edge(*side)]
    return min((point_to_polyline(point, side, aspect) for side in sides), default=math.inf)


def area(box: BoxXyxy) -> float:
    """Share of the picture that the box covers."""
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def distance(a: XY, b: XY, aspect: float) -> float:
    """In heights of the picture."""
    return math.hypot((a[0] - b[0]) * aspect, a[1] - b[1])


def gap(a: BoxXyxy, b: BoxXyxy, aspect: float) -> float:
    """The shortest way between two boxes, in heights of the picture; 0 where they overlap."""
    dx = max(0.0, a[0] - b[2], b[0] - a[2])
    dy = max(0.0, a[1] - b[3], b[1] - a[3])
    return math.hypot(dx * aspect, dy)


def reach(a: BoxXyxy, b: BoxXyxy, aspect: float) -> float:
    """The gap up to which two boxes are near each other: it grows with the smaller one's longer side."""
    return 0.35 * min(max((box[2] - box[0]) * aspect, box[3] - box[1]) for box in (a, b))


def in_polygon(point: XY, polygon: Sequence[XY]) -> bool:
    """Whether `point` is inside of `polygon` (even-odd rule); the border belongs to either side."""
    x, y = point
    inside = False
    for (x0, y0), (x1, y1) in zip(polygon, (*polygon[1:], polygon[0]), strict=True):
        if (y0 > y) != (y1 > y) and x < (x1 - x0) * (y - y0) / (y1 - y0) + x0:
            inside = not inside
    return inside


def point_to_polyline(point: XY, line: Sequence[XY], aspect: float) -> float:
    """Distance of a point from a line of two points or more, in heights of the picture."""
    px, py = point[0] * aspect, point[1]
    nearest = math.inf
    for (ax, ay), (bx, by) in pairwise(line):
        x0, dx, dy = ax * aspect, (bx - ax) * aspect, by - ay
        length = dx * dx + dy * dy
        along = 0.0 if length == 0.0 else min(1.0, max(0.0, ((px - x0) * dx + (py - ay) * dy) / length))
        nearest = min(nearest, math.hypot(px - x0 - along * dx, py - ay - along * dy))
    return nearest


def box_to_polygon(box: BoxXyxy, polygon: Sequence[XY], aspect: float) -> float:
    """Distance of a box's ground point from a zone, in heights of the picture; 0 inside."""
    point = ground_point(box)
    return 0.0 if in_polygon(point, polygon) else point_to_polyline(point, (*polygon, polygon[0]), aspect)


def crossing(start: XY, end: XY, line: Sequence[XY]) -> int:
    """The side onto which the way from `start` to `end` crosses `line`: +1 or -1, 0 where it does not.

    Seen along the line from its first point, in the picture as shown, +1 is the way to its right-hand side.
    """
    total = 0
    for a, b in pairwise(line):
        before, after = _turn(a, b, start), _turn(a, b, end)
        if (before > 0) != (after > 0) and (_turn(start, end, a) > 0) != (_turn(start, end, b) > 0):
            total += 1 if after > 0 else -1
    return max(-1, min(1, total))


def place_words(point: XY) -> str:
    """`"top left"`, `"left"`, `"middle"`, `"bottom right"` …: the picture in thirds."""
    column = ("left", "middle", "right")[min(2, int(point[0] * 3))] if point[0] >= 0 else "left"
    row = ("top", "middle", "bottom")[min(2, int(point[1] * 3))] if point[1] >= 0 else "top"
    if row == "middle":
        return column
    return f"{row} {column}"


def direction_words(dx: float, dy: float) -> str:
    """`"to the right"`, `"up"`, `"down and to the left"` …; dx and dy in the same unit, y grows downwards."""
    if dx == 0.0 and dy == 0.0:
        return "nowhere"
    steep, flat = math.tan(math.radians(67.5)), math.tan(math.radians(22.5))
    sideways = "to the right" if dx > 0 else "to the left"
    upright = "down" if dy > 0 else "up"
    ratio = abs(dy) / abs(dx) if dx else math.inf
    if ratio > steep:
        return upright
    return sideways if ratio < flat else f"{upright} and {sideways}"


def edge_left_over(box: BoxXyxy, velocity: XY) -> int | None:
    """The number of the edge over which an object with this last box was going out, or None where it was not.

    `velocity` is the centre's, in [0, 1] of the picture a second. Touching an edge is not enough: who sits at a
    desk is cut off by the lower edge all the time.
    """
    return _edge(box, (-velocity[0], -velocity[1]))


def edge_come_over(box: BoxXyxy, velocity: XY) -> int | None:
    """The number of the edge over which an object with this first box came in, or None. See `edge_left_over`."""
    return _edge(box, velocity)


def _edge(box: BoxXyxy, inward: XY) -> int | None:
    """The edge that the object comes from, were it moving with `inward` and first seen in `box`."""
    distances = (box[0], box[1], 1.0 - box[2], 1.0 - box[3])
    middle = centre(box)
    to_edge = (middle[0], middle[1], 1.0 - middle[0], 1.0 - middle[1])
    best, best_speed = None, 0.01
    for number, (nx, ny) in enumerate(_INWARD):
        speed = inward[0] * nx + inward[1] * ny
        close = distances[number] <= _TOUCHING or to_edge[number] <= speed * _LOOK_AHEAD_S
        if close and speed > best_speed:
            best, best_speed = number, speed
    return best


def _on_edge(a: XY, b: XY) -> bool:
    return any(
        (a[i] <= 2 * _HAIR and b[i] <= 2 * _HAIR) or (a[i] >= 1 - 2 * _HAIR and b[i] >= 1 - 2 * _HAIR) for i in (0, 1)
    )


def _turn(a: XY, b: XY, p: XY) -> float:
    return (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])
