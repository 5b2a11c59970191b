"""Bodies of the HTTP API that the websocket does not have."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from web.api.feed_shapes import FeedSettings, Name, NewSource, SourceInfo
from web.privacy import PrivacyBody
from web.protocol.client import QuestionBody
from web.protocol.parts import ErrorBody, Event, FrameRef, Latency, RuleBody, Severity, Unit, Uuid
from web.protocol.server import AnswerBody

T = TypeVar("T")


class Body(BaseModel):
    """What a client sends. A misspelt field would be lost without a word, so unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Page(BaseModel, Generic[T]):
    """`next` goes into `?after` for what follows; none at the end."""

    items: list[T]
    next: str | None = None


class Problem(BaseModel):
    """application/problem+json."""

    status: int
    code: str
    message: str
    action: str
    retryable: bool
    nearest: list[str] | None = None


class Describing(Body):
    """Whether a stream's objects are described by themselves."""

    on: bool


class Stream(BaseModel):
    id: str
    name: str
    source: SourceInfo
    state: Literal["waiting", "live", "still", "stalled", "ended"]
    epoch: int
    width: int
    height: int
    fps: float
    codec: str | None
    created_at: datetime
    target_fps: float | None = None
    motion_gate: bool | None = None
    saved: bool = False
    privacy: PrivacyBody | None = None
    error: ErrorBody | None = None


class Stats(BaseModel):
    """`received` and `tracked` count pictures since the stream was opened, `drops` those that were lost, by stage, and
    `skipped` those that nobody wanted tracked: for the stream's own `rate`, where nothing moves (`gate`), or where
    nothing waits for tracks (`idle`). `policy` says what gives way at present."""

    state: Literal["waiting", "live", "still", "stalled", "ended"]
    fps_in: float
    fps_out: float
    drops: dict[str, int]
    skipped: dict[str, int]
    latency_ms: Latency
    policy: list[str]
    hidden: str | None = None
    viewers: int
    received: int
    tracked: int
    reconnects: int
    last_frame_age_s: float | None


class StreamChange(FeedSettings):
    """What is left out stays; `privacy: null` hides nothing any more. Another `source` is for feeds that were saved;
    without a password it keeps the one that it has."""

    name: Name | None = None
    source: NewSource | None = None
    privacy: PrivacyBody | None = None


class TrackChange(Body):
    label: str


class NewQuestion(QuestionBody):
    """`stream`: have the answer in pieces, as server-sent events."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stream: bool = False


class AskedQuestion(BaseModel):
    """A question and its answer, none while it is being answered."""

    id: str
    text: str
    asked_by: str
    spoken: bool
    frame: FrameRef
    track_ids: list[int]
    follows: str | None = None
    at: datetime
    answer: AnswerBody | None = None


class NewWatch(Body):
    """`condition` in everyday words; after an alert the watch rests for `cooldown_s`."""

    condition: str
    cooldown_s: Annotated[float, Field(ge=1, le=86400)] = 60
    severity: Severity = "warn"
    enabled: bool = True


class WatchChange(Body):
    """What is left out stays."""

    condition: str | None = None
    cooldown_s: Annotated[float, Field(ge=1, le=86400)] | None = None
    severity: Severity | None = None
    enabled: bool | None = None


class NewRule(RuleBody):
    """With the `id` of a rule of the region it takes that one's place."""

    model_config = ConfigDict(extra="forbid", strict=False, frozen=True)

    id: Uuid | None = None


class RuleChange(Body):
    """What is left out stays."""

    enabled: bool | None = None
    sound: bool | None = None


class NewRegion(Body):
    """Without `rules` a new region has none, and an old one keeps its own."""

    name: Name
    kind: Literal["zone", "line"]
    points: Annotated[list[tuple[Unit, Unit]], Field(min_length=2, max_length=64)]
    rules: Annotated[list[NewRule], Field(max_length=16)] | None = None


class Armed(Body):
    armed: bool


class Arming(BaseModel):
    """The open streams that have rules."""

    armed: list[str]
    disarmed: list[str]


class AllArmed(BaseModel):
    """The streams that are open now; those that are not open have it too when they open again."""

    armed: bool
    streams: list[str]


class TriedRule(Body):
    """A rule to be tried, saved or not, at a region, saved or not."""

    region: NewRegion
    rule: NewRule


class Fired(BaseModel):
    """An alert that there would have been. `thumb` where a picture of that moment is kept."""

    at: datetime
    text: str
    track_ids: list[int]
    frame: FrameRef
    thumb: str | None = None


class Trial(BaseModel):
    """What a rule would have done from `since` to `until`: `count` alerts, of which the newest are in `items`, oldest
    first. `since` is none where nothing is recorded yet."""

    since: datetime | None
    until: datetime | None
    count: int
    items: list[Fired]


class StoredEvent(Event):
    """An event from the store. Track ids begin again with each `boot` of the server."""

    stream: str
    boot: str
    labels: list[str]
    value: float | None = None
    frame_url: str | None = None
    keep: bool = False
    note: str | None = None
    clip_offset_s: float | None = None
    """Where in its clip it happened; none while that is being recorded."""


class SinkInfo(BaseModel):
    """Where alerts are sent; lists that are empty stand for all. `error` says what is wrong now; `held` alerts wait for
    the end of quiet hours. Counts are since the start."""

    name: str
    kind: Literal["webhook", "mqtt", "smtp", "browser"]
    url: str
    min_severity: Severity
    streams: list[str]
    events: list[str]
    signed: bool
    quiet: bool
    delivered: int
    waiting: int
    held: int
    repeated: int
    hushed: int
    dead: int
    error: str | None = None


class SinkTest(BaseModel):
    """What came back: `status` is the receiver's answer, none where it gave none; `error` why it was not taken."""

    delivered: bool
    status: int | None = None
    error: str | None = None
    took_ms: float


class Retried(BaseModel):
    """How many deliveries wait to be tried again."""

    waiting: int


class DeadLetter(BaseModel):
    """An alert that could not be delivered."""

    id: str
    event_id: str
    at: datetime
    tries: int
    error: str | None
    body: str


class ModelInfo(BaseModel):
    name: str
    state: str
    purpose: str
    source: str
    licence: str
    size_bytes: int


class JobStarted(BaseModel):
    job: str


class JobInfo(BaseModel):
    id: str
    name: str
    state: Literal["running", "done", "failed"]
    step: str
    done: int
    total: int
    error: ErrorBody | None = None


class Token(Body):
    token: Annotated[str, Field(max_length=512)]


class Check(BaseModel):
    name: str
    ok: bool
    message: str
    action: str


class Health(BaseModel):
    """`checks` only for those who may see them."""

    status: Literal["ok", "degraded", "unavailable"]
    checks: list[Check] | None = None
