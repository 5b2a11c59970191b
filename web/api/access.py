"""Who saw what."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from web.api.parameters import After, Since, StreamName, aware, cursor, paged
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
    since: Since = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    after: After = None,
) -> Json:
    """Who saw what, newest first; written down where the server has a token, that is on any address but loopback."""
    found = await state.accesses.entries(stream=stream, since=aware(since), before=cursor(after), limit=limit + 1)
    seen, following = paged(found, limit)
    items = [
        {"id": str(one.seq), "at": one.at, "who": one.who, "address": one.address, "action": one.action,
         "stream": one.stream, "what": one.what}
        for one in seen
    ]  # fmt: skip
    return {"items": items, "next": following}
