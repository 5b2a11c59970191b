"""Events with their pictures, clips and annotations as one ZIP, sent while it is made."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import zipfile
from collections.abc import AsyncIterator, Sequence
from typing import BinaryIO

from agent.clips.service import Clips
from agent.store.clips import Clip, clips_of
from agent.store.rows import StoredEvent
from agent.store.store import EventStore
from web.agent_wire import Json, stored_event_body

CHUNK = 256 * 1024


class _Sink(io.RawIOBase):
    """Takes what the archive writes, to be sent on."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        chunk = bytes(memoryview(data))  # type: ignore[arg-type]
        self._chunks.append(chunk)
        return len(chunk)

    def take(self) -> bytes:
        taken = b"".join(self._chunks)
        self._chunks.clear()
        return taken


async def export_zip(store: EventStore, clips: Clips, chosen: Sequence[StoredEvent]) -> AsyncIterator[bytes]:
    """`events.json` names the files of each event: `pictures/`, `clips/` with its annotations beside each clip.

    Raises `StoreError`. A clip that goes meanwhile is left out.
    """
    of_events = await clips_of(store, [stored.event.id for stored in chosen])
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        there: dict[str, Json] = {}
        for clip in of_events:
            video, lines = f"clips/{clip.id}{clip.suffix}", f"clips/{clip.id}.jsonl"
            with contextlib.ExitStack() as opened:
                try:
                    pictures = opened.enter_context(clips.path(clip).open("rb"))
                    annotations = opened.enter_context(clips.annotations_path(clip).open("rb"))
                except FileNotFoundError:
                    continue
                async for chunk in _file(archive, sink, video, pictures):
                    yield chunk
                async for chunk in _file(archive, sink, lines, annotations, deflate=True):
                    yield chunk
            there[clip.id] = {"clip": video, "annotations": lines}
        events: list[Json] = []
        for stored in chosen:
            body = stored_event_body(stored)
            body["clips"] = [
                _in_clip(clip, stored, there[clip.id]) for clip in of_events if _shown(clip, stored, there)
            ]
            names: list[str] = []
            for kind in sorted(stored.pictures):
                jpeg = await store.picture(stored.event.id, kind)
                if jpeg is not None:
                    names.append(f"pictures/{stored.event.id}-{kind}.jpg")
                    archive.writestr(names[-1], jpeg)
            events.append({**body, "pictures": names})
            yield sink.take()
        text = await asyncio.to_thread(json.dumps, events, indent=1)
        await asyncio.to_thread(archive.writestr, "events.json", text, zipfile.ZIP_DEFLATED)
    yield sink.take()


async def _file(
    archive: zipfile.ZipFile, sink: _Sink, name: str, file: BinaryIO, *, deflate: bool = False
) -> AsyncIterator[bytes]:
    entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    entry.compress_type = zipfile.ZIP_DEFLATED if deflate else zipfile.ZIP_STORED
    with archive.open(entry, "w", force_zip64=True) as out:
        while chunk := await asyncio.to_thread(file.read, CHUNK):
            await asyncio.to_thread(out.write, chunk)
            yield sink.take()
    yield sink.take()


def _shown(clip: Clip, stored: StoredEvent, there: dict[str, Json]) -> bool:
    return clip.id in there and any(link.event_id == stored.event.id for link in clip.events)


def _in_clip(clip: Clip, stored: StoredEvent, names: Json) -> Json:
    offset_s = next(link.offset_s for link in clip.events if link.event_id == stored.event.id)
    return {**names, "offset_s": offset_s, "duration_s": clip.duration_s, "width": clip.width, "height": clip.height}
