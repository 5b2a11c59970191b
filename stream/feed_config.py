"""One of `[[feeds]]`: a stream that the server opens by itself."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr, model_validator

from stream.privacy.config import PrivacyConfig
from stream.section import Section, UserPath

FeedKind = Literal["rtsp", "http", "mjpeg", "v4l2", "file", "folder", "demo"]
CAMERAS = ("rtsp", "http", "mjpeg", "v4l2")
"""Kinds that go on for ever, are opened again when they are lost, and may have nothing to show for hours."""

NEEDED = {
    "rtsp": "url", "http": "url", "mjpeg": "url", "v4l2": "device", "file": "path", "folder": "path",
}  # fmt: skip


class FeedConfig(Section):
    """A stream that is opened at start. The operator may name any file, folder, device and host."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    name: str | None = None
    kind: FeedKind = "file"
    """By default what `url` or `device` says, else `file`."""
    url: Annotated[str | None, Field(repr=False)] = None
    """`rtsp://192.168.1.20/stream1`, or `http://…` for HLS, MPEG-TS, FLV, MP4 and MJPEG."""
    path: UserPath | None = None
    device: str | None = None
    """`/dev/video0`"""
    transport: Literal["tcp", "udp"] = "tcp"
    username: str | None = None
    password: SecretStr | None = None
    password_file: UserPath | None = None
    """Holds the password on one line; better than to write it here."""
    verify_tls: bool = True
    """Of `rtsps` and `https`: whether the camera's certificate must be a trusted one, made out to its name. Many
    cameras have one of their own making."""
    ca_file: UserPath | None = None
    """The authority that signed it, or the certificate itself, where the machine does not know it (PEM)."""
    loop: bool = True
    prompts: tuple[str, ...] = ()
    target_fps: Annotated[float | None, Field(gt=0, le=60)] = None
    """Pictures a second that are tracked; by default all that the engine can take."""
    motion_gate: bool | None = None
    """Track only while somebody watches or something is waited for, and then only what moves. By default on for
    cameras and off for files."""
    offline_s: Annotated[float, Field(gt=0, le=86400)] = 10.0
    """A camera without pictures for so long is told as an event."""
    frozen_s: Annotated[float, Field(ge=0, le=86400)] = 60.0
    """So is one whose picture has not changed at all for so long; 0 never tells."""
    clips: bool | None = None
    """Whether clips are made of its alerts; by default as `clips.enabled` says."""
    clips_max_age_days: Annotated[float | None, Field(gt=0, le=36500)] = None
    clips_max_gb: Annotated[float | None, Field(gt=0)] = None

    privacy: PrivacyConfig | None = None
    """What nobody gets to see of it."""

    @model_validator(mode="before")
    @classmethod
    def _kind_by_address(cls, values: object) -> object:
        if isinstance(values, dict) and "kind" not in values:
            if isinstance(url := values.get("url"), str):
                return {**values, "kind": "rtsp" if url.startswith("rtsp") else "http"}
            if "device" in values:
                return {**values, "kind": "v4l2"}
        return values

    @model_validator(mode="after")
    def _has_address(self) -> FeedConfig:
        needed = NEEDED.get(self.kind)
        if needed is not None and getattr(self, needed) is None:
            raise ValueError(f"a feed of kind {self.kind} needs `{needed}`")
        if self.password is not None and self.password_file is not None:
            raise ValueError("give `password` or `password_file`, not both")
        return self

    @property
    def gated(self) -> bool:
        return self.kind in CAMERAS if self.motion_gate is None else self.motion_gate
