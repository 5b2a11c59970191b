"""Cameras of this machine (V4L2), read by FFmpeg."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path

import av

from stream.errors import OnlookerError, SourceError
from stream.sources.camera import OpenedContainer, Timeouts


@dataclass(frozen=True, slots=True)
class DeviceCamera:
    """`device` such as `/dev/video0`; `format` is FFmpeg's name of the kind of device."""

    device: str
    format: str = "v4l2"

    kind = "v4l2"
    gives_login = False

    @property
    def shown(self) -> str:
        return self.device

    @property
    def where(self) -> str:
        return self.device

    def check(self) -> None:
        """Nothing but the device itself is reached."""

    def open(self, timeouts: Timeouts) -> OpenedContainer:
        try:
            limits = (timeouts.connect_s, timeouts.read_s)
            return OpenedContainer(av.open(self.device, format=self.format, timeout=limits))
        except (av.FFmpegError, OSError) as error:
            raise self._explained(error) from None

    def _explained(self, error: Exception) -> OnlookerError:
        if isinstance(error, PermissionError):
            return SourceError(
                f"{self.device} may not be read.",
                action="Add the user that runs Onlooker to the group `video`, and log in again.",
                code="source_refused",
            )
        if isinstance(error, FileNotFoundError):
            there = ", ".join(sorted(str(path) for path in Path("/dev").glob("video[0-9]*")))
            action = f"There are: {there}." if there else "Plug the camera in; this machine has none now."
            return SourceError(f"There is no camera {self.device}.", action=action, code="source_unreachable")
        if getattr(error, "errno", None) == errno.EBUSY:
            return SourceError(
                f"{self.device} is in use.", action="Close the program that uses it.", code="source_refused"
            )
        return SourceError(f"{self.device} gives no video that can be read.", code="source_unreadable")
