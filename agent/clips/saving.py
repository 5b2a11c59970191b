"""A clip of what is in the picture now, because somebody wants it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from agent.geometry import unit_box
from agent.types import Event, EventKind
from stream.errors import Conflict, NotFound
from stream.types import FrameRef, TrackState

if TYPE_CHECKING:
    from agent.loop import StreamAgent


@dataclass(frozen=True, slots=True)
class Saved:
    event_id: str
    clip_id: str


def save_now(agent: StreamAgent, note: str | None = None) -> Saved:
    """Begin a clip of the present moment and tell of it as an event, which is kept.

    Raises `Conflict` where no clips are made of this stream, `NotFound` where there is no picture.
    """
    clips, update = agent.clips, agent.session.latest
    if clips is None or not clips.on:
        raise Conflict(
            "No clips are made of this stream.", code="clips_off", action="Turn clips on for it, then save again."
        )
    if update is None:
        raise NotFound("There has been no picture yet.", code="not_found", action="Wait for the picture.")
    seen = [track for track in update.tracks if track.state is TrackState.LIVE]
    event = Event(
        id=uuid.uuid4().hex,
        kind=EventKind.SAVED,
        text=note or "A clip was saved by hand.",
        track_ids=tuple(track.id for track in seen),
        frame=FrameRef(update.epoch, update.rtp),
        pts=update.pts,
        at=datetime.now(UTC),
        boxes_xyxy=tuple(unit_box(track.box_xyxy_px, update.width, update.height) for track in seen),
        labels=tuple(track.label for track in seen),
    )
    clip_id = agent.tell(event)
    if clip_id is None:
        raise NotFound("No picture can be saved yet.", code="not_found", action="Wait a few seconds, then save again.")
    return Saved(event.id, clip_id)
