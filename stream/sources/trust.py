"""Which certificates are accepted of cameras that are reached by TLS."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

import certifi

from stream.sources.addresses import Target
from stream.sources.faults import untrusted

TLS_SCHEMES = ("rtsps", "https")


@dataclass(frozen=True, slots=True)
class Trust:
    """With `verify` only certificates that are signed by a known authority, or by one in `ca_file` (PEM; it may hold
    the camera's own certificate), and made out to the camera's name; else any, and whoever sits in between may read
    along."""

    verify: bool = True
    ca_file: Path | None = None

    @property
    def authorities(self) -> str:
        """The path of a PEM file: FFmpeg takes no folder, which is all that some systems have."""
        return str(self.ca_file or ssl.get_default_verify_paths().cafile or certifi.where())

    def context(self) -> ssl.SSLContext:
        """Raises `OSError` for a `ca_file` that cannot be read or holds no certificate."""
        context = ssl.create_default_context(cafile=self.authorities)
        if not self.verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context

    def connected(self, target: Target, address: str, timeout_s: float) -> socket.socket:
        """A connection to `target`, resolved to `address`: by TLS where its scheme says so. Raises `OSError`."""
        plain = socket.create_connection((address, target.port), timeout_s)
        if target.scheme not in TLS_SCHEMES:
            return plain
        try:
            return self.context().wrap_socket(plain, server_hostname=target.host)
        except BaseException:
            plain.close()
            raise


USUAL = Trust()


def refuse_untrusted(target: Target, address: str, trust: Trust, timeout_s: float) -> None:
    """Raises `SourceError` where the certificate of `target`, resolved to `address`, is not accepted. Blocking."""
    try:
        trust.connected(target, address, timeout_s).close()
    except ssl.SSLCertVerificationError as error:
        raise untrusted(target.host, error.verify_message) from None
    except OSError:
        return
