"""Who comes, goes and comes back. Short gaps and short-lived guesses tell nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from agent import geometry
from agent.perceive.state import Presence, Sighting, Step, capital, name
from agent.scene import PathPoint, keep_recent
from agent.types import EventKind
from stream.types import FrameRef, TrackState, TrackUpdate

SETTLE = timedelta(seconds=0.5)
"""How long a new track must have been in sight to be told of."""
LOSS = timedelta(seconds=1.0)
"""How long a track must be out of sight to be told of as lost or gone out."""
RETURN = timedelta(seconds=0.3)
"""How long a lost track must be in sight again."""
FORGET = timedelta(seconds=90)
"""A track that no update mentions any more is forgotten after this time."""

GAP = timedelta(seconds=3.0)
"""Pictures that are so far apart show no way from one to the next."""

EDGE_WORDS = ("on the left", "at the top", "on the right", "at the bottom")


@dataclass(frozen=True, slots=True)
class Change:
    """An event in the making. `edge` numbers the picture's edge that was passed."""

    kind: EventKind
    presence: Presence
    sighting: Sighting
    edge: int | None
    text: str


class Presences:
    """The presences of all tracks of a stream; bounded by the tracks alive within `FORGET`."""

    def __init__(self) -> None:
        self._by_id: dict[int, Presence] = {}
        self._last: tuple[int, datetime] | None = None

    @property
    def kept(self) -> int:
        return len(self._by_id)

    def step(self, update: TrackUpdate, at: datetime) -> tuple[Step, list[Change]]:
        """Take in an update: the state after it, and what changed, oldest first."""
        frame = FrameRef(update.epoch, update.rtp)
        resumed = self._resumed(update.epoch, at)
        changes: list[Change] = []
        live = set()
        for track in update.tracks:
            if track.state is TrackState.LIVE:
                live.add(track.id)
                box = geometry.unit_box(track.box_xyxy_px, update.width, update.height)
                sighting = Sighting(at, frame, update.pts, box)
                presence = self._by_id.get(track.id)
                if presence is None:
                    presence = self._by_id[track.id] = Presence(
                        track.id, track.label, sighting, sighting, geometry.ground_point(box)
                    )
                presence.label = track.label
                changes += _seen(presence, sighting)
        ended = {track.id for track in update.tracks if track.state is TrackState.GONE}
        known = {track.id for track in update.tracks} - ended
        for presence in [p for p in self._by_id.values() if p.id not in live]:
            changes += _unseen(presence, at)
            if not presence.in_sight and (presence.id not in known or at - presence.last.at > _kept(presence)):
                del self._by_id[presence.id]
        changes.sort(key=lambda change: change.sighting.at)
        return Step(at, frame, update.pts, update.width / update.height, self._by_id, resumed), changes

    def _resumed(self, epoch: int, at: datetime) -> bool:
        before, self._last = self._last, (epoch, at)
        if before is None or (before[0] == epoch and at - before[1] <= GAP):
            return False
        for presence in self._by_id.values():
            presence.live = False
        return True


def _seen(presence: Presence, sighting: Sighting) -> Iterator[Change]:
    if not presence.live:
        presence.live = True
        presence.back = sighting if presence.out is not None else None
    keep_recent(presence.recent, PathPoint(sighting.at, sighting.box))
    presence.last = sighting
    presence.foot = presence.standing.see(sighting.box, sighting.at)
    if not presence.announced:
        if sighting.at - presence.first.at >= SETTLE:
            presence.announced, presence.since = True, presence.first.at
            yield _arrival(presence)
    elif presence.back is not None and sighting.at - presence.back.at >= RETURN:
        back, presence.back, presence.out = presence.back, None, None
        presence.since = back.at
        edge = geometry.edge_come_over(back.box, presence.velocity)
        place = f"in the {geometry.place_words(geometry.centre(back.box))}" if edge is None else EDGE_WORDS[edge]
        yield Change(EventKind.FOUND, presence, back, edge, f"{capital(name(presence))} came back {place}.")


def _unseen(presence: Presence, at: datetime) -> Iterator[Change]:
    presence.live, presence.back = False, None
    if presence.in_sight and at - presence.last.at >= LOSS:
        yield _departure(presence)


def _kept(presence: Presence) -> timedelta:
    return FORGET if presence.announced else LOSS


def _arrival(presence: Presence) -> Change:
    edge = geometry.edge_come_over(presence.first.box, presence.velocity)
    if edge is not None:
        text = f"{capital(name(presence))} came in {EDGE_WORDS[edge]}."
        return Change(EventKind.ENTER, presence, presence.first, edge, text)
    place = geometry.place_words(geometry.centre(presence.first.box))
    text = f"{capital(name(presence))} was first seen in the {place}."
    return Change(EventKind.APPEAR, presence, presence.first, None, text)


def _departure(presence: Presence) -> Change:
    edge = geometry.edge_left_over(presence.last.box, presence.velocity)
    presence.out = EventKind.LOST if edge is None else EventKind.EXIT
    if edge is not None:
        text = f"{capital(name(presence))} left the picture {EDGE_WORDS[edge]}."
        return Change(EventKind.EXIT, presence, presence.last, edge, text)
    place = geometry.place_words(geometry.centre(presence.last.box))
    text = f"{capital(name(presence))} went out of sight in the {place}."
    return Change(EventKind.LOST, presence, presence.last, None, text)
