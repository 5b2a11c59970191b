"""WHIP (RFC 9725) and WHEP: one way in, one way out."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response

from stream.errors import BadInput
from web.state import StateDep

router = APIRouter(tags=["WebRTC"])
SDP = "application/sdp"
_CONTENT = {SDP: {"schema": {"type": "string"}}}
CREATED: dict[int | str, dict[str, Any]] = {201: {"description": "The answer", "content": _CONTENT}}
OFFER = {"requestBody": {"required": True, "content": _CONTENT}}


class WrongMediaType(BadInput):
    code = "unsupported_media_type"
    status = 415
    default_action = f"Send the offer as {SDP}."


@router.post("/whip/{stream_id}", status_code=201, response_class=Response, responses=CREATED, openapi_extra=OFFER)
async def publish(
    stream_id: str, request: Request, state: StateDep, if_match: Annotated[str | None, Header()] = None
) -> Response:
    """Publish video to a stream. With `If-Match: "<session>"` the session that feeds it is replaced."""
    offer = await read_offer(request)
    match = if_match.strip().removeprefix("W/").strip('"') if if_match else None
    answer = await state.hub.publish(stream_id, offer, if_match=match)
    return created(f"/whip/{stream_id}/{answer.session}", answer.sdp, {"etag": f'"{answer.session}"'})


@router.delete("/whip/{stream_id}/{session}", status_code=204)
async def unpublish(stream_id: str, session: str, state: StateDep) -> None:
    """End a publisher's session. The stream waits 30 s for the next one."""
    await state.hub.unpublish(stream_id, session)


@router.post("/whep/{stream_id}", status_code=201, response_class=Response, responses=CREATED, openapi_extra=OFFER)
async def view(stream_id: str, request: Request, state: StateDep) -> Response:
    """Watch a stream: its own packets, not encoded again."""
    answer = await state.hub.view(stream_id, await read_offer(request))
    return created(f"/whep/{stream_id}/{answer.session}", answer.sdp, {})


@router.delete("/whep/{stream_id}/{session}", status_code=204)
async def unview(stream_id: str, session: str, state: StateDep) -> None:
    """End a viewer's session."""
    await state.hub.unview(stream_id, session)


async def read_offer(request: Request) -> str:
    """The SDP in a request. Raises `BadInput`."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != SDP:
        raise WrongMediaType("The offer is not SDP by its content type.")
    body = await request.body()
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise BadInput("The offer is not SDP.", action="Send the text of an SDP offer.") from None


def created(location: str, sdp: str, headers: dict[str, str]) -> Response:
    """The answer to an offer."""
    return Response(sdp, 201, {"location": location, **headers}, media_type=SDP)
