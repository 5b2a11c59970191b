"""What happened in all streams, from the store."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from agent.store.rows import StoredEvent as Stored
from agent.store.store import EventQuery
from agent.types import EventKind
from stream.errors import NotFound
from web.agent_wire import Json
from web.api.clips import with_clips
from web.api.parameters import EventId, Limit, StreamName, aware, cursor
from web.api.shapes import Page, StoredEvent
from web.api.streams import After
from web.protocol.parts import Uuid
from web.state import State, StateDep

router = APIRouter(prefix="/v1", tags=["Events"])
Words = Annotated[str | None, Query(max_length=200, description="Words of its text, in any form.")]
Label = Annotated[str | None, Query(max_length=200)]
JPEG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/jpeg": {}}}}
SETTLE_S = 5.0
"""An event that was just told is waited for."""


@router.get("/events", response_model=Page[StoredEvent], response_model_exclude_none=True)
async def events(
    state: StateDep,
    q: Words = None,
    stream: StreamName = None,
    kind: Annotated[EventKind | None, Query()] = None,
    label: Label = None,
    watch: Annotated[Uuid | None, Query()] = None,
    region: Annotated[Uuid | None, Query()] = None,
    keep: Annotated[bool | None, Query(description="Those that are kept, or those that are not.")] = None,
    clip: Annotated[bool, Query(description="Only those with a clip.")] = False,
    since: Annotated[datetime | None, Query(description="RFC 3339; without a zone it is UTC.")] = None,
    until: Annotated[datetime | None, Query()] = None,
    limit: Limit = 100,
    after: After = None,
) -> Json:
    """What happened in all streams, also before the server was last started; newest first."""
    query = EventQuery(
        q, stream, kind, label, watch, aware(since), aware(until), cursor(after), limit + 1, region, keep, clip
    )
    found = await state.recording.store.events(query)
    shown = found[:limit]
    following = str(shown[-1].seq) if len(found) > limit else None
    return {"items": await with_clips(state, shown), "next": following}


@router.get("/events/{event_id}", response_model=StoredEvent, response_model_exclude_none=True)
async def event(event_id: EventId, state: StateDep) -> Json:
    return (await with_clips(state, [await _stored(state, event_id)]))[0]


@router.get("/events/{event_id}/thumb.jpg", response_class=Response, responses=JPEG)
async def thumb(event_id: EventId, state: StateDep) -> Response:
    """The event's objects, at most 320 px."""
    return await _picture(state, event_id, "thumb")


@router.get("/events/{event_id}/frame.jpg", response_class=Response, responses=JPEG)
async def frame(event_id: EventId, state: StateDep) -> Response:
    """The whole frame that an alert was decided on, as large as keyframes are."""
    return await _picture(state, event_id, "frame")


async def _stored(state: State, event_id: str) -> Stored:
    """Raises `NotFound` or `StoreError`."""
    await state.recording.settled(event_id, SETTLE_S)
    stored = await state.recording.store.event(event_id)
    if stored is None:
        raise NotFound("There is no such event.", code="not_found", action="It may have been too old to keep.")
    return stored


async def _picture(state: State, event_id: str, kind: str) -> Response:
    await state.recording.settled(event_id, SETTLE_S)
    jpeg = await state.recording.store.picture(event_id, kind)
    if jpeg is None:
        raise NotFound("There is no such picture.", code="not_found", action="Not every event has one.")
    # It never changes; only this browser may keep it.
    return Response(jpeg, media_type="image/jpeg", headers={"cache-control": "private, max-age=86400, immutable"})
