"""Cameras by RTSP, read by FFmpeg: over TCP, or UDP by choice, with Basic or Digest login."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote

import av

from stream.sources.addresses import AddressPolicy, Target, target_of
from stream.sources.camera import OpenedContainer, Timeouts
from stream.sources.rtsp_redirect import refuse_redirect

Transport = Literal["tcp", "udp"]
SCHEMES = ("rtsp", "rtsps")

PROBE_US = 500_000
"""How long FFmpeg may look for parameters that the camera has not told."""


@dataclass(frozen=True, slots=True)
class RtspCamera:
    """`target` may hold a login; `username` and `password` come first."""

    target: Target
    policy: AddressPolicy
    transport: Transport = "tcp"
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    kind = "rtsp"

    @classmethod
    def of(
        cls,
        url: str,
        policy: AddressPolicy,
        *,
        transport: Transport = "tcp",
        username: str | None = None,
        password: str | None = None,
    ) -> RtspCamera:
        """Raises `BadInput` for what is no RTSP address."""
        return cls(target_of(url, SCHEMES), policy, transport, username, password)

    @property
    def shown(self) -> str:
        return self.target.shown

    @property
    def where(self) -> str:
        return self.target.host

    @property
    def gives_login(self) -> bool:
        return bool(self.username or self.target.username)

    def check(self) -> None:
        self.policy.resolve(self.target.host, self.target.port)

    def open(self, timeouts: Timeouts) -> OpenedContainer:
        address = self.policy.resolve(self.target.host, self.target.port)
        if not self.policy.any_host:
            refuse_redirect(self.target, address, timeouts.connect_s)
        options = {
            "rtsp_transport": self.transport,
            "protocol_whitelist": "rtp,udp,tcp,tls",
            "analyzeduration": str(PROBE_US),
            "fpsprobesize": "0",
            "fflags": "nobuffer",
            "max_delay": "200000",
            # Without the cameras' own data, which nothing here reads.
            "allowed_media_types": "video+audio",
        }
        limits = (timeouts.connect_s, timeouts.read_s)
        return OpenedContainer(av.open(self._url(address), format="rtsp", options=options, timeout=limits))

    def _url(self, address: str) -> str:
        """At the address that was checked. Holds the password: for FFmpeg alone."""
        username, password = self.username or self.target.username, self.password or self.target.password
        login = f"{quote(username or '', safe='')}:{quote(password or '', safe='')}@" if self.gives_login else ""
        host = f"[{address}]" if ":" in address else address
        return f"{self.target.scheme}://{login}{host}:{self.target.port}{self.target.path}"
