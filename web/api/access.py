"""Who saw what."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from web.api.parameters import StreamName
from web.api.shapes import Page
from web.state import StateDep
from web.wire import Json

router = APIRouter(prefix="/v1", tags=["Access"])


class AccessInfo(BaseModel):
    """`who` stands for a browser's session, or is `token`; `action`: `view` and `view_end` of a stream, `snapshot`,
    `keyframe`, `picture` of an event, `clip`, `export`; `what` names the viewing, the moment, the event or the clip."""

    id: str
    at: datetime
    who: str
    address: str
    action: str
    stream: str | None = None
    what: str | None = None


@router.get("/access", response_model=Page[AccessInfo], response_model_exclude_none=True)
async def accesses(
    state: StateDep,
    stream: StreamName = None,
    since: Annotated[datetime | None, Query(description="RFC 3339; without a zone it is UTC.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    after: Annotated[
        str | None, Query(max_length=20, pattern="^[0-9]+$", description="`next` of the page before.")
    ] = None,
) -> Json:
    """Who saw what, newest first; written down where the server has a token, that is on any address but loopback."""
    if since is not None and since.tzinfo is None:
        since = since.replace(tzinfo=UTC)
    before = int(after) if after is not None else None
    found = await state.accesses.entries(stream=stream, since=since, before=before, limit=limit + 1)
    items = [
        {"id": str(one.seq), "at": one.at, "who": one.who, "address": one.address, "action": one.action,
         "stream": one.stream, "what": one.what}
        for one in found[:limit]
    ]  # fmt: skip
    return {"items": items, "next": items[-1]["id"] if len(found) > limit else None}
