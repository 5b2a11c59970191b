"""What the server sends."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from web.protocol.parts import (
    U32,
    At,
    Choice,
    EngineInfo,
    EngineState,
    ErrorBody,
    Event,
    FrameRef,
    Id,
    Language,
    Latency,
    Prompt,
    Region,
    Shape,
    StreamInfo,
    Track,
    Unit,
    Uuid,
    VlmInfo,
    VoiceInfo,
    Watch,
)

# --- state, newest wins ----------------------------------------------------------------------------------------------


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
    skipped: Annotated[dict[str, int], Field(description="Pictures that nobody wanted tracked, by reason.")]
    latency_ms: Latency
    engine: EngineState
    vlm: VlmInfo
    policy: list[str]
    viewers: Id
    hidden: Annotated[str | None, Field(description="What nobody gets to see, or why everything is hidden.")] = None
    voice: VoiceInfo


# --- facts, in order and without loss --------------------------------------------------------------------------------


class FactShape(Shape):
    fact_seq: Id
    at: At


class Hello(FactShape):
    """The first message; itself not replayed. `fact_seq` is the newest fact that it covers."""

    type: Literal["hello"]
    version: Literal[1]
    boot: str
    server: str
    stream: StreamInfo
    engine: EngineInfo
    vlm: VlmInfo
    voice: VoiceInfo
    microphone: Annotated[
        str, Field(description="Where this client, and no other, sends the offer of its microphone session.")
    ]
    prompts: list[Prompt]
    regions: list[Region]
    armed: bool
    watches: list[Watch]


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


class RegionMessage(FactShape):
    type: Literal["region"]
    region: Region
    removed: bool


class ArmedMessage(FactShape):
    """Whether the rules of the stream's regions raise alerts."""

    type: Literal["armed"]
    armed: bool


class WatchMessage(FactShape):
    type: Literal["watch"]
    watch: Watch
    removed: bool


class EventMessage(FactShape):
    type: Literal["event"]
    event: Event


class QuestionMessage(FactShape):
    """A client asked this about the frame that it saw."""

    type: Literal["question"]
    id: Uuid
    text: str
    asked_by: str
    spoken: bool
    frame: FrameRef
    track_ids: list[Id]
    follows: Uuid | None = None
    language: Annotated[Language | None, Field(description="Of a spoken question, where it is known.")] = None


class Delta(FactShape):
    """A piece of an answer; `n` counts from 0. Objects are named as `[#3]`."""

    type: Literal["delta"]
    question_id: Uuid
    n: Id
    text: str


class AnswerBody(Shape):
    """The whole answer. `frame_age_ms` is how old its frame was when it was asked about."""

    question_id: Uuid
    state: Literal["done", "stopped", "failed"]
    text: str
    track_ids: list[Id]
    frame: FrameRef
    frame_at: At
    frame_age_ms: float
    ttft_ms: float
    total_ms: float
    backend: str
    language: Annotated[Language | None, Field(description="Which one the answer is in, where it is known.")] = None
    error: ErrorBody | None = None


class AnswerMessage(AnswerBody, FactShape):
    type: Literal["answer"]


class Gap(FactShape):
    """Facts that are too old to replay: fetch what you need again by HTTP."""

    type: Literal["gap"]
    from_: Annotated[Id, Field(alias="from")]
    to: Id


# --- to one client only ----------------------------------------------------------------------------------------------


class View(Shape):
    """`rVFC.rtpTimestamp - rtp_offset` (mod 2^32) equals `tracks.rtp`, in this epoch: ask again when `source` says
    `connected`."""

    type: Literal["view"]
    session: str
    rtp_offset: U32
    ref: str | None = None


class Speech(Shape):
    """What this client's microphone session is doing; `level` comes some times a second while it is open.

    off: there is no session. idle: it is open and nothing is listened to. listening: an open microphone waits for
    speech. hearing: somebody speaks. thinking: an utterance is being turned into words. `transcript` is what was
    understood of `utterance` so far, all of it when `final`. `error`: why the session is off or an utterance lost.
    """

    type: Literal["speech"]
    state: Literal["off", "idle", "listening", "hearing", "thinking"]
    muted: bool = False
    level: Unit | None = None
    utterance: Id | None = None
    transcript: str | None = None
    final: bool = False
    language: Language | None = None
    error: ErrorBody | None = None


class Heard(Shape):
    """What became of an utterance; the last word about it. Each that was ended gets one.

    Either it was taken as a `command`, and the ids say what it has become, or it was `ignored`, or there is an
    `error`. `transcript` is there in all cases where words were found. `timings_ms` are counted from the end of
    speech: `endpoint` until it was noticed, `wait` for the transcriber, `transcribe`, `obey`.
    """

    type: Literal["heard"]
    utterance: Id
    transcript: str
    language: Language | None = None
    spoken_s: float
    prompt_id: Id | None = None
    track_id: Id | None = None
    question_id: Uuid | None = None
    watch_id: Uuid | None = None
    ignored: Literal["nothing", "noise", "wake_word", "cancelled"] | None = None
    error: ErrorBody | None = None
    timings_ms: dict[str, float]


class Ok(Shape):
    type: Literal["ok"]
    ref: str | None = None
    prompt_id: Id | None = None
    track_id: Id | None = None
    question_id: Uuid | None = None
    watch_id: Uuid | None = None


class Error(ErrorBody):
    type: Literal["error"]


class Pong(Shape):
    type: Literal["pong"]
    t: float


ServerMessage = Annotated[
    Tracks | Status | Hello | PromptMessage | TrackMessage | SourceMessage | RegionMessage | ArmedMessage | WatchMessage
    | EventMessage | QuestionMessage | Delta | AnswerMessage | Gap | View | Speech | Heard | Ok | Error | Pong,
    Field(discriminator="type"),
]  # fmt: skip
