"""Smooth random paths at a given speed, in pixels of a 640×480 picture, one position a frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

F64 = NDArray[np.float64]
WIDTH, HEIGHT = 640, 480
_TRIES = 400


def curve(waypoints: F64) -> F64:
    """A dense smooth polyline `(m, 2)` through `waypoints` `(k, 2)`, about one sample a pixel."""
    gaps = np.maximum(np.hypot(*np.diff(waypoints, axis=0).T), 1e-6)
    chord = np.concatenate([[0.0], np.cumsum(np.sqrt(gaps) * np.sqrt(gaps.mean()))])
    spline = CubicSpline(chord, waypoints)
    return np.asarray(spline(np.linspace(0, chord[-1], max(2, int(gaps.sum() * 1.5)))))


def at_speed(line: F64, steps: F64) -> F64:
    """Positions `(len(steps), 2)` along the polyline `line`, `steps[k]` pixels after the one before."""
    lengths = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    where = np.minimum(np.cumsum(steps), lengths[-1])
    return np.column_stack([np.interp(where, lengths, line[:, i]) for i in (0, 1)])


def wander(rng: np.random.Generator, frames: int, speed: float, margin: float, start: F64 | None = None) -> F64:
    """Positions `(frames, 2)` that wander inside the picture at `speed` pixels a frame, like one who chases a target.

    The path keeps about `margin` pixels from the picture's edge, except on the way in from a `start` outside of it.
    """
    low, high = np.array([margin, margin]), np.array([WIDTH - margin, HEIGHT - margin])
    for _ in range(_TRIES):
        positions = _chase(rng, frames, speed, low, high, start)
        entered = positions[int(np.ceil(300 / speed)) :] if start is not None else positions
        if ((entered >= 0.7 * low) & (entered <= np.array([WIDTH, HEIGHT]) - 0.7 * low)).all():
            return positions
    raise RuntimeError("no path was found")


def _chase(rng: np.random.Generator, frames: int, speed: float, low: F64, high: F64, start: F64 | None) -> F64:
    """Turn towards one random target after another, never tighter than a radius of 60 pixels."""
    position = rng.uniform(low, high) if start is None else np.array(start, float)
    target = rng.uniform(0.7 * low + 0.3 * high, 0.3 * low + 0.7 * high)
    heading = float(np.arctan2(*(target - position)[::-1]))
    sharpest, rate = speed / 60, 0.0
    out = np.empty((frames, 2))
    for k in range(frames):
        out[k] = position
        if np.hypot(*(target - position)) < 70:
            target = rng.uniform(low, high)
        wanted = (np.arctan2(*(target - position)[::-1]) - heading + np.pi) % (2 * np.pi) - np.pi
        rate += 0.25 * (np.clip(0.12 * wanted, -sharpest, sharpest) - rate)
        heading += rate
        position = position + speed * np.array([np.cos(heading), np.sin(heading)])
    return out


def leaving(rng: np.random.Generator, frames: int, speed: float, margin: float, reach: float) -> F64:
    """Positions that wander and end `reach` pixels outside of the picture."""
    return entering(rng, frames, speed, margin, reach)[::-1].copy()


def entering(rng: np.random.Generator, frames: int, speed: float, margin: float, reach: float) -> F64:
    """Positions that start `reach` pixels outside of the left or right edge, come in and wander."""
    x = -reach if rng.random() < 0.5 else WIDTH + reach
    start = np.array([x, rng.uniform(0.35, 0.65) * HEIGHT])
    return wander(rng, frames, speed, margin, start)


def behind(
    rng: np.random.Generator, frames: int, speed: float, margin: float, *, pillar_x: float, hidden_px: float, hide: int
) -> F64:
    """Positions that cross a pillar at `pillar_x` from one side to the other, hidden for `hide` frames.

    `hidden_px` is the length of way on which the object is wholly covered; it slows down there as needed.
    """
    for _ in range(_TRIES):
        side = rng.choice([-1.0, 1.0])
        y = rng.uniform(0.35, 0.65) * HEIGHT
        reach = min(pillar_x, WIDTH - pillar_x) - margin
        before = np.array([pillar_x - side * reach, np.clip(y + rng.uniform(-80, 80), margin, HEIGHT - margin)])
        gate = [np.array([pillar_x + side * d, y]) for d in (-0.55 * reach, 0.0, 0.55 * reach)]
        start = rng.uniform([margin, margin], [WIDTH - margin, HEIGHT - margin])
        if (start[0] - pillar_x) * side > -0.5 * reach or np.hypot(*(start - before)) < 90:
            continue
        line = curve(np.array([start, before, *gate, *_beyond(rng, frames, speed, margin, pillar_x, side)]))
        positions = _slow_behind(line, frames, speed, pillar_x, hidden_px, hide)
        low = 0.7 * margin
        if not ((positions >= low) & (positions <= np.array([WIDTH, HEIGHT]) - low)).all():
            continue
        covered = np.abs(positions[:, 0] - pillar_x) < hidden_px / 2
        runs = np.count_nonzero(np.diff(covered.astype(int)) == 1)
        if runs == 1 and hide - 3 <= covered.sum() <= hide + 3 and np.flatnonzero(covered)[0] > 40:
            return positions
    raise RuntimeError("no path was found")


def _beyond(
    rng: np.random.Generator, frames: int, speed: float, margin: float, pillar_x: float, side: float
) -> list[F64]:
    """Waypoints that stay on the far side of the pillar."""
    near = pillar_x + side * 0.62 * (min(pillar_x, WIDTH - pillar_x) - margin)
    edge = WIDTH - margin if side > 0 else margin
    points: list[F64] = []
    for k in range(3 + int(frames * speed / 150)):
        x = edge if k % 2 == 0 else near
        points.append(np.array([x + rng.uniform(-10, 10), rng.uniform(1.2 * margin, HEIGHT - 1.2 * margin)]))
    return points


def _slow_behind(line: F64, frames: int, speed: float, pillar_x: float, hidden_px: float, hide: int) -> F64:
    lengths = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    slow = min(speed, hidden_px / hide)
    where, out, velocity = 0.0, [], speed
    for _ in range(frames):
        position = np.array([np.interp(where, lengths, line[:, i]) for i in (0, 1)])
        out.append(position)
        velocity = slow if abs(position[0] - pillar_x) < hidden_px / 2 else speed
        where += velocity
    return np.array(out)
