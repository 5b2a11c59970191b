"""The values that pass between the parts of the agent.

Positions are in [0, 1] of the picture, origin top left; `pts` counts 90 kHz ticks of the media clock within an epoch;
`at` is wall clock in UTC; `*_s` and `*_ms` are durations. Ids of questions, events, watches and regions are UUID4 in
hexadecimal; ids of tracks are the stream's own small numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from agent.schedule import Schedule
from agent.views import View
from stream.types import FrameRef, Rle, Track

XY = tuple[float, float]
BoxXyxy = tuple[float, float, float, float]


class EventKind(StrEnum):
    ENTER = "enter"
    """A new object came in over the picture's edge."""
    APPEAR = "appear"
    """A new object was first seen inside of the picture."""
    EXIT = "exit"
    """An object went out over the picture's edge."""
    LOST = "lost"
    """An object went out of sight inside of the picture."""
    FOUND = "found"
    """An object that was lost or had left is back."""
    ZONE_ENTER = "zone_enter"
    ZONE_LEAVE = "zone_leave"
    LINE = "line"
    """An object's ground point crossed a line."""
    DWELL = "dwell"
    """An object has been in a zone, or in the picture, for as long as a rule says."""
    COUNT = "count"
    """The number of objects of a kind passed a rule's limit."""
    PROXIMITY = "proximity"
    """Two objects came near each other."""
    APART = "apart"
    """Two objects that had been near each other went apart while one of them stayed where it was."""
    CHANGE = "change"
    """An object looks different from when it was last described."""
    TICK = "tick"
    ALERT = "alert"
    """A watch, or a rule of a region, has seen what it waits for."""
    SAVED = "saved"
    """Somebody wanted what was in the picture to be kept as a clip."""
    OFFLINE = "offline"
    """A camera has given no picture for a while."""
    ONLINE = "online"
    """It gives pictures again."""
    FROZEN = "frozen"
    """A camera's picture has not changed at all for a while."""
    UNFROZEN = "unfrozen"


class Severity(StrEnum):
    INFO = "info"
    WARN = "warn"
    CRITICAL = "critical"


class RegionKind(StrEnum):
    ZONE = "zone"
    LINE = "line"


class RuleKind(StrEnum):
    """What a rule of a region waits for; all but CROSS are about zones."""

    ENTER = "enter"
    LEAVE = "leave"
    DWELL = "dwell"
    """An object has been in the zone for some seconds without a break."""
    LOITER = "loiter"
    """The same, though it may step out for a moment."""
    COUNT = "count"
    """The number of objects in the zone has been over or under a limit for some seconds."""
    CROSS = "cross"
    LEFT = "left"
    """A thing was put down by somebody who then went away from it, some seconds ago."""
    REMOVED = "removed"
    """A thing that had its place in the zone has been gone from it for some seconds."""


class Direction(StrEnum):
    """Of a line: FORWARD is to its right-hand side, seen along it from its first point in the picture as shown."""

    FORWARD = "forward"
    BACKWARD = "backward"


@dataclass(frozen=True, slots=True)
class RegionRule:
    """What to raise an alert for at a region; `None` means any.

    Areas are shares of the picture, speeds are in heights of the picture a second. `seconds` is how long it must
    hold; `op` and `value` compare a count. After an alert the rule rests for `cooldown_s` as far as the same object
    is concerned. `enabled`: it is armed; `sound`: the page rings.
    """

    id: str
    kind: RuleKind
    label: str | None = None
    seconds: float = 0.0
    op: str = ">="
    value: float = 1.0
    direction: Direction | None = None
    min_area: float | None = None
    max_area: float | None = None
    min_speed: float | None = None
    max_speed: float | None = None
    schedule: Schedule | None = None
    severity: Severity = Severity.WARN
    cooldown_s: float = 30.0
    enabled: bool = True
    sound: bool = False


