"""The wire, version 1: the one schema of every message, both ways.

Coordinates are in [0, 1] of the picture, origin top left. `rtp` is a u32 of the publisher's RTP clock, `pts` counts
90 kHz ticks from the start of an epoch; `*_ms` and `*_s` are durations, `*_at` and `at` RFC 3339 in UTC. Unknown
fields are ignored. `web/static/protocol.d.ts` is made from this file by `python -m web.declarations`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from stream.prompts import MAX_CONCEPT_CHARS, MAX_LABEL_CHARS, MAX_POINTS

VERSION = 1
SUBPROTOCOL = "onlooker.v1"
MAX_MESSAGE_BYTES = 64 * 1024
MAX_REF_CHARS = 64
MAX_QUESTION_CHARS = 2000

PromptKindName = Literal["text", "points", "box", "exemplar", "mask"]
Id = Annotated[int, Field(ge=0, le=2**53 - 1)]
U32 = Annotated[int, Field(ge=0, le=2**32 - 1)]
Unit = Annotated[float, Field(ge=0, le=1)]
Box = Annotated[tuple[Unit, Unit, Unit, Unit], Field(strict=False)]
Coordinate = Annotated[float, Field(json_schema_extra={"minimum": 0, "maximum": 1})]
"""A coordinate from a client: that it lies in the picture is checked by `stream.prompts`, which has the words."""
ClientBox = Annotated[tuple[Coordinate, Coordinate, Coordinate, Coordinate], Field(strict=False)]
"""`strict` would refuse the lists that FastAPI hands over, JSON having no tuples."""
Side = Annotated[int, Field(ge=1, le=4096)]
Ref = Annotated[str, Field(max_length=MAX_REF_CHARS)]


class Shape(BaseModel):
    """Base of all: strict about types, tolerant of unknown fields."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)


# --- parts -------------------------------------------------------------------------------------------------------


class FrameRef(Shape):
    """Names one frame of a stream."""

    epoch: Id
    rtp: U32


class Mask(Shape):
    """COCO compressed RLE, stretched over the picture: cell (i, j) covers [j/w, (j+1)/w] × [i/h, (i+1)/h]."""

    size: Annotated[tuple[Side, Side], Field(strict=False)]
    counts: str


class Pt(Shape):
    x: Coordinate
    y: Coordinate
    positive: bool = True


class PromptBody(Shape):
    """What to follow: a concept by `text`, `points`, a `box`, everything like an `exemplar`, or a `mask`."""

    kind: PromptKindName
    text: Annotated[str, Field(json_schema_extra={"minLength": 1, "maxLength": MAX_CONCEPT_CHARS})] | None = None
    points: Annotated[list[Pt], Field(json_schema_extra={"minItems": 1, "maxItems": MAX_POINTS})] | None = None
    box_xyxy: ClientBox | None = None
    mask: Mask | None = None
    positive: bool = True
    track_id: Annotated[Id | None, Field(description="The track that this prompt refines.")] = None
    frame: Annotated[FrameRef | None, Field(description="The frame under the pointer; none means the newest.")] = None


class Choice(Shape):
    """A box that a click may have meant instead: the `whole` object or the `part` of it."""

    name: str
    box_xyxy: Box


class Prompt(Shape):
    id: Id
    kind: PromptKindName
    text: str | None = None
    points: list[Pt] | None = None
    box_xyxy: Box | None = None
    mask: Mask | None = None
    positive: bool = True
    track_id: Id | None = None
    state: Literal["pending", "active", "failed", "removed"]
    message: str | None = None


class Track(Shape):
    id: Id
    prompt_id: Id | None
    label: str
    score: Unit
    state: Literal["tentative", "live", "lost", "gone"]
    box_xyxy: Box
    mask: Mask | None
    age_s: float
    caption: str | None = None


class ErrorBody(Shape):
    """`action` says what the user can do about it."""

    code: str
    message: str
    action: str
    retryable: bool
    nearest: Annotated[list[str] | None, Field(description="Known words near an unknown one.")] = None
    ref: str | None = None


class EngineNote(Shape):
    code: str
    message: str
    action: str
    retryable: bool


class EngineInfo(Shape):
    name: str
    device: str
    kinds: list[PromptKindName]
    words: Annotated[list[str] | None, Field(description="Concepts known by name; none where any text works.")] = None


class EngineState(Shape):
    name: str
    device: str
    notes: list[EngineNote]


class StreamInfo(Shape):
    id: str
    source: str
    state: Literal["waiting", "live", "still", "stalled", "ended"]
    epoch: Id
    width: Id
    height: Id


class VlmInfo(Shape):
    name: str | None
    can: list[Literal["image", "audio", "tools"]]


class Latency(Shape):
    p50: float
    p95: float


# --- server to client: state, newest wins ------------------------------------------------------------------------


class Tracks(Shape):
    """All that is followed on one frame. An empty list: nothing is there."""

    type: Literal["tracks"]
    seq: Id
    epoch: Id
    index: Id
    pts: int
    rtp: U32
    captured_unix_us: int | None
    width: Id
    height: Id
    tracks: list[Track]
    timings_ms: dict[str, float]


