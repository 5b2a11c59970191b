"""Cameras by RTSP, read by FFmpeg: over TCP, or UDP by choice, with Basic or Digest login; over TLS by `rtsps`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

import av
from av.container import InputContainer

from stream.sources.addresses import AddressPolicy, target_of
from stream.sources.camera import OpenedContainer, Timeouts
from stream.sources.network import NetworkCamera
from stream.sources.rtsp_redirect import refuse_redirect
from stream.sources.trust import USUAL, Trust, refuse_untrusted

Transport = Literal["tcp", "udp"]
SCHEMES = ("rtsp", "rtsps")

PROBE_US = 500_000
"""How long FFmpeg may look for parameters that the camera has not told."""


@dataclass(frozen=True, slots=True)
class RtspCamera(NetworkCamera):
    transport: Transport = "tcp"

    kind = "rtsp"

    @classmethod
    def of(
        cls,
        url: str,
        policy: AddressPolicy,
        *,
        username: str | None = None,
        password: str | None = None,
        trust: Trust = USUAL,
        transport: Transport = "tcp",
    ) -> RtspCamera:
        """Raises `BadInput` for what is no RTSP address."""
        return cls(target_of(url, SCHEMES), policy, username, password, trust, transport)

    def open(self, timeouts: Timeouts) -> OpenedContainer:
        address = self.policy.resolve(self.target.host, self.target.port)
        if not self.policy.any_host:
            refuse_redirect(self.target, address, timeouts.connect_s, self.trust)
        try:
            return OpenedContainer(self._container(address, timeouts))
        except av.FFmpegError:
            # FFmpeg has one error for all that can go wrong before the first answer.
            if self._checks_certificate:
                refuse_untrusted(self.target, address, self.trust, timeouts.connect_s)
            raise

    def _container(self, address: str, timeouts: Timeouts) -> InputContainer:
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
        if self._checks_certificate:
            options |= {"tls_verify": "1", "ca_file": self.trust.authorities, "verifyhost": self.target.host}
        elif self.target.scheme == "rtsps":
            options["tls_verify"] = "0"
        limits = (timeouts.connect_s, timeouts.read_s)
        return av.open(self._url(address), format="rtsp", options=options, timeout=limits)

    @property
    def _checks_certificate(self) -> bool:
        return self.target.scheme == "rtsps" and self.trust.verify

    def _url(self, address: str) -> str:
        """At the address that was checked. Holds the password: for FFmpeg alone."""
        login = f"{':'.join(quote(part, safe='') for part in self.login)}@" if self.login is not None else ""
        host = f"[{address}]" if ":" in address else address
        return f"{self.target.scheme}://{login}{host}:{self.target.port}{self.target.path}"
