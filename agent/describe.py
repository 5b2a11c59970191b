"""Descriptions of objects, made by themselves: each once, again when it looks different or long after; within a
budget, and only when nobody is waiting for anything else."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from agent.types import Caption, CaptionFact, Event, EventKind
from agent.worker import Job, Priority
from stream.errors import ModelServerError, OnlookerError
from stream.types import Track, TrackState, TrackUpdate

if TYPE_CHECKING:
    from agent.loop import StreamAgent

SETTLED_S = 1.0
"""An object must have been there so long: what passes by is not described."""
AGAIN_S = 120.0
REST_S = 30.0
"""After a fault nothing is described for this long."""
MIN_SIDE = 0.03
"""Of the picture; what is smaller shows nothing."""
KEPT = 512


@dataclass(slots=True)
class _Described:
    at: datetime
    changed: bool = False


class Describer:
    """The descriptions of one stream. Event loop only."""

    def __init__(self, agent: StreamAgent) -> None:
        self._agent = agent
        self._described: dict[int, _Described] = {}
        self._spent: deque[datetime] = deque()
        self._resting_until: datetime | None = None
        self.on = agent.settings.describe

    def changed(self, event: Event) -> None:
        """An object looks different."""
        if event.kind is EventKind.CHANGE:
            for track_id in event.track_ids:
                if track_id in self._described:
                    self._described[track_id].changed = True

    def consider(self, update: TrackUpdate, now: datetime) -> None:
        """Have the object described that needs it most, if the worker has nothing else to do."""
        if not self.on or "image" not in self._agent.backend.can or not self._agent.worker.idle:
            return
        if self._resting_until is not None and now < self._resting_until:
            return
        while self._spent and now - self._spent[0] > timedelta(minutes=1):
            self._spent.popleft()
        if len(self._spent) >= self._agent.settings.descriptions_per_minute:
            return
        wanted = [track for track in update.tracks if self._wants(track, update, now)]
        if not wanted:
            return
        track = min(wanted, key=lambda track: (track.id in self._described, -track.age_s))
        self._spent.append(now)
        self._agent.worker.submit(Job(Priority.DESCRIPTION, str(track.id), lambda: self._describe(track.id, now)))

    def _wants(self, track: Track, update: TrackUpdate, now: datetime) -> bool:
        if track.state is not TrackState.LIVE or track.mask is None or track.age_s < SETTLED_S:
            return False
        x0, y0, x1, y1 = track.box_xyxy_px
        if x1 - x0 < MIN_SIDE * update.width or y1 - y0 < MIN_SIDE * update.height:
            return False
        before = self._described.get(track.id)
        return before is None or before.changed or now - before.at > timedelta(seconds=AGAIN_S)

    async def _describe(self, track_id: int, now: datetime) -> None:
        agent = self._agent
        try:
            moment = await agent.moment()
            text = await agent.backend.describe(track_id, moment, agent.scene.snapshot())
        except ModelServerError:
            self._resting_until = now + timedelta(seconds=REST_S)
            return
        except OnlookerError:
            return
        self._described[track_id] = _Described(now)
        while len(self._described) > KEPT:
            del self._described[next(iter(self._described))]
        if text is None:
            return
        known = agent.scene.snapshot().get(track_id)
        if known is not None and known.caption != text:
            agent.described(track_id, text)
            agent.session.facts.publish(CaptionFact(Caption(track_id, text, moment.frame, now, agent.backend.name)))
