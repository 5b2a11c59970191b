"""Bodies of clips, of what is exported, and of what is said about an event."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from web.api.shapes import Body
from web.protocol.parts import ErrorBody, Uuid

Note = Annotated[str, Field(max_length=2000)]


class EventInClip(BaseModel):
    """`offset_s`: where in the clip the event happened; none where it happened in another one of its clips."""

    event_id: str
    offset_s: float | None = None


class ClipInfo(BaseModel):
    """`at` is when its first picture came; `annotated` counts the pictures that have a line of annotations; `bytes`
    is what its files take. A clip with `keep` stays: one of its events is kept."""

    id: str
    stream: str
    boot: str
    at: datetime
    codec: str
    media_type: str
    width: int
    height: int
    duration_s: float
    pictures: int
    annotated: int
    bytes: int
    keep: bool
    events: list[EventInClip]
    url: str
    annotations_url: str
    times_s: list[float] | None = None
    """Of each picture, in order; only where one clip is asked for."""


class SavedClip(BaseModel):
    """A clip that is being recorded: `url` answers once it is there, in about `ready_in_s`."""

    event_id: str
    clip_id: str
    url: str
    ready_in_s: float


class NewClip(Body):
    """Keep what is in the picture now, with some seconds before and after it."""

    note: Note | None = None


class StreamClipsInfo(BaseModel):
    """Whether clips are made of this stream's alerts (`on`), and whether that was chosen for it or is as configured."""

    on: bool
    chosen: bool | None = None
    before_s: float
    after_s: float
    max_age_days: float
    max_gb: float | None = None
    used_bytes: int
    recording: int
    error: ErrorBody | None = None


class StreamClipsChange(Body):
    """What is left out stays; null goes back to what is configured."""

    on: bool | None = None
    max_age_days: Annotated[float | None, Field(gt=0, le=36500)] = None
    max_gb: Annotated[float | None, Field(gt=0)] = None


class EventChange(Body):
    """What is left out stays. A kept event and its clip stay however old they get."""

    keep: bool | None = None
    note: Note | None = None


class Named(BaseModel):
    id: str
    name: str


class Facets(BaseModel):
    """What events can be told apart by, for choosing among them."""

    streams: list[Named]
    kinds: list[str]
    labels: list[str]
    regions: list[Named]


class Export(Body):
    event_ids: Annotated[list[Uuid], Field(min_length=1, max_length=500)]
