"""Which lost object a candidate is: one assignment over all of them, held back where two explanations tie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from stream.engines.assignment import assign, is_tie, place_prior
from stream.engines.light import gate
from stream.engines.light.gate import Measures
from stream.engines.light.tuning import Tuning


@dataclass(frozen=True, slots=True)
class Missing:
    """A lost object: `expected` is where its motion would have brought it, `size` the longer side of its mask, `speed`
    in pixels a second, `away_s` how long it is lost, `held_s` for how long a return of it has been held back."""

    id: int
    expected: tuple[float, float]
    size: float
    speed: float
    away_s: float
    held_s: float


@dataclass(frozen=True, slots=True)
class Place:
    """A candidate: its centre, and its measures against the lost objects that it was compared with."""

    centre: tuple[float, float]
    measures: Mapping[int, Measures]


class Claim(NamedTuple):
    """The object `id` is at the candidate number `place`; `hold` where a tie must wait, `again` where a second hit is
    needed before it is believed."""

    id: int
    place: int
    hold: bool
    again: bool


def claims(missing: Sequence[Missing], places: Sequence[Place], tuning: Tuning) -> list[Claim]:
    """The best assignment of lost objects to candidates; objects that may not be any of them are left out."""
    if not missing or not places:
        return []
    scores = np.full((len(missing), len(places)), -np.inf)
    priors = np.zeros(scores.shape)
    for i, lost in enumerate(missing):
        for j, place in enumerate(places):
            measures = place.measures.get(lost.id)
            if measures is None or not gate.may_return(measures, lost.away_s, tuning):
                continue
            distance = _distance(lost, place)
            priors[i, j] = place_prior(distance, lost.size, lost.away_s, lost.speed, tuning.prior_s)
            scores[i, j] = measures.similarity.look - tuning.prior_weight * priors[i, j]
    out = []
    for i, j in assign(scores, 0.0):
        lost, measures = missing[i], places[j].measures[missing[i].id]
        hold = lost.held_s < tuning.hold_s and is_tie(scores, i, j, tuning.tie)
        near = bool(priors[i, j] < 1.0)
        out.append(Claim(lost.id, j, hold, gate.needs_second_hit(measures, lost.away_s, near, tuning)))
    return out


def reach_of(lost: Missing) -> float:
    """How far from its expected place a lost object may be, in pixels: what walks covers its size in two seconds."""
    return 0.5 * lost.size + max(lost.speed, 0.6 * lost.size) * lost.away_s


def near_claims(missing: Sequence[Missing], places: Sequence[Place], tuning: Tuning) -> dict[int, int]:
    """Detections that are a lost object because of where they are, place number → object id: soon after the loss and
    within its reach, where the look does not say otherwise."""
    scores = np.full((len(missing), len(places)), -np.inf)
    for i, lost in enumerate(missing):
        if lost.away_s > tuning.near_s:
            continue
        reach = reach_of(lost)
        for j, place in enumerate(places):
            measures = place.measures.get(lost.id)
            distance = _distance(lost, place)
            if measures is None or distance > reach:
                continue
            alike = measures.similarity
            if alike.look > tuning.near_look and alike.colour > tuning.near_colour:
                scores[i, j] = alike.look - tuning.near_look - 0.3 * distance / reach + 1
    return {j: missing[i].id for i, j in assign(scores, 0.0)}


def arrivals(missing: Sequence[Missing], places: Sequence[Place], tuning: Tuning) -> dict[int, int]:
    """Which detections of new things are lost objects, place number → object id: first those that are near, then those
    that look alike, of which a short absence rules out what is out of reach."""
    found = near_claims(missing, places, tuning)
    left = [j for j in range(len(places)) if j not in found]
    away = [lost for lost in missing if lost.id not in found.values()]
    reachable = [
        Place(
            places[j].centre,
            {
                lost.id: m
                for lost in away
                if (m := places[j].measures.get(lost.id))
                and (lost.away_s > tuning.near_s or _distance(lost, places[j]) <= reach_of(lost))
            },
        )
        for j in left
    ]
    return found | {left[c.place]: c.id for c in claims(away, reachable, tuning)}


def _distance(lost: Missing, place: Place) -> float:
    """Of a candidate from where the object is expected."""
    return float(np.hypot(place.centre[0] - lost.expected[0], place.centre[1] - lost.expected[1]))
