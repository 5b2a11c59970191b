"""Clips of what happened: listed, played, removed, saved by hand."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import FileResponse

from agent.clips.saving import save_now
from agent.store.clips import Clip, ClipQuery, find_clips, get_clip, used_by_clips
from stream.errors import NotFound, StoreError
from stream.mux import MEDIA_TYPES, picture_times
from web.agent_wire import Json
from web.api.clip_shapes import ClipInfo, NewClip, SavedClip, StreamClipsChange, StreamClipsInfo
from web.api.parameters import After, Limit, PathId, Since, StreamName, aware, cursor, paged
from web.api.shapes import Page
from web.protocol.parts import Uuid
from web.state import AgentDep, State, StateDep, StreamDep
from web.times import time_at
from web.wire import error_body

router = APIRouter(prefix="/v1", tags=["Clips"])
VIDEO: dict[int | str, dict[str, Any]] = {200: {"content": {kind: {} for kind in MEDIA_TYPES.values()}}}
LINES: dict[int | str, dict[str, Any]] = {200: {"content": {"application/jsonl": {}}}}
WAIT_S = 30.0
"""A clip that is being recorded is waited for."""
UNCHANGING = {"cache-control": "private, max-age=86400, immutable"}


@router.get("/clips", response_model=Page[ClipInfo], response_model_exclude_none=True)
async def clips(
    state: StateDep,
    stream: StreamName = None,
    event: Annotated[Uuid | None, Query(description="Of this event.")] = None,
    since: Since = None,
    until: Annotated[datetime | None, Query()] = None,
    limit: Limit = 100,
    after: After = None,
) -> Json:
    """The clips of all streams, newest first."""
    query = ClipQuery(stream, event, aware(since), aware(until), cursor(after), limit + 1)
    shown, following = paged(await find_clips(state.recording.store, query), limit)
    return {"items": [_body(clip) for clip in shown], "next": following}


@router.get("/clips/{clip_id}", response_class=FileResponse, responses=VIDEO)
async def video(clip_id: PathId, state: StateDep) -> FileResponse:
    """The video, whole or by ranges. One that is being recorded is waited for."""
    clip = await _clip(state, clip_id)
    name = f"{clip.stream}-{clip.at:%Y%m%d-%H%M%S}{clip.suffix}"
    return FileResponse(
        state.clips.path(clip),
        media_type=MEDIA_TYPES[clip.suffix],
        headers=UNCHANGING,
        filename=name,
        content_disposition_type="inline",
    )


@router.get("/clips/{clip_id}/info", response_model=ClipInfo, response_model_exclude_none=True)
async def info(clip_id: PathId, state: StateDep) -> Json:
    """What is known of it, and when each of its pictures is shown."""
    clip = await _clip(state, clip_id)
    times_s = await asyncio.to_thread(picture_times, state.clips.path(clip))
    return {**_body(clip), "times_s": [round(time_s, 6) for time_s in times_s]}


@router.get("/clips/{clip_id}/annotations.jsonl", response_class=FileResponse, responses=LINES)
async def clip_annotations(clip_id: PathId, state: StateDep) -> FileResponse:
    """What was tracked on each of its pictures: a line of JSON each, with the clip's own `pts` and `time_s`."""
    clip = await _clip(state, clip_id)
    path = state.clips.annotations_path(clip)
    return FileResponse(path, media_type="application/jsonl", headers=UNCHANGING)


@router.delete("/clips/{clip_id}", status_code=204)
async def delete(clip_id: PathId, state: StateDep) -> None:
    """Remove a clip, kept or not; its events stay."""
    clip = await get_clip(state.recording.store, clip_id)
    if clip is None:
        raise _no_clip()
    await state.clips.remove(clip)


@router.get("/streams/{stream_id}/clips", response_model=StreamClipsInfo, response_model_exclude_none=True)
async def of_stream(session: StreamDep, state: StateDep) -> Json:
    """Whether clips are made of this stream, and what they take."""
    return await _stream_clips(state, session.id)


@router.patch("/streams/{stream_id}/clips", response_model=StreamClipsInfo, response_model_exclude_none=True)
async def choose(body: StreamClipsChange, session: StreamDep, state: StateDep) -> Json:
    """Make clips of this stream's alerts, or none, and keep them as long or as much as this; also after a restart."""
    given = {("enabled" if name == "on" else name): getattr(body, name) for name in body.model_fields_set}
    await state.clips.choose(session.id, given)
    return await _stream_clips(state, session.id)


@router.post("/streams/{stream_id}/clips", status_code=201, response_model=SavedClip)
async def save(body: NewClip, agent: AgentDep, state: StateDep) -> Json:
    """Keep what is in the picture now, with some seconds before and after it, as an event of its own."""
    saved = save_now(agent, body.note)
    return {
        "event_id": saved.event_id,
        "clip_id": saved.clip_id,
        "url": f"/v1/clips/{saved.clip_id}",
        "ready_in_s": state.clips.lengths.after_s + 1,
    }


async def _clip(state: State, clip_id: str) -> Clip:
    """One whose files are there. Raises `NotFound`, `StoreError`, or the error that says that it is not ready."""
    await state.clips.settled(clip_id, WAIT_S)
    clip = await get_clip(state.recording.store, clip_id)
    if clip is None or not state.clips.path(clip).is_file():
        raise _no_clip()
    return clip


async def _stream_clips(state: State, stream_id: str) -> Json:
    clips, session = state.clips, state.hub.get(stream_id)
    chosen, now = clips.settings(stream_id), clips.state()
    try:
        used = (await used_by_clips(state.recording.store)).get(stream_id, 0)
    except StoreError:
        used = 0
    body: Json = {
        "on": clips.is_on(session),
        "chosen": chosen.enabled,
        "before_s": clips.lengths.before_s,
        "after_s": clips.lengths.after_s,
        "max_age_days": clips.limits.max_age_days if chosen.max_age_days is None else chosen.max_age_days,
        "max_gb": chosen.max_gb,
        "used_bytes": used,
        "recording": now.recording,
    }
    return body | ({"error": error_body(now.error)} if now.error is not None else {})


def _body(clip: Clip) -> Json:
    return {
        "id": clip.id,
        "stream": clip.stream,
        "boot": clip.boot,
        "at": time_at(clip.at),
        "codec": clip.codec,
        "media_type": MEDIA_TYPES[clip.suffix],
        "width": clip.width,
        "height": clip.height,
        "duration_s": round(clip.duration_s, 4),
        "pictures": clip.pictures,
        "annotated": clip.annotated,
        "bytes": clip.bytes,
        "keep": clip.keep,
        "events": [{"event_id": link.event_id, "offset_s": link.offset_s} for link in clip.events],
        "url": f"/v1/clips/{clip.id}",
        "annotations_url": f"/v1/clips/{clip.id}/annotations.jsonl",
    }


def _no_clip() -> NotFound:
    return NotFound("There is no such clip.", code="not_found", action="It may have been too old to keep.")
