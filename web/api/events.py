"""What happened in all streams, from the store: listed, kept, noted on, exported."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from starlette.responses import StreamingResponse

from agent.store.clips import change_event, facets, moments
from agent.store.rows import StoredEvent as Stored
from agent.store.store import EventQuery
from agent.types import EventKind
from stream.errors import NotFound
from web.agent_wire import Json, stored_event_body
from web.api.clip_shapes import EventChange, Export, Facets
from web.api.parameters import After, Limit, PathId, Since, StreamName, aware, cursor, paged
from web.api.shapes import Page, StoredEvent
from web.export import export_zip
from web.protocol.parts import Uuid
from web.state import State, StateDep

router = APIRouter(prefix="/v1", tags=["Events"])
Words = Annotated[str | None, Query(max_length=200, description="Words of its text, in any form.")]
Label = Annotated[str | None, Query(max_length=200)]
JPEG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/jpeg": {}}}}
ZIP: dict[int | str, dict[str, Any]] = {200: {"content": {"application/zip": {}}}}
SETTLE_S = 10.0
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
    since: Since = None,
    until: Annotated[datetime | None, Query()] = None,
    limit: Limit = 100,
    after: After = None,
) -> Json:
    """What happened in all streams, also before the server was last started; newest first."""
    query = EventQuery(
        q, stream, kind, label, watch, aware(since), aware(until), cursor(after), limit + 1, region, keep, clip
    )
    shown, following = paged(await state.recording.store.events(query), limit)
    return {"items": await _with_clips(state, shown), "next": following}


@router.get("/events/facets", response_model=Facets)
async def event_facets(state: StateDep, stream: StreamName = None) -> Json:
    """The cameras, kinds, classes and regions of the events that are kept."""
    found = await facets(state.recording.store, stream)
    opened = {session.id: session for session in state.hub.list()}
    names = {region.id: region.name for kept in state.agents.all for region in kept.regions}
    return {
        "streams": [{"id": s, "name": opened[s].name if s in opened else s} for s in found["streams"]],
        "kinds": found["kinds"],
        "labels": found["labels"],
        "regions": [{"id": r, "name": names[r]} for r in found["region_ids"] if r in names],
    }


@router.get("/events/{event_id}", response_model=StoredEvent, response_model_exclude_none=True)
async def event(event_id: PathId, state: StateDep) -> Json:
    await state.recording.settled(event_id, SETTLE_S)
    return await _body(state, event_id)


@router.patch("/events/{event_id}", response_model=StoredEvent, response_model_exclude_none=True)
async def change(event_id: PathId, body: EventChange, state: StateDep) -> Json:
    """Keep an event however old it gets, or no longer; write a note on it."""
    changes = {name: getattr(body, name) for name in body.model_fields_set}
    if changes.get("keep", False) is None:
        del changes["keep"]
    await state.recording.settled(event_id, SETTLE_S)
    if changes and not await change_event(state.recording.store, event_id, changes):
        raise _no_event()
    return await _body(state, event_id)


@router.get("/events/{event_id}/thumb.jpg", response_class=Response, responses=JPEG)
async def thumb(event_id: PathId, state: StateDep) -> Response:
    """The event's objects, at most 320 px."""
    return await _picture(state, event_id, "thumb")


@router.get("/events/{event_id}/frame.jpg", response_class=Response, responses=JPEG)
async def frame(event_id: PathId, state: StateDep) -> Response:
    """The whole frame that an alert was decided on, as large as keyframes are."""
    return await _picture(state, event_id, "frame")


@router.post("/export", response_class=StreamingResponse, responses=ZIP)
async def export(body: Export, state: StateDep) -> Response:
    """A ZIP of events: `events.json`, their pictures, clips and annotations."""
    chosen = await _stored(state, list(dict.fromkeys(body.event_ids)))
    headers = {"content-disposition": 'attachment; filename="onlooker-events.zip"'}
    stream = export_zip(state.recording.store, state.clips, chosen)
    return StreamingResponse(stream, media_type="application/zip", headers=headers)


async def _with_clips(state: State, found: Sequence[Stored]) -> list[Json]:
    """Events as they are listed, each with the clip that is or will be there."""
    written = await moments(state.recording.store, [stored.event.id for stored in found])
    bodies: list[Json] = []
    for stored in found:
        clip: tuple[str, float | None] | None = written.get(stored.event.id)
        if clip is None and (expected := state.clips.promised.expected(stored.event.id)) is not None:
            clip = (expected, None)
        bodies.append(stored_event_body(stored, clip))
    return bodies


async def _body(state: State, event_id: str) -> Json:
    """Raises `NotFound` or `StoreError`."""
    return (await _with_clips(state, await _stored(state, [event_id])))[0]


async def _stored(state: State, event_ids: Sequence[str]) -> list[Stored]:
    """In that order. Raises `NotFound` where one is missing, or `StoreError`."""
    query = EventQuery(ids=tuple(event_ids), limit=len(event_ids))
    found = {stored.event.id: stored for stored in await state.recording.store.events(query)}
    if len(found) < len(event_ids):
        raise _no_event()
    return [found[event_id] for event_id in event_ids]


async def _picture(state: State, event_id: str, kind: str) -> Response:
    await state.recording.settled(event_id, SETTLE_S)
    jpeg = await state.recording.store.picture(event_id, kind)
    if jpeg is None:
        raise NotFound("There is no such picture.", code="not_found", action="Not every event has one.")
    # It never changes; only this browser may keep it.
    return Response(jpeg, media_type="image/jpeg", headers={"cache-control": "private, max-age=86400, immutable"})


def _no_event() -> NotFound:
    return NotFound("There is no such event.", code="not_found", action="It may have been too old to keep.")
