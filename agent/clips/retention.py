"""Which clips go: what is too old, then the oldest of what is too much, of a stream and of all. What is kept stays."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from agent.store.clips import ClipSettings, oldest_unkept, remove_clips, unkept_bytes, used_by_clips
from agent.store.store import EventStore

BATCH = 100
GB = 1024**3

Free = Callable[[], Awaitable[int]]
"""Bytes that are free on the disk of the clips."""
Unlink = Callable[[str], Awaitable[None]]
"""Removes the files of a clip."""


@dataclass(frozen=True, slots=True)
class ClipLimits:
    """How much is kept; `spare_bytes` of the disk stay free."""

    max_age_days: float = 14.0
    max_gb: float = 20.0
    spare_bytes: int = 512 * 1024 * 1024


async def retain(
    store: EventStore,
    limits: ClipLimits,
    of_streams: Mapping[str, ClipSettings],
    now: datetime,
    free: Free,
    unlink: Unlink,
) -> int:
    """Let go of what is beyond the limits, of single streams and of all. Returns the number of clips that went.

    Raises `StoreError`.
    """
    gone = 0
    used = await used_by_clips(store)
    for stream in used:
        chosen = of_streams.get(stream, ClipSettings())
        days = limits.max_age_days if chosen.max_age_days is None else chosen.max_age_days
        gone += await _remove(store, unlink, stream=stream, before=now - timedelta(days=days))
        if chosen.max_gb is not None:
            held = (await used_by_clips(store)).get(stream, 0)
            gone += await _remove(store, unlink, stream=stream, bytes_too_many=held - int(chosen.max_gb * GB))
    held = sum((await used_by_clips(store)).values())
    gone += await _remove(store, unlink, bytes_too_many=held - int(limits.max_gb * GB))
    # Where something else has filled the disk, all clips would go and it would be full all the same.
    if limits.spare_bytes - await free() <= await unkept_bytes(store):
        gone += await make_room(store, limits.spare_bytes, free, unlink)
    return gone


async def make_room(store: EventStore, wanted_bytes: int, free: Free, unlink: Unlink) -> int:
    """Remove the oldest until `wanted_bytes` are free on the disk. Returns the number of clips that went."""
    missing = wanted_bytes - await free()
    return await _remove(store, unlink, bytes_too_many=missing)


async def _remove(
    store: EventStore,
    unlink: Unlink,
    *,
    stream: str | None = None,
    before: datetime | None = None,
    bytes_too_many: int | None = None,
) -> int:
    """The oldest that nobody wanted kept: all from before then, or as many as are too much."""
    gone = 0
    while before is not None or (bytes_too_many is not None and bytes_too_many > 0):
        going: list[str] = []
        for clip_id, size in await oldest_unkept(store, stream=stream, before=before, limit=BATCH):
            if bytes_too_many is not None and bytes_too_many <= 0:
                break
            going.append(clip_id)
            bytes_too_many = None if bytes_too_many is None else bytes_too_many - size
        if not going:
            break
        await remove_clips(store, going)
        for clip_id in going:
            await unlink(clip_id)
        gone += len(going)
    return gone