class Status(Shape):
    """Once a second."""

    type: Literal["status"]
    state: Literal["waiting", "live", "still", "stalled", "ended"]
    fps_in: float
    fps_out: float
    drops: dict[str, int]
    latency_ms: Latency
    engine: EngineState
    policy: list[str]
    viewers: Id


# --- server to client: facts, in order and without loss -----------------------------------------------------------


class FactShape(Shape):
    fact_seq: Id
    at: datetime


class Hello(FactShape):
    """The first message; itself not replayed. `fact_seq` is the newest fact that it covers."""

    type: Literal["hello"]
    version: Literal[1]
    boot: str
    server: str
    stream: StreamInfo
    engine: EngineInfo
    vlm: VlmInfo
    prompts: list[Prompt]
    regions: list[dict[str, Any]]
    watches: list[dict[str, Any]]


class PromptMessage(FactShape):
    """A prompt was added, changed, failed or removed."""

    type: Literal["prompt"]
    prompt: Prompt
    tracks: list[Id]
    choices: list[Choice] | None = None


class TrackMessage(FactShape):
    type: Literal["track"]
    id: Id
    change: Literal["confirmed", "lost", "found", "gone", "renamed", "removed", "restored", "described"]
    label: str | None = None
    caption: str | None = None
    merged_into: Id | None = None


class SourceMessage(FactShape):
    type: Literal["source"]
    change: Literal["connected", "lost", "resized", "ended"]
    epoch: Id
    width: Id
    height: Id
    codec: str | None
    error: str | None = None


class Gap(FactShape):
    """Facts that are too old to replay: fetch what you need again by HTTP."""

    type: Literal["gap"]
    from_: Annotated[Id, Field(alias="from")]
    to: Id


# --- server to client: to one client only -------------------------------------------------------------------------


class View(Shape):
    """`rVFC.rtpTimestamp - rtp_offset` (mod 2^32) equals `tracks.rtp`."""

    type: Literal["view"]
    session: str
    rtp_offset: U32
    ref: str | None = None


class Ok(Shape):
    type: Literal["ok"]
    ref: str | None = None
    prompt_id: Id | None = None
    track_id: Id | None = None


class Error(ErrorBody):
    type: Literal["error"]


class Pong(Shape):
    type: Literal["pong"]
    t: float


ServerMessage = Annotated[
    Tracks | Status | Hello | PromptMessage | TrackMessage | SourceMessage | Gap | View | Ok | Error | Pong,
    Field(discriminator="type"),
]

# --- client to server ---------------------------------------------------------------------------------------------


class Request(Shape):
    ref: Annotated[Ref | None, Field(description="Comes back in the one `ok` or `error` that answers.")] = None


class PromptAdd(PromptBody, Request):
    type: Literal["prompt.add"]


class PromptRemove(Request):
    type: Literal["prompt.remove"]
    prompt_id: Id


class PromptRestore(Request):
    """Undoes `prompt.remove` within 60 s."""

    type: Literal["prompt.restore"]
    prompt_id: Id


class TrackRemove(Request):
    type: Literal["track.remove"]
    track_id: Id


class TrackRestore(Request):
    """Undoes `track.remove` within 60 s."""

    type: Literal["track.restore"]
    track_id: Id


class TrackRename(Request):
    type: Literal["track.rename"]
    track_id: Id
    label: Annotated[str, Field(json_schema_extra={"minLength": 1, "maxLength": MAX_LABEL_CHARS})]


class Ask(Request):
    type: Literal["ask"]
    text: Annotated[str, Field(min_length=1, max_length=MAX_QUESTION_CHARS)]
    track_ids: list[Id] | None = None
    frame: FrameRef | None = None
    follows: Id | None = None


class AskStop(Request):
    type: Literal["ask.stop"]
    question_id: Id | None = None


class Command(Request):
    """Free words: a prompt, a removal, a watch or a question."""

    type: Literal["command"]
    text: Annotated[str, Field(min_length=1, max_length=MAX_QUESTION_CHARS)]


class Talk(Request):
    type: Literal["talk"]
    on: bool


class ViewRequest(Request):
    """`session` is the id of this page's WHEP session; answered by `view`."""

    type: Literal["view"]
    session: Annotated[str, Field(max_length=64)]


class Set(Request):
    """`ack`: at most 4 `tracks` messages are sent beyond the last one acknowledged."""

    type: Literal["set"]
    masks: bool | None = None
    max_fps: Annotated[int, Field(ge=1, le=60)] | None = None
    ack: bool | None = None


class Ack(Shape):
    """`seq` of a `tracks` message that has been drawn; it covers those before it."""

    type: Literal["ack"]
    seq: Id


class Ping(Request):
    type: Literal["ping"]
    t: float


ClientMessage = Annotated[
    PromptAdd | PromptRemove | PromptRestore | TrackRemove | TrackRestore | TrackRename
    | Ask | AskStop | Command | Talk | ViewRequest | Set | Ack | Ping,
    Field(discriminator="type"),
]  # fmt: skip

SERVER_MESSAGE: TypeAdapter[ServerMessage] = TypeAdapter(ServerMessage)
CLIENT_MESSAGE: TypeAdapter[ClientMessage] = TypeAdapter(ClientMessage)
