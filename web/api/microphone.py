"""Microphone sessions: audio only, one a client, beside any stream."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from web.api.whip import CREATED, OFFER, created, read_offer
from web.state import StateDep

router = APIRouter(prefix="/v1/streams/{stream_id}", tags=["WebRTC"])


@router.post("/microphone", status_code=201, response_class=Response, responses=CREATED, openapi_extra=OFFER)
async def open_microphone(
    stream_id: str, request: Request, state: StateDep, client: Annotated[str, Query(max_length=64)]
) -> Response:
    """Send a microphone. `client` is in the address that the websocket's `hello` gives to its own client."""
    answer = await state.voice.open(stream_id, client, await read_offer(request))
    return created(f"/v1/streams/{stream_id}/microphone/{answer.session}", answer.sdp, {})


@router.delete("/microphone/{session}", status_code=204)
async def close_microphone(stream_id: str, session: str, state: StateDep) -> None:
    """End a microphone session."""
    await state.voice.close(stream_id, session)
