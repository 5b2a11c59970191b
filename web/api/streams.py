"""Streams, their prompts and tracks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response

from stream.errors import NotFound
from stream.session import StreamSession
from web.api.feed_shapes import NewStream, Probe, Probed
from web.api.parameters import After
from web.api.shapes import Page, Stats, Stream, StreamChange, TrackChange
from web.commands import draft_of
from web.privacy import to_privacy
from web.protocol.parts import Prompt, PromptBody
from web.protocol.server import Tracks
from web.state import AgentDep, State, StateDep, StreamDep
from web.wire import Json, prompt_bodies, prompt_body, stats_body, stream_body

router = APIRouter(prefix="/v1/streams", tags=["Streams"])
Limit = Annotated[int, Query(ge=1, le=1000)]
ItemId = Annotated[int, Path(ge=0, le=2**53 - 1)]


@router.get("", response_model=Page[Stream])
async def list_streams(state: StateDep, limit: Limit = 100, after: After = None) -> Json:
    """All streams."""
    return page([_body(session, state) for session in state.hub.list()], limit, after)


@router.post("", status_code=201, response_model=Stream, response_model_exclude_none=True)
async def open_stream(body: NewStream, state: StateDep, response: Response) -> Json:
    """Open a stream that the server reads itself: a camera, a file, the demo clip. A camera may be off now; it is
    tried again and again. `POST /v1/streams/probe` tells beforehand what it sends."""
    session = await state.feeds.add(body)
    response.headers["location"] = f"/v1/streams/{session.id}"
    return _body(session, state)


@router.post("/probe", response_model=Probed)
async def probe_source(body: Probe, state: StateDep) -> Json:
    """What a source sends, with its first picture, within some seconds; nothing is opened or kept."""
    wanted = state.feeds.with_secrets(body.source, body.id) if body.id is not None else body.source
    return await state.prober.probe(wanted)


@router.get("/{stream_id}", response_model=Stream)
async def get_one(session: StreamDep, state: StateDep) -> Json:
    return _body(session, state)


@router.patch("/{stream_id}", response_model=Stream)
async def change_stream(body: StreamChange, session: StreamDep, agent: AgentDep, state: StateDep) -> Json:
    """Rename it, or change where it comes from or what it hides, which takes effect at once; what is left out stays."""
    if "privacy" in body.model_fields_set:
        privacy = to_privacy(body.privacy, agent.regions) if body.privacy is not None else None
        if privacy is not None:
            await session.screen.check(privacy)
        await state.privacy.choose(session, privacy)
    given = {name: getattr(body, name) for name in body.model_fields_set - {"privacy", "source"}}
    if given or body.source is not None:
        await state.feeds.change(session, body.source, given)
    if body.name is not None:
        session.name = body.name
    return _body(session, state)


@router.delete("/{stream_id}", status_code=204)
async def close_stream(stream_id: str, state: StateDep) -> None:
    """End the stream, its source and its viewers; one that was saved is forgotten."""
    await state.feeds.remove(stream_id)


@router.get("/{stream_id}/stats", response_model=Stats)
async def stats(session: StreamDep) -> Json:
    """Rates, drops, latency, connections, and what gives way at present."""
    return stats_body(session.status())


@router.get("/{stream_id}/snapshot.jpg", response_class=Response, responses={200: {"content": {"image/jpeg": {}}}})
async def snapshot(session: StreamDep, overlay: bool = False) -> Response:
    """The newest picture as JPEG, with its tracks drawn if asked."""
    jpeg = await session.snapshot_jpeg(overlay=overlay)
    return Response(jpeg, media_type="image/jpeg")


@router.get("/{stream_id}/prompts", response_model=Page[Prompt], response_model_exclude_none=True)
async def list_prompts(session: StreamDep, limit: Limit = 100, after: After = None) -> Json:
    return page(prompt_bodies(session.prompts), limit, after)


@router.post("/{stream_id}/prompts", status_code=201, response_model=Prompt, response_model_exclude_none=True)
async def add_prompt(body: PromptBody, session: StreamDep) -> Json:
    """Follow something, or refine a track."""
    return prompt_body(await session.add_prompt(draft_of(body)))


@router.delete("/{stream_id}/prompts/{prompt_id}", status_code=204)
async def remove_prompt(prompt_id: ItemId, session: StreamDep) -> None:
    """Stop following it and drop its tracks; can be undone for 60 s."""
    await session.remove_prompt(prompt_id)


@router.post("/{stream_id}/prompts/{prompt_id}/restore", status_code=204)
async def restore_prompt(prompt_id: ItemId, session: StreamDep) -> None:
    await session.restore_prompt(prompt_id)


@router.get("/{stream_id}/tracks", response_model=None, responses={200: {"model": Tracks}})
async def tracks(session: StreamDep, state: StateDep) -> Response:
    """The last `tracks` message. A camera that nobody watches is tracked for a minute after it was asked for."""
    if session.attention is not None:
        session.attention.ask()
    encoded = state.fanouts.of(session).tracks(session)
    if encoded is None:
        raise NotFound("There has been no picture yet.", code="not_found", action="Wait for the picture.")
    return Response(encoded[1], media_type="application/json")


@router.patch("/{stream_id}/tracks/{track_id}", status_code=204)
async def rename_track(track_id: ItemId, body: TrackChange, session: StreamDep) -> None:
    session.rename_track(track_id, body.label)


@router.delete("/{stream_id}/tracks/{track_id}", status_code=204)
async def remove_track(track_id: ItemId, session: StreamDep) -> None:
    """Drop one track; its prompt does not bring the same object back. Can be undone for 60 s."""
    await session.remove_track(track_id)


@router.post("/{stream_id}/tracks/{track_id}/restore", status_code=204)
async def restore_track(track_id: ItemId, session: StreamDep) -> None:
    await session.restore_track(track_id)


def _body(session: StreamSession, state: State) -> Json:
    return stream_body(session) | state.feeds.body(session)


def page(items: Sequence[dict[str, Any]], limit: int, after: str | None) -> Json:
    """`limit` of `items` after the one whose id is `after`; none when there is no such item."""
    start = 0
    if after is not None:
        ids = [str(item["id"]) for item in items]
        start = ids.index(after) + 1 if after in ids else len(items)
    shown = list(items[start : start + limit])
    more = start + limit < len(items)
    return {"items": shown, "next": str(shown[-1]["id"]) if more and shown else None}
