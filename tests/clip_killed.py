"""Run as a process of its own, to be killed: a server's clips, cut one after another without a pause.

`python -m tests.clip_killed FOLDER` prints the id of each clip that was acknowledged. With a number of bytes as well,
no file may become larger than that; then it ends after some clips and prints what is said of them.
"""

from __future__ import annotations

import asyncio
import resource
import sys
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from agent.clips.recorder import Lengths
from agent.clips.retention import ClipLimits
from agent.clips.service import Clips
from agent.store.opening import open_store, store_url
from agent.store.rows import Entry
from agent.store.store import EventQuery, EventStore
from agent.types import Event, EventFact, EventKind, Severity
from stream.facts import FactLog
from stream.relay import PacketRelay
from stream.session import StreamSession
from stream.types import EncodedFrame
from tests.clip_frames import Camera, ref, update_of
from web.clips import clip_line

LENGTHS = Lengths(before_s=0.2, after_s=0.2, longest_s=2.0)
BOOT = "b" * 32


class Stream:
    """A stream by hand: `show` lets pictures come, with what is tracked on them."""

    kind = "file"

    def __init__(self, stream_id: str = "cam") -> None:
        self.id = stream_id
        self.relay = PacketRelay()
        self.facts = FactLog()

    @property
    def session(self) -> StreamSession:
        return cast(StreamSession, self)

    def request_keyframe(self) -> None: ...

    def show(self, frame: EncodedFrame) -> None:
        self.relay.push(frame)
        self.facts.publish_update(update_of(frame))


def make_clips(folder: Path, store: EventStore, limits: ClipLimits | None = None) -> Clips:
    return Clips(
        folder / "clips", lambda: store, clip_line, boot=BOOT, lengths=LENGTHS,
        limits=limits or ClipLimits(spare_bytes=0),
    )  # fmt: skip


def happened(frame: EncodedFrame, text: str = "Somebody came in.", at: datetime | None = None) -> Event:
    return Event(
        uuid.uuid4().hex, EventKind.ALERT, text, (1,), ref(frame), frame.pts, at or datetime.now(UTC),
        severity=Severity.WARN, labels=("person",),
    )  # fmt: skip


async def record(stream: Stream, clips: Clips, store: EventStore, frames: list[EncodedFrame], text: str) -> str | None:
    """An event in the middle of `frames`, written down and filmed. Returns the id of its clip, once that is settled."""
    cut = clips.attach(stream.session)
    half = len(frames) // 2
    for frame in frames[:half]:
        stream.show(frame)
    event = happened(frames[half - 1], text)
    clip_id = cut.expect(event)
    # Before anything is waited for: these pictures are of long ago, so that the clock would end the clip at once.
    for frame in frames[half:]:
        stream.show(frame)
    await store.write(BOOT, stream.id, [Entry(EventFact(event, clip=clip_id), event.at)])
    clips.release(cut)
    if clip_id is not None:
        await clips.settled(clip_id, 30)
    return clip_id


def padded(frame: EncodedFrame, count: int) -> EncodedFrame:
    """The same H.264 picture, larger: filler data (NAL unit type 12) follows it."""
    return replace(frame, data=frame.data + b"\0\0\0\1\x0c" + b"\xff" * count + b"\x80")


async def main(folder: Path, most_bytes: int | None) -> None:
    frames = Camera(group=5).film(30)
    if most_bytes is not None:
        frames = [padded(frame, most_bytes // 10) for frame in frames]
    store = await open_store(store_url(None, folder))
    async with make_clips(folder, store) as clips:
        if most_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, resource.RLIM_INFINITY))
        number = 0
        while most_bytes is None or number < 3:
            clip_id = await record(Stream(), clips, store, frames, f"Number {number}.")
            number += 1
            if most_bytes is None:
                sys.stdout.write(f"{clip_id}\n")
                sys.stdout.flush()
        state = clips.state()
        message = state.error.message if state.error else ""
        events = len(await store.events(EventQuery()))
        sys.stdout.write(f"{state.given_up} {state.written} {message}\n{events}\n")
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else None))