@dataclass(frozen=True, slots=True)
class Region:
    """A zone (a polygon of three points or more) or a line (two points or more) in the picture."""

    id: str
    name: str
    kind: RegionKind
    points: tuple[XY, ...]
    rules: tuple[RegionRule, ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """What led to an alert: `prompt`, what was to be decided; `model`, the name of what decided it ("rules" where no
    model looked); the frame that it was decided on, and the masks of the alert's tracks there."""

    prompt: str
    model: str
    frame: FrameRef
    masks: tuple[tuple[int, Rle], ...] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. `text` is one plain sentence with tracks named as `[#3]`.

    `frame` is the frame that proves it; `boxes_xyxy` are the boxes of `track_ids` on it, in the same order.
    """

    id: str
    kind: EventKind
    text: str
    track_ids: tuple[int, ...]
    frame: FrameRef
    pts: int
    at: datetime
    boxes_xyxy: tuple[BoxXyxy, ...] = ()
    labels: tuple[str, ...] = ()
    severity: Severity = Severity.INFO
    region_id: str | None = None
    watch_id: str | None = None
    rule_id: str | None = None
    """Of an alert: which rule of the region raised it."""
    value: float | None = None
    """What the kind measures: seconds of a dwell, the count, the side of a line (+1, -1)."""
    evidence: Evidence | None = None
    """Of an alert."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A frame and its tracks, frozen when a question starts. `picture` may be smaller than the decoded frame, whose
    size is `width` and `height`; None where only the tracks are known."""

    frame: FrameRef
    pts: int
    at: datetime
    width: int
    height: int
    tracks: tuple[Track, ...]
    picture: View | None = None


@dataclass(frozen=True, slots=True)
class Speech:
    """That a question was spoken: in which language (ISO 639), where it is known, and its sound as a WAV file, for a
    model that hears."""

    language: str | None = None
    wav: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Question:
    """What a client asked, about `track_ids` if any are named, on `frame`. `follows` is the question that it goes on
    from; `asked_by` is the client's own id; `language` (ISO 639) that of a spoken one, where it is known."""

    id: str
    text: str
    asked_by: str
    frame: FrameRef
    at: datetime
    track_ids: tuple[int, ...] = ()
    follows: str | None = None
    spoken: bool = False
    language: str | None = None


class AnswerState(StrEnum):
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class AgentError:
    """What went wrong, in words for the user, and what to do about it."""

    code: str
    message: str
    action: str
    retryable: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """The whole answer to a question, objects named in it as `[#3]`.

    `frame_age_ms` is how old the frame was when the answer began, `ttft_ms` the time to its first token and
    `total_ms` to its last. `backend` names what answered, `language` (ISO 639) what it speaks, where that is known.
    """

    question_id: str
    state: AnswerState
    text: str
    track_ids: tuple[int, ...]
    frame: FrameRef
    frame_at: datetime
    frame_age_ms: float
    ttft_ms: float
    total_ms: float
    backend: str
    error: AgentError | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A cheap condition on tracks and their events; `None` means any.

    `seconds` is how long it must hold, `op` and `value` compare a count, `near_label` names the other object of a
    proximity.
    """

    kind: EventKind
    label: str | None = None
    near_label: str | None = None
    region_id: str | None = None
    seconds: float = 0.0
    op: str | None = None
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Watch:
    """Something to speak up about: `condition` in the user's words, compiled to `rules` (any of them proposes) and,
    where these do not say it all, `verify`, the question that the model decides."""

    id: str
    condition: str
    rules: tuple[Rule, ...]
    verify: str | None
    cooldown_s: float = 60.0
    severity: Severity = Severity.WARN
    enabled: bool = True
    note: str | None = None
    """What the user should know about how it was understood."""


class VerdictKind(StrEnum):
    YES = "yes"
    NO = "no"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The model's decision on an alert; `track_ids` is a subset of those shown."""

    kind: VerdictKind
    track_ids: tuple[int, ...] = ()
    reason: str = ""
    severity: Severity = Severity.WARN


@dataclass(frozen=True, slots=True)
class Caption:
    """A description of one track, made by `backend` from its look on `frame`."""

    track_id: int
    text: str
    frame: FrameRef
    at: datetime
    backend: str


# --- facts that the agent adds to a stream's log ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EventFact:
    """`thumb`: a picture of it is on its way to the store; `clip` is the id of one that is being recorded."""

    event: Event
    thumb: bool = False
    clip: str | None = None


@dataclass(frozen=True, slots=True)
class QuestionFact:
    question: Question


@dataclass(frozen=True, slots=True)
class DeltaFact:
    """A piece of an answer; `n` counts from 0."""

    question_id: str
    n: int
    text: str


@dataclass(frozen=True, slots=True)
class AnswerFact:
    answer: Answer


@dataclass(frozen=True, slots=True)
class CaptionFact:
    caption: Caption


@dataclass(frozen=True, slots=True)
class RegionFact:
    region: Region
    removed: bool = False


@dataclass(frozen=True, slots=True)
class ArmedFact:
    """Whether the stream's rules raise alerts at all."""

    armed: bool


@dataclass(frozen=True, slots=True)
class WatchFact:
    watch: Watch
    removed: bool = False
    alerts: tuple[str, ...] = field(default=())
    """Ids of its newest alerts, newest first."""
