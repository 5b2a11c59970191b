"""A composed scene with known truth: 96 seconds of track updates and the wall clock that goes with them.

 0 s  two cups stand at the desk (#1, #2) below a television (#8); at 2 s the user names them red cup and blue cup
 5 s  #3, a person, comes in from the left, through the door, and stands at the desk from 12 s on
15 s  #4, a person, comes in from the right with a backpack (#6), passes #3 and sets the backpack down at 21 s
22 s  #5, a dog, runs from the left to the right, out of the picture at 30 s
27 s  #4 goes to the right, away from the backpack, and stands at the right edge of the desk from 33 s on
33 s  #9, a bird, is a wrong guess of half a second, never confirmed
40 s  #3 carries the red cup to the left until 45 s, and leaves through the door at 56 s
45 s  #7, a person, runs from the right to the left, out at 52 s
50 s  #4 flickers for 0.3 s
58 s  the dog comes back from the right and lies at the bottom right from 61 s on
60 s  the red cup is hidden for 6 s
70 s  #3 comes back, and stands at the door from 73 s on
68 s  #4 goes to the red cup, and carries it out to the right from 76 s on; both are out at about 81 s
86 s  #10, a cup, is first seen inside of the picture
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from agent.types import Moment, Region, RegionKind
from stream.types import CLOCK_HZ, FrameRef, Track, TrackState, TrackUpdate

WIDTH, HEIGHT = 1280, 720
RATE_HZ = 10
LENGTH_S = 96.0
_TO_THE_END = LENGTH_S + 1.0
KEPT_LOST_S = 30.0
START_AT = datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC)

DOOR = Region("door", "door", RegionKind.ZONE, ((0.0, 0.3), (0.15, 0.3), (0.15, 1.0), (0.0, 1.0)))
DESK = Region("desk", "desk", RegionKind.ZONE, ((0.6, 0.6), (1.0, 0.6), (1.0, 0.85), (0.6, 0.85)))
GATE = Region("gate", "gate", RegionKind.LINE, ((0.5, 0.02), (0.5, 0.99)))
REGIONS = (DOOR, DESK, GATE)

Path = tuple[tuple[float, float, float], ...]
"""Of a centre: `(second, x, y)`, straight lines between; x and y in [0, 1] of the picture."""


@dataclass(frozen=True, slots=True)
class Actor:
    """One object. `size` is `(width, height)` in [0, 1]; it is drawn in `shown`, `(first, last)` seconds each, as
    long as three tenths of it are inside of the picture. `names` are labels and the second from which they hold."""

    id: int
    names: tuple[tuple[float, str], ...]
    size: tuple[float, float]
    path: Path
    shown: tuple[tuple[float, float], ...] = ((0.0, _TO_THE_END),)
    state: TrackState = TrackState.LIVE

    def label(self, t: float) -> str:
        return [name for since, name in self.names if since <= t][-1]

    def centre(self, t: float) -> tuple[float, float]:
        times, xs, ys = zip(*self.path, strict=True)
        return float(np.interp(t, times, xs)), float(np.interp(t, times, ys))

    def box(self, t: float) -> tuple[float, float, float, float] | None:
        """The visible part in [0, 1], or None where it is not to be seen."""
        if not any(first <= t < last for first, last in self.shown):
            return None
        (x, y), (w, h) = self.centre(t), self.size
        x0, y0, x1, y1 = max(0.0, x - w / 2), max(0.0, y - h / 2), min(1.0, x + w / 2), min(1.0, y + h / 2)
        inside = max(0.0, x1 - x0) * max(0.0, y1 - y0)
        return (x0, y0, x1, y1) if inside >= 0.3 * w * h else None


ACTORS = (
    Actor(1, ((0, "cup"), (2, "red cup")), (0.05, 0.09),
          ((0, 0.80, 0.76), (40, 0.80, 0.76), (45, 0.26, 0.76), (76, 0.26, 0.76), (81, 1.06, 0.60)),
          shown=((0, 60), (66, _TO_THE_END))),
    Actor(2, ((0, "cup"), (2, "blue cup")), (0.045, 0.08), ((0, 0.86, 0.76),)),
    Actor(3, ((0, "person"),), (0.10, 0.40),
          ((5, -0.05, 0.55), (12, 0.70, 0.52), (40, 0.70, 0.52), (45, 0.21, 0.52), (50, 0.21, 0.52), (56, -0.06, 0.55),
           (70, -0.05, 0.55), (73, 0.08, 0.52)),
          shown=((5, 58), (70, _TO_THE_END))),
    Actor(4, ((0, "person"),), (0.12, 0.46),
          ((15, 1.05, 0.55), (21, 0.53, 0.52), (27, 0.53, 0.52), (33, 0.92, 0.50), (68, 0.92, 0.50), (74, 0.35, 0.52),
           (76, 0.35, 0.52), (81, 1.08, 0.55)),
          shown=((15, 50), (50.3, _TO_THE_END))),
    Actor(5, ((0, "dog"),), (0.14, 0.14),
          ((22, -0.05, 0.84), (30, 1.06, 0.82), (58, 1.05, 0.87), (61, 0.88, 0.88)),
          shown=((22, 32), (58, _TO_THE_END))),
    Actor(6, ((0, "backpack"),), (0.08, 0.14), ((15, 1.06, 0.78), (21, 0.54, 0.80)), shown=((15, _TO_THE_END),)),
    Actor(7, ((0, "person"),), (0.09, 0.36), ((45, 1.05, 0.50), (52, -0.06, 0.50)), shown=((45, 53),)),
    Actor(8, ((0, "tv"),), (0.16, 0.16), ((0, 0.50, 0.12),)),
    Actor(9, ((0, "bird"),), (0.04, 0.04), ((33, 0.30, 0.30),), shown=((33, 33.5),), state=TrackState.TENTATIVE),
    Actor(10, ((0, "cup"),), (0.05, 0.09), ((86, 0.40, 0.80),), shown=((86, _TO_THE_END),)),
)  # fmt: skip


def at(t: float) -> datetime:
    """Wall clock of second `t`."""
    return START_AT + timedelta(seconds=t)


def updates(until: float = LENGTH_S) -> Iterator[tuple[TrackUpdate, datetime]]:
    """What a tracker says of each frame up to second `until`, inclusive, with its wall clock."""
    last: dict[int, tuple[float, tuple[float, float, float, float]]] = {}
    for index in range(round(until * RATE_HZ) + 1):
        t = index / RATE_HZ
        tracks = tuple(track for actor in ACTORS if (track := _track(actor, t, last)) is not None)
        pts = index * CLOCK_HZ // RATE_HZ
        yield TrackUpdate(1, index, pts, pts & 0xFFFFFFFF, None, WIDTH, HEIGHT, tracks), at(t)


def moment(update: TrackUpdate, when: datetime) -> Moment:
    """The moment of a question that is asked on `update`."""
    frame = FrameRef(update.epoch, update.rtp)
    return Moment(frame, update.pts, when, update.width, update.height, update.tracks)


def _track(actor: Actor, t: float, last: dict[int, tuple[float, tuple[float, float, float, float]]]) -> Track | None:
    box, state = actor.box(t), actor.state
    if box is not None:
        last[actor.id] = (t, box)
    elif actor.id in last and state is TrackState.LIVE:
        seen, box = last[actor.id]
        state = TrackState.LOST if t - seen <= KEPT_LOST_S else TrackState.GONE
        if state is TrackState.GONE:
            del last[actor.id]
    elif actor.id in last:
        _, box = last.pop(actor.id)
        state = TrackState.GONE
    if box is None:
        return None
    x0, y0, x1, y1 = box
    pixels = (x0 * WIDTH, y0 * HEIGHT, x1 * WIDTH, y1 * HEIGHT)
    return Track(actor.id, actor.label(t), 0.9, pixels, None, state, None, max(0.0, t - actor.shown[0][0]))
