"""One assignment over all: which object goes with which candidate."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]


def assign(scores: F64, least: float) -> list[tuple[int, int]]:
    """The pairing of rows with columns that has the highest sum of scores, each used at most once.

    `scores`: `(n, m)` float64, `-inf` where a pair is impossible; pairs below `least` are left out. Kuhn's Hungarian
    method with potentials, O(n²m) (the formulation of Jonker and Volgenant).
    """
    n, m = scores.shape
    if not n or not m:
        return []
    if n > m:
        return sorted((i, j) for j, i in assign(scores.T, least))
    # a pair that is not allowed costs as much as leaving its row alone, so that it never displaces an allowed one
    cost = np.where(scores >= least, least - scores, 0.0)
    match = _hungarian(cost)
    return [(i, j) for i, j in match if scores[i, j] >= least]


def _hungarian(cost: F64) -> list[tuple[int, int]]:
    n, m = cost.shape
    u, v = np.zeros(n + 1), np.zeros(m + 1)
    row_of = np.zeros(m + 1, int)
    for i in range(1, n + 1):
        row_of[0] = i
        way, slack, used = np.zeros(m + 1, int), np.full(m + 1, np.inf), np.zeros(m + 1, bool)
        j = 0
        while True:
            used[j] = True
            row = row_of[j]
            reduced = cost[row - 1] - u[row] - v[1:]
            better = ~used[1:] & (reduced < slack[1:])
            slack[1:][better] = reduced[better]
            way[1:][better] = j
            nearest = int(np.where(used[1:], np.inf, slack[1:]).argmin()) + 1
            delta = slack[nearest]
            u[row_of[used]] += delta
            v[used] -= delta
            slack[~used] -= delta
            j = nearest
            if row_of[j] == 0:
                break
        while j:
            row_of[j], j = row_of[way[j]], int(way[j])
    return sorted((int(row_of[j]) - 1, j - 1) for j in range(1, m + 1) if row_of[j])


def is_tie(scores: F64, row: int, column: int, margin: float) -> bool:
    """Whether another pairing explains the candidates nearly as well as the one that holds `(row, column)`.

    Compares the best total with the best total that forbids this pair, so two objects that could be swapped among two
    candidates tie, and a lone candidate that two objects claim ties, but one with a clearly worse rival does not.
    """
    forbidden = scores.copy()
    forbidden[row, column] = -np.inf
    return total(scores) - total(forbidden) < margin


def total(scores: F64, least: float = 0.0) -> float:
    """The sum of the best assignment's scores above `least`."""
    return sum(float(scores[i, j]) - least for i, j in assign(scores, least))


def place_prior(distance: float, size: float, away_s: float, speed: float, horizon_s: float) -> float:
    """Half the squared distance of a candidate from the predicted place in standard deviations, at most 4.

    `distance`, `size` in pixels, `speed` in pixels a second. The uncertainty starts at half the object's size and grows
    with the speed and the time away; beyond `horizon_s` the prediction says nothing.
    """
    if away_s > horizon_s:
        return 0.0
    sigma = 0.5 * size + (0.5 * speed + size) * away_s
    return min(4.0, 0.5 * (distance / max(sigma, 1.0)) ** 2) * math.sqrt(1 - away_s / (horizon_s + 1e-9))
