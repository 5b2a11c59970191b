"""Bodies of the HTTP API about streams that the server reads itself."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from stream.feed_config import FeedKind

StreamId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Name = Annotated[str, Field(min_length=1, max_length=80)]
Concept = Annotated[str, Field(min_length=1, max_length=200)]
Rate = Annotated[float, Field(gt=0, le=60)]
Transport = Literal["tcp", "udp"]


class FeedBody(BaseModel):
    """What a client sends. A misspelt field would be lost without a word, so unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NewSource(FeedBody):
    """`rtsp` is a camera at `url`; `http` video at `url` (HLS, MPEG-TS, FLV, MP4, MJPEG), `mjpeg` the same; `v4l2` a
    camera of the server at `device`; `file` and `folder` (its videos one after the other) play what is at `path`, in
    the folders that the operator allowed; `demo` the clip that comes with Onlooker. `password` is never told again.
    Without `verify_tls` any certificate of an `rtsps` or `https` camera is accepted."""

    kind: FeedKind
    path: Annotated[str, Field(max_length=1024)] | None = None
    url: Annotated[str, Field(max_length=1024)] | None = None
    device: Annotated[str, Field(max_length=256)] | None = None
    loop: bool = True
    transport: Transport = "tcp"
    username: Annotated[str, Field(max_length=256)] | None = None
    password: Annotated[SecretStr, Field(max_length=256)] | None = None
    verify_tls: bool = True


class FeedSettings(FeedBody):
    """`target_fps`: pictures a second that are tracked, at most. `motion_gate`: track only while somebody watches or
    something is waited for, and then only what moves; on by default for cameras."""

    target_fps: Rate | None = None
    motion_gate: bool | None = None


class NewStream(FeedSettings):
    """`prompts`: what to follow, in words. `save`: whether it is there again after a restart; by default cameras and
    folders are."""

    id: StreamId | None = None
    name: Name | None = None
    source: NewSource
    prompts: Annotated[list[Concept], Field(max_length=32)] = Field(default_factory=list)
    save: bool | None = None


class Probe(FeedBody):
    """`id` names a stream whose stored password goes along, where host and user name are its own."""

    source: NewSource
    id: StreamId | None = None


class Probed(BaseModel):
    """`snapshot` is the first picture, a data URL of a JPEG; `audio` the codec of the sound, which is not used; `note`
    what a viewer should know, such as that the video is transcoded."""

    codecs: list[str]
    width: int
    height: int
    fps: float
    audio: str | None
    snapshot: str | None
    note: str | None


class SourceInfo(BaseModel):
    """`url` is without credentials and query."""

    kind: str
    url: str | None
    transport: Transport | None = None
    username: str | None = None
    verify_tls: bool | None = None
