"""What happened in all streams, from the store, and where alerts are sent."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Path, Query, Response

from agent.store.rows import StoredEvent as Stored
from agent.store.store import EventQuery
from agent.types import EventKind
from stream.errors import BadInput, NotFound
from web.agent_wire import Json, stored_event_body, trial_text
from web.api.shapes import DeadLetter, Page, Retried, SinkInfo, SinkTest, StoredEvent
from web.api.streams import After
from web.protocol.parts import Uuid
from web.state import State, StateDep

router = APIRouter(prefix="/v1", tags=["Events"])
EventId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]
Words = Annotated[str | None, Query(max_length=200, description="Words of its text, in any form.")]
StreamName = Annotated[str | None, Query(max_length=63)]
Label = Annotated[str | None, Query(max_length=200)]
SinkName = Annotated[str, Path(max_length=63)]
Limit = Annotated[int, Query(ge=1, le=200)]
JPEG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/jpeg": {}}}}
SETTLE_S = 5.0
"""An event that was just told is waited for."""
MOST_LETTERS = 1000


@router.get("/events", response_model=Page[StoredEvent], response_model_exclude_none=True)
async def events(
    state: StateDep,
    q: Words = None,
    stream: StreamName = None,
    kind: Annotated[EventKind | None, Query()] = None,
    label: Label = None,
    watch: Annotated[Uuid | None, Query()] = None,
    since: Annotated[datetime | None, Query(description="RFC 3339; without a zone it is UTC.")] = None,
    until: Annotated[datetime | None, Query()] = None,
    limit: Limit = 100,
    after: After = None,
) -> Json:
    """What happened in all streams, also before the server was last started; newest first."""
    query = EventQuery(q, stream, kind, label, watch, _aware(since), _aware(until), _cursor(after), limit + 1)
    found = await state.recording.store.events(query)
    shown = found[:limit]
    following = str(shown[-1].seq) if len(found) > limit else None
    return {"items": [stored_event_body(stored) for stored in shown], "next": following}


@router.get("/events/{event_id}", response_model=StoredEvent, response_model_exclude_none=True)
async def event(event_id: EventId, state: StateDep) -> Json:
    return stored_event_body(await _stored(state, event_id))


@router.get("/events/{event_id}/thumb.jpg", response_class=Response, responses=JPEG)
async def thumb(event_id: EventId, state: StateDep) -> Response:
    """The event's objects, at most 320 px."""
    return await _picture(state, event_id, "thumb")


@router.get("/events/{event_id}/frame.jpg", response_class=Response, responses=JPEG)
async def frame(event_id: EventId, state: StateDep) -> Response:
    """The whole frame that an alert was decided on, as large as keyframes are."""
    return await _picture(state, event_id, "frame")


@router.get("/sinks", response_model=Page[SinkInfo], response_model_exclude_none=True)
async def sinks(state: StateDep) -> Json:
    """Where alerts are sent, as the operator configured it, and how that goes."""
    items: list[Json] = []
    for found in state.recording.webhooks.states():
        sink, address = found.sink, urlsplit(found.sink.url)
        items.append(
            {
                "name": sink.name,
                "kind": "webhook",
                # The rest of the address may be a secret.
                "url": f"{address.scheme}://{address.hostname}",
                "min_severity": sink.min_severity.value,
                "signed": sink.secret is not None,
                "delivered": found.delivered,
                "waiting": len(found.queue),
                "dead": found.dead,
                "error": found.error,
            }
        )
    return {"items": items, "next": None}


@router.get("/sinks/{name}/dead", response_model=Page[DeadLetter])
async def dead_letters(name: SinkName, state: StateDep) -> Json:
    """The alerts that could not be delivered, newest first."""
    letters = await state.recording.webhooks.dead_letters(name)
    items = [
        {
            "id": letter.id,
            "event_id": letter.event_id,
            "at": letter.at,
            "tries": letter.tries,
            "error": letter.error,
            "body": letter.body,
        }
        for letter in letters[:MOST_LETTERS]
    ]
    return {"items": items, "next": None}


@router.post("/sinks/{name}/test", response_model=SinkTest, response_model_exclude_none=True)
async def try_sink(name: SinkName, state: StateDep) -> Json:
    """Send a delivery of type `test`, signed as an alert is, and say what came back. It is not tried again."""
    reply = await state.recording.webhooks.test(name, trial_text(name))
    return {
        "delivered": reply.failure is None,
        "status": reply.status,
        "error": reply.failure.message if reply.failure is not None else None,
        "took_ms": round(reply.took_s * 1000, 1),
    }


@router.post("/sinks/{name}/dead/retry", status_code=202, response_model=Retried)
async def retry_all(name: SinkName, state: StateDep) -> Json:
    """Deliver all that could not be delivered, as if for the first time."""
    return {"waiting": await state.recording.webhooks.retry(name)}


@router.post("/sinks/{name}/dead/{letter_id}/retry", status_code=202, response_model=Retried)
async def retry(name: SinkName, letter_id: EventId, state: StateDep) -> Json:
    """Deliver one of them."""
    return {"waiting": await state.recording.webhooks.retry(name, letter_id)}


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


def _aware(at: datetime | None) -> datetime | None:
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at


def _cursor(after: str | None) -> int | None:
    if after is None:
        return None
    if not (after.isascii() and after.isdigit() and len(after) <= 18):
        raise BadInput("`after` is not a page of this list.", action="Give the `next` of the page before.")
    return int(after)
