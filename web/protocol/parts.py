"""What messages are made of."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from stream.prompts import MAX_CONCEPT_CHARS, MAX_POINTS

VERSION = 1
SUBPROTOCOL = "onlooker.v1"
MAX_MESSAGE_BYTES = 64 * 1024
MAX_REF_CHARS = 64
MAX_ASKED_TRACKS = 32

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
Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}$", description="ISO 639, such as en or yue.")]


At = Annotated[datetime, Field(strict=False)]
"""A wall clock time; `strict` would refuse the text that FastAPI hands over."""


class Shape(BaseModel):
    """Base of all: strict about types, tolerant of unknown fields."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)


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
    """What answers questions: a model, or none, and then the tracks alone; `error` says why, where one was asked for.
    `describes`: the stream's objects are described by themselves, as long as the model sees."""

    name: str | None
    can: list[Literal["image", "audio", "tools"]]
    describes: bool
    error: ErrorBody | None = None


class VoiceInfo(Shape):
    """What turns speech into words: ready, or `error` says what is missing and how to get it; neither while it loads.

    `name` is the transcriber's, none where there is none; `languages` those that it knows, none where it knows many.
    """

    ready: bool
    name: str | None
    languages: list[Language] | None = None
    error: ErrorBody | None = None


Severity = Literal["info", "warn", "critical"]
EventKind = Literal[
    "enter", "appear", "exit", "lost", "found", "zone_enter", "zone_leave", "line", "dwell", "count", "proximity",
    "apart", "change", "tick", "alert", "saved", "offline", "online", "frozen", "unfrozen",
]  # fmt: skip
Uuid = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


class EvidenceMask(Shape):
    track_id: Id
    mask: Mask


class Evidence(Shape):
    """What led to an alert: what was to be decided, what decided it ("rules" where no model looked), and the masks of
    its objects on the frame that it was decided on."""

    prompt: str
    model: str
    frame: FrameRef
    masks: list[EvidenceMask]


class Event(Shape):
    """Something that happened, in one sentence with objects named as `[#3]`."""

    id: Uuid
    kind: EventKind
    track_ids: list[Id]
    region_id: Uuid | None = None
    watch_id: Uuid | None = None
    rule_id: Annotated[Uuid | None, Field(description="Of an alert: the rule of the region that raised it.")] = None
    severity: Severity
    text: str
    frame: FrameRef
    pts: int
    at: At
    thumb: Annotated[str | None, Field(description="Where its picture is, or will be in a moment.")] = None
    clip: str | None = None
    evidence: Evidence | None = None


TimeOfDay = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
Seconds = Annotated[float, Field(ge=0, le=86400)]
Speed = Annotated[float, Field(ge=0, le=100)]


class Schedule(Shape):
    """From `since` to `until` on `days`, by the clocks of `zone` (an IANA name). Where `until` is not later it ends on
    the next day; equal times mean the whole day."""

    days: Annotated[list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]], Field(min_length=1, max_length=7)]
    since: TimeOfDay = "00:00"
    until: TimeOfDay = "00:00"
    zone: Annotated[str, Field(min_length=1, max_length=64)] = "UTC"


class RuleBody(Shape):
    """What a region raises an alert for. Lines have `cross`, zones the others.

    `seconds` is how long it must hold; `op` and `value` compare a `count`. A `direction` of `forward` is to the line's
    right-hand side, seen along it from its first point. Areas are shares of the picture, speeds heights of the picture
    a second. After an alert the rule rests for `cooldown_s` as far as the same object is concerned. `enabled`: it is
    armed; `sound`: the page rings.
    """

    kind: Literal["enter", "leave", "dwell", "loiter", "count", "cross", "left", "removed"]
    label: Annotated[str | None, Field(min_length=1, max_length=80, description="None: anything.")] = None
    seconds: Annotated[Seconds | None, Field(description="None: as long as is usual for its kind.")] = None
    op: Literal[">", ">=", "<", "<=", "==", "!="] | None = None
    value: Annotated[float, Field(ge=0, le=1000)] | None = None
    direction: Literal["forward", "backward"] | None = None
    min_area: Unit | None = None
    max_area: Unit | None = None
    min_speed: Speed | None = None
    max_speed: Speed | None = None
    schedule: Schedule | None = None
    severity: Severity = "warn"
    cooldown_s: Seconds = 30
    enabled: bool = True
    sound: bool = False


class RegionRule(RuleBody):
    id: Uuid


class Region(Shape):
    """A `zone` has three corners or more, a `line` two ends or more."""

    id: Uuid
    name: str
    kind: Literal["zone", "line"]
    points: list[Annotated[tuple[Unit, Unit], Field(strict=False)]]
    rules: list[RegionRule]


class Rule(Shape):
    """A cheap condition on tracks; what is none may be anything."""

    kind: EventKind
    label: str | None = None
    near_label: str | None = None
    region_id: Uuid | None = None
    seconds: float = 0
    op: Literal[">", ">=", "<", "<=", "==", "!="] | None = None
    value: float | None = None


class Compiled(Shape):
    """Any of `rules` proposes; `verify` is what the model then decides, none where the rules say it all."""

    rules: list[Rule]
    verify: str | None
    note: str | None = None


class Watch(Shape):
    id: Uuid
    condition: str
    cooldown_s: float
    severity: Severity
    enabled: bool
    compiled: Compiled


class Latency(Shape):
    p50: float
    p95: float
